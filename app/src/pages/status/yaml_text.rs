//! Colours for YAML that is only read: which part of each line is a key, a text, a number, a comment.

/// What a piece of a line is; the name of its CSS class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Key,
    Text,
    Number,
    Word,
    Comment,
    Mark,
}

impl Kind {
    pub fn class(self) -> &'static str {
        match self {
            Kind::Plain => "",
            Kind::Key => "la",
            Kind::Text => "sg",
            Kind::Number => "nu",
            Kind::Word => "kw",
            Kind::Comment => "co",
            Kind::Mark => "mk",
        }
    }
}

/// Splits one line into coloured pieces; their texts joined are the line. It looks at one line only, so the inside
/// of a block text is coloured as if it were YAML: good enough to read by, and never wrong about the text itself.
pub fn colour_line(line: &str) -> Vec<(Kind, &str)> {
    let mut pieces = Vec::new();
    let indent = line.len() - line.trim_start().len();
    let (blank, mut rest) = line.split_at(indent);
    pieces.push((Kind::Plain, blank));
    while let Some(tail) = rest.strip_prefix("- ") {
        let (mark, _) = rest.split_at(rest.len() - tail.len());
        pieces.push((Kind::Mark, mark));
        rest = tail;
    }
    if rest.starts_with('#') {
        pieces.push((Kind::Comment, rest));
        return pieces.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    }
    if let Some(at) = key_end(rest) {
        let (key, tail) = rest.split_at(at);
        pieces.push((Kind::Key, key));
        let (colon, tail) = tail.split_at(1);
        pieces.push((Kind::Mark, colon));
        rest = tail;
    }
    let (value, comment) = match rest.find(" #") {
        Some(at) if !rest.trim_start().starts_with(['"', '\'']) => rest.split_at(at),
        _ => (rest, ""),
    };
    let trimmed = value.trim();
    let kind = match trimmed {
        "true" | "false" | "null" | "~" | "yes" | "no" => Kind::Word,
        "|" | ">" | "|-" | ">-" | "|+" | ">+" | "-" | "[]" | "{}" => Kind::Mark,
        _ if trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && trimmed.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')) =>
        {
            Kind::Number
        }
        _ => Kind::Text,
    };
    pieces.push((kind, value));
    pieces.push((Kind::Comment, comment));
    pieces.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// Where the key of `key: value` ends, before its colon.
fn key_end(text: &str) -> Option<usize> {
    let at = match text.chars().next()? {
        quote @ ('"' | '\'') => text.get(1..)?.find(quote)? + 2,
        _ => text.find(": ").or_else(|| text.ends_with(':').then(|| text.len() - 1))?,
    };
    let tail = text.get(at..)?;
    (tail == ":" || tail.starts_with(": ")).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = r#"
global:                       => Key`global` Mark`:`
  scrape_interval: 15s        => Plain`  ` Key`scrape_interval` Mark`:` Number` 15s`
  - job_name: "node" # why    => Plain`  ` Mark`- ` Key`job_name` Mark`:` Text` "node" # why`
  honor_labels: true # sure   => Plain`  ` Key`honor_labels` Mark`:` Word` true` Comment` # sure`
# note                        => Comment`# note`
  - 127.0.0.1:9090            => Plain`  ` Mark`- ` Text`127.0.0.1:9090`
  'a b': 1                    => Plain`  ` Key`'a b'` Mark`:` Number` 1`
"#;

    #[test]
    fn lines() {
        for case in CASES.trim_matches('\n').lines() {
            let (line, expected) = case.split_once("=> ").unwrap();
            let line = line.trim_end();
            let pieces = colour_line(line);
            let said: Vec<_> = pieces.iter().map(|(kind, text)| format!("{kind:?}`{text}`")).collect();
            assert_eq!(said.join(" "), expected, "in case `{case}`");
            assert_eq!(pieces.iter().map(|(_, text)| *text).collect::<String>(), line);
        }
    }
}
