//! Text: Markdown, HTML or code. What comes out is made only of what we put in: no script, no foreign attribute.

use crate::client::dashboards::markdown as render;
use crate::memo::memo;
use crate::panels::PanelInput;
use dashboard::model::{TextMode, TextOptions};
use leptos::prelude::*;
use leptos::task::spawn_local;

/// The panel. Variables are filled in before anything is read as markup. Markdown is rendered by the server: the
/// renderer would be a large part of what the browser loads, and few dashboards need it.
#[component]
pub fn Text(input: PanelInput) -> impl IntoView {
    let content = memo(move || {
        input.panel.with(|panel| {
            let options = TextOptions::read(&panel.options);
            (options.mode, input.fill.run((options.content.clone(), "html")))
        })
    });
    let html = RwSignal::new(String::new());
    Effect::new(move |_| {
        let (mode, text) = content.get();
        match mode {
            TextMode::Html => html.set(sanitise(&text)),
            TextMode::Code => html.set(code(&text)),
            TextMode::Markdown if text.trim().is_empty() => html.set(String::new()),
            TextMode::Markdown => spawn_local(async move {
                // Without the server the source is better than nothing: Markdown is made to be read.
                let rendered = match render(&text).await {
                    Ok(rendered) => sanitise(&rendered),
                    Err(_) => code(&text),
                };
                let is_current = content.try_with_untracked(|(_, now)| *now == text).unwrap_or_default();
                if is_current {
                    html.try_set(rendered);
                }
            }),
        }
    });
    view! { <div class="md" data-t="text" inner_html=html></div> }
}

fn code(text: &str) -> String {
    format!("<pre><code>{}</code></pre>", escape(text))
}

const TAGS: [&str; 42] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "center",
    "code",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "input",
    "ins",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "ul",
];
const MORE_TAGS: [&str; 7] = ["thead", "tr", "tfoot", "u", "caption", "figure", "figcaption"];
/// Their content goes away with them.
const SWALLOWED: [&str; 8] = ["script", "style", "iframe", "object", "embed", "template", "noscript", "svg"];
const ATTRIBUTES: [&str; 12] =
    ["href", "src", "alt", "title", "width", "height", "colspan", "rowspan", "align", "target", "type", "checked"];

/// Lets through known tags with known attributes; everything else becomes text or disappears.
pub fn sanitise(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        match read_tag(tag) {
            Some((name, _, _, length)) if SWALLOWED.contains(&name.as_str()) => {
                let after = tag.get(length..).unwrap_or_default();
                let close = format!("</{name}");
                let end = after.to_ascii_lowercase().find(&close);
                rest = end
                    .and_then(|end| after.get(end..))
                    .and_then(|tail| tail.split_once('>'))
                    .map_or("", |(_, after)| after);
            }
            Some((name, attributes, closing, length)) => {
                if TAGS.contains(&name.as_str()) || MORE_TAGS.contains(&name.as_str()) {
                    push_tag(&mut out, &name, &attributes, closing);
                }
                rest = tag.get(length..).unwrap_or_default();
            }
            None => {
                out.push_str("&lt;");
                rest = tag.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

fn push_tag(out: &mut String, name: &str, attributes: &[(String, String)], closing: bool) {
    if closing {
        out.push_str("</");
        out.push_str(name);
        out.push('>');
        return;
    }
    out.push('<');
    out.push_str(name);
    for (key, value) in attributes {
        let known = ATTRIBUTES.contains(&key.as_str());
        let checkbox = name != "input" || matches!(key.as_str(), "type" | "checked");
        let address = !matches!(key.as_str(), "href" | "src") || safe_address(value);
        if known && checkbox && address {
            out.push_str(&format!(" {key}=\"{}\"", escape(&unescape(value))));
        }
    }
    match name {
        // A picture without words says nothing to those who listen.
        "img" if !attributes.iter().any(|(key, _)| key == "alt") => out.push_str(" alt=\"\""),
        "a" => out.push_str(" rel=\"noopener noreferrer\""),
        "input" => out.push_str(" disabled"),
        _ => {}
    }
    out.push('>');
}

type ReadTag = (String, Vec<(String, String)>, bool, usize);

/// Name, attributes, whether it closes, and length of the tag at the start; `None` if there is no tag.
fn read_tag(text: &str) -> Option<ReadTag> {
    let body = text.strip_prefix('<')?;
    let (closing, body) = body.strip_prefix('/').map_or((false, body), |body| (true, body));
    let name_end = body.find(|c: char| !c.is_ascii_alphanumeric())?;
    let name = body.get(..name_end)?.to_ascii_lowercase();
    if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let mut attributes = Vec::new();
    let mut rest = body.get(name_end..)?;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return Some((name, attributes, closing, text.len() - after.len()));
        }
        let key_end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'))?;
        let key = rest.get(..key_end)?.to_ascii_lowercase();
        if key.is_empty() {
            return None;
        }
        rest = rest.get(key_end..)?.trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            match quote {
                Some(quote) => {
                    let inner = after.get(1..)?;
                    let end = inner.find(quote)?;
                    value = inner.get(..end)?.to_owned();
                    rest = inner.get(end + 1..)?;
                }
                None => {
                    let end = after.find(|c: char| c.is_whitespace() || c == '>')?;
                    value = after.get(..end)?.to_owned();
                    rest = after.get(end..)?;
                }
            }
        }
        attributes.push((key, value));
    }
}

