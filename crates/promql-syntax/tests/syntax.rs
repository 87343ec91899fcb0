//! What is accepted, what is refused and in which words, and what is printed.

use promql_syntax::{
    Expr, Features, TokenKind, format_pretty, parse, parse_metric, parse_metric_matchers, parse_metric_selector,
    parse_with, tokens,
};
use proptest::prelude::*;

/// Text, and what it prints as.
const PRINTED: &str = r#"
foo{b="2",a="1"}                         => foo{a="1",b="2"}
{"foo.bar",a="b"}                        => {"foo.bar",a="b"}
{"foo"}                                  => foo
sum(foo) BY (a,b)                        => sum by (a, b) (foo)
sum without() (foo)                      => sum without () (foo)
topk(5, foo)                             => topk(5, foo)
foo[100]                                 => foo[1m40s]
foo[5m] offset 1h @ 5                    => foo[5m] @ 5.000 offset 1h
foo[5m:] @ end()                         => foo[5m:] @ end()
rate(foo[step()*2])                      => rate(foo[step() * 2])
foo offset -(min_of(step(),5s))          => foo offset -(min_of(step(), 5s))
-2 ^ 2                                   => -2 ^ 2
+foo                                     => +foo
1 - -1                                   => 1 - -1
a + on(x) group_left(y) fill_right(0) b  => a + on (x) group_left (y) fill_right (0) b
a == bool fill(NaN) b                    => a == bool fill (NaN) b
a * ignoring() b                         => a * b
h </ 5 >/ 2                              => h </ 5 >/ 2
rate(foo[5m] smoothed)                   => rate(foo[5m] smoothed)
0x1f + 1_000 + 1e3 + .5 + Inf            => 31 + 1000 + 1000 + 0.5 + +Inf
5m                                       => 5m
"a\tb" # comment                         => "a\tb"
info(foo, {a=~".+"})                     => info(foo, {a=~".+"})
sum                                      => sum
by + offset                              => by + offset
"#;

