//! Streams of bits, most significant first, and the variable-width numbers in them.

/// Widths of the numbers behind a prefix of 1, 11, 111… ones and a zero. Behind eight ones all 64 bits follow.
const VARBIT_WIDTHS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

/// Reads bits; `None` beyond the end.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0 }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    /// Byte that holds the next bit.
    pub(crate) fn byte(&self) -> usize {
        self.at / 8
    }

    pub(crate) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    /// At most 64 bits as a number.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u64> {
        if count == 0 {
            return Some(0);
        }
        if count as usize > self.remaining() {
            return None;
        }
        let (byte, skip) = (self.at / 8, (self.at % 8) as u32);
        let word = match self.bytes.get(byte..byte + 8).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => u64::from_be_bytes(bytes),
            None => {
                let mut padded = [0; 8];
                let tail = self.bytes.get(byte..)?;
                padded.get_mut(..tail.len())?.copy_from_slice(tail);
                u64::from_be_bytes(padded)
            }
        };
        let mut value = (word << skip) >> (64 - count);
        // Up to seven bits of a ninth byte.
        let beyond = (count + skip).saturating_sub(64);
        if beyond > 0 {
            value |= u64::from(*self.bytes.get(byte + 8)?) >> (8 - beyond);
        }
        self.at += count as usize;
        Some(value)
    }

    pub(crate) fn f64(&mut self) -> Option<f64> {
        self.bits(64).map(f64::from_bits)
    }

    /// A number of `width` bits whose sign is in its size: what is above the middle is negative.
    pub(crate) fn signed(&mut self, width: u32) -> Option<i64> {
        let raw = self.bits(width)?;
        if width < 64 && raw > 1 << (width - 1) {
            return Some(raw.wrapping_sub(1 << width).cast_signed());
        }
        Some(raw.cast_signed())
    }

    /// Ones before the next zero, at most `max`; the zero is read unless there are `max` ones.
    pub(crate) fn ones(&mut self, max: usize) -> Option<usize> {
        for count in 0..max {
            if !self.bit()? {
                return Some(count);
            }
        }
        Some(max)
    }

    pub(crate) fn varbit_int(&mut self) -> Option<i64> {
        match self.ones(8)? {
            0 => Some(0),
            8 => self.signed(64),
            ones => self.signed(VARBIT_WIDTHS[ones - 1]),
        }
    }

    pub(crate) fn varbit_uint(&mut self) -> Option<u64> {
        match self.ones(8)? {
            0 => Some(0),
            8 => self.bits(64),
            ones => self.bits(VARBIT_WIDTHS[ones - 1]),
        }
    }

    /// Go's uvarint, its bytes not on byte borders.
    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0_u32);
        loop {
            let byte = self.bits(8)?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    pub(crate) fn varint(&mut self) -> Option<i64> {
        let raw = self.uvarint()?;
        Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }
}

/// Writes bits.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not written.
    free: u32,
}

impl BitWriter {
    /// Goes on behind whole bytes.
    pub(crate) fn after(bytes: Vec<u8>) -> Self {
        BitWriter { bytes, free: 0 }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bit(&mut self, bit: bool) {
        self.bits(u64::from(bit), 1);
    }

    /// The lowest `count` bits of a number, at most 64.
    pub(crate) fn bits(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(self.free);
            let part = (value >> (left - now)) as u8 & (0xff >> (8 - now));
            self.free -= now;
            if let Some(last) = self.bytes.last_mut() {
                *last |= part << self.free;
            }
            left -= now;
        }
    }

    pub(crate) fn f64(&mut self, value: f64) {
        self.bits(value.to_bits(), 64);
    }

    pub(crate) fn varbit_int(&mut self, value: i64) {
        if value == 0 {
            return self.bit(false);
        }
        for (ones, width) in (1..).zip(VARBIT_WIDTHS) {
            if fits(value, width) {
                self.prefix(ones);
                return self.bits(value.cast_unsigned(), width);
            }
        }
        self.bits(0xff, 8);
        self.bits(value.cast_unsigned(), 64);
    }

    pub(crate) fn varbit_uint(&mut self, value: u64) {
        if value == 0 {
            return self.bit(false);
        }
        for (ones, width) in (1..).zip(VARBIT_WIDTHS) {
            if value < 1 << width {
                self.prefix(ones);
                return self.bits(value, width);
            }
        }
        self.bits(0xff, 8);
        self.bits(value, 64);
    }

    /// So many ones and a zero.
    pub(crate) fn prefix(&mut self, ones: u32) {
        self.bits((1 << (ones + 1)) - 2, ones + 1);
    }

    pub(crate) fn uvarint(&mut self, value: u64) {
        let mut bytes = Vec::with_capacity(10);
        crate::bytes::put_uvarint(&mut bytes, value);
        bytes.iter().for_each(|byte| self.bits(u64::from(*byte), 8));
    }

    pub(crate) fn varint(&mut self, value: i64) {
        self.uvarint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }
}

