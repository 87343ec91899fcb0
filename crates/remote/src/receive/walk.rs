//! A request of version 1, read where it lies: senders repeat their series, so that the bytes of the labels are looked
//! up and not decoded.

/// What stands in a request. Offsets are bytes of the decompressed request.
#[derive(Debug, Default)]
pub(super) struct Walked<'a> {
    pub(super) series: Vec<Plain<'a>>,
    /// Samples of all `series`, one after the other.
    pub(super) timestamps_ms: Vec<i64>,
    pub(super) values: Vec<f64>,
    /// Messages of series that have more than labels and ascending floats.
    pub(super) others: Vec<Other<'a>>,
    /// Messages of metadata.
    pub(super) metadata: Vec<&'a [u8]>,
}

/// A series with nothing but labels and floats, ascending in time.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    /// The label messages with their keys, as they lie.
    pub(super) labels: &'a [u8],
    pub(super) samples: usize,
}

#[derive(Debug)]
pub(super) struct Other<'a> {
    pub(super) message: &'a [u8],
    /// As in [`Plain`]; `None` if the labels do not lie together.
    pub(super) labels: Option<&'a [u8]>,
}

/// Wire types of protobuf.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let first = *self.bytes.get(self.at)?;
        self.at += 1;
        if first < 0x80 {
            return Some(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..70).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Number of the next field and its wire type. Protobuf's numbers fit 29 bits: no key is longer than 32.
    #[inline]
    fn key(&mut self) -> Option<(u64, u64)> {
        let key = self.varint()?;
        (key >> 3 > 0 && key <= u64::from(u32::MAX)).then_some((key >> 3, key & 7))
    }

    #[inline]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    #[inline]
    fn message(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.take(length)
    }

    fn skip(&mut self, wire_type: u64) -> Option<()> {
        match wire_type {
            VARINT => self.varint().map(|_| ()),
            FIXED64 => self.take(8).map(|_| ()),
            BYTES => self.message().map(|_| ()),
            FIXED32 => self.take(4).map(|_| ()),
            _ => None,
        }
    }
}

/// Walks through a request; `None` if it is better read, and judged, by the ordinary decoder.
pub(super) fn walk(request: &[u8]) -> Option<Walked<'_>> {
    let mut walked = Walked::default();
    let mut reader = Reader::new(request);
    while !reader.is_empty() {
        match reader.key()? {
            (1, BYTES) => walked.series(reader.message()?)?,
            (3, BYTES) => walked.metadata.push(reader.message()?),
            (1 | 3, _) => return None,
            (_, wire_type) => reader.skip(wire_type)?,
        }
    }
    Some(walked)
}

impl<'a> Walked<'a> {
    fn series(&mut self, message: &'a [u8]) -> Option<()> {
        let begin = self.values.len();
        let mut reader = Reader::new(message);
        let (mut start, mut end) = (0, 0);
        let (mut plain, mut together) = (true, true);
        while !reader.is_empty() {
            let at = reader.at;
            match reader.key()? {
                (1, BYTES) => {
                    reader.message()?;
                    if end == 0 {
                        start = at;
                    } else if end != at {
                        together = false;
                    }
                    end = reader.at;
                }
                (2, BYTES) => {
                    let (timestamp_ms, value) = sample(reader.message()?)?;
                    plain &= self.values.len() == begin || self.timestamps_ms.last() < Some(&timestamp_ms);
                    self.timestamps_ms.push(timestamp_ms);
                    self.values.push(value);
                }
                (1 | 2, _) => return None,
                (_, wire_type) => {
                    plain = false;
                    reader.skip(wire_type)?;
                }
            }
        }
        let labels = together.then_some(&message[start..end]);
        match labels {
            Some(labels) if plain && !labels.is_empty() => {
                self.series.push(Plain { labels, samples: self.values.len() - begin });
            }
            _ => {
                self.timestamps_ms.truncate(begin);
                self.values.truncate(begin);
                self.others.push(Other { message, labels });
            }
        }
        Some(())
    }
}

#[inline]
fn sample(message: &[u8]) -> Option<(i64, f64)> {
    let mut reader = Reader::new(message);
    let (mut timestamp_ms, mut value) = (0, 0.0);
    while !reader.is_empty() {
        match reader.key()? {
            (1, FIXED64) => value = f64::from_le_bytes(reader.take(8)?.try_into().ok()?),
            (2, VARINT) => timestamp_ms = reader.varint()? as i64,
            (1 | 2, _) => return None,
            (_, wire_type) => reader.skip(wire_type)?,
        }
    }
    Some((timestamp_ms, value))
}
