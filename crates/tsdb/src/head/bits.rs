//! Sets of small numbers as bits of words.

pub(crate) type Bits = Box<[u64]>;

pub(crate) fn words(count: usize) -> usize {
    count.div_ceil(64)
}

pub(crate) fn none(count: usize) -> Bits {
    vec![0; words(count)].into()
}

/// All numbers below `count`.
pub(crate) fn full(count: usize) -> Bits {
    let mut bits = vec![u64::MAX; words(count)];
    if !count.is_multiple_of(64)
        && let Some(last) = bits.last_mut()
    {
        *last = (1 << (count % 64)) - 1;
    }
    bits.into()
}

pub(crate) fn get(bits: &[u64], at: usize) -> bool {
    bits.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

/// Beyond the end nothing is set.
pub(crate) fn set(bits: &mut [u64], at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

pub(crate) fn clear(bits: &mut [u64], at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word &= !(1 << (at % 64));
    }
}

/// How many are set below `at`.
pub(crate) fn rank(bits: &[u64], at: usize) -> usize {
    let whole: u32 = bits.iter().take(at / 64).map(|word| word.count_ones()).sum();
    let part = bits.get(at / 64).map_or(0, |word| (word & ((1 << (at % 64)) - 1)).count_ones());
    (whole + part) as usize
}

pub(crate) fn count(bits: &[u64]) -> usize {
    bits.iter().map(|word| word.count_ones() as usize).sum()
}

/// The numbers that are set, ascending.
pub(crate) fn iter(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().flat_map(|(at, word)| {
        let mut rest = *word;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                at * 64 + bit
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_a_set() {
        let mut bits = none(130);
        for at in [0, 5, 63, 64, 129, 500] {
            set(&mut bits, at);
        }
        clear(&mut bits, 5);
        assert_eq!((count(&full(130)), full(64).len(), full(0).len(), full(3)[0]), (130, 1, 0, 7));
        assert_eq!(iter(&bits).collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert_eq!(
            (count(&bits), rank(&bits, 64), rank(&bits, 130), get(&bits, 129), get(&bits, 500)),
            (4, 2, 4, true, false)
        );
    }
}
