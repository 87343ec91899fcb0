//! Escaping by place for HTML: text, attribute values, URLs. Places where no escaping is safe enough here
//! (scripts, styles, `on…` attributes) refuse dynamic text by name.

/// Attributes whose value is a URL.
const URL_ATTRIBUTES: [&str; 13] = [
    "action",
    "archive",
    "background",
    "cite",
    "classid",
    "codebase",
    "data",
    "formaction",
    "href",
    "icon",
    "longdesc",
    "poster",
    "src",
];

/// What Go writes instead of a URL whose scheme could run code.
const UNSAFE_URL: &str = "#ZgotmplZ";

/// Where in a document the output stands.
#[derive(Clone, Debug, Default)]
pub(crate) enum Place {
    #[default]
    Text,
    /// Inside `<title>` or `<textarea>`: text, but no tags; ends with this tag.
    RawText(String),
    /// Inside an element whose content is a program.
    Program(String),
    Comment,
    TagName(String),
    /// Between attributes of this element.
    Tag(String),
    AttributeName {
        element: String,
        name: String,
    },
    /// After a name, perhaps before `=`.
    AfterName {
        element: String,
        name: String,
    },
    BeforeValue {
        element: String,
        name: String,
    },
    /// `quote` is 0 for a value without quotes; `value` is what stands there already.
    Value {
        element: String,
        name: String,
        quote: char,
        value: String,
    },
}

impl Place {
    /// Follows literal text of the template.
    pub(crate) fn follow(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = self.step(rest, c);
            rest = &rest[taken..];
        }
    }

    /// Consumes the beginning of `rest`, returns how many bytes.
    fn step(&mut self, rest: &str, c: char) -> usize {
        let one = c.len_utf8();
        match self {
            Place::Text => {
                let Some(open) = rest.find('<') else { return rest.len() };
                let after = &rest[open + 1..];
                if after.starts_with("!--") {
                    *self = Place::Comment;
                    return open + 4;
                }
                if after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') {
                    *self = Place::TagName(String::new());
                }
                open + 1
            }
            Place::RawText(element) | Place::Program(element) => {
                let end = format!("</{element}");
                match rest.to_ascii_lowercase().find(&end) {
                    Some(at) => {
                        *self = Place::Tag(format!("/{element}"));
                        at + end.len()
                    }
                    None => rest.len(),
                }
            }
            Place::Comment => match rest.find("-->") {
                Some(at) => {
                    *self = Place::Text;
                    at + 3
                }
                None => rest.len(),
            },
            Place::TagName(name) => {
                if c == '>' {
                    let name = std::mem::take(name);
                    self.close_tag(&name);
                } else if c.is_whitespace() {
                    *self = Place::Tag(std::mem::take(name));
                } else {
                    name.push(c.to_ascii_lowercase());
                }
                one
            }
            Place::Tag(element) => {
                if c == '>' {
                    let element = std::mem::take(element);
                    self.close_tag(&element);
                } else if !c.is_whitespace() && c != '/' {
                    let (element, name) = (std::mem::take(element), c.to_ascii_lowercase().to_string());
                    *self = Place::AttributeName { element, name };
                }
                one
            }
            Place::AttributeName { element, name } => {
                if c == '>' {
                    let element = std::mem::take(element);
                    self.close_tag(&element);
                } else if c == '=' {
                    *self = Place::BeforeValue { element: std::mem::take(element), name: std::mem::take(name) };
                } else if c.is_whitespace() {
                    *self = Place::AfterName { element: std::mem::take(element), name: std::mem::take(name) };
                } else {
                    name.push(c.to_ascii_lowercase());
                }
                one
            }
            Place::AfterName { element, name } => {
                if c.is_whitespace() {
                    return one;
                }
                if c == '=' {
                    *self = Place::BeforeValue { element: std::mem::take(element), name: std::mem::take(name) };
                    return one;
                }
                *self = Place::Tag(std::mem::take(element));
                0
            }
            Place::BeforeValue { element, name } => {
                if c.is_whitespace() {
                    return one;
                }
                let quote = if matches!(c, '"' | '\'') { c } else { '\0' };
                let (element, name) = (std::mem::take(element), std::mem::take(name));
                if c == '>' {
                    self.close_tag(&element);
                    return one;
                }
                *self = Place::Value { element, name, quote, value: String::new() };
                if quote == '\0' { 0 } else { one }
            }
            Place::Value { element, quote, value, .. } => {
                if *quote == '\0' && c == '>' {
                    let element = std::mem::take(element);
                    self.close_tag(&element);
                } else if c == *quote || (*quote == '\0' && c.is_whitespace()) {
                    *self = Place::Tag(std::mem::take(element));
                } else {
                    value.push(c);
                }
                one
            }
        }
    }

    fn close_tag(&mut self, element: &str) {
        *self = match element {
            "script" | "style" | "iframe" | "noembed" | "noframes" | "xmp" => Place::Program(element.to_owned()),
            "title" | "textarea" => Place::RawText(element.to_owned()),
            _ => Place::Text,
        };
    }

    /// Escapes dynamic text for this place and follows it.
    pub(crate) fn escape(&mut self, text: &str, is_html: bool, is_url: bool) -> Result<String, String> {
        if let Place::BeforeValue { element, name } = self {
            let (element, name) = (std::mem::take(element), std::mem::take(name));
            *self = Place::Value { element, name, quote: '\0', value: String::new() };
        }
        match self {
            Place::Text if is_html => {
                let text = text.to_owned();
                self.follow(&text);
                Ok(text)
            }
            Place::Text | Place::RawText(_) => Ok(escape_text(text, false)),
            Place::Comment => Ok(String::new()),
            Place::Program(element) => {
                Err(format!("{{{{…}}}} inside <{element}> cannot be made safe; move it out of that element"))
            }
            Place::TagName(_) | Place::Tag(_) | Place::AttributeName { .. } | Place::AfterName { .. } => {
                Err("{{…}} as the name of an element or attribute cannot be made safe; use it in text or in a value"
                    .into())
            }
            Place::BeforeValue { .. } => Ok(String::new()),
            Place::Value { name, quote, value, .. } => {
                if name.starts_with("on") || name == "style" || name == "srcdoc" || name == "srcset" {
                    return Err(format!(
                        "{{{{…}}}} inside the attribute {name}=\"…\" cannot be made safe; use another place"
                    ));
                }
                let unquoted = *quote == '\0';
                let is_url_place = URL_ATTRIBUTES.contains(&name.as_str())
                    || name.rsplit(':').next().is_some_and(|name| URL_ATTRIBUTES.contains(&name));
                let escaped = if is_url_place { escape_url(text, value, is_url) } else { text.to_owned() };
                value.push_str(&escaped);
                Ok(escape_text(&if is_html { strip_tags(&escaped) } else { escaped }, unquoted))
            }
        }
    }
}

