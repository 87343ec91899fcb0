//! Integers as differences, packed in blocks with as many bits as most of them need; the others stand behind.

use crate::bytes::{Reader, put_uvarint, put_varint};

/// Values of a block.
pub(super) const BLOCK: usize = 128;
/// Flag in the first byte: all differences are multiples of a divisor, which follows.
const FLAG_DIVISOR: u8 = 4;
/// Flag in the width byte: the block has exceptions.
const FLAG_EXCEPTIONS: u8 = 0x80;
const WIDTHS: usize = 65;

fn bit_length(value: u64) -> usize {
    (64 - value.leading_zeros()) as usize
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bits that the differences of `values` would take, roughly: to choose between representations.
pub(super) fn estimate_bits(values: &[i64]) -> u64 {
    let (mut first, mut second) = (0_u64, 0_u64);
    let (mut previous, mut delta) = (values.first().copied().unwrap_or(0), 0_i64);
    let (mut low, mut high) = (previous, previous);
    for &value in values {
        let next = value.wrapping_sub(previous);
        first += bit_length(zigzag(next)) as u64;
        second += bit_length(zigzag(next.wrapping_sub(delta))) as u64;
        (low, high) = (low.min(value), high.max(value));
        (previous, delta) = (value, next);
    }
    let plain = values.len() as u64 * bit_length(high.wrapping_sub(low) as u64) as u64;
    first.min(second).min(plain)
}

/// The greatest number that divides all differences, 1 if there is none or nothing differs.
fn divisor(values: &[i64]) -> u64 {
    let mut divisor = 0_u64;
    let mut previous = values.first().copied().unwrap_or(0);
    for &value in values {
        let step = value.wrapping_sub(previous).unsigned_abs();
        previous = value;
        if step == 0 || (divisor != 0 && step % divisor == 0) {
            continue;
        }
        let (mut a, mut b) = (divisor, step);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        divisor = a;
        if divisor == 1 {
            break;
        }
    }
    // Differences that wrapped around are no multiples of anything.
    if divisor > i64::MAX as u64 { 1 } else { divisor.max(1) }
}

/// Appends `values`. Their number stands elsewhere.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let Some(&first) = values.first() else { return };
    let divisor = divisor(values);
    let scale = |difference: i64| if divisor == 1 { difference } else { difference / divisor as i64 };
    let count = values.len();
    let mut firsts = Vec::with_capacity(count);
    let mut seconds = Vec::with_capacity(count);
    let (mut low, mut high) = (first, first);
    let mut previous = first;
    for &value in values {
        firsts.push(scale(value.wrapping_sub(previous)));
        previous = value;
        (low, high) = (low.min(value), high.max(value));
    }
    let mut delta = 0;
    for &step in &firsts {
        seconds.push(step.wrapping_sub(delta));
        delta = step;
    }
    let plain = (high.wrapping_sub(low) as u64).checked_div(divisor).unwrap_or(u64::MAX);
    let sizes = [
        count as u64 * bit_length(plain) as u64,
        spread_bits(firsts.get(1..).unwrap_or_default()),
        spread_bits(seconds.get(2..).unwrap_or_default()),
    ];
    // A tie goes to the lower order.
    let order = (0..3).min_by_key(|&order| (sizes[order], order)).unwrap_or(0);
    out.push(order as u8 | if divisor > 1 { FLAG_DIVISOR } else { 0 });
    put_varint(out, first);
    if divisor > 1 {
        put_uvarint(out, divisor);
    }
    let mut residuals = match order {
        0 => {
            let mut plain = firsts;
            let mut sum = 0_i64;
            for step in &mut plain {
                sum = sum.wrapping_add(*step);
                *step = sum;
            }
            plain
        }
        1 => firsts,
        _ => {
            put_varint(out, firsts.get(1).copied().unwrap_or(0));
            seconds
        }
    };
    // Readers know these; what stands here should be no exception in its block.
    let known = order.max(1).min(count);
    let filler = residuals.get(known).copied().unwrap_or(0);
    residuals[..known].fill(filler);
    for block in residuals.chunks(BLOCK) {
        encode_block(block, out);
    }
}

/// The smaller of what the values take each for itself and all as differences to the smallest.
fn spread_bits(values: &[i64]) -> u64 {
    let Some(&first) = values.first() else { return 0 };
    let (mut low, mut high, mut sum) = (first, first, 0_u64);
    for &value in values {
        (low, high) = (low.min(value), high.max(value));
        sum += bit_length(zigzag(value)) as u64;
    }
    sum.min(values.len() as u64 * bit_length(high.wrapping_sub(low) as u64) as u64)
}

