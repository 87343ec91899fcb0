//! JavaScript's regular expressions, as dashboards hold them: in variables, overrides, mappings, transformations.
//!
//! They know look-ahead and back-references, which automata do not, and dashboards use `(?!…)`. A backtracking
//! matcher of its own keeps the browser program small; a budget of steps stands against patterns that explode.

/// Steps of one search. The longest honest search over a label value takes some thousands.
const STEPS_MAX: u32 = 500_000;
/// Nested groups of a pattern.
const DEPTH_MAX: usize = 50;
/// `{n,m}` above this would only burn steps.
const REPEAT_MAX: u32 = 1000;

/// Why a pattern is refused. `at` counts characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("regular expression: {what} at character {at}")]
pub struct PatternError {
    pub what: &'static str,
    pub at: usize,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    root: Node,
    groups: Vec<Option<String>>,
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
    global: bool,
}

/// One match: text of the whole and of each group, `None` for a group that took no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<'t> {
    pub start: usize,
    pub end: usize,
    pub groups: Vec<Option<&'t str>>,
}

#[derive(Clone, Debug)]
enum Node {
    Char(char),
    Any,
    Set { items: Vec<SetItem>, negated: bool },
    Start,
    End,
    WordBoundary { negated: bool },
    Group(Box<Node>, Option<usize>),
    Look { inner: Box<Node>, ahead: bool, negated: bool },
    BackReference(usize),
    NamedReference(String),
    Repeat { inner: Box<Node>, min: u32, max: u32, greedy: bool },
    Sequence(Vec<Node>),
    Either(Vec<Node>),
}

#[derive(Clone, Debug)]
enum SetItem {
    Range(char, char),
    Class(char),
}

impl Pattern {
    /// Compiles `pattern`, or `/pattern/flags` with flags out of `gimsuy`.
    ///
    /// # Errors
    /// What is wrong with the pattern, and where.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let (body, flags) = match text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
            Some((body, flags)) if flags.chars().all(|c| "gimsuyd".contains(c)) => (body, flags),
            _ => (text, ""),
        };
        let mut ignore_case = flags.contains('i');
        // Not JavaScript's, but every other engine's way to say it, and people write it.
        let body = match body.strip_prefix("(?i)") {
            Some(rest) => {
                ignore_case = true;
                rest
            }
            None => body,
        };
        let mut parser = Parser { chars: body.chars().collect(), at: 0, groups: vec![None] };
        let root = parser.either(0)?;
        if parser.at < parser.chars.len() {
            return Err(parser.error("unmatched `)`"));
        }
        Ok(Pattern {
            root,
            groups: parser.groups,
            ignore_case,
            multi_line: flags.contains('m'),
            dot_all: flags.contains('s'),
            global: flags.contains('g'),
        })
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// The first match. A search that exceeds its budget of steps counts as none.
    pub fn find<'t>(&self, text: &'t str) -> Option<Match<'t>> {
        self.find_from(text, 0)
    }

    /// All matches that do not overlap.
    pub fn find_all<'t>(&self, text: &'t str) -> Vec<Match<'t>> {
        let mut out = Vec::new();
        let mut from = 0;
        while let Some(found) = self.find_from(text, from) {
            from = if found.end > found.start {
                found.end
            } else {
                found.end + text[found.end..].chars().next().map_or(1, char::len_utf8)
            };
            out.push(found);
            if from > text.len() {
                break;
            }
        }
        out
    }

    /// Index of a named group.
    pub fn group_index(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.as_deref() == Some(name))
    }

    /// `String.replace`: the first match, or all with flag `g`, by a template with `$1`, `$&`, `$<name>`, `$$`.
    pub fn replace(&self, text: &str, template: &str) -> String {
        let matches = if self.global { self.find_all(text) } else { self.find(text).into_iter().collect() };
        let mut out = String::with_capacity(text.len());
        let mut last = 0;
        for found in matches {
            out.push_str(&text[last..found.start]);
            self.expand(template, &found, &mut out);
            last = found.end;
        }
        out.push_str(&text[last..]);
        out
    }

    /// Fills a replacement template from a match.
    pub fn expand(&self, template: &str, found: &Match<'_>, out: &mut String) {
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let tail = &rest[at + 1..];
            let digits = tail.chars().take(2).take_while(char::is_ascii_digit).count();
            let number =
                |digits: usize| tail[..digits].parse::<usize>().ok().filter(|n| (1..found.groups.len()).contains(n));
            if let Some(after) = tail.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(after) = tail.strip_prefix('&') {
                out.push_str(found.groups.first().copied().flatten().unwrap_or_default());
                rest = after;
            } else if let Some((name, after)) = tail.strip_prefix('<').and_then(|body| body.split_once('>')) {
                let group = self.group_index(name).and_then(|index| found.groups.get(index).copied().flatten());
                out.push_str(group.unwrap_or_default());
                rest = after;
            } else if let Some((group, used)) =
                (1..=digits).rev().find_map(|used| number(used).map(|group| (group, used)))
            {
                out.push_str(found.groups[group].unwrap_or_default());
                rest = &tail[used..];
            } else {
                out.push('$');
                rest = tail;
            }
        }
        out.push_str(rest);
    }

    fn find_from<'t>(&self, text: &'t str, from: usize) -> Option<Match<'t>> {
        let mut matcher = Matcher { pattern: self, text, groups: vec![None; self.groups.len()], steps: STEPS_MAX };
        let mut start = from;
        while start <= text.len() {
            if text.is_char_boundary(start) {
                matcher.groups.fill(None);
                if let Some(end) = matcher.run(&self.root, start, &mut |_, at| Some(at)) {
                    let mut groups: Vec<Option<&'t str>> =
                        matcher.groups.iter().map(|span| span.and_then(|(a, b)| text.get(a..b))).collect();
                    groups[0] = text.get(start..end);
                    return Some(Match { start, end, groups });
                }
                if matcher.steps == 0 {
                    return None;
                }
            }
            start += 1;
        }
        None
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    groups: Vec<Option<String>>,
}