/// Escapes for text and values; in values without quotes also what could end them.
pub(crate) fn escape_text(text: &str, unquoted: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '+' => out.push_str("&#43;"),
            '\0' => out.push('\u{fffd}'),
            '=' | '`' | ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' if unquoted => {
                out.push_str(&format!("&#{};", c as u32));
            }
            c => out.push(c),
        }
    }
    out
}

/// A URL at the start of its value: scheme checked, odd characters encoded; in the query or fragment: encoded wholly.
fn escape_url(text: &str, before: &str, is_url: bool) -> String {
    if before.contains(['?', '#']) && !is_url {
        return encode(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    }
    if before.is_empty() && !is_url && !is_safe_scheme(text) {
        return UNSAFE_URL.into();
    }
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    for (at, byte) in bytes.iter().enumerate() {
        let is_escape = *byte == b'%'
            && bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit)
            && bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit);
        if is_escape || byte.is_ascii_alphanumeric() || b"!#$&*+,/:;=?@[]-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

fn is_safe_scheme(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            ["http", "https", "mailto"].contains(&scheme.to_ascii_lowercase().as_str())
        }
        _ => true,
    }
}

fn encode(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) { out.push(char::from(byte)) } else { out.push_str(&format!("%{byte:02x}")) }
    }
    out
}

fn strip_tags(html: &str) -> String {
    let (mut out, mut inside) = (String::with_capacity(html.len()), false);
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}
