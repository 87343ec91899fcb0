//! What Go accepts, refuses and means.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use regexp::{LabelMatcher, Regexp};

/// Pattern, then `refused: ` and Go's words.
const REFUSED: &str = r"
a(b        => missing closing ): `a(b`
a)b        => unexpected ): `a)b`
(?i)(?s    => invalid or unsupported Perl syntax: `(?s`
*a         => missing argument to repetition operator: `*`
a|*        => missing argument to repetition operator: `*`
(+)        => missing argument to repetition operator: `+`
{2}        => missing argument to repetition operator: `{2}`
x**        => invalid nested repetition operator: `**`
x*+        => invalid nested repetition operator: `*+`
x??+       => invalid nested repetition operator: `??+`
a{2}{3}    => invalid nested repetition operator: `{2}{3}`
a{1001}    => invalid repeat count: `{1001}`
a{3,2}     => invalid repeat count: `{3,2}`
a{1000000000000} => invalid repeat count: `{1000000000000}`
((a{100}){11}) => invalid repeat count: `{11}`
(?x)a      => invalid or unsupported Perl syntax: `(?x`
(?R)       => invalid or unsupported Perl syntax: `(?R`
(?=a)      => invalid or unsupported Perl syntax: `(?=`
(?i--s)    => invalid or unsupported Perl syntax: `(?i--`
(?-)       => invalid or unsupported Perl syntax: `(?-)`
[a--b]     => invalid character class range: `a--`
(?P<n      => invalid named capture: `(?P<n`
(?P<>a)    => invalid named capture: `(?P<>`
(?<x y>a)  => invalid named capture: `(?<x y>`
(?P=n)     => invalid or unsupported Perl syntax: `(?P`
[a         => missing closing ]: `[a`
[]a        => missing closing ]: `[]a`
[z-a]      => invalid character class range: `z-a`
[[:word]   => OK
[[:wort:]] => invalid character class range: `[:wort:]`
[a-\d]     => invalid escape sequence: `\d`
\p{Greekx} => invalid character class range: `\p{Greekx}`
\p{Alphabetic=1} => invalid character class range: `\p{Alphabetic=1}`
\pX        => invalid character class range: `\pX`
\p{Greek   => invalid character class range: `\p{Greek`
\8         => invalid escape sequence: `\8`
\1         => invalid escape sequence: `\1`
\C         => invalid escape sequence: `\C`
\y         => invalid escape sequence: `\y`
\x{110000} => invalid escape sequence: `\x{110000`
\x{}       => invalid escape sequence: `\x{}`
\x4        => invalid escape sequence: `\x4`
a\         => trailing backslash at end of expression: ``
";

#[test]
fn refused() {
    for case in REFUSED.trim().lines() {
        let (pattern, expected) = case.split_once("=> ").unwrap();
        let said = match Regexp::new(pattern.trim_end()) {
            Ok(_) => "OK".to_owned(),
            Err(error) => error.0,
        };
        assert_eq!(said, expected, "in case `{case}`");
        assert_eq!(Regexp::anchored(pattern.trim_end()).is_ok(), said == "OK", "anchored, in case `{case}`");
    }
}

/// Pattern, text (Rust escapes), and where it first matches.
const MATCHED: &[(&str, &str, Option<&str>)] = &[
    (r"\Qa.b*\E+", "xa.b**", Some("a.b**")),
    (r"\Qa.b", "a.b", Some("a.b")),
    (r"\101\07", "A\u{7}", Some("A\u{7}")),
    (r"{", "{", Some("{")),
    (r"a{,3}", "a{,3}", Some("a{,3}")),
    (r"a{", "a{", Some("a{")),
    (r"a{02}", "a{02}", Some("a{02}")),
    (r"a{2}", "aaa", Some("aa")),
    (r"a{2,}?", "aaa", Some("aa")),
    (r"\b{start}", "a{start}", Some("{start}")),
    (r"[[a]", "[", Some("[")),
    (r"[]a]+", "a]", Some("a]")),
    (r"[^]a]+", "]b", Some("b")),
    (r"[a-]+", "-a", Some("-a")),
    (r"[a&&b]+", "&a&b", Some("&a&b")),
    (r"[a~~b]+", "~ab", Some("~ab")),
    (r"[+--b]+", "-,+b", Some("-,+b")),
    (r"\d+", "\u{663}4", Some("4")),
    (r"\w+", "é_a1", Some("_a1")),
    (r"\s+", "\u{b}\u{a0} ", Some(" ")),
    (r"[[:space:]]", "\u{b}", Some("\u{b}")),
    (r"[[:^alpha:]]+", "ab12", Some("12")),
    (r"\bé", "aé", Some("é")),
    (r"\<a", "<a", Some("<a")),
    (r"\pL+\PL", "1éa2", Some("éa2")),
    (r"\p{Greek}+", "aαβ", Some("αβ")),
    (r"\p{^Greek}+", "αab", Some("ab")),
    (r"\p{upper case letter}*C", "aBC", Some("BC")),
    (r"\p{uppercase_letter}+", "aBC", Some("BC")),
    (r"(?i)straSSE", "STRASSE", Some("STRASSE")),
    (r"(?i)k", "\u{212a}", Some("\u{212a}")),
    (r"(?i)[k-l]", "\u{212a}", Some("\u{212a}")),
    (r"a(?i)b|c", "C", Some("C")),
    (r"(?:(?i)a)b", "AB", None),
    (r"(?i:a)b", "Ab", Some("Ab")),
    (r"(?i-i:a)", "A", None),
    (r"(?s).", "\n", Some("\n")),
    (r".", "\n", None),
    (r"^b$", "a\nb\n", None),
    (r"(?m)^b$", "a\nb\n", Some("b")),
    (r"(?m)\Ab", "a\nb", None),
    (r"b\z", "b\n", None),
    (r"b$", "b\n", None),
    (r"(?U)a+", "aaa", Some("a")),
    (r"(?U)a+?", "aaa", Some("aaa")),
    (r"a|ab", "ab", Some("a")),
    (r"(a*)+", "aab", Some("aa")),
    (r"[\x{1F600}-\x{1F610}\n]", "😀", Some("😀")),
    (r"[^\x00-\x{10FFFF}]", "a", None),
    (r"\x{D800}|a", "a", Some("a")),
    (r"()|b", "b", Some("")),
    (r"", "b", Some("")),
    (r"(|a)b", "ab", Some("ab")),
];

#[test]
fn matched() {
    let mut wrong = String::new();
    for (pattern, text, expected) in MATCHED {
        let said = match Regexp::new(pattern) {
            Ok(regexp) => regexp.captures(text).and_then(|c| c[0]).map(|(from, to)| text[from..to].to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if said.as_deref() != *expected {
            wrong += &format!("{pattern} on {text:?}: {said:?}, expected {expected:?}\n");
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn names_and_templates() {
    let regexp = Regexp::new(r"(?P<a>x)|(?<a>y)(z)").unwrap();
    assert_eq!(regexp.group_index("a"), Some(1));
    assert_eq!(regexp.group_names(), [None, Some("a".into()), Some("a".into()), None]);
    let found = regexp.captures("yz").unwrap();
    assert_eq!(found, [Some((0, 2)), None, Some((0, 1)), Some((1, 2))]);
    for (template, expected) in [
        ("$0", "yz"),
        ("$a$3", "yz"),
        ("${a}b", "yb"),
        ("$ab", ""),
        ("$3x", ""),
        ("${3}x", "zx"),
        ("$03", ""),
        ("$$3", "$3"),
        ("${3", "${3"),
        ("$", "$"),
        ("$9", ""),
    ] {
        assert_eq!(regexp.expand(template, "yz", &found), expected, "template {template}");
    }
    let all = Regexp::new("a*").unwrap().captures_all("baac");
    assert_eq!(all.iter().map(|found| found[0].unwrap()).collect::<Vec<_>>(), [(0, 0), (1, 3), (4, 4)]);
}

fn matcher(pattern: &str) -> LabelMatcher {
    LabelMatcher::new(&model::Matcher::new("l", model::MatchOp::Regex, pattern)).unwrap()
}

#[test]
fn matchers_tell_their_values() {
    for (pattern, expected) in [
        ("a|b|cde", Some("a,b,cde")),
        ("(?:api|web)-[12]", Some("api-1,api-2,web-1,web-2")),
        ("^foo$", Some("foo")),
        ("fo|foo|f", Some("f,fo,foo")),
        ("foo|", Some(",foo")),
        ("", Some("")),
        ("(a|b)?x", Some("ax,bx,x")),
        ("[ab]", Some("a,b")),
        ("a.c", None),
        ("(?i)abc", Some("ABC,ABc,AbC,Abc,aBC,aBc,abC,abc")),
        ("a.*", None),
        ("a+", None),
        (".*", None),
    ] {
        let said = matcher(pattern).alternatives().map(|list| list.join(","));
        assert_eq!(said.as_deref(), expected, "pattern {pattern}");
    }
    assert_eq!(matcher("(a|b).+").prefixes().unwrap(), ["a", "b"]);
    assert!(matcher(".*").matches_all() && !matcher(".+").matches_all());
    let equal = LabelMatcher::new(&model::Matcher::new("l", model::MatchOp::NotEqual, "x")).unwrap();
    assert_eq!(equal.alternatives().unwrap(), ["x"]);
}

/// The short ways must say what the pattern says.
#[test]
fn short_ways_agree_with_the_pattern() {
    const PATTERNS: [&str; 26] = [
        "a|b", "a.*", "a.+", ".*a", ".+a", ".*a.*", ".+a.+", "(a|ab).*", ".*(b|ab)", "(?-s:.*)", ".*", ".+", ".*?", "",
        "a(b|c)?", "^a.*$", "a|", "(|a).*", "[^a]", "a^b", "(?i)A.*", ".*.*", "a.*b", "\\.a.*", "(?m)^a$", "(a)(.*)",
    ];
    const TEXTS: [&str; 14] = ["", "a", "b", "ab", "ba", "aa", "a\n", "\na", "abc", "bab", "é", ".a", "A", "aéb"];
    for pattern in PATTERNS {
        let (short, long) = (Regexp::anchored(pattern).unwrap(), Regexp::new(&format!("^(?s:{pattern})$")).unwrap());
        for text in TEXTS {
            assert_eq!(short.is_match(text), long.is_match(text), "pattern `{pattern}`, text {text:?}");
            assert_eq!(short.captures(text), long.captures(text), "pattern `{pattern}`, text {text:?}");
        }
    }
}

#[test]
fn limits() {
    let deep = format!("{}a{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Regexp::new(&deep).unwrap_err().0.starts_with("expression nests too deeply"));
    let starred = format!("{}a{}", "(?:".repeat(400), ")*".repeat(400));
    assert!(Regexp::new(&starred).unwrap_err().0.starts_with("expression nests too deeply"));
    let large = format!("(?:{})", r"\pL{900}".repeat(20));
    assert!(Regexp::new(&large).unwrap_err().0.starts_with("expression too large"));
    // Thousands of alternatives need no automaton.
    let many: Vec<String> = (0..9_000).map(|i| format!("instance-{i}")).collect();
    let many = matcher(&many.join("|"));
    assert!(many.matches("instance-8999") && !many.matches("instance-9000"));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(pattern in r"[\\\[\]\(\)\{\}\?\*\+\|\^\$\.,:<>PpQEabdx0-9é\-&~iU]{0,24}", text in ".{0,8}") {
        if let Ok(regexp) = Regexp::new(&pattern) {
            regexp.is_match(&text);
            regexp.captures_all(&text);
        }
        if let Ok(regexp) = Regexp::anchored(&pattern) {
            // An open `\Q` swallows what is put behind it.
            if let (Ok(plain), false) = (Regexp::new(&format!("^(?s:{pattern})$")), pattern.contains("\\Q")) {
                proptest::prop_assert_eq!(regexp.is_match(&text), plain.is_match(&text));
            }
        }
    }
}

/// As dashboards write the choice of many hosts, here with something behind it.
#[test]
fn many_alternatives_before_a_tail() {
    let hosts: Vec<String> = (0..10_000).map(|host| format!("host-{host}")).collect();
    let pattern = Regexp::new(&format!("({}):9100.*", hosts.join("|"))).unwrap();
    assert!(pattern.is_match("host-7777:9100/metrics"));
    assert!(!pattern.is_match("host-10000:9100/metrics"));
}