/// Whether a link or a picture may lead there: our own pages, `http`, `https`, `mailto`.
pub fn safe_address(address: &str) -> bool {
    // Browsers skip control characters and spaces within a scheme.
    let plain: String = unescape(address).chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let plain = plain.to_ascii_lowercase();
    match plain.split_once(':') {
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => matches!(scheme, "http" | "https" | "mailto"),
        _ => true,
    }
}

/// Text for between tags and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// The character references that can hide a scheme or a quote.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, reference) = rest.split_at(at);
        out.push_str(before);
        let end = reference.find(';').filter(|end| *end <= 10);
        let decoded = end.and_then(|end| {
            let name = reference.get(1..end)?;
            let character = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "colon" => ':',
                "Tab" | "NewLine" => ' ',
                _ => {
                    let digits = name.strip_prefix('#')?;
                    let code = match digits.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => digits.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((character, end + 1))
        });
        match decoded {
            Some((character, length)) => {
                out.push(character);
                rest = reference.get(length..).unwrap_or_default();
            }
            None => {
                out.push('&');
                rest = reference.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_runs_gets_through() {
        let cases = [
            ("<img src=x onerror=\"alert(1)\">", "<img src=\"x\" alt=\"\">"),
            ("<a href=\"javascript:alert(1)\">x</a>", "<a rel=\"noopener noreferrer\">x</a>"),
            ("<a href=\"java&#115;cript:alert(1)\">x</a>", "<a rel=\"noopener noreferrer\">x</a>"),
            ("<a href=\" jav\tascript:x\">x</a>", "<a rel=\"noopener noreferrer\">x</a>"),
            ("<a href=\"/d/x?a=1\">x</a>", "<a href=\"/d/x?a=1\" rel=\"noopener noreferrer\">x</a>"),
            ("<script>alert(1)</script>b", "b"),
            ("<SCRIPT>x</sCript >b", "b"),
            ("<svg onload=x><script>y</script></svg>b", "b"),
            ("<b onclick=x>b</b>", "<b>b</b>"),
            ("a < b", "a &lt; b"),
            ("<b", "&lt;b"),
            ("<iframe src=x", "&lt;iframe src=x"),
            ("<!-- <b> -->x", "x"),
            ("<img src='a\"b' alt=x>", "<img src=\"a&quot;b\" alt=\"x\">"),
            ("<form action=x><input type=text name=a>", "<input type=\"text\" disabled>"),
        ];
        for (source, expected) in cases {
            assert_eq!(sanitise(source), expected, "in case `{source}`");
        }
        assert!(!sanitise("<p><a href=\"javascript:alert\">x</a> <img src=x onerror=y></p>").contains("javascript"));
    }
}