impl Parser {
    fn error(&self, what: &'static str) -> PatternError {
        PatternError { what, at: self.at }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let matches = text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if matches {
            self.at += text.chars().count();
        }
        matches
    }

    fn either(&mut self, depth: usize) -> Result<Node, PatternError> {
        if depth > DEPTH_MAX {
            return Err(self.error("groups nested too deep"));
        }
        let mut branches = vec![self.sequence(depth)?];
        while self.eat("|") {
            branches.push(self.sequence(depth)?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Either(branches) })
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let atom = self.atom(depth)?;
            nodes.push(self.quantified(atom)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn quantified(&mut self, atom: Node) -> Result<Node, PatternError> {
        let (min, max) = match self.peek() {
            Some('*') => (0, u32::MAX),
            Some('+') => (1, u32::MAX),
            Some('?') => (0, 1),
            Some('{') => match self.braces()? {
                Some(bounds) => {
                    let greedy = !self.eat("?");
                    return Ok(Node::Repeat { inner: Box::new(atom), min: bounds.0, max: bounds.1, greedy });
                }
                None => return Ok(atom),
            },
            _ => return Ok(atom),
        };
        self.at += 1;
        let greedy = !self.eat("?");
        Ok(Node::Repeat { inner: Box::new(atom), min, max, greedy })
    }

    /// `{n}`, `{n,}`, `{n,m}`; anything else is a literal brace.
    fn braces(&mut self) -> Result<Option<(u32, u32)>, PatternError> {
        let Some(length) = self.chars[self.at..].iter().position(|c| *c == '}') else { return Ok(None) };
        let body: String = self.chars[self.at + 1..self.at + length].iter().collect();
        let (low, high) = body.split_once(',').unwrap_or((&body, &body));
        let Ok(min) = low.parse::<u32>() else { return Ok(None) };
        let max = if high.is_empty() {
            u32::MAX
        } else {
            match high.parse::<u32>() {
                Ok(max) => max,
                Err(_) => return Ok(None),
            }
        };
        if min > REPEAT_MAX || (max != u32::MAX && max > REPEAT_MAX) {
            return Err(self.error("more than 1000 repetitions"));
        }
        if min > max {
            return Err(self.error("numbers out of order in {}"));
        }
        self.at += length + 1;
        Ok(Some((min, max)))
    }

    fn atom(&mut self, depth: usize) -> Result<Node, PatternError> {
        let Some(c) = self.peek() else { return Err(self.error("unexpected end")) };
        self.at += 1;
        Ok(match c {
            '.' => Node::Any,
            '^' => Node::Start,
            '$' => Node::End,
            '*' | '+' | '?' => {
                self.at -= 1;
                return Err(self.error("nothing to repeat"));
            }
            '[' => self.set()?,
            '(' => {
                let look = [("?=", true, false), ("?!", true, true), ("?<=", false, false), ("?<!", false, true)]
                    .into_iter()
                    .find(|(prefix, ..)| self.eat(prefix));
                let index = if look.is_some() || self.eat("?:") {
                    None
                } else {
                    let mut name = None;
                    if self.eat("?<") || self.eat("?P<") {
                        let mut text = String::new();
                        loop {
                            match self.peek() {
                                Some('>') => break,
                                Some(c) if c.is_alphanumeric() || c == '_' || c == '$' => text.push(c),
                                _ => return Err(self.error("invalid group name")),
                            }
                            self.at += 1;
                        }
                        self.at += 1;
                        name = Some(text);
                    } else if self.peek() == Some('?') {
                        return Err(self.error("invalid group"));
                    }
                    self.groups.push(name);
                    Some(self.groups.len() - 1)
                };
                let inner = Box::new(self.either(depth + 1)?);
                if !self.eat(")") {
                    return Err(self.error("missing `)`"));
                }
                match look {
                    Some((_, ahead, negated)) => Node::Look { inner, ahead, negated },
                    None => Node::Group(inner, index),
                }
            }
            '\\' => self.escape()?,
            c => Node::Char(c),
        })
    }

    fn escape(&mut self) -> Result<Node, PatternError> {
        let Some(c) = self.peek() else { return Err(self.error("`\\` at the end")) };
        self.at += 1;
        Ok(match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => Node::Set { items: vec![SetItem::Class(c)], negated: false },
            'b' => Node::WordBoundary { negated: false },
            'B' => Node::WordBoundary { negated: true },
            '1'..='9' => Node::BackReference(c as usize - '0' as usize),
            'k' if self.peek() == Some('<') => {
                let rest: String = self.chars[self.at + 1..].iter().collect();
                let Some((name, _)) = rest.split_once('>') else { return Err(self.error("invalid group name")) };
                self.at += name.chars().count() + 2;
                Node::NamedReference(name.to_owned())
            }
            c => Node::Char(self.escaped_char(c)?),
        })
    }

    fn escaped_char(&mut self, c: char) -> Result<char, PatternError> {
        let hex = |parser: &mut Self, digits: usize| {
            let text: String = parser.chars.iter().skip(parser.at).take(digits).collect();
            let code = u32::from_str_radix(&text, 16).ok().filter(|_| text.chars().count() == digits);
            match code.and_then(char::from_u32) {
                Some(c) => {
                    parser.at += digits;
                    Ok(c)
                }
                None => Err(parser.error("invalid escape")),
            }
        };
        match c {
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'f' => Ok('\u{c}'),
            'v' => Ok('\u{b}'),
            '0' => Ok('\0'),
            'x' => hex(self, 2),
            'u' => hex(self, 4),
            c => Ok(c),
        }
    }

    fn set(&mut self) -> Result<Node, PatternError> {
        let negated = self.eat("^");
        let mut items = Vec::new();
        loop {
            let Some(c) = self.peek() else { return Err(self.error("missing `]`")) };
            self.at += 1;
            if c == ']' {
                return Ok(Node::Set { items, negated });
            }
            let Some(low) = self.set_char(c, &mut items)? else { continue };
            let ranges = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            if !ranges {
                items.push(SetItem::Range(low, low));
                continue;
            }
            self.at += 1;
            let Some(c) = self.peek() else { return Err(self.error("missing `]`")) };
            self.at += 1;
            match self.set_char(c, &mut items)? {
                Some(high) if high < low => return Err(self.error("range out of order in []")),
                Some(high) => items.push(SetItem::Range(low, high)),
                None => items.extend([SetItem::Range(low, low), SetItem::Range('-', '-')]),
            }
        }
    }

    /// A literal of a set, or `None` if it was a class, which is pushed.
    fn set_char(&mut self, c: char, items: &mut Vec<SetItem>) -> Result<Option<char>, PatternError> {
        if c != '\\' {
            return Ok(Some(c));
        }
        let Some(c) = self.peek() else { return Err(self.error("missing `]`")) };
        self.at += 1;
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
                items.push(SetItem::Class(c));
                Ok(None)
            }
            'b' => Ok(Some('\u{8}')),
            c => self.escaped_char(c).map(Some),
        }
    }
}

