//! Reading a body by what it changes of the one before it.
//!
//! A target's bodies are nearly equal from scrape to scrape: a [`Walk`] compares the two, passes over whole lines that
//! did not change without reading them, and of a line whose value changed reads the value alone. Where a line came, went
//! or moved, it looks for the next known line and goes on from there. What is found is told as [`Step`]s over the lines
//! of the previous body, the [`Base`].
//!
//! A quick walk reads nothing twice and judges nothing: what it is not sure of, faults among them, ends it with
//! [`Step::Unsure`], and whoever reads walks again with [`Walk::careful`], which reads every line. A quick walk does not
//! count lines, either: when a new key has faults of its own, walk again to tell the line.

use crate::parse::{Parser, line_end_reading};
use crate::{Entry, Fault, Format, Reading, Sample};
use foldhash::fast::RandomState;
use model::MetricType;
use std::collections::HashMap;

/// How many known lines ahead are looked at for one that moved up, before the index of all is asked.
const LOOK_AHEAD: usize = 64;
/// Bytes that are compared at once.
const BLOCK: usize = 32;
/// A kept body may own this many times its length, and so much more.
const SLACK_FACTOR: usize = 5;
const SLACK_DIVISOR: usize = 4;
const SLACK_BYTES: usize = 4096;
/// The upper bits of [`Line::tail`] hold what the type of the family says about the labels.
const KIND_SHIFT: u32 = 30;
const TAIL_MASK: u32 = (1 << KIND_SHIFT) - 1;

/// Where a sample stands in a body. Bodies are shorter than 1 GiB, see [`BODY_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Start of the value.
    value: u32,
    /// Bytes from the start of the line to the value.
    head: u32,
    /// Bytes from the value to the end of the line; above them the family's kind.
    tail: u32,
}

/// Longer bodies are not compared.
pub const BODY_BYTES_MAX: usize = TAIL_MASK as usize;

/// What of the family's type changes what a sample means: bounds of histograms and quantiles of summaries get one form,
/// and lines of histograms may be parts of a native one.
fn kind(family_type: MetricType) -> u32 {
    match family_type {
        MetricType::Histogram => 1,
        MetricType::Summary => 2,
        MetricType::GaugeHistogram => 3,
        _ => 0,
    }
}

fn type_of(kind: u32) -> MetricType {
    match kind {
        1 => MetricType::Histogram,
        2 => MetricType::Summary,
        3 => MetricType::GaugeHistogram,
        _ => MetricType::Unknown,
    }
}

impl Line {
    fn new(value: usize, head: usize, tail: usize, kind: u32) -> Self {
        Line { value: value as u32, head: head as u32, tail: tail as u32 | kind << KIND_SHIFT }
    }

    fn value(self) -> usize {
        self.value as usize
    }

    fn start(self) -> usize {
        (self.value - self.head) as usize
    }

    /// Where its newline stands, or the end of the body.
    fn end(self) -> usize {
        self.value as usize + (self.tail & TAIL_MASK) as usize
    }

    fn kind(self) -> u32 {
        self.tail >> KIND_SHIFT
    }

    fn moved(self, shift: isize) -> Self {
        Line { value: (self.value as isize + shift) as u32, ..self }
    }
}

/// A body that was read, and where its samples stand.
#[derive(Clone, Debug, Default)]
pub struct Base {
    body: Vec<u8>,
    lines: Vec<Line>,
    format: Option<Format>,
}

impl Base {
    /// Samples of the body.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The key of a sample, with the blanks around it.
    pub fn head(&self, line: usize) -> Option<&[u8]> {
        self.lines.get(line).and_then(|line| self.body.get(line.start()..line.value()))
    }

    /// Takes a body that was walked over to its end. `body` gets the memory of the one before.
    pub fn replace(&mut self, body: &mut Vec<u8>, lines: &[Line], format: Format) {
        keep_body(&mut self.body, body);
        self.lines.clear();
        self.lines.reserve_exact(lines.len());
        self.lines.extend_from_slice(lines);
        if self.lines.capacity() > 2 * lines.len() + LOOK_AHEAD {
            self.lines.shrink_to_fit();
        }
        self.format = Some(format);
    }

    /// Forgets the body.
    pub fn clear(&mut self) {
        *self = Base::default();
    }
}

/// Takes a body to be kept in the place of the one that was; `body` gets its memory.
pub(crate) fn keep_body(kept: &mut Vec<u8>, body: &mut Vec<u8>) {
    std::mem::swap(kept, body);
    if kept.capacity() > kept.len() / SLACK_DIVISOR * SLACK_FACTOR + SLACK_BYTES {
        kept.shrink_to_fit();
    }
}

