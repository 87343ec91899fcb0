//! The query part of the address as a page's state: read as a signal, written with or without a history entry.

use crate::memo::{Memo, memo};
use crate::router::{self, Go};
use dashboard::url::query;
use leptos::prelude::*;

/// Reads and writes the parameters of the page that it was made in.
#[derive(Clone, Copy)]
pub struct Address {
    query: Memo<Vec<(String, String)>>,
    path: Memo<String>,
}

impl Address {
    pub fn here() -> Address {
        let search = router::use_search();
        Address { query: memo(move || search.with(|search| query::parse(search))), path: router::use_path() }
    }

    /// The first value of a parameter, "" if absent; tracked.
    pub fn get(self, key: &str) -> String {
        self.get_all(key).into_iter().next().unwrap_or_default()
    }

    /// All values of a parameter; tracked.
    pub fn get_all(self, key: &str) -> Vec<String> {
        self.query.with(|query| query.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect())
    }

    /// Whether a parameter is there and not `false` or `0`; tracked.
    pub fn flag(self, key: &str) -> bool {
        self.get_all(key).first().is_some_and(|value| value != "false" && value != "0")
    }

    /// Every parameter in order; tracked.
    pub fn all(self) -> Vec<(String, String)> {
        self.query.get()
    }

    /// Replaces the values of one parameter; an empty list removes it. A change that a person would want to take back
    /// with the back button gets a history entry, typing does not.
    pub fn set(self, key: &str, values: impl IntoIterator<Item = impl Into<String>>, history: History) {
        let mut params: Vec<_> = untrack(|| self.all()).into_iter().filter(|(name, _)| name != key).collect();
        params.extend(values.into_iter().map(|value| (key.to_owned(), value.into())));
        self.replace(params, history);
    }

    /// Writes the whole query part.
    pub fn replace(self, params: Vec<(String, String)>, history: History) {
        self.go_with(self.path.get_untracked() + &query_text(&params), history);
    }

    /// Goes to an address of ours, with or without a history entry.
    pub fn go_with(self, url: impl Into<String>, history: History) {
        let how = if history == History::Replace { Go::Replace } else { Go::Push };
        router::go(&url.into(), how);
    }

    /// Goes to another page of ours.
    pub fn go(self, url: impl Into<String>) {
        router::go(&url.into(), Go::Visit);
    }
}

/// Whether a change of the address can be taken back with the back button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    Push,
    Replace,
}

/// `?a=b&c=d`, "" without parameters. `:`, `,`, `$`, `{` and `}` stay readable.
pub fn query_text(params: &[(String, String)]) -> String {
    let pairs: Vec<_> = params.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Percent-encodes what has a meaning in the query part, and everything that is not plain ASCII.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b':' | b',' | b'$' | b'{' | b'}' | b'/' | b'@' | b'!' | b'*' | b'(' | b')' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parts() {
        let params = [("filter".to_owned(), r#"env="a b+ü""#.to_owned()), ("x".to_owned(), "{a:1}".to_owned())];
        assert_eq!(query_text(&params), "?filter=env%3D%22a%20b%2B%C3%BC%22&x={a:1}");
        assert_eq!(query_text(&[]), "");
    }
}
