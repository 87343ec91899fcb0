//! Addresses as people write them: read leniently, sent correctly.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What may not stand in a request line; `%` stays, since it may be encoded already.
const ILLEGAL: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) https: bool,
    /// Without brackets.
    pub(super) host: String,
    /// As written; the scheme's otherwise.
    pub(super) port: Option<u16>,
    /// With the query, without the fragment; begins with `/`.
    pub(super) path: String,
    pub(super) user: Option<(String, String)>,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fault = |what: &str| format!("parse {text:?}: {what}");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| fault("missing protocol scheme"))?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(fault(&format!("unsupported protocol scheme {scheme:?}"))),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
                (Some((decoded(name), decoded(password))), address)
            }
            None => (None, authority),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| fault("missing ']' in host"))?;
                (host, rest.strip_prefix(':').unwrap_or(rest))
            }
            None => address.split_once(':').unwrap_or((address, "")),
        };
        if host.is_empty() {
            return Err(fault("no host in request URL"));
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c)) {
            return Err(fault("invalid character in host name"));
        }
        let port = if port.is_empty() {
            None
        } else {
            Some(port.parse().map_err(|_| fault(&format!("invalid port {:?} after host", format!(":{port}"))))?)
        };
        Ok(Url { https, host: host.to_owned(), port, path: path_of(path), user })
    }

    /// The address that `location` names, seen from here.
    pub(super) fn join(&self, location: &str) -> Result<Self, String> {
        if location.contains("://") && location.find("://") < location.find(['/', '?', '#']) {
            return Url::parse(location);
        }
        if location.starts_with("//") {
            return Url::parse(&format!("{}:{location}", self.scheme()));
        }
        let own = self.path.split('?').next().unwrap_or("/");
        let path = match location.chars().next() {
            Some('/') => path_of(location),
            Some('?') => path_of(&format!("{own}{location}")),
            None | Some('#') => self.path.clone(),
            Some(_) => {
                let folder = own.rfind('/').map_or("/", |at| &own[..=at]);
                path_of(&format!("{folder}{location}"))
            }
        };
        Ok(Url { path: without_dots(&path), ..self.clone() })
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    pub(super) fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Host and port as the Host header has them.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }

    pub(super) fn text(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority(), self.path)
    }
}

fn path_of(text: &str) -> String {
    let text = text.split('#').next().unwrap_or_default();
    let slash = if text.starts_with('/') { "" } else { "/" };
    format!("{slash}{}", utf8_percent_encode(text, ILLEGAL))
}

/// The path without `.` and `..`.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                if parts.peek().is_none() {
                    segments.push("");
                }
            }
            part => segments.push(part),
        }
    }
    let path = format!("/{}", segments.join("/"));
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::Url;

    const CASES: &str = "
http://a:8080/x?y#z  => http://a:8080/x?y
HTTP://a             => http://a/
https://u:p%40@[::1]:3/ä b => https://[::1]:3/%C3%A4%20b
http://a?q           => http://a/?q
http://[::1          => parse \"http://[::1\": missing ']' in host
ftp://a              => parse \"ftp://a\": unsupported protocol scheme \"ftp\"
http://a:b           => parse \"http://a:b\": invalid port \":b\" after host
http:///x            => parse \"http:///x\": no host in request URL
";

    #[test]
    fn addresses() {
        for case in CASES.trim().lines() {
            let (text, expected) = case.split_once("=> ").unwrap();
            let said = Url::parse(text.trim_end()).map_or_else(|error| error, |url| url.text());
            assert_eq!(said, expected, "in case `{case}`");
        }
    }

    #[test]
    fn relative_addresses() {
        let base = Url::parse("http://h:1/a/b?c").unwrap();
        for (location, expected) in [
            ("/x", "http://h:1/x"),
            ("x", "http://h:1/a/x"),
            ("../x/./y", "http://h:1/x/y"),
            ("?q", "http://h:1/a/b?q"),
            ("//o/x", "http://o/x"),
            ("https://o/x?u=http://z", "https://o/x?u=http://z"),
            ("/login?u=http://z", "http://h:1/login?u=http://z"),
        ] {
            assert_eq!(base.join(location).unwrap().text(), expected);
        }
    }
}
