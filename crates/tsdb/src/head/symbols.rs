//! Texts by number: label names and values stand once in memory, however many series have them.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Texts that are counted: one that nobody uses any more is forgotten, and its number is used again.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    list: Vec<Symbol>,
    free: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Symbol {
    text: Box<str>,
    users: u32,
}

impl Symbols {
    /// The number of a text; `None` if nobody uses it.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.table.find(self.hasher.hash_one(text), |number| &*self.list[*number as usize].text == text).copied()
    }

    /// The number of a text, which has one more user from now on.
    pub(crate) fn acquire(&mut self, text: &str) -> u32 {
        let number = self.find(text).unwrap_or_else(|| self.add(text));
        self.list[number as usize].users += 1;
        number
    }

    /// The number of a text, known or not, without a user more.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        self.find(text).unwrap_or_else(|| self.add(text))
    }

    /// One user more of a text that is there.
    pub(crate) fn share(&mut self, number: u32) {
        self.list[number as usize].users += 1;
    }

    fn add(&mut self, text: &str) -> u32 {
        let symbol = Symbol { text: text.into(), users: 0 };
        let number = match self.free.pop() {
            Some(number) => {
                self.list[number as usize] = symbol;
                number
            }
            None => {
                self.list.push(symbol);
                (self.list.len() - 1) as u32
            }
        };
        let (list, hasher) = (&self.list, &self.hasher);
        self.table
            .insert_unique(hasher.hash_one(text), number, |number| hasher.hash_one(&*list[*number as usize].text));
        number
    }

    /// One user less. True if the text is forgotten with this.
    pub(crate) fn release(&mut self, number: u32) -> bool {
        let symbol = &mut self.list[number as usize];
        symbol.users -= 1;
        if symbol.users > 0 {
            return false;
        }
        let text = std::mem::take(&mut symbol.text);
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(&*text), |own| *own == number) {
            entry.remove();
        }
        self.free.push(number);
        true
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        &self.list[number as usize].text
    }

    /// One more than the largest number in use.
    pub(crate) fn numbers(&self) -> usize {
        self.list.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_forgotten_texts_are_used_again() {
        let mut symbols = Symbols::default();
        let (a, b) = (symbols.acquire("a"), symbols.acquire("b"));
        assert_eq!((symbols.acquire("a"), symbols.text(a), symbols.find("b")), (a, "a", Some(b)));
        assert!(!symbols.release(a));
        assert!(symbols.release(a));
        assert_eq!((symbols.find("a"), symbols.acquire("c"), symbols.numbers()), (None, a, 2));
        assert_eq!((symbols.text(a), symbols.text(b)), ("c", "b"));
    }
}
