//! serde's reader over the tree, with go-yaml's notion of types: the wanted type decides how a scalar is read.

use crate::{
    UnknownFields,
    error::{Error, Step, What},
    scalar::{self, Plain},
    tree::{Entry, Kind, NodeId, Tree},
};
use base64::Engine;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use std::cell::Cell;

/// Nodes that may be read in one pass, beyond some per node of the document: aliases of aliases of lists
/// multiply without end.
const VISITS_MIN: usize = 200_000;
const VISITS_PER_NODE_MAX: usize = 10;

/// One pass over a tree.
pub(crate) struct Pass<'t> {
    tree: &'t Tree,
    unknown: UnknownFields,
    visits_left: Cell<usize>,
}

impl<'t> Pass<'t> {
    pub(crate) fn new(tree: &'t Tree, unknown: UnknownFields) -> Self {
        let visits = VISITS_MIN.max(tree.nodes.len().saturating_mul(VISITS_PER_NODE_MAX));
        Pass { tree, unknown, visits_left: Cell::new(visits) }
    }

    pub(crate) fn read<T: de::DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(Reader { pass: self, node: self.tree.root, in_list: false }).map_err(|mut error| {
            error.0.node.get_or_insert(self.tree.root);
            error
        })
    }

    fn visit(&self) -> Result<(), Error> {
        let Some(left) = self.visits_left.get().checked_sub(1) else {
            return Err(Error::new(What::Fatal(
                "aliases multiply this document beyond every measure; write it out".into(),
            )));
        };
        self.visits_left.set(left);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Reader<'p, 't> {
    pass: &'p Pass<'t>,
    node: NodeId,
    in_list: bool,
}

impl<'t> Reader<'_, 't> {
    fn kind(&self) -> &'t Kind {
        &self.pass.tree.nodes[self.node].kind
    }

    fn is_null(&self) -> bool {
        self.pass.tree.is_null(self.node)
    }

    /// The text of a plain scalar, whose type is open.
    fn plain(&self) -> Option<&'t str> {
        match self.kind() {
            Kind::Scalar { text, plain: true, .. } => Some(text),
            _ => None,
        }
    }

    /// The bytes of a `!!binary`.
    fn decoded(&self, text: &str) -> Result<Vec<u8>, Error> {
        let digits: String = text.split_whitespace().collect();
        let decoded = base64::engine::general_purpose::STANDARD.decode(digits);
        decoded.map_err(|error| Error::message(format!("!!binary wants base64: {error}")))
    }

    fn mismatch(&self, expected: &str, remedy: &str) -> Error {
        let got = match self.kind() {
            Kind::List(_) => "a list".to_owned(),
            Kind::Map { .. } => "a map".to_owned(),
            Kind::Scalar { plain: true, text, .. } if scalar::is_null(text) => "nothing".to_owned(),
            Kind::Scalar { text, plain, .. } => {
                let text = shortened(text);
                match if *plain { scalar::resolve(text) } else { Plain::Text } {
                    Plain::Unsigned(_) | Plain::Signed(_) | Plain::Float(_) => format!("the number `{text}`"),
                    _ if *plain => format!("`{text}`"),
                    _ => format!("the text \"{text}\""),
                }
            }
        };
        let separator = if remedy.is_empty() { "" } else { "; " };
        Error::message(format!("expected {expected}, got {got}{separator}{remedy}"))
    }

    fn integer(&self) -> Result<i128, Error> {
        let remedy = match self.kind() {
            Kind::Scalar { text, plain: false, .. } if scalar::parse_integer(text).is_some() => "remove the quotes",
            _ => "",
        };
        let Some(text) = self.plain() else { return Err(self.mismatch("a whole number", remedy)) };
        if scalar::is_null(text) {
            return Ok(0);
        }
        if let Some(value) = scalar::parse_integer(text) {
            return Ok(value);
        }
        // `1e3` and `5.0` are whole as well.
        #[expect(clippy::cast_possible_truncation, reason = "the value has no fraction and fits")]
        match scalar::parse_float(text) {
            Some(value) if value.fract() == 0.0 && value.abs() < 9e18 => Ok(value as i128),
            _ => Err(self.mismatch("a whole number", remedy)),
        }
    }

    fn list<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Error> {
        self.pass.visit()?;
        let items: &[NodeId] = match self.kind() {
            Kind::List(items) => items,
            Kind::Scalar { .. } if self.is_null() => &[],
            _ => return Err(self.mismatch("a list", "begin each item with `- ` on a line of its own")),
        };
        visitor.visit_seq(Items { pass: self.pass, list: self.node, items, next: 0 })
    }

    fn map<'de, V: Visitor<'de>>(&self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.pass.visit()?;
        let entries: &[Entry] = match self.kind() {
            Kind::Map { entries, .. } => entries,
            Kind::Scalar { .. } if self.is_null() => &[],
            _ => return Err(self.mismatch("a map", "write `key: value` on lines of their own")),
        };
        visitor.visit_map(Entries { pass: self.pass, map: self.node, fields, entries, next: 0 })
    }

    fn text<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Error> {
        self.pass.visit()?;
        match self.kind() {
            Kind::Scalar { plain: true, text, .. } if scalar::is_null(text) => visitor.visit_str(""),
            Kind::Scalar { text, binary: true, .. } => match String::from_utf8(self.decoded(text)?) {
                Ok(text) => visitor.visit_string(text),
                Err(_) => Err(Error::message("expected text, got binary data that is no UTF-8")),
            },
            Kind::Scalar { text, .. } => visitor.visit_str(text),
            _ => Err(self.mismatch("text", "text that begins with `[` or `{` needs quotes")),
        }
    }
}

