//! Fields of protobuf messages, read where they lie and written one after the other.
//! Source: "Encoding" in the documentation of Protocol Buffers.

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Why bytes are no message.
pub(super) type WireError = &'static str;

const CUT_OFF: WireError = "the message ends within a field";

/// Walks over the fields of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Fields(message)
    }

    /// Bytes that are left.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    /// Number and content of the next field; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            VARINT => Value::Varint(varint(&mut self.0)?),
            FIXED64 => {
                let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or(CUT_OFF)?;
                self.0 = rest;
                Value::Fixed64(u64::from_le_bytes(*bytes))
            }
            BYTES => Value::Bytes(delimited(&mut self.0)?),
            FIXED32 => {
                self.0 = self.0.get(4..).ok_or(CUT_OFF)?;
                Value::Fixed32
            }
            _ => return Err("a field has a wire type that no message of this kind uses"),
        };
        if key >> 3 == 0 {
            return Err("a field has the number 0");
        }
        Ok(Some((key >> 3, value)))
    }
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err("a field that should be a message or a text is a number"),
        }
    }

    pub(super) fn float(self) -> Result<f64, WireError> {
        match self {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err("a field that should be a float of 8 bytes is something else"),
        }
    }

    pub(super) fn whole(self) -> Result<u64, WireError> {
        match self {
            Value::Varint(number) => Ok(number),
            _ => Err("a field that should be a whole number is something else"),
        }
    }

    pub(super) fn zigzag(self) -> Result<i64, WireError> {
        self.whole().map(from_zigzag)
    }

    /// Adds the floats of a repeated field, one by one or packed.
    pub(super) fn floats_into(self, into: &mut Vec<f64>) -> Result<(), WireError> {
        let Value::Bytes(packed) = self else {
            into.push(self.float()?);
            return Ok(());
        };
        let (floats, rest) = packed.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(CUT_OFF);
        }
        into.extend(floats.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        Ok(())
    }

    /// Adds the signed numbers of a repeated field, one by one or packed.
    pub(super) fn zigzags_into(self, into: &mut Vec<i64>) -> Result<(), WireError> {
        let Value::Bytes(mut packed) = self else {
            into.push(self.zigzag()?);
            return Ok(());
        };
        while !packed.is_empty() {
            into.push(from_zigzag(varint(&mut packed)?));
        }
        Ok(())
    }
}

fn from_zigzag(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

#[inline]
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let (first, rest) = bytes.split_first().ok_or(CUT_OFF)?;
    *bytes = rest;
    if *first < 0x80 {
        return Ok(u64::from(*first));
    }
    let mut value = u64::from(first & 0x7f);
    for shift in (7..70).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(CUT_OFF)?;
        *bytes = rest;
        if shift == 63 && *byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number has more than 64 bits")
}

/// A length and so many bytes.
#[inline]
pub(super) fn delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = usize::try_from(varint(bytes)?).map_err(|_| CUT_OFF)?;
    let (front, rest) = bytes.split_at_checked(length).ok_or(CUT_OFF)?;
    *bytes = rest;
    Ok(front)
}

/// A message being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    fn put_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(super) fn whole(&mut self, field: u64, number: u64) {
        self.put_varint(field << 3 | VARINT);
        self.put_varint(number);
    }

    pub(super) fn zigzag(&mut self, field: u64, number: i64) {
        self.whole(field, ((number << 1) ^ (number >> 63)) as u64);
    }

    pub(super) fn float(&mut self, field: u64, value: f64) {
        self.put_varint(field << 3 | FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Not packed, as version 2 of the language has repeated fields.
    pub(super) fn floats(&mut self, field: u64, values: &[f64]) {
        values.iter().for_each(|value| self.float(field, *value));
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.put_varint(field << 3 | BYTES);
        self.put_delimited(bytes);
    }

    pub(super) fn put_delimited(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(whole in any::<u64>(), signed in any::<i64>(), float in any::<f64>(), text in ".{0,40}") {
            let mut message = Message::default();
            message.whole(1, whole);
            message.zigzag(2, signed);
            message.float(300, float);
            message.bytes(4, text.as_bytes());
            let mut fields = Fields::new(&message.0);
            let mut next = || fields.next().unwrap().unwrap();
            prop_assert_eq!(next(), (1, Value::Varint(whole)));
            let (number, value) = next();
            prop_assert_eq!((number, value.zigzag()), (2, Ok(signed)));
            prop_assert_eq!(next(), (300, Value::Fixed64(float.to_bits())));
            prop_assert_eq!(next(), (4, Value::Bytes(text.as_bytes())));
            prop_assert_eq!(fields.next(), Ok(None));
            // Cut anywhere, it is no message or a shorter one.
            for end in 0..message.0.len() {
                let mut fields = Fields::new(&message.0[..end]);
                while let Ok(Some(_)) = fields.next() {}
            }
        }
    }
}
