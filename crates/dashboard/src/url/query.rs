//! `a=1&b=2`: pairs in order, both ways.

/// Pairs of one address; more are cut off.
const PAIRS_MAX: usize = 2000;

/// Splits a query string (with or without `?`) into decoded pairs, in order. A key without `=` has an empty value.
pub fn parse(query: &str) -> Vec<(String, String)> {
    query
        .trim_start_matches('?')
        .split('&')
        .filter(|part| !part.is_empty())
        .take(PAIRS_MAX)
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key), decode(value))
        })
        .collect()
}

/// Joins pairs, encoded, without `?`.
pub fn format<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)]) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&encode(key.as_ref()));
        out.push('=');
        out.push_str(&encode(value.as_ref()));
    }
    out
}

/// Encodes a key or value. What the URL standard lets stand in a query stays readable: `:` `,` `$` `{` `}` `/` `@` …
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(byte as char),
            b'-' | b'_' | b'.' | b'~' | b'!' | b'*' | b'(' | b')' | b':' | b',' | b'$' | b'{' | b'}' | b'/' | b'@'
            | b';' | b'|' | b'^' => {
                out.push(byte as char);
            }
            b' ' => out.push('+'),
            byte => push_percent(&mut out, byte),
        }
    }
    out
}

/// `encodeURIComponent` that also encodes `!'()*`: for a value inside any address.
pub fn encode_strict(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            byte => push_percent(&mut out, byte),
        }
    }
    out
}

/// `encodeURI`: a whole address, whose structure stays.
pub fn encode_uri(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(byte as char),
            _ if b"-_.!~*'();/?:@&=+$,#".contains(&byte) => out.push(byte as char),
            byte => push_percent(&mut out, byte),
        }
    }
    out
}

fn push_percent(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Decodes `%41` and `+`; broken escapes stay as they are, broken UTF-8 becomes �.
pub fn decode(text: &str) -> String {
    decode_bytes(text, true)
}

/// [`decode`] for a path, where `+` is a plus.
pub fn decode_path(text: &str) -> String {
    decode_bytes(text, false)
}

fn decode_bytes(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let nibble = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], nibble(1), nibble(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) if plus => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pairs_come_back(pairs in prop::collection::vec(("[^\u{0}]{1,12}", any::<String>()), 0..8)) {
            prop_assert_eq!(parse(&format(&pairs)), pairs);
        }

        #[test]
        fn strict_encoding_comes_back(text in any::<String>()) {
            prop_assert_eq!(decode(&encode_strict(&text)), text);
        }

        #[test]
        fn nothing_panics(text in "[%+&=a-f0-9é]{0,40}") {
            parse(&text);
        }
    }

    #[test]
    fn readable() {
        assert_eq!(format(&[("var-a", "x:1,2 ${b}/c"), ("q", "a=b&c#%")]), "var-a=x:1,2+${b}/c&q=a%3Db%26c%23%25");
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(encode_strict("a'(b)*!"), "a%27%28b%29%2A%21");
    }
}
