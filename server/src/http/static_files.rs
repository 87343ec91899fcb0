//! The front end inside the program. What is named by its content may be kept for ever by the browser;
//! every other path of the page gets `index.html`, for the browser's own routes.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// One file of the front end.
pub(crate) struct Asset {
    /// Path below the root, without a leading slash.
    pub(crate) path: &'static str,
    pub(crate) raw: &'static [u8],
    /// Empty where compression does not pay.
    pub(crate) brotli: &'static [u8],
    pub(crate) gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What the page may load and do: everything from this server, images from anywhere (text panels).
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-inline'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: https: http:; connect-src 'self'; object-src 'none'; base-uri 'self'";

const MISSING: &str = "<!doctype html><meta charset=utf-8><title>Vigie</title>\
    <p>This program was built without its pages. <code>cargo xtask build</code> makes one with them; the API works all the same.";

/// The front end: inside the program, or a folder for those who work on it.
pub(crate) struct FrontEnd {
    folder: Option<PathBuf>,
    /// Path below which browsers find us ("" or `/vigie`): that of the external address.
    prefix: String,
}

impl FrontEnd {
    pub(crate) fn new(folder: Option<PathBuf>, prefix: String) -> Self {
        FrontEnd { folder, prefix }
    }

    /// An address of ours as browsers know it.
    pub(crate) fn outside(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// A file of the front end, or `None` if there is none of that path.
    pub(crate) fn file(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        let path = path.trim_start_matches('/');
        if let Some(folder) = &self.folder {
            let relative = Path::new(path);
            if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
                return None;
            }
            let bytes = std::fs::read(folder.join(relative)).ok()?;
            return Some(respond(path, bytes, None));
        }
        let asset = ASSETS.iter().find(|asset| asset.path == path)?;
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let takes =
            |coding: &str| accepted.split(',').any(|part| part.split(';').next().unwrap_or_default().trim() == coding);
        Some(if !asset.brotli.is_empty() && takes("br") {
            respond(path, asset.brotli, Some("br"))
        } else if !asset.gzip.is_empty() && takes("gzip") {
            respond(path, asset.gzip, Some("gzip"))
        } else if !asset.gzip.is_empty() {
            let mut raw = Vec::new();
            flate2::read::GzDecoder::new(asset.gzip).read_to_end(&mut raw).ok()?;
            respond(path, raw, None)
        } else {
            respond(path, asset.raw, None)
        })
    }

    /// `index.html`, with the status that the page stands for.
    pub(crate) fn page(&self, status: StatusCode, headers: &HeaderMap) -> Response {
        let page = if self.prefix.is_empty() { self.file("index.html", headers) } else { self.page_below_prefix() };
        let mut response = match page {
            Some(response) => response,
            None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], MISSING).into_response(),
        };
        *response.status_mut() = status;
        response
    }
}

impl FrontEnd {
    /// `index.html` that asks for its parts below the prefix, and tells the program of it (`app/src/router.rs`).
    fn page_below_prefix(&self) -> Option<Response> {
        let html = match &self.folder {
            Some(folder) => std::fs::read_to_string(folder.join("index.html")).ok()?,
            None => {
                let asset = ASSETS.iter().find(|asset| asset.path == "index.html")?;
                let mut text = String::new();
                match asset.gzip {
                    [] => text.push_str(std::str::from_utf8(asset.raw).ok()?),
                    gzip => flate2::read::GzDecoder::new(gzip).read_to_string(&mut text).map(|_| ()).ok()?,
                }
                text
            }
        };
        Some(respond("index.html", below_prefix(&html, &self.prefix), None))
    }
}

fn below_prefix(html: &str, prefix: &str) -> String {
    let attribute: String =
        prefix.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;");
    html.replacen("<html ", &format!("<html data-prefix=\"{attribute}\" "), 1)
        .replace("\"/assets/", &format!("\"{attribute}/assets/"))
        .replace("'/assets/", &format!("'{attribute}/assets/"))
        .replace("\"/public/", &format!("\"{attribute}/public/"))
}

fn respond(path: &str, body: impl Into<axum::body::Body>, encoding: Option<&'static str>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let caching = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if path.ends_with(".html") {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::below_prefix;

    #[test]
    fn the_page_asks_below_its_prefix() {
        let html = "<html lang=\"en\"><link href=\"/public/a.svg\"><script src=\"/assets/1/a.js\"></script><script>i('/assets/1/a.wasm')";
        let expected = "<html data-prefix=\"/x\" lang=\"en\"><link href=\"/x/public/a.svg\"><script src=\"/x/assets/1/a.js\"></script><script>i('/x/assets/1/a.wasm')";
        assert_eq!(below_prefix(html, "/x"), expected);
    }
}