fn shortened(text: &str) -> &str {
    const SHOWN_CHARS_MAX: usize = 60;
    text.char_indices().nth(SHOWN_CHARS_MAX).map_or(text, |(at, _)| &text[..at])
}

macro_rules! integers {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.pass.visit()?;
            let value = self.integer()?;
            if let Ok(value) = u64::try_from(value) {
                visitor.visit_u64(value)
            } else if let Ok(value) = i64::try_from(value) {
                visitor.visit_i64(value)
            } else {
                Err(Error::message(format!("{value} is beyond 64 bits; give a smaller number")))
            }
        }
    )* };
}

impl<'de> de::Deserializer<'de> for Reader<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::List(_) => self.list(visitor),
            Kind::Map { .. } => self.map(&[], visitor),
            Kind::Scalar { text, plain, .. } => {
                self.pass.visit()?;
                match if *plain { scalar::resolve(text) } else { Plain::Text } {
                    Plain::Null => visitor.visit_unit(),
                    Plain::Bool(value) => visitor.visit_bool(value),
                    Plain::Unsigned(value) => visitor.visit_u64(value),
                    Plain::Signed(value) => visitor.visit_i64(value),
                    Plain::Float(value) => visitor.visit_f64(value),
                    Plain::Text => visitor.visit_str(text),
                }
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.pass.visit()?;
        let value = match self.plain() {
            Some(text) if scalar::is_null(text) => Some(false),
            Some(text) => scalar::parse_bool(text),
            None => None,
        };
        match value {
            Some(value) => visitor.visit_bool(value),
            None => {
                let quoted = scalar::parse_bool(self.pass.tree.text(self.node)).is_some();
                Err(self.mismatch("true or false", if quoted { "remove the quotes" } else { "" }))
            }
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.pass.visit()?;
        visitor.visit_i128(self.integer()?)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_i128(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.pass.visit()?;
        let value = match self.plain() {
            Some(text) if scalar::is_null(text) => Some(0.0),
            Some(text) => scalar::parse_float(text),
            None => None,
        };
        match value {
            Some(value) => visitor.visit_f64(value),
            None => {
                let quoted = scalar::parse_float(self.pass.tree.text(self.node)).is_some();
                Err(self.mismatch("a number", if quoted { "remove the quotes" } else { "" }))
            }
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::Scalar { text, binary: true, .. } => visitor.visit_byte_buf(self.decoded(text)?),
            _ => self.text(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_unit() } else { Err(self.mismatch("nothing", "remove the value")) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.map(&[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.in_list && self.is_null() {
            return Err(Error::message("the list item is empty; write its fields after the `- `, or remove it"));
        }
        self.map(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.pass.visit()?;
        match self.kind() {
            Kind::Scalar { text, .. } => visitor.visit_enum(text.as_str().into_deserializer()),
            Kind::Map { entries, .. } => {
                let mut left = entries.iter().filter(|entry| !is_cut(self.pass.tree, entry));
                match (left.next(), left.next()) {
                    (Some(entry), None) => {
                        visitor.visit_enum(Variant { pass: self.pass, map: self.node, entry: *entry })
                    }
                    _ => Err(self.mismatch("a map of one key", &format!("one of: {}", variants.join(", ")))),
                }
            }
            Kind::List(_) => Err(self.mismatch("a word", &format!("one of: {}", variants.join(", ")))),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // A key is what is written, `null` too.
        visitor.visit_str(self.pass.tree.text(self.node))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

fn is_cut(tree: &Tree, entry: &Entry) -> bool {
    tree.nodes[entry.key].cut || tree.nodes[entry.value].cut
}

struct Items<'p, 't> {
    pass: &'p Pass<'t>,
    list: NodeId,
    items: &'t [NodeId],
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        while let Some(&node) = self.items.get(self.next) {
            let index = self.next;
            self.next += 1;
            if !self.pass.tree.nodes[node].cut {
                let reader = Reader { pass: self.pass, node, in_list: true };
                return seed
                    .deserialize(reader)
                    .map(Some)
                    .map_err(|error| error.at(node, self.list, Step::Index(index)));
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

struct Entries<'p, 't> {
    pass: &'p Pass<'t>,
    map: NodeId,
    /// The fields of the struct that is read; a null for one of them leaves its default.
    fields: &'static [&'static str],
    entries: &'t [Entry],
    /// The entry whose key comes next; its value is then the one before.
    next: usize,
}

impl<'de> de::MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let tree = self.pass.tree;
        while let Some(entry) = self.entries.get(self.next) {
            self.next += 1;
            // A map that is no struct has no fields to be unknown beside.
            let is_unknown = !self.fields.is_empty() && !self.fields.contains(&tree.text(entry.key));
            let left_out = is_cut(tree, entry)
                || (is_unknown && self.pass.unknown == UnknownFields::Ignore)
                || (tree.is_null(entry.value)
                    && !tree.nodes[entry.value].null_wanted
                    && self.fields.contains(&tree.text(entry.key)));
            if !left_out {
                let reader = Reader { pass: self.pass, node: entry.key, in_list: false };
                return seed
                    .deserialize(reader)
                    .map(Some)
                    .map_err(|error| error.at(entry.key, self.map, Step::Key(entry.key)));
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some(entry) = self.next.checked_sub(1).and_then(|at| self.entries.get(at)) else {
            return Err(Error::message("a value was asked for before its key"));
        };
        let reader = Reader { pass: self.pass, node: entry.value, in_list: false };
        seed.deserialize(reader).map_err(|error| error.at(entry.value, self.map, Step::Value(entry.key)))
    }
}

/// `{variant: content}`.
struct Variant<'p, 't> {
    pass: &'p Pass<'t>,
    map: NodeId,
    entry: Entry,
}

impl<'p, 't> Variant<'p, 't> {
    fn content(&self) -> Reader<'p, 't> {
        Reader { pass: self.pass, node: self.entry.value, in_list: false }
    }

    fn locate(&self, error: Error) -> Error {
        error.at(self.entry.value, self.map, Step::Value(self.entry.key))
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let reader = Reader { pass: self.pass, node: self.entry.key, in_list: false };
        let variant =
            seed.deserialize(reader).map_err(|error| error.at(self.entry.key, self.map, Step::Key(self.entry.key)))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        de::Deserialize::deserialize(self.content()).map_err(|error| self.locate(error))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.content()).map_err(|error| self.locate(error))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.content().list(visitor).map_err(|error| self.locate(error))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.content().map(fields, visitor).map_err(|error| self.locate(error))
    }
}