/// True if a signed number can be written in so many bits: the range is `-(2^(w-1)-1) ..= 2^(w-1)`.
pub(crate) fn fits(value: i64, width: u32) -> bool {
    let half = 1_i64 << (width - 1);
    (-(half - 1)..=half).contains(&value)
}

/// The last value of a stream of floats that are stored as differences of their bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Xor {
    pub(crate) bits: u64,
    leading: u32,
    trailing: u32,
    /// Only writers know: there is a window of significant bits that may be used again.
    window: bool,
}

/// Leading zeros are written in five bits.
const LEADING_MAX: u32 = 31;

impl Xor {
    pub(crate) fn new(value: f64) -> Self {
        Xor { bits: value.to_bits(), ..Xor::default() }
    }

    pub(crate) fn value(self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// `0`: the same value; `10`: other bits in the last window; `11`: a new window.
    pub(crate) fn read(&mut self, reader: &mut BitReader) -> Option<f64> {
        if reader.bit()? {
            if reader.bit()? { self.read_new_window(reader)? } else { self.read_window(reader)? }
        }
        Some(self.value())
    }

    pub(crate) fn read_window(&mut self, reader: &mut BitReader) -> Option<()> {
        let width = 64_u32.checked_sub(self.leading + self.trailing)?;
        self.bits ^= reader.bits(width)?.checked_shl(self.trailing)?;
        Some(())
    }

    pub(crate) fn read_new_window(&mut self, reader: &mut BitReader) -> Option<()> {
        self.leading = reader.bits(5)? as u32;
        let width = match reader.bits(6)? as u32 {
            0 => 64,
            width => width,
        };
        self.trailing = 64_u32.checked_sub(self.leading + width)?;
        self.bits ^= reader.bits(width)? << self.trailing;
        Some(())
    }

    pub(crate) fn write(&mut self, value: f64, writer: &mut BitWriter) {
        let difference = value.to_bits() ^ self.bits;
        self.bits = value.to_bits();
        if difference == 0 {
            return writer.bit(false);
        }
        let (leading, trailing) = (difference.leading_zeros().min(LEADING_MAX), difference.trailing_zeros());
        if self.window && leading >= self.leading && trailing >= self.trailing {
            writer.bits(0b10, 2);
            return writer.bits(difference >> self.trailing, 64 - self.leading - self.trailing);
        }
        (self.leading, self.trailing, self.window) = (leading, trailing, true);
        let width = 64 - leading - trailing;
        writer.bits(0b11, 2);
        writer.bits(u64::from(leading), 5);
        // 64 does not fit and is written as 0, which cannot occur otherwise.
        writer.bits(u64::from(width), 6);
        writer.bits(difference >> trailing, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive(list in proptest::collection::vec((any::<i64>(), any::<u64>(), 0_u32..64, any::<u64>()), 0..40)) {
            let mut writer = BitWriter::default();
            let mut xor = Xor::default();
            for (signed, unsigned, shift, float) in &list {
                writer.varbit_int(signed >> shift);
                writer.varbit_uint(unsigned >> shift);
                writer.bits(unsigned >> shift, 64 - shift);
                writer.varint(signed >> shift);
                xor.write(f64::from_bits(float << shift), &mut writer);
            }
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes);
            let mut xor = Xor::default();
            for (signed, unsigned, shift, float) in &list {
                prop_assert_eq!(reader.varbit_int(), Some(signed >> shift));
                prop_assert_eq!(reader.varbit_uint(), Some(unsigned >> shift));
                prop_assert_eq!(reader.bits(64 - shift), Some(unsigned >> shift));
                prop_assert_eq!(reader.varint(), Some(signed >> shift));
                prop_assert_eq!(xor.read(&mut reader).map(f64::to_bits), Some(float << shift));
            }
            prop_assert!(reader.remaining() < 8);
        }

        #[test]
        fn any_bytes_may_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut reader = BitReader::new(&bytes);
            let mut xor = Xor::default();
            while reader.varbit_int().is_some() && xor.read(&mut reader).is_some() && reader.varint().is_some() {}
        }
    }

    /// A number and its bits.
    const CASES: &str = "
0 => 0
1 => 10001
-3 => 10101
4 => 10100
5 => 110000101
-4 => 110111100
2048 => 11110100000000000
2049 => 111110000000100000000001
";

    #[test]
    fn varbits_are_those_of_the_format() {
        for case in CASES.trim().lines() {
            let (number, bits) = case.split_once(" => ").unwrap();
            let mut writer = BitWriter::default();
            writer.varbit_int(number.parse().unwrap());
            let written: String = writer.into_bytes().iter().map(|byte| format!("{byte:08b}")).collect();
            assert_eq!(&written[..bits.len()], bits, "in case `{case}`");
            assert!(written[bits.len()..].bytes().all(|bit| bit == b'0'), "in case `{case}`: {written}");
        }
    }
}
