//! A set of small numbers, one bit each: which series of a layout have a value.

/// Grows as needed; what was never put in is not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn contains(&self, index: u32) -> bool {
        self.0.get(index as usize / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// False if it was there already.
    pub(crate) fn insert(&mut self, index: u32) -> bool {
        let at = index as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        let Some(word) = self.0.get_mut(at) else { return false };
        let bit = 1 << (index % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    pub(crate) fn remove(&mut self, index: u32) {
        if let Some(word) = self.0.get_mut(index as usize / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Word `index` of 64; 0 beyond the end.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// Makes every word of `words` what `make` says.
    pub(crate) fn set_words(&mut self, words: usize, make: impl Fn(usize) -> u64) {
        self.0.clear();
        self.0.extend((0..words).map(make));
    }

    /// The words, at least `words` of them.
    pub(crate) fn padded(&mut self, words: usize) -> &[u64] {
        if self.0.len() < words {
            self.0.resize(words, 0);
        }
        &self.0
    }

    /// The numbers of a word at `index`.
    pub(crate) fn of_word(index: usize, mut word: u64) -> impl Iterator<Item = u32> {
        std::iter::from_fn(move || {
            if word == 0 {
                return None;
            }
            let bit = word.trailing_zeros();
            word &= word - 1;
            Some(index as u32 * 64 + bit)
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| Bits::of_word(index, *word))
    }
}

/// Words for so many numbers.
pub(crate) fn words_for(numbers: usize) -> usize {
    numbers.div_ceil(64)
}
