//! Names outside the classic alphabet for those who know no other: the `escaping` parameter of a content type.
//! Source: "UTF-8 in Prometheus", escaping schemes, in the documentation of Prometheus.

use model::labels::is_legacy_metric_name;
use std::borrow::Cow;

/// How such a name is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// As it is, in quotes.
    AllowUtf8,
    /// Other characters become `_`. What those get who name no scheme.
    #[default]
    Underscores,
    /// `.` becomes `_dot_`, `_` and other characters `__`. The one scheme that changes classic names, too.
    Dots,
    /// `U__`, then `_` as `__` and other characters by their number, `_2e_`. It can be undone.
    Values,
}

impl Escaping {
    /// The value of the parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }

    /// The scheme that a parameter names.
    pub fn parse(text: &str) -> Option<Self> {
        [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values]
            .into_iter()
            .find(|scheme| scheme.as_str() == text)
    }

    /// The name of a metric or of a label as this scheme writes it, without the quotes of [`Escaping::AllowUtf8`].
    pub fn name(self, name: &str) -> Cow<'_, str> {
        let is_as_it_is = self == Escaping::AllowUtf8 || (self != Escaping::Dots && is_legacy_metric_name(name));
        if is_as_it_is || name.is_empty() {
            return Cow::Borrowed(name);
        }
        let mut out = String::with_capacity(name.len() + 8);
        if self == Escaping::Values {
            out.push_str("U__");
        }
        for (at, c) in name.char_indices() {
            let is_classic = c.is_ascii_alphabetic() || c == '_' || c == ':' || (c.is_ascii_digit() && at > 0);
            match self {
                Escaping::Dots | Escaping::Values if c == '_' => out.push_str("__"),
                _ if is_classic => out.push(c),
                Escaping::Dots if c == '.' => out.push_str("_dot_"),
                Escaping::Dots => out.push_str("__"),
                Escaping::Values => out.push_str(&format!("_{:x}_", u32::from(c))),
                _ => out.push('_'),
            }
        }
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, and as underscores, dots and values write it; as Prometheus 3.5 does.
    const CASES: &str = "
up => up up up
a_b => a_b a__b a_b
utf.8 => utf_8 utf_dot_8 U__utf_2e_8
a.b_c => a_b_c a_dot_b__c U__a_2e_b__c
1a => _a __a U___31_a
\u{fc}:x => _:x __:x U___fc_:x
";

    #[test]
    fn names() {
        for case in CASES.trim().lines() {
            let (name, expected) = case.split_once(" => ").unwrap();
            let written: Vec<_> =
                [Escaping::Underscores, Escaping::Dots, Escaping::Values].iter().map(|s| s.name(name)).collect();
            assert_eq!(written.join(" "), expected, "in case `{case}`");
            assert_eq!(Escaping::AllowUtf8.name(name), name);
        }
        assert_eq!(Escaping::parse("dots"), Some(Escaping::Dots));
        assert_eq!(Escaping::parse("x"), None);
    }
}