/// Cheapest width for values of these bit lengths, with the bits of the whole.
fn best_width(lengths: &[u16; WIDTHS], count: usize) -> (u64, usize) {
    let longest = lengths.iter().rposition(|&count| count > 0).unwrap_or(0);
    let mut best = (count as u64 * longest as u64, longest);
    let mut exceptions = 0_u64;
    for width in (0..longest).rev() {
        // Place and a varint for each value that does not fit.
        exceptions += u64::from(lengths[width + 1]) * 8 * (1 + (width as u64 + 2).div_ceil(7));
        // A count of exceptions comes with them.
        let bits = count as u64 * width as u64 + exceptions + 8;
        if bits < best.0 {
            best = (bits, width);
        }
    }
    best
}

fn encode_block(block: &[i64], out: &mut Vec<u8>) {
    let low = block.iter().copied().min().unwrap_or(0);
    let mut from_low = [0_u16; WIDTHS];
    let mut from_zero = [0_u16; WIDTHS];
    let mut around_zero = [0_u16; WIDTHS];
    for &value in block {
        from_low[bit_length(value.wrapping_sub(low) as u64)] += 1;
        from_zero[bit_length(value as u64)] += 1;
        // A width w around zero holds -2^(w-1) … 2^(w-1) - 1.
        around_zero[if value == 0 { 0 } else { bit_length((value ^ (value >> 63)) as u64) + 1 }] += 1;
    }
    let (low_bits, low_width) = best_width(&from_low, block.len());
    let (zero_bits, zero_width) = best_width(&from_zero, block.len());
    let (around_bits, around_width) = best_width(&around_zero, block.len());
    let (width, base) = if low_bits <= zero_bits && low_bits <= around_bits {
        (low_width, low)
    } else if zero_bits <= around_bits {
        (zero_width, 0)
    } else {
        (around_width, if around_width == 0 { 0 } else { i64::MIN >> (64 - around_width) })
    };
    let mask = if width == 64 { u64::MAX } else { (1_u64 << width) - 1 };
    let fits = |value: i64| (value.wrapping_sub(base) as u64) <= mask;
    let exceptions = block.iter().filter(|&&value| !fits(value)).count();
    out.push(width as u8 | if exceptions > 0 { FLAG_EXCEPTIONS } else { 0 });
    put_varint(out, base);
    if exceptions > 0 {
        out.push(exceptions as u8);
    }
    if width > 0 {
        let (mut buffer, mut filled) = (0_u128, 0_usize);
        for &value in block {
            let bits = if fits(value) { value.wrapping_sub(base) as u64 } else { 0 };
            buffer |= u128::from(bits) << filled;
            filled += width;
            if filled >= 64 {
                out.extend_from_slice(&(buffer as u64).to_le_bytes());
                buffer >>= 64;
                filled -= 64;
            }
        }
        out.extend_from_slice(&(buffer as u64).to_le_bytes()[..filled.div_ceil(8)]);
    }
    for (place, &value) in block.iter().enumerate().filter(|(_, value)| !fits(**value)) {
        out.push(place as u8);
        put_varint(out, value.wrapping_sub(base));
    }
}

/// Values in blocks, as [`encode`] wrote them.
pub(super) struct Decoder<'a, 'r> {
    reader: &'r mut Reader<'a>,
    order: u8,
    divisor: i64,
    value: i64,
    delta: i64,
    first_delta: i64,
    started: bool,
    left: usize,
}

impl<'a, 'r> Decoder<'a, 'r> {
    /// Begins to read `count` values; `None` if the bytes cannot have been written.
    pub(super) fn new(reader: &'r mut Reader<'a>, count: usize) -> Option<Self> {
        let mut decoder =
            Decoder { reader, order: 0, divisor: 1, value: 0, delta: 0, first_delta: 0, started: false, left: count };
        if count > 0 {
            let flags = decoder.reader.u8()?;
            decoder.order = flags & !FLAG_DIVISOR;
            if decoder.order > 2 {
                return None;
            }
            decoder.value = decoder.reader.varint()?;
            if flags & FLAG_DIVISOR != 0 {
                decoder.divisor = i64::try_from(decoder.reader.uvarint()?).ok()?;
            }
            if decoder.order == 2 {
                decoder.first_delta = decoder.reader.varint()?;
            }
        }
        Some(decoder)
    }

