//! A file's text to commands.

use crate::series::{SeriesError, SeriesLine, parse_series, parse_starts};
use model::Labels;
use regexp::Regexp;

/// A command with the line it starts on, from 1.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) kind: CommandKind,
}

#[derive(Debug)]
pub(crate) enum CommandKind {
    Clear,
    Load { step_ms: i64, with_nhcb: bool, series: Vec<LoadedSeries> },
    Eval(Eval),
}

#[derive(Debug)]
pub(crate) struct LoadedSeries {
    pub(crate) line: SeriesLine,
    /// Offsets of start timestamps, one a step.
    pub(crate) starts: Vec<Option<i64>>,
}

/// When a query is evaluated, in Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

#[derive(Debug)]
pub(crate) enum TextMatch {
    Anything,
    Equal(String),
    Regex(Regexp),
}

#[derive(Debug, Default)]
pub(crate) struct Expectations {
    pub(crate) fail: Option<TextMatch>,
    pub(crate) warn: Vec<TextMatch>,
    pub(crate) info: Vec<TextMatch>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
    pub(crate) ordered: bool,
    pub(crate) string: Option<String>,
    /// Start, end, step.
    pub(crate) range_vector: Option<(i64, i64, i64)>,
}

#[derive(Debug)]
pub(crate) struct Eval {
    pub(crate) when: When,
    pub(crate) query: String,
    pub(crate) expect: Expectations,
    pub(crate) scalar: Option<f64>,
    pub(crate) series: Vec<SeriesLine>,
}

/// What is wrong with a script, and on which line.
#[derive(Debug)]
pub(crate) struct ScriptError {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

/// Reads a whole file before anything runs.
pub(crate) fn parse_script(text: &str) -> Result<Vec<Command>, ScriptError> {
    let lines: Vec<&str> = (text.lines())
        .map(|line| line.trim_matches([' ', '\t', '\r']))
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        if lines[at].is_empty() {
            at += 1;
            continue;
        }
        let line = at + 1;
        let wrong = |offset: usize, reason: String| ScriptError { line: line + offset, reason };
        let body_end = lines[at..].iter().position(|line| line.is_empty()).map_or(lines.len(), |length| at + length);
        let word = lines[at].split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if word == "clear" {
            out.push(Command { line, kind: CommandKind::Clear });
            at += 1;
            continue;
        }
        let body = &lines[at + 1..body_end];
        let kind = if word.starts_with("load") {
            parse_load(lines[at], &word, body).map_err(|(offset, reason)| wrong(offset, reason))?
        } else if word.starts_with("eval") {
            CommandKind::Eval(parse_eval(lines[at], body).map_err(|(offset, reason)| wrong(offset, reason))?)
        } else {
            return Err(wrong(0, format!("`{word}` is no command; expected load, clear or eval")));
        };
        out.push(Command { line, kind });
        at = body_end;
    }
    Ok(out)
}

type Faulty<T> = Result<T, (usize, String)>;

fn duration(text: &str) -> Faulty<i64> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    model::duration::parse_duration_ms(rest).map(|ms| sign * ms).map_err(|error| (0, format!("`{text}`: {error}")))
}

fn parse_load(head: &str, word: &str, body: &[&str]) -> Faulty<CommandKind> {
    let step = head.split_whitespace().nth(1).ok_or((0, "load needs a step, for example `load 5m`".to_owned()))?;
    let step_ms = duration(step)?;
    let mut series = Vec::new();
    let mut pending: Option<(Labels, Vec<Option<i64>>)> = None;
    for (index, line) in body.iter().enumerate() {
        let at = |error: SeriesError| (index + 1, error.0);
        if let Some(marker) = start_marker(line) {
            let labels = parse_series(line[..marker].trim()).map_err(at)?.labels;
            pending = Some((labels, parse_starts(&line[marker + 3..]).map_err(at)?));
            continue;
        }
        let line = parse_series(line).map_err(at)?;
        let starts = match pending.take() {
            None => Vec::new(),
            Some((labels, starts)) if labels == line.labels && starts.len() == line.values.len() => starts,
            Some(_) => return Err((index + 1, "the @st line before it is of another series or length".to_owned())),
        };
        series.push(LoadedSeries { line, starts });
    }
    Ok(CommandKind::Load { step_ms, with_nhcb: word == "load_with_nhcb", series })
}

