//! Values as Blackbox exporter's configuration writes them: Go durations, sizes, patterns, bytes.

use regexp::Regexp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, time::Duration};

/// A duration in Go's notation (`1.5s`, `1m30s`, `300ms`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
pub struct GoDuration(pub Duration);

const NANOS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

impl GoDuration {
    fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(GoDuration(Duration::ZERO));
        }
        let (mut rest, mut nanos) = (text, 0.0);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let (_, factor) = NANOS.iter().find(|(name, _)| *name == unit)?;
            nanos += number.parse::<f64>().ok()? * factor;
            rest = tail;
        }
        (!text.is_empty()).then(|| Duration::try_from_secs_f64(nanos / 1e9).ok().map(GoDuration))?
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in [("ns", 1_u64), ("µs", 1_000), ("ms", 1_000_000)] {
            if nanos < u128::from(factor) * 1_000 {
                return write!(
                    f,
                    "{}{unit}",
                    self.0.as_secs_f64() * 1e9 / f64::from(u32::try_from(factor).unwrap_or(1))
                );
            }
        }
        let (minutes, seconds) = (self.0.as_secs() / 60, self.0.as_secs_f64() % 60.0);
        match (minutes / 60, minutes % 60) {
            (0, 0) => write!(f, "{seconds}s"),
            (0, minutes) => write!(f, "{minutes}m{seconds}s"),
            (hours, minutes) => write!(f, "{hours}h{minutes}m{seconds}s"),
        }
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        GoDuration::parse(&text)
            .ok_or_else(|| de::Error::custom(format!("invalid duration \"{text}\"; write for example 5s or 1m30s")))
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number of bytes: `5B`, `10KB`, `1MiB`; both spellings count in 1024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteSize(pub u64);

const SIZES: [(&str, u64); 11] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("TB", 1 << 40),
    ("PB", 1 << 50),
    ("PiB", 1 << 50),
    ("B", 1),
];

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &text[number.len()..];
        let size = SIZES.iter().find(|(name, _)| *name == unit).and_then(|(_, factor)| {
            let bytes = number.parse::<f64>().ok().filter(|n| *n >= 0.0)? * f64::from(u32::try_from(*factor).ok()?);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and saturates")]
            Some(ByteSize(bytes as u64))
        });
        size.or_else(|| (text == "0").then_some(ByteSize(0)))
            .ok_or_else(|| de::Error::custom(format!("invalid size \"{text}\"; write for example 512KB or 10MB")))
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        for (unit, factor) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 > 0 && self.0.is_multiple_of(factor) {
                return serializer.collect_str(&format!("{}{unit}", self.0 / factor));
            }
        }
        serializer.collect_str(&format!("{}B", self.0))
    }
}

/// A pattern in Go's syntax.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regexp);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Regexp::new(&text) {
            Ok(regexp) => Ok(Pattern(regexp)),
            Err(error) => {
                Err(de::Error::custom(format!("\"Could not compile regular expression\" regexp={text:?}: {error}")))
            }
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// Text or `!!binary`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    pub bytes: Vec<u8>,
    /// Written as `!!binary`: to be sent as it is.
    pub binary: bool,
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or !!binary")
            }
            fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
                Ok(Bytes { bytes: text.as_bytes().to_vec(), binary: false })
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes { bytes: bytes.to_vec(), binary: true })
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl Bytes {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Which address to take of a name that has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpProtocol {
    #[default]
    #[serde(rename = "ip6", alias = "")]
    Ip6,
    #[serde(rename = "ip4")]
    Ip4,
}

/// True; the default of several options.
pub(crate) fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}