    /// The next values, at most [`BLOCK`]: 0 at the end; `None` if the bytes cannot have been written.
    pub(super) fn next(&mut self, out: &mut [i64; BLOCK]) -> Option<usize> {
        let count = self.left.min(BLOCK);
        if count == 0 {
            return Some(0);
        }
        self.left -= count;
        let head = self.reader.u8()?;
        let (width, has_exceptions) = (usize::from(head & !FLAG_EXCEPTIONS), head & FLAG_EXCEPTIONS != 0);
        let base = self.reader.varint()?;
        let exceptions = if has_exceptions { self.reader.u8()? } else { 0 };
        if width == 0 {
            out.fill(base);
        } else {
            unpack(self.reader.take((count * width).div_ceil(8))?, width, base, out)?;
        }
        for _ in 0..exceptions {
            let place = usize::from(self.reader.u8()?);
            *out.get_mut(place)? = base.wrapping_add(self.reader.varint()?);
        }
        let first = !std::mem::replace(&mut self.started, true);
        if first {
            out[0] = 0;
            if self.order == 2 {
                out[1] = self.first_delta;
            }
        }
        if width == 0 && exceptions == 0 && base == 0 && !first && self.order == 1 {
            out.fill(self.value);
            return Some(count);
        }
        if self.divisor != 1 {
            out.iter_mut().for_each(|residual| *residual = residual.wrapping_mul(self.divisor));
        }
        let (mut value, mut delta) = (self.value, self.delta);
        match self.order {
            0 => out.iter_mut().for_each(|residual| *residual = residual.wrapping_add(value)),
            1 => {
                for residual in &mut out[..count] {
                    value = value.wrapping_add(*residual);
                    *residual = value;
                }
            }
            _ => {
                for residual in &mut out[..count] {
                    delta = delta.wrapping_add(*residual);
                    value = value.wrapping_add(delta);
                    *residual = value;
                }
            }
        }
        (self.value, self.delta) = (value, delta);
        Some(count)
    }
}

/// Eight values take a whole number of bytes; the width is known to the compiler, so that all shifts are.
fn unpack_groups<const WIDTH: usize>(packed: &[u8], base: i64, out: &mut [i64; BLOCK]) {
    // Room for the last group, and for loads of 16 bytes from everywhere in it.
    let mut tail = [0_u8; 64 + 16];
    for (group, values) in out.chunks_exact_mut(8).enumerate() {
        let at = group * WIDTH;
        let bytes = match packed.get(at..at + WIDTH + 16) {
            Some(bytes) => bytes,
            None => {
                let Some(rest) = packed.get(at..).filter(|rest| !rest.is_empty()) else { return };
                let rest = &rest[..rest.len().min(WIDTH)];
                tail[..rest.len()].copy_from_slice(rest);
                tail[rest.len()..].fill(0);
                &tail[..WIDTH + 16]
            }
        };
        for (index, value) in values.iter_mut().enumerate() {
            let bit = index * WIDTH;
            let (byte, shift) = (bit / 8, bit % 8);
            let bits = if WIDTH <= 56 {
                let mut window = [0; 8];
                window.copy_from_slice(&bytes[byte..byte + 8]);
                (u64::from_le_bytes(window) >> shift) & ((1_u64 << (WIDTH % 64)) - 1)
            } else {
                let mut window = [0; 16];
                window.copy_from_slice(&bytes[byte..byte + 16]);
                (u128::from_le_bytes(window) >> shift) as u64 & (u64::MAX >> (64 - WIDTH))
            };
            *value = base.wrapping_add(bits as i64);
        }
    }
}

/// Unpacks as many values as `packed` holds; what stands behind them in `out` has no meaning.
fn unpack(packed: &[u8], width: usize, base: i64, out: &mut [i64; BLOCK]) -> Option<()> {
    macro_rules! widths {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_groups::<$width>(packed, base, out),)*
                _ => return None,
            }
        };
    }
    widths!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64]) {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        let mut reader = Reader::new(&bytes);
        let mut decoder = Decoder::new(&mut reader, values.len()).unwrap();
        let (mut block, mut got) = ([0; BLOCK], Vec::new());
        loop {
            let count = decoder.next(&mut block).unwrap();
            if count == 0 {
                break;
            }
            got.extend_from_slice(&block[..count]);
        }
        assert_eq!(got, values);
        assert!(reader.is_empty());
    }

    #[test]
    fn every_width_survives() {
        for width in 0..64 {
            for count in [1, 2, 7, 8, 9, 127, 128, 129, 300] {
                let values: Vec<i64> =
                    (0..count).map(|i: i64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> (63 - width)).collect();
                round_trip(&values);
                round_trip(&values.iter().map(|value| value.wrapping_mul(4096)).collect::<Vec<_>>());
            }
        }
    }

    proptest! {
        #[test]
        fn integers_survive(
            values in proptest::collection::vec(prop_oneof![
                4 => -5_i64..5, 2 => -100_000_i64..100_000, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)
            ], 0..400),
            running: bool,
        ) {
            let mut values = values;
            if running {
                let mut sum = 0_i64;
                for value in &mut values {
                    sum = sum.wrapping_add(*value);
                    *value = sum;
                }
            }
            round_trip(&values);
        }

        #[test]
        fn any_bytes_decode_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0_usize..500) {
            let mut reader = Reader::new(&bytes);
            let mut block = [0; BLOCK];
            if let Some(mut decoder) = Decoder::new(&mut reader, count) {
                while decoder.next(&mut block).is_some_and(|count| count > 0) {}
            }
        }
    }
}