/// Where `@st` stands in a line whose label set ends with it.
fn start_marker(line: &str) -> Option<usize> {
    let (mut quoted, bytes) = (false, line.as_bytes());
    for (at, &c) in bytes.iter().enumerate() {
        match c {
            b'"' => quoted = !quoted,
            b'@' if !quoted && line[at..].starts_with("@st") => return Some(at),
            b' ' | b'\t' if !quoted && !line[..at].contains('{') => return None,
            b'}' if !quoted => return line[at + 1..].starts_with("@st").then_some(at + 1),
            _ => {}
        }
    }
    None
}

fn parse_eval(head: &str, body: &[&str]) -> Faulty<Eval> {
    let (word, rest) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
    let rest = rest.trim_start();
    let mut expect = Expectations::default();
    match word.to_ascii_lowercase().as_str() {
        "eval" => {}
        "eval_fail" => expect.fail = Some(TextMatch::Anything),
        "eval_warn" => expect.warn.push(TextMatch::Anything),
        "eval_info" => expect.info.push(TextMatch::Anything),
        "eval_ordered" => expect.ordered = true,
        other => return Err((0, format!("`{other}` is no command"))),
    }
    let bad = || {
        (
            0,
            "expected `eval instant at <time> <query>` or `eval range from <start> to <end> step <step> <query>`"
                .to_owned(),
        )
    };
    fn word_of(text: &str) -> (&str, &str) {
        let (word, rest) = text.trim_start().split_once([' ', '\t']).unwrap_or((text.trim_start(), ""));
        (word, rest.trim_start())
    }
    let (kind, rest) = word_of(rest);
    let (when, query) = match kind {
        "instant" => match rest.strip_prefix("at ").or_else(|| rest.strip_prefix("at\t")) {
            Some(rest) => {
                let (time, query) = word_of(rest);
                (When::Instant(duration(time)?), query)
            }
            None => (When::Instant(0), rest),
        },
        "range" => {
            let rest = rest.strip_prefix("from").ok_or_else(bad)?;
            let (start, rest) = word_of(rest);
            let (end, rest) = word_of(rest.strip_prefix("to").ok_or_else(bad)?);
            let (step, query) = word_of(rest.strip_prefix("step").ok_or_else(bad)?);
            (When::Range { start: duration(start)?, end: duration(end)?, step: duration(step)? }, query)
        }
        _ => return Err(bad()),
    };
    let mut eval = Eval { when, query: query.to_owned(), expect, scalar: None, series: Vec::new() };
    for (index, line) in body.iter().enumerate() {
        let at = |reason: String| (index + 1, reason);
        let (word, rest) = word_of(line);
        match word {
            "expect" => parse_expect(rest, &mut eval.expect).map_err(at)?,
            "expected_fail_message" => {
                eval.expect.fail = Some(TextMatch::Equal(rest.to_owned()));
                break;
            }
            "expected_fail_regexp" => {
                eval.expect.fail = Some(TextMatch::Regex(Regexp::new(rest).map_err(|error| at(error.to_string()))?));
                break;
            }
            _ => match model::float::parse_float(line) {
                Some(value) => eval.scalar = Some(value),
                None => eval.series.push(parse_series(line).map_err(|error| at(error.0))?),
            },
        }
    }
    Ok(eval)
}

fn parse_expect(text: &str, expect: &mut Expectations) -> Result<(), String> {
    let (kind, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let rest = rest.trim();
    let matched = || -> Result<TextMatch, String> {
        Ok(if let Some(text) = rest.strip_prefix("msg:") {
            TextMatch::Equal(text.trim().to_owned())
        } else if let Some(pattern) = rest.strip_prefix("regex:") {
            TextMatch::Regex(Regexp::new(pattern.trim()).map_err(|error| error.to_string())?)
        } else if rest.is_empty() {
            TextMatch::Anything
        } else {
            return Err(format!("`{rest}`: expected msg: or regex:"));
        })
    };
    match kind {
        "fail" => expect.fail = Some(matched()?),
        "warn" => expect.warn.push(matched()?),
        "info" => expect.info.push(matched()?),
        "no_warn" => expect.no_warn = true,
        "no_info" => expect.no_info = true,
        "ordered" => expect.ordered = true,
        "string" => match promql_syntax::parse(rest) {
            Ok(promql_syntax::Expr::String(text)) => expect.string = Some(text.value),
            _ => return Err(format!("`{rest}` is no quoted string")),
        },
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let ["vector", "from", start, "to", end, "step", step] = words.as_slice() else {
                return Err("expected `range vector from <start> to <end> step <step>`".to_owned());
            };
            let ms = |text: &str| duration(text).map_err(|(_, reason)| reason);
            expect.range_vector = Some((ms(start)?, ms(end)?, ms(step)?));
        }
        other => return Err(format!("`{other}` cannot be expected")),
    }
    Ok(())
}