/// What a walk found, in the order of the new body.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    /// These lines of the base stand there as they did, byte for byte.
    Kept { first: usize, end: usize },
    /// The key of a line of the base. Lines of the base may be left out and may come in another order.
    Known { line: usize, reading: Reading<'a> },
    /// A key that the base does not have under a family of this type.
    New(Sample<'a>),
    /// A line of metadata. Metadata that stands where it stood is not told again.
    Entry(Entry<'a>),
    /// A careful walk: what is wrong with a line; it goes on with the next.
    Fault(Fault),
    /// A quick walk ends here and has to be done again carefully.
    Unsure,
}

/// How the walk goes on.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// Both bodies stand at the start of a line, and may go on equally.
    Compare,
    /// They are equal up to here in the base.
    Differ(usize),
    /// Line by line.
    Read,
    End,
}

/// A walk over a body.
pub struct Walk<'a> {
    base: &'a Base,
    body: &'a [u8],
    format: Format,
    parser: Parser<'static>,
    lines: &'a mut Vec<Line>,
    quick: bool,
    mode: Mode,
    /// Where we stand in the body, and in the base, both at the start of a line.
    at: usize,
    base_at: usize,
    /// The next line of the base.
    next: usize,
    /// Lines of the base by their heads; made when lines moved further than we look ahead.
    index: Option<HashMap<&'a [u8], u32, RandomState>>,
}

impl<'a> Walk<'a> {
    /// A walk that reads only what changed. `lines` gets where the samples of `body` stand, for [`Base::replace`].
    pub fn quick(base: &'a Base, body: &'a [u8], format: Format, lines: &'a mut Vec<Line>) -> Self {
        let mut walk = Walk::new(base, body, format, lines);
        walk.quick = true;
        walk.mode = Mode::Compare;
        walk
    }

    /// A walk that reads every line; the keys of `base` are known all the same.
    ///
    /// # Errors
    /// The line of the first byte that is no UTF-8.
    pub fn careful(base: &'a Base, body: &'a [u8], format: Format, lines: &'a mut Vec<Line>) -> Result<Self, Fault> {
        // The parser's own look at the encoding.
        Parser::new(body, format)?;
        Ok(Walk::new(base, body, format, lines))
    }

    /// True when a quick walk makes sense.
    pub fn comparable(base: &Base, body: &[u8], format: Format) -> bool {
        base.format == Some(format) && format != Format::Protobuf && body.len() <= BODY_BYTES_MAX && !base.is_empty()
    }

    fn new(base: &'a Base, body: &'a [u8], format: Format, lines: &'a mut Vec<Line>) -> Self {
        lines.clear();
        let next = if base.format == Some(format) { 0 } else { base.len() };
        let parser = Parser::of_lines(format);
        Walk { base, body, format, parser, lines, quick: false, mode: Mode::Read, at: 0, base_at: 0, next, index: None }
    }