/// Text, and why it is refused.
const REFUSED: &str = r#"
foo{                       => 1:5: parse error: unexpected end of input inside braces
sum(                       => 1:5: parse error: unclosed left parenthesis
foo[5m                     => 1:7: parse error: unclosed left bracket
foo)                       => 1:5: parse error: unexpected right parenthesis ')'
foo bar                    => 1:5: parse error: unexpected identifier "bar"
foo{a}                     => 1:6: parse error: unexpected "}" in label matching, expected label matching operator
foo[0s]                    => 1:5: parse error: duration must be greater than 0
foo[5m] offset 1m offset 2 => 1:1: parse error: offset may not be set multiple times
1 == 1                     => 1:3: parse error: comparisons between scalars must use BOOL modifier
foo + bool bar             => 1:5: parse error: bool modifier can only be used on comparison operators
foo and 2                  => 1:1: parse error: set operator "and" not allowed in binary scalar expression
rate(foo)                  => 1:6: parse error: expected type range vector in call to function "rate", got instant vector
abs()                      => 1:1: parse error: expected 1 argument(s) in call to "abs", got 0
unknown(foo)               => 1:1: parse error: unknown function with name "unknown"
{a=""}                     => 1:1: parse error: vector selector must contain at least one non-empty matcher
{a=~".*|b"}                => 1:1: parse error: vector selector must contain at least one non-empty matcher
{"a","b"}                  => 1:6: parse error: metric name must not be set twice: "a" or "b"
sum(foo)[5m]               => 1:9: parse error: ranges only allowed for vector selectors
-foo[5m]                   => 1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "range vector"
foo + on(a) group_left(a) bar => 1:5: parse error: label "a" must not occur in ON and GROUP clause at once
foo + on(a) 2              => 1:1: parse error: vector matching only allowed between instant vectors
"abc                       => 1:1: parse error: unterminated quoted string
sum by (1a) (foo)          => 1:9: parse error: bad number or duration syntax: "1"
foo[5m1]                   => 1:5: parse error: bad number or duration syntax: "5m1"
5h3mmm                     => 1:1: parse error: bad number or duration syntax: "5h3mm"
5mm                        => 1:1: parse error: bad number or duration syntax: "5mm"
sum by (a) (b, c)          => 1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2
"#;

fn cases(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table
        .trim()
        .lines()
        .map(|line| line.split_once("=> ").map(|(a, b)| (a.trim_end(), b)).expect("a case has an arrow"))
}

#[test]
fn printing() {
    for (text, printed) in cases(PRINTED) {
        let expr = parse(text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
        assert_eq!(expr.to_string(), printed, "in case `{text}`");
        assert_eq!(parse(printed).unwrap().to_string(), printed, "printed once more");
    }
}

#[test]
fn refusing() {
    let mut wrong = String::new();
    for (text, reason) in cases(REFUSED) {
        let got = parse(text).map_or_else(|error| error.to_string(), |expr| format!("taken as {expr}"));
        if got != reason {
            wrong.push_str(&format!("{text} => {got}\n    not: {reason}\n"));
        }
    }
    assert_eq!(wrong, "");
    assert_eq!(parse("").unwrap_err().to_string(), "unknown position: parse error: no expression found in input");
    assert_eq!(parse(" # a\n").unwrap_err().to_string(), "1:1: parse error: no expression found in input");
    assert_eq!(parse("foo +\n  bar baz").unwrap_err().to_string(), "2:7: parse error: unexpected identifier \"baz\"");
}

/// A query, what is refused of it without features, as Prometheus says it, and the feature that would allow it.
const GATED: &str = r#"
mad_over_time(x[5m])             => 1:1: parse error: function "mad_over_time" is not enabled; promql-experimental-functions
sum(mad_over_time(x))            => 1:5: parse error: function "mad_over_time" is not enabled; promql-experimental-functions
mad_over_time(info(x)[5m:])      => 1:15: parse error: function "info" is not enabled; promql-experimental-functions
vector(step())                   => 1:8: parse error: function "step" is not enabled; promql-experimental-functions
limitk(1, x)                     => 1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions; promql-experimental-functions
sum(limit_ratio by (a) (0.5, x)) => 1:5: parse error: limit_ratio() is experimental and must be enabled with --enable-feature=promql-experimental-functions; promql-experimental-functions
limitk(1)                        => 1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions; promql-experimental-functions
limitk()                         => 1:1: parse error: no arguments for aggregate expression provided; none
rate(x[5m] smoothed)             => 1:6: parse error: smoothed modifier is experimental and not enabled; promql-extended-range-selectors
1 + rate(x[5m] anchored)         => 1:10: parse error: anchored modifier is experimental and not enabled; promql-extended-range-selectors
1 + a * fill(0) b                => 1:5: parse error: binop fill modifiers are experimental and not enabled; promql-binop-fill-modifiers
a and fill_left(0) b             => 1:1: parse error: binop fill modifiers are experimental and not enabled; promql-binop-fill-modifiers
nothing(bar(                     => 1:13: parse error: unclosed left parenthesis; none
nothing(other())                 => 1:9: parse error: unknown function with name "other"; none
x[5m * 2] offset (5m + step())   => good
first_over_time(x[5m])           => good
limitk + mad_over_time + fill    => good
"#;

#[test]
fn what_is_experimental_waits_for_its_feature() {
    for (query, expected) in cases(GATED) {
        let said = match parse_with(query, Features::default()) {
            Ok(_) => "good".to_owned(),
            Err(error) => format!("{error}; {}", error.feature.unwrap_or("none")),
        };
        assert_eq!(said, expected, "in case `{query}`");
        let Some(feature) = parse_with(query, Features::default()).err().and_then(|error| error.feature) else {
            continue;
        };
        let (mut one, mut others) = (Features::default(), Features::ALL);
        assert!(one.enable(feature), "{feature}");
        others.experimental_functions &= !one.experimental_functions;
        others.extended_range_selectors &= !one.extended_range_selectors;
        others.fill_modifiers &= !one.fill_modifiers;
        let allowed = parse_with(query, one).err().and_then(|error| error.feature);
        assert_eq!(allowed, None, "`{query}` with {feature}");
        let refused = parse_with(query, others).err().and_then(|error| error.feature);
        assert_eq!(refused, Some(feature), "`{query}` with all but {feature}");
    }
}

#[test]
fn depth_is_limited() {
    for text in ["(".repeat(100_000), "-".repeat(100_000), "1+".repeat(100_000), "a[".repeat(5000), "a^".repeat(5000)] {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn spans() {
    let text = "sum(rate(foo{a=\"b\"}[5m] offset 1h)) / bar";
    let Expr::Binary(binary) = parse(text).unwrap() else { panic!("no operator") };
    let of = |span: promql_syntax::Span| &text[span.start..span.end];
    assert_eq!(of(binary.left.span()), "sum(rate(foo{a=\"b\"}[5m] offset 1h))");
    assert_eq!(of(binary.op_span), "/");
    let Expr::Aggregate(sum) = *binary.left else { panic!("no sum") };
    let Expr::Call(rate) = *sum.inner else { panic!("no rate") };
    assert_eq!(of(rate.args[0].span()), "foo{a=\"b\"}[5m] offset 1h");
}

#[test]
fn long_queries_are_split() {
    let long = "a".repeat(60);
    let text = format!("sum by (x) (rate({long}[5m])) / {long}");
    let expected = format!("  sum by (x) (rate({long}[5m]))\n/\n  {long}");
    assert_eq!(format_pretty(&parse(&text).unwrap()), expected);
}

#[test]
fn selectors_and_metrics_alone() {
    let shown: Vec<_> = parse_metric_selector("up{job!=\"a\"}").unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["__name__=\"up\"", "job!=\"a\""]);
    assert_eq!(parse_metric_matchers("{}"), Ok(Vec::new()));
    assert!(parse_metric_matchers("up[5m]").is_err());
    for wrong in ["up[5m]", "up offset 5m", "sum(up)", "{}", "1", ""] {
        assert!(parse_metric_selector(wrong).is_err(), "`{wrong}`");
    }
    for (text, labels, end) in [
        ("up 1 2", "{__name__=\"up\"}", 2),
        ("up{a=\"}\"} 1", "{__name__=\"up\", a=\"}\"}", 9),
        ("{\"a.b\", c=\"d\",} 1", "{__name__=\"a.b\", c=\"d\"}", 15),
        ("sum {x=\"\"} 1", "{__name__=\"sum\"}", 10),
        ("{} 1", "{}", 2),
    ] {
        let (got, at) = parse_metric(text).unwrap();
        assert_eq!((got.to_string().as_str(), at), (labels, end), "in `{text}`");
    }
}

#[test]
fn colours() {
    let kinds: Vec<_> = tokens("sum by (a) (x[5m]) # hm").into_iter().map(|token| token.kind).collect();
    use TokenKind as K;
    let expected = [
        K::Aggregation,
        K::Keyword,
        K::LeftParen,
        K::Identifier,
        K::RightParen,
        K::LeftParen,
        K::Identifier,
        K::LeftBracket,
        K::Duration,
        K::RightBracket,
        K::RightParen,
        K::Comment,
    ];
    assert_eq!(kinds, expected);
}

/// Texts of well-typed instant vectors.
fn vector() -> impl Strategy<Value = String> {
    let label = prop_oneof![Just("a"), Just("job"), Just("by"), Just("\"x.y\"")];
    let matcher = (label, prop_oneof![Just("="), Just("!="), Just("=~"), Just("!~")], "[a-z]{1,3}")
        .prop_map(|(name, op, value)| format!("{name}{op}\"{value}\""));
    let selector = (prop_oneof![Just("foo"), Just("sum"), Just("a:b")], proptest::collection::vec(matcher, 0..3))
        .prop_map(|(name, matchers)| format!("{name}{{{}}}", matchers.join(",")));
    let duration = prop_oneof![Just("5m"), Just("90"), Just("step()*2"), Just("1h-(5m+1)"), Just("max_of(1m,range())")];
    let modifier = prop_oneof![Just(""), Just(" offset -5m"), Just(" @ 17.5"), Just(" @ start() offset 1m")];
    let leaf = (selector, modifier.clone()).prop_map(|(selector, modifier)| selector + modifier);
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let op = prop_oneof![
            Just("+"),
            Just("- on (a)"),
            Just("^"),
            Just("== bool"),
            Just("* on (a) group_left (b) fill (0)"),
            Just("and"),
            Just("or"),
            Just("atan2"),
            Just("</")
        ];
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("sum by (a, b) ({a})")),
            inner.clone().prop_map(|a| format!("topk(3, {a}) without (a)")),
            (inner.clone(), duration.clone(), modifier.clone())
                .prop_map(|(a, d, m)| format!("max_over_time(({a})[{d}:30s]{m})")),
            inner.prop_map(|a| format!("clamp({a}, -Inf, 3.5e3)")),
        ]
    })
}

proptest! {
    #[test]
    fn printing_and_parsing_agree(text in vector()) {
        let once = parse(&text).map_err(|error| TestCaseError::fail(format!("`{text}`: {error}")))?.to_string();
        let again = parse(&once).map_err(|error| TestCaseError::fail(format!("`{once}`: {error}")))?;
        prop_assert_eq!(&again.to_string(), &once);
        let pretty = format_pretty(&again);
        let back = parse(&pretty).map_err(|error| TestCaseError::fail(format!("`{pretty}`: {error}")))?;
        prop_assert_eq!(back.to_string(), once);
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9{}()\\[\\]\"'`=~!<>/@:,.+*^ #\\\\é_-]{0,60}") {
        let _ = parse(&text).map(|expr| format_pretty(&expr));
        let _ = parse_metric(&text);
        let spans: Vec<_> = tokens(&text).iter().map(|token| token.span).collect();
        prop_assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
        prop_assert!(spans.iter().all(|span| text.get(span.start..span.end).is_some()));
    }
}

/// Labels are UTF-8: a value that is none equals nothing, and no pattern is made of it.
#[test]
fn values_that_are_no_utf8() {
    for (query, accepted) in [
        (r#"up{a="\xff"}"#, true),
        (r#"up{a!="\xff"}"#, true),
        (r#"up{a=~"\xff"}"#, false),
        (r#"up{a!~"\xff"}"#, false),
        (r#"up{"\xff"="a"}"#, false),
    ] {
        assert_eq!(parse(query).is_ok(), accepted, "{query}");
    }
}
