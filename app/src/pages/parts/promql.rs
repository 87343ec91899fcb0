//! PromQL as coloured text, for reading and under the editor.

use leptos::prelude::*;
use promql_syntax::{Span, TokenKind, tokens};

/// A stretch of text of one colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// CSS class of the colour, "" for none.
    pub class: &'static str,
    /// The fault of the text lies here.
    pub faulty: bool,
    pub text: &'a str,
}

/// Cuts a text into coloured stretches; joined they are the text again. What lies in `fault` is marked.
pub fn pieces(text: &str, fault: Option<Span>) -> Vec<Piece<'_>> {
    let found = tokens(text);
    let (mut in_braces, mut labels_until_paren, mut after_grouping) = (false, false, false);
    let mut parts: Vec<(&'static str, usize, usize)> = Vec::new();
    for (at, token) in found.iter().enumerate() {
        let next = found.get(at + 1).map(|token| token.kind);
        let class = match token.kind {
            TokenKind::Comment => "co",
            TokenKind::Number | TokenKind::Duration => "nu",
            TokenKind::String => "sg",
            TokenKind::Identifier | TokenKind::Keyword | TokenKind::Aggregation if in_braces || labels_until_paren => "la",
            TokenKind::Keyword => "kw",
            TokenKind::Aggregation => "fn",
            TokenKind::Identifier if next == Some(TokenKind::LeftParen) => "fn",
            TokenKind::Identifier => "me",
            _ => "",
        };
        match token.kind {
            TokenKind::LeftBrace => in_braces = true,
            TokenKind::RightBrace => in_braces = false,
            TokenKind::LeftParen => labels_until_paren = after_grouping,
            TokenKind::RightParen => labels_until_paren = false,
            _ => {}
        }
        let word = token.text(text).to_ascii_lowercase();
        after_grouping = token.kind == TokenKind::Keyword
            && matches!(word.as_str(), "by" | "without" | "on" | "ignoring" | "group_left" | "group_right")
            || word == "without";
        parts.push((class, token.span.start, token.span.end));
    }
    let mut out = Vec::new();
    let mut at = 0;
    for (class, start, end) in parts.into_iter().chain([("", text.len(), text.len())]) {
        push(&mut out, text, fault, "", at, start);
        push(&mut out, text, fault, class, start, end);
        at = end;
    }
    out
}

/// Adds `start..end`, cut where the fault begins and ends.
fn push<'a>(
    out: &mut Vec<Piece<'a>>,
    text: &'a str,
    fault: Option<Span>,
    class: &'static str,
    start: usize,
    end: usize,
) {
    let mut cuts = vec![start, end];
    if let Some(fault) = fault {
        cuts.extend([fault.start, fault.end].into_iter().filter(|cut| (start..end).contains(cut)));
    }
    cuts.sort_unstable();
    for pair in cuts.windows(2) {
        let &[from, to] = pair else { continue };
        let faulty = fault.is_some_and(|fault| from < fault.end && to > fault.start);
        match text.get(from..to) {
            Some(text) if !text.is_empty() => out.push(Piece { class, faulty, text }),
            _ => {}
        }
    }
}

/// The stretches as elements.
pub fn coloured(text: &str, fault: Option<Span>) -> Vec<AnyView> {
    pieces(text, fault)
        .into_iter()
        .map(|piece| {
            let class = if piece.faulty { format!("{} squig", piece.class) } else { piece.class.to_owned() };
            match class.as_str() {
                "" => piece.text.to_owned().into_any(),
                _ => view! { <span class=class>{piece.text.to_owned()}</span> }.into_any(),
            }
        })
        .collect()
}

/// An expression in the colours of the editor.
#[component]
pub fn PromqlText(#[prop(into)] expr: String) -> impl IntoView {
    view! { <code class="promql">{coloured(&expr, None)}</code> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours() {
        let text = "sum by (job) (rate(up{env=\"a\"}[5m])) > 2 # c";
        let found = pieces(text, None);
        let said: Vec<_> =
            found.iter().filter(|p| !p.class.is_empty()).map(|p| format!("{}:{}", p.class, p.text)).collect();
        assert_eq!(said.join(" "), "fn:sum kw:by la:job fn:rate me:up la:env sg:\"a\" nu:5m nu:2 co:# c");
        assert_eq!(found.iter().map(|piece| piece.text).collect::<String>(), text);
    }

    #[test]
    fn the_fault_is_marked_and_nothing_else() {
        for text in ["rate(up[5m)", "sum(", "ü + \"", "up{", ""] {
            let fault = promql_syntax::parse(text).unwrap_err().span;
            let found = pieces(text, Some(fault));
            assert_eq!(found.iter().map(|piece| piece.text).collect::<String>(), text);
            let marked: String = found.iter().filter(|piece| piece.faulty).map(|piece| piece.text).collect();
            assert_eq!(marked, text.get(fault.start..fault.end).unwrap_or(""), "in `{text}`");
        }
    }
}