    /// The next step; `None` after the last one.
    #[expect(
        clippy::should_implement_trait,
        reason = "a step borrows from the bodies, as an iterator's item does, but a name of its own tells that it is none"
    )]
    pub fn next(&mut self) -> Option<Step<'a>> {
        loop {
            let step = match self.mode {
                Mode::Compare => self.compare(),
                Mode::Differ(at) => self.differ(at),
                Mode::Read => match self.read() {
                    Ok(step) => step,
                    Err(_) if self.quick => Some(Step::Unsure),
                    Err(message) => Some(Step::Fault(Fault { line: self.parser.line().max(1), message })),
                },
                Mode::End => return None,
            };
            match step {
                Some(Step::Unsure) => {
                    self.mode = Mode::End;
                    return Some(Step::Unsure);
                }
                Some(step) => return Some(step),
                None => {}
            }
        }
    }

    fn compare(&mut self) -> Option<Step<'a>> {
        let (body, base) = (self.body.get(self.at..)?, self.base.body.get(self.base_at..)?);
        let equal = common_prefix(body, base);
        let first = self.next;
        let shift = self.at as isize - self.base_at as isize;
        if equal == body.len() && equal == base.len() {
            if self.parser.eof_seen() && equal > 0 {
                return Some(Step::Unsure);
            }
            // What the end of the base promised, `# EOF`, holds here.
            self.mode = Mode::End;
            let rest = self.base.lines.get(first..)?;
            self.lines.extend(rest.iter().map(|line| line.moved(shift)));
            self.next = self.base.len();
            return (!rest.is_empty()).then_some(Step::Kept { first, end: self.next });
        }
        let differs_at = self.base_at + equal;
        self.mode = Mode::Differ(differs_at);
        // A line is the same when its newline is.
        let rest = self.base.lines.get(first..)?;
        let kept = rest.iter().take_while(|line| line.end() < differs_at).count();
        self.lines.extend(rest.iter().take(kept).map(|line| line.moved(shift)));
        let end = first + kept;
        if end == first {
            return None;
        }
        self.next = end;
        if let Some(last) = self.base.lines.get(end - 1) {
            self.base_at = last.end() + 1;
            self.at = (self.base_at as isize + shift) as usize;
        }
        Some(Step::Kept { first, end })
    }

    /// The bodies differ first at `differs_at` of the base, not before the next line of the base ends.
    fn differ(&mut self, differs_at: usize) -> Option<Step<'a>> {
        let shift = self.at as isize - self.base_at as isize;
        let Some(line) = self.base.lines.get(self.next).copied().filter(|line| line.value() <= differs_at) else {
            self.mode = Mode::Read;
            // Metadata between the last line and here is read again.
            self.parser.set_family_type(type_of(self.lines.last().map_or(0, |line| line.kind())));
            return None;
        };
        if self.parser.eof_seen() {
            return Some(Step::Unsure);
        }
        // The head is the same, and so is what it means: a key ends by itself, or where a value starts.
        let value = (line.value() as isize + shift) as usize;
        let from = (differs_at as isize + shift) as usize;
        let Some(step) = self.value_of(self.next, line, value, from) else { return Some(Step::Unsure) };
        self.mode = Mode::Compare;
        Some(step)
    }

    /// Reads the value of a known line that starts at `value`, its end not before `from`, and passes over it.
    fn value_of(&mut self, index: usize, line: Line, value: usize, from: usize) -> Option<Step<'a>> {
        let newline = find_newline(self.body.get(from..)?);
        if newline.is_none() && self.format == Format::OpenMetrics {
            return None;
        }
        let end = newline.map_or(self.body.len(), |length| from + length);
        let tail = std::str::from_utf8(self.body.get(value..end)?).ok()?;
        let reading = line_end_reading(tail, self.format).ok()?;
        self.lines.push(Line::new(value, line.head as usize, tail.len(), line.kind()));
        self.at = (end + 1).min(self.body.len());
        self.base_at = (line.end() + 1).min(self.base.body.len());
        self.next = index + 1;
        Some(Step::Known { line: index, reading })
    }

    fn read(&mut self) -> Result<Option<Step<'a>>, String> {
        let Some(rest) = self.body.get(self.at..).filter(|rest| !rest.is_empty()) else {
            self.mode = Mode::End;
            return if self.format == Format::OpenMetrics && !self.parser.eof_seen() {
                Err("data does not end with # EOF".into())
            } else {
                Ok(None)
            };
        };
        self.parser.count_line();
        let newline = find_newline(rest);
        let bytes = rest.get(..newline.unwrap_or(rest.len())).unwrap_or_default();
        let start = self.at;
        if bytes.first() != Some(&b'#')
            && !self.parser.eof_seen()
            && let Some((index, line)) = self.known_ahead(bytes)
            && let Some(step) = self.value_of(index, line, start + line.head as usize, start + line.head as usize)
        {
            self.mode = if self.quick { Mode::Compare } else { Mode::Read };
            return Ok(Some(step));
        }
        self.at = (start + bytes.len() + 1).min(self.body.len());
        let text = std::str::from_utf8(bytes).map_err(|_| "not valid UTF-8".to_owned())?;
        let entry = self.parser.line_entry(text, newline.is_some(), "")?;
        let sample = match entry {
            None => return Ok(None),
            Some(Entry::Sample(sample)) => sample,
            Some(entry) => return Ok(Some(Step::Entry(entry))),
        };
        let kind = kind(self.parser.family_type());
        let head = sample.value_at;
        if let Some((index, line)) = self.known_anywhere(bytes.get(..head).unwrap_or_default(), kind)
            && let Some(step) = self.value_of(index, line, start + head, start + head)
        {
            self.mode = if self.quick { Mode::Compare } else { Mode::Read };
            return Ok(Some(step));
        }
        self.lines.push(Line::new(start + head, head, bytes.len() - head, kind));
        Ok(Some(Step::New(sample)))
    }

    /// The next lines of the base: one whose head this line starts with.
    fn known_ahead(&self, line: &[u8]) -> Option<(usize, Line)> {
        let kind = kind(self.parser.family_type());
        let ahead = self.base.lines.get(self.next..)?.iter().take(LOOK_AHEAD);
        ahead.enumerate().find_map(|(i, known)| {
            let head = self.base.body.get(known.start()..known.value())?;
            (known.kind() == kind && line.starts_with(head)).then_some((self.next + i, *known))
        })
    }

    /// Any line of the base with this head.
    fn known_anywhere(&mut self, head: &[u8], kind: u32) -> Option<(usize, Line)> {
        let base = self.base;
        if base.is_empty() || base.format != Some(self.format) {
            return None;
        }
        let index = self.index.get_or_insert_with(|| {
            let mut index = HashMap::with_capacity_and_hasher(base.len(), RandomState::default());
            for (i, line) in base.lines.iter().enumerate() {
                let head = base.body.get(line.start()..line.value()).unwrap_or_default();
                index.entry(head).or_insert(i as u32);
            }
            index
        });
        let found = *index.get(head)? as usize;
        let line = base.lines.get(found).copied()?;
        (line.kind() == kind).then_some((found, line))
    }
}

fn find_newline(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes)
}

/// Bytes at the start of both that are equal.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (a_blocks, b_blocks) = (a.as_chunks::<BLOCK>().0, b.as_chunks::<BLOCK>().0);
    let blocks = a_blocks.iter().zip(b_blocks).take_while(|(a, b)| a == b).count();
    let start = blocks * BLOCK;
    let (a, b) = (a.get(start..).unwrap_or_default(), b.get(start..).unwrap_or_default());
    start + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
