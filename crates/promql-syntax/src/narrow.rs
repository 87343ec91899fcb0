//! More matchers for every selector of a query, as ad hoc filters want them.

use crate::{ParseError, TokenKind, parse, tokens};

/// Writes matchers (`job="api"`) into every selector of a query. Everything else stays as it was typed: layout,
/// comments, modifiers. Matchers that name a label in a form that needs quotes must bring them.
///
/// # Errors
/// The query does not parse.
pub fn narrow(query: &str, matchers: &[String]) -> Result<String, ParseError> {
    let tree = parse(query)?;
    if matchers.is_empty() {
        return Ok(query.to_owned());
    }
    let mut starts = Vec::new();
    tree.visit_selectors(&mut |selector| starts.push(selector.span.start));
    let added = matchers.join(",");
    let tokens: Vec<_> = tokens(query).into_iter().filter(|token| token.kind != TokenKind::Comment).collect();
    let mut out = String::with_capacity(query.len() + starts.len() * (added.len() + 2));
    let mut copied = 0;
    for start in starts {
        let Ok(at) = tokens.binary_search_by_key(&start, |token| token.span.start) else { continue };
        let opens = |at: usize| tokens.get(at).filter(|token| token.kind == TokenKind::LeftBrace);
        let brace = opens(at).or_else(|| opens(at + 1));
        let to = brace.map_or(tokens[at].span.end, |brace| brace.span.end);
        out.push_str(&query[copied..to]);
        copied = to;
        match brace {
            None => out.extend(["{", &added, "}"]),
            Some(_) => out.extend([&added, ","]),
        }
    }
    out.push_str(&query[copied..]);
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
mod tests {
    use super::narrow;

    #[test]
    fn every_selector() {
        let one = ["job=\"a\"".to_owned()];
        for (query, narrowed) in [
            ("up", "up{job=\"a\"}"),
            ("up{}", "up{job=\"a\",}"),
            ("{__name__=\"up\"}", "{job=\"a\",__name__=\"up\"}"),
            ("{\"a.b\", x=\"{\"}", "{job=\"a\",\"a.b\", x=\"{\"}"),
            (
                "sum by (x) (rate(b { y = '}' }[5m] offset 1m)) / c @ end()",
                "sum by (x) (rate(b {job=\"a\", y = '}' }[5m] offset 1m)) / c{job=\"a\"} @ end()",
            ),
            ("sum # of all\n(sum)", "sum # of all\n(sum{job=\"a\"})"),
            ("max_over_time(up[1h:5m])", "max_over_time(up{job=\"a\"}[1h:5m])"),
            (
                "topk(scalar(n), up) + on (job) {\"é\"}",
                "topk(scalar(n{job=\"a\"}), up{job=\"a\"}) + on (job) {job=\"a\",\"é\"}",
            ),
            ("1 + time()", "1 + time()"),
        ] {
            let got = narrow(query, &one).unwrap();
            assert_eq!(got, narrowed);
            let count = |text: &str| {
                let mut count = 0;
                crate::parse(text).unwrap().visit_selectors(&mut |one| {
                    count += usize::from(one.matchers.iter().any(|m| m.name == "job" && m.value == "a"))
                });
                count
            };
            let mut selectors = 0;
            crate::parse(query).unwrap().visit_selectors(&mut |_| selectors += 1);
            assert_eq!(count(&got), selectors, "{got}");
        }
        assert_eq!(narrow("up # x", &[]).unwrap(), "up # x");
        assert!(narrow("up{", &one).is_err());
        assert_eq!(narrow("up", &["a=\"1\"".to_owned(), "b!=\"2\"".to_owned()]).unwrap(), "up{a=\"1\",b!=\"2\"}");
    }
}
