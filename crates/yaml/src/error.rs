//! What went wrong while a type was read, and on the way out of the recursion: where.

use crate::tree::NodeId;
use std::fmt;

/// A fault on its way up. Boxed: it travels through every level's `Result`.
#[derive(Debug)]
pub(crate) struct Error(pub(crate) Box<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) what: What,
    /// The node to blame; unknown until the first reader on the way up tells.
    pub(crate) node: Option<NodeId>,
    /// From the blamed node upwards: the container and the step taken inside it.
    pub(crate) steps: Vec<(NodeId, Step)>,
}

#[derive(Debug)]
pub(crate) enum What {
    Message(String),
    UnknownField {
        field: String,
        known: &'static [&'static str],
    },
    MissingField(&'static str),
    /// A limit that ends the reading.
    Fatal(String),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// To the value of this key.
    Value(NodeId),
    /// To the key itself.
    Key(NodeId),
    Index(usize),
}

impl Error {
    pub(crate) fn new(what: What) -> Self {
        Error(Box::new(Inner { what, node: None, steps: Vec::new() }))
    }

    pub(crate) fn message(message: impl Into<String>) -> Self {
        Error::new(What::Message(message.into()))
    }

    /// Blames `node`, unless a deeper one is blamed already, and notes the step that led to it.
    pub(crate) fn at(mut self, node: NodeId, container: NodeId, step: Step) -> Self {
        self.0.node.get_or_insert(node);
        self.0.steps.push((container, step));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.what {
            What::Message(message) | What::Fatal(message) => f.write_str(message),
            What::UnknownField { field, .. } => write!(f, "unknown field `{field}`"),
            What::MissingField(field) => write!(f, "missing field `{field}`"),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::message(message.to_string())
    }

    fn invalid_type(unexpected: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Error::message(format!("expected {expected}, got {unexpected}"))
    }

    fn invalid_value(unexpected: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        let expected = expected.to_string();
        let range = match expected.as_str() {
            "u8" => "a whole number from 0 to 255",
            "u16" => "a whole number from 0 to 65535",
            "u32" => "a whole number from 0 to 4294967295",
            "u64" | "usize" => "a whole number, not negative",
            "i8" => "a whole number from -128 to 127",
            "i16" => "a whole number from -32768 to 32767",
            "i32" => "a whole number from -2147483648 to 2147483647",
            "i64" | "isize" => "a whole number of 64 bits",
            other => other,
        };
        Error::message(format!("expected {range}, got {unexpected}"))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Error::message(format!("unknown value `{variant}`{}", remedy(variant, known)))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Error::new(What::UnknownField { field: field.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Error::new(What::MissingField(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Error::message(format!("`{field}` is given twice, perhaps under an older name; remove one"))
    }
}

/// Longer lists of words don't help; the reference does.
const KNOWN_LISTED_MAX: usize = 40;

/// `; did you mean …` or the list of what is known.
pub(crate) fn remedy(word: &str, known: &[&str]) -> String {
    if let Some(meant) = crate::nearest::nearest(word, known) {
        return format!("; did you mean `{meant}`?");
    }
    if known.is_empty() {
        return "; nothing can be given here".into();
    }
    let mut listed: Vec<&str> = known.to_vec();
    listed.sort_unstable();
    let more = if listed.len() > KNOWN_LISTED_MAX { ", …" } else { "" };
    listed.truncate(KNOWN_LISTED_MAX);
    format!("; known are: {}{more}", listed.join(", "))
}
