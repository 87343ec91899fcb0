//! Start timestamps beside samples: when the counter began. The header tells whether the first sample has one and from
//! which sample on they change; from there every sample carries a difference to the time of the sample before.

use crate::bits::BitReader;

#[derive(Debug)]
pub(super) struct Starts {
    first_known: bool,
    /// 0: never.
    changes_from: u64,
    difference: i64,
    start: i64,
}

impl Starts {
    pub(super) fn new(header: u8) -> Self {
        Starts { first_known: header & 0x80 != 0, changes_from: u64::from(header & 0x7f), difference: 0, start: 0 }
    }

    /// Start timestamp of the sample `index`, whose other parts were read; 0 if unknown.
    pub(super) fn read(&mut self, reader: &mut BitReader, index: u64, time: i64, previous: i64) -> Option<i64> {
        if index == 0 {
            if self.first_known {
                self.start = time.wrapping_sub(reader.varint()?);
            }
        } else if self.changes_from > 0 && index >= self.changes_from {
            let read = reader.varbit_int()?;
            self.difference = if index == self.changes_from { read } else { self.difference.wrapping_add(read) };
            self.start = previous.wrapping_sub(self.difference);
        }
        Some(self.start)
    }
}