struct Matcher<'p, 't> {
    pattern: &'p Pattern,
    text: &'t str,
    groups: Vec<Option<(usize, usize)>>,
    steps: u32,
}

/// What must match after a node: returns the end of the whole match.
type Next<'n, 'p, 't> = &'n mut dyn FnMut(&mut Matcher<'p, 't>, usize) -> Option<usize>;

impl<'p, 't> Matcher<'p, 't> {
    fn char_at(&self, at: usize) -> Option<char> {
        self.text.get(at..)?.chars().next()
    }

    fn same(&self, a: char, b: char) -> bool {
        a == b || (self.pattern.ignore_case && a.to_lowercase().eq(b.to_lowercase()))
    }

    fn in_set(&self, c: char, items: &[SetItem]) -> bool {
        let holds = |c: char| {
            items.iter().any(|item| match item {
                SetItem::Range(low, high) => (*low..=*high).contains(&c),
                SetItem::Class('d') => c.is_ascii_digit(),
                SetItem::Class('D') => !c.is_ascii_digit(),
                SetItem::Class('w') => is_word(c),
                SetItem::Class('W') => !is_word(c),
                SetItem::Class('s') => c.is_whitespace(),
                SetItem::Class(_) => !c.is_whitespace(),
            })
        };
        holds(c) || (self.pattern.ignore_case && (c.to_lowercase().any(&holds) || c.to_uppercase().any(&holds)))
    }

