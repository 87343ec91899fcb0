//! `POST /api/markdown`: the text of a panel as HTML.

use super::error::json;
use api::dashboards::{MarkdownSource, RenderedMarkdown};
use axum::Json;
use axum::response::Response;
use http::StatusCode;
use pulldown_cmark::{Options, Parser, html};

/// Bytes of a request. Texts on dashboards are a few kilobytes.
pub(crate) const BYTES_MAX: usize = 256 << 10;

pub(crate) async fn render(Json(source): Json<MarkdownSource>) -> Response {
    json(StatusCode::OK, &RenderedMarkdown { html: markdown(&source.text) })
}

/// CommonMark with tables, strikethrough and task lists, as Grafana has them.
fn markdown(source: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut rendered = String::with_capacity(source.len() * 2);
    html::push_html(&mut rendered, Parser::new_ext(source, options));
    rendered
}

#[cfg(test)]
mod tests {
    use super::markdown;

    #[test]
    fn markdown_is_rendered() {
        for (source, expected) in [
            ("**b**", "<p><strong>b</strong></p>\n"),
            ("~~a~~ [x](/d/y)", "<p><del>a</del> <a href=\"/d/y\">x</a></p>\n"),
            ("- [x] done", "<ul>\n<li><input disabled=\"\" type=\"checkbox\" checked=\"\"/>\ndone</li>\n</ul>\n"),
            (
                "|a|\n|-|\n|1|",
                "<table><thead><tr><th>a</th></tr></thead><tbody>\n<tr><td>1</td></tr>\n</tbody></table>\n",
            ),
        ] {
            assert_eq!(markdown(source), expected, "in case `{source}`");
        }
    }
}