    /// A match of exactly one character.
    fn one(&self, node: &Node, at: usize) -> Option<usize> {
        let c = self.char_at(at)?;
        let fits = match node {
            Node::Char(expected) => self.same(*expected, c),
            Node::Any => self.pattern.dot_all || !matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}'),
            Node::Set { items, negated } => self.in_set(c, items) != *negated,
            _ => false,
        };
        fits.then(|| at + c.len_utf8())
    }

    fn run(&mut self, node: &'p Node, at: usize, next: Next<'_, 'p, 't>) -> Option<usize> {
        self.steps = self.steps.checked_sub(1)?;
        match node {
            Node::Char(_) | Node::Any | Node::Set { .. } => {
                let end = self.one(node, at)?;
                next(self, end)
            }
            Node::Start => {
                let fits = at == 0 || (self.pattern.multi_line && self.text[..at].ends_with('\n'));
                if fits { next(self, at) } else { None }
            }
            Node::End => {
                let fits = at == self.text.len() || (self.pattern.multi_line && self.text[at..].starts_with('\n'));
                if fits { next(self, at) } else { None }
            }
            Node::WordBoundary { negated } => {
                let before = self.text[..at].chars().next_back().is_some_and(is_word);
                let after = self.char_at(at).is_some_and(is_word);
                if (before != after) != *negated { next(self, at) } else { None }
            }
            Node::Group(inner, None) => self.run(inner, at, next),
            Node::Group(inner, Some(index)) => {
                let index = *index;
                let saved = self.groups[index];
                let found = self.run(inner, at, &mut |matcher, end| {
                    let before = matcher.groups[index].replace((at, end));
                    let found = next(matcher, end);
                    if found.is_none() {
                        matcher.groups[index] = before;
                    }
                    found
                });
                if found.is_none() {
                    self.groups[index] = saved;
                }
                found
            }
            Node::Look { inner, ahead, negated } => {
                let found = if *ahead {
                    self.run(inner, at, &mut |_, end| Some(end)).is_some()
                } else {
                    (0..=at)
                        .rev()
                        .filter(|start| self.text.is_char_boundary(*start))
                        .collect::<Vec<_>>()
                        .into_iter()
                        .any(|start| self.run(inner, start, &mut |_, end| (end == at).then_some(end)).is_some())
                };
                if found != *negated { next(self, at) } else { None }
            }
            Node::BackReference(index) => self.reference(*index, at, next),
            Node::NamedReference(name) => match self.pattern.group_index(name) {
                Some(index) => self.reference(index, at, next),
                None => next(self, at),
            },
            Node::Sequence(nodes) => self.sequence(nodes, at, next),
            Node::Either(branches) => branches.iter().find_map(|branch| self.run(branch, at, next)),
            Node::Repeat { inner, min, max, greedy } => match &**inner {
                single @ (Node::Char(_) | Node::Any | Node::Set { .. }) => {
                    self.repeat_single(single, *min, *max, *greedy, at, next)
                }
                inner => self.repeat(inner, *min, *max, *greedy, at, next),
            },
        }
    }

    fn reference(&mut self, index: usize, at: usize, next: Next<'_, 'p, 't>) -> Option<usize> {
        let said = self.groups.get(index).copied().flatten().and_then(|(a, b)| self.text.get(a..b)).unwrap_or_default();
        if self.text.get(at..)?.starts_with(said) { next(self, at + said.len()) } else { None }
    }

    fn sequence(&mut self, nodes: &'p [Node], at: usize, next: Next<'_, 'p, 't>) -> Option<usize> {
        match nodes.split_first() {
            None => next(self, at),
            Some((first, [])) => self.run(first, at, next),
            Some((first, rest)) => self.run(first, at, &mut |matcher, end| matcher.sequence(rest, end, next)),
        }
    }

    /// Without recursion per character, so that a long text needs no deep stack.
    fn repeat_single(
        &mut self,
        node: &Node,
        min: u32,
        max: u32,
        greedy: bool,
        at: usize,
        next: Next<'_, 'p, 't>,
    ) -> Option<usize> {
        let mut ends = vec![at];
        let mut end = at;
        if !greedy {
            for count in 0..=max {
                if count >= min
                    && let Some(found) = next(self, end)
                {
                    return Some(found);
                }
                self.steps = self.steps.checked_sub(1)?;
                end = self.one(node, end)?;
            }
            return None;
        }
        while (ends.len() as u64) <= u64::from(max) {
            let Some(after) = self.one(node, end) else { break };
            self.steps = self.steps.checked_sub(1)?;
            ends.push(after);
            end = after;
        }
        while ends.len() > min as usize {
            let end = ends.pop()?;
            if let Some(found) = next(self, end) {
                return Some(found);
            }
            self.steps = self.steps.checked_sub(1)?;
        }
        None
    }

    fn repeat(
        &mut self,
        inner: &'p Node,
        min: u32,
        max: u32,
        greedy: bool,
        at: usize,
        next: Next<'_, 'p, 't>,
    ) -> Option<usize> {
        /// Rounds of a repeated group, for each needs stack.
        const ROUNDS_MAX: u32 = 400;
        self.steps = self.steps.checked_sub(1)?;
        if !greedy
            && min == 0
            && let Some(found) = next(self, at)
        {
            return Some(found);
        }
        if max > 0 {
            let rest = if max == u32::MAX { ROUNDS_MAX } else { max } - 1;
            let found = self.run(inner, at, &mut |matcher, end| {
                // An empty round repeats for ever without getting anywhere.
                if end == at && min == 0 {
                    return None;
                }
                matcher.repeat(inner, min.saturating_sub(1), rest, greedy, end, next)
            });
            if found.is_some() {
                return found;
            }
        }
        if greedy && min == 0 { next(self, at) } else { None }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches() {
        const CASES: &str = r"
/.*instance=.([^,}]*).*/ | up{instance='a:9',job='x'} | up{instance='a:9',job='x'},a:9'
^(?!test).*$ | prod | prod
^(?!test).*$ | test-1 | none
/(foo|bar)+(\d{2,3})?/ | xfoobar1234 | foobar123,bar,123
a(?<n>b+?)c\k<n> | abbcbb | abbcbb,bb
/HTTP/i | my http | http
(?<=job-)\w+ | my job-api! | api
[^\s-]+-[a-c\d]* | x y-ab9z | y-ab9
(a*)* | aab | aa,aa
\bin\b | begin in | in
(.*)\.(.*?)$ | a.b.c | a.b.c,a.b,c
a{,2} | a{,2} | a{,2}
éa? | caféa | éa
()|x | y | ,
";
        for case in CASES.trim().lines() {
            let [pattern, text, expected] = case.splitn(3, " | ").collect::<Vec<_>>()[..] else {
                panic!("case `{case}`")
            };
            let said = match Pattern::new(pattern).unwrap().find(text) {
                Some(found) => found.groups.iter().map(|g| g.unwrap_or("-")).collect::<Vec<_>>().join(","),
                None => "none".to_owned(),
            };
            assert_eq!(said, expected, "in case `{case}`");
        }
    }

    #[test]
    fn refused() {
        for (pattern, expected) in [
            ("(a", "missing `)` at character 2"),
            ("a)", "unmatched `)` at character 1"),
            ("*a", "nothing to repeat at character 0"),
            ("[a", "missing `]` at character 2"),
            ("[b-a]", "range out of order in [] at character 4"),
            ("a{9999}", "more than 1000 repetitions at character 1"),
            ("\\", "`\\` at the end at character 1"),
        ] {
            let error = Pattern::new(pattern).unwrap_err().to_string();
            assert_eq!(error, format!("regular expression: {expected}"), "{pattern}");
        }
        assert!(Pattern::new(&"(".repeat(100)).is_err());
    }

    #[test]
    fn replaced() {
        let replace =
            |pattern: &str, text: &str, template: &str| Pattern::new(pattern).unwrap().replace(text, template);
        assert_eq!(replace("(.*)-(?<n>.*)", "a-b", "$2:$<n>:$1$$$&$9"), "b:b:a$a-b$9");
        assert_eq!(replace("/a/g", "banana", "o"), "bonono");
        assert_eq!(replace("a", "banana", "o"), "bonana");
        assert_eq!(replace("/x*/g", "ab", "-"), "-a-b-");
    }

    #[test]
    fn explosive_patterns_and_long_texts_end() {
        let explosive = Pattern::new("(a+)+b").unwrap();
        assert!(!explosive.is_match(&"a".repeat(40)));
        assert!(Pattern::new("(ab)*c").unwrap().find(&("ab".repeat(300) + "c")).is_some());
        assert_eq!(Pattern::new(".*").unwrap().find(&"x".repeat(100_000)).map(|m| m.end), Some(100_000));
    }
}
