//! Reading a checkpoint.

use super::{Begin, END, LOOSE, MAGIC, PIECE, SEAL, STATE};
use crate::{
    bytes::Reader,
    head::{Group, seal::Seal},
    wal::{
        WalPosition,
        record::{Decoder, Record},
        segment::{Next, SegmentReader},
    },
};
use std::{io, path::Path};

/// What a checkpoint tells, piece by piece.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Of the log's kinds: the series of a group, then its state; later exemplars and metadata.
    Record(Record),
    /// The group whose series were told by this number, as it was at a place in the log.
    State { number: u32, position: WalPosition, group: Box<Group> },
    /// Nothing comes behind this. Time of the newest sample ever appended.
    End { max_ms: i64 },
}

/// Why a checkpoint cannot be used, and its first byte that is to blame.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) at: u64,
    pub(crate) reason: String,
}

/// The first byte of a folder's checkpoint that cannot be used; `None` if all can, or if there is none.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn damage(path: &Path) -> io::Result<Option<Unusable>> {
    let mut reader = match CheckpointReader::open(path, Decoder::default())? {
        None => return Ok(None),
        Some(Err(unusable)) => return Ok(Some(unusable)),
        Some(Ok(reader)) => reader,
    };
    loop {
        match reader.next()? {
            Ok(Piece::End { .. }) => return Ok(None),
            Ok(_) => {}
            Err(unusable) => return Ok(Some(unusable)),
        }
    }
}

/// Reads a checkpoint, and decodes the log behind it.
pub(crate) struct CheckpointReader {
    reader: SegmentReader,
    bytes: u64,
    decoder: Decoder,
    begin: Begin,
    /// Whose state is being read.
    number: Option<u32>,
    open: Option<(WalPosition, Box<Group>)>,
    /// A record behind the state that was complete with it.
    waiting: Option<(u64, Vec<u8>)>,
    /// Groups whose records stand behind these bytes of the segment in which the log is taken up.
    passed: Vec<(u32, u64)>,
}

impl CheckpointReader {
    /// `None` if there is no checkpoint.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn open(path: &Path, decoder: Decoder) -> io::Result<Option<Result<CheckpointReader, Unusable>>> {
        let reader = match SegmentReader::open_as(path, MAGIC) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            reader => reader?,
        };
        let bytes = reader.file_bytes()?;
        let mut own = CheckpointReader {
            reader,
            bytes,
            decoder,
            begin: Begin {
                block_range_ms: 0,
                position: WalPosition::default(),
                row_ms: 0,
                segments: Default::default(),
            },
            number: None,
            open: None,
            waiting: None,
            passed: Vec::new(),
        };
        let (at, payload) = match own.payload()? {
            Ok(payload) => payload,
            Err(unusable) => return Ok(Some(Err(unusable))),
        };
        Ok(Some(match Begin::take(&payload) {
            Some(begin) => {
                own.begin = begin;
                Ok(own)
            }
            None => Err(Unusable { at, reason: "the beginning cannot be decoded".into() }),
        }))
    }

    pub(crate) fn begin(&self) -> &Begin {
        &self.begin
    }

    fn payload(&mut self) -> io::Result<Result<(u64, Vec<u8>), Unusable>> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(Ok(waiting));
        }
        Ok(match self.reader.next(self.bytes)? {
            Next::Record { at, payload } => Ok((at, payload)),
            Next::Damaged { at, reason, .. } => Err(Unusable { at, reason }),
            Next::End => Err(Unusable { at: self.bytes, reason: "its end is missing".into() }),
        })
    }

    /// The next piece.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn next(&mut self) -> io::Result<Result<Piece, Unusable>> {
        loop {
            let (at, payload) = match self.payload()? {
                Ok(payload) => payload,
                Err(unusable) => return Ok(Err(unusable)),
            };
            let undecoded = || Unusable { at, reason: "a record cannot be decoded".into() };
            let mut reader = Reader::new(&payload);
            match reader.u8() {
                Some(kind @ (STATE | SEAL | LOOSE | PIECE)) => {
                    if self.part(kind, &mut reader).is_none() || !reader.is_empty() {
                        return Ok(Err(undecoded()));
                    }
                }
                _ if self.open.is_some() => {
                    self.waiting = Some((at, payload));
                    if let (Some((position, group)), Some(number)) = (self.open.take(), self.number) {
                        return Ok(Ok(Piece::State { number, position, group }));
                    }
                }
                Some(END) => {
                    let max_ms = reader.varint().filter(|_| reader.is_empty());
                    return Ok(max_ms.map(|max_ms| Piece::End { max_ms }).ok_or_else(undecoded));
                }
                _ => {
                    let Some(record) = self.decoder.decode(&payload, at) else { return Ok(Err(undecoded())) };
                    if let Record::Group(group) = &record {
                        self.number = Some(group.number);
                    }
                    return Ok(Ok(Piece::Record(record)));
                }
            }
        }
    }

    /// Takes a part of the open group.
    fn part(&mut self, kind: u8, reader: &mut Reader<'_>) -> Option<()> {
        let number = self.number?;
        if kind == STATE {
            if self.open.is_some() {
                return None;
            }
            let position = WalPosition { segment: reader.uvarint()?, offset: reader.uvarint()? };
            let is_logged = reader.u8().filter(|flag| *flag < 2)? == 1;
            let mut group = Box::new(Group::unplaced(self.decoder.last(number)?.to_vec()));
            group.take_state(reader)?;
            if position.segment == self.begin.position.segment && is_logged {
                self.passed.push((number, position.offset));
            } else if position.segment != self.begin.position.segment {
                // None of its records in the segment where the log is taken up is behind its state.
                self.passed.push((number, u64::MAX));
            }
            self.open = Some((position, group));
            return Some(());
        }
        let group = &mut self.open.as_mut()?.1;
        match kind {
            SEAL => group.add_seal(Seal::take(group.slots(), reader)?),
            LOOSE => group.take_loose(reader)?,
            _ => group.take_piece(reader)?,
        }
        Some(())
    }

    /// The decoder of the rest of the segment in which the log is taken up.
    pub(crate) fn into_decoder(mut self) -> Decoder {
        self.decoder.go_on(self.begin.row_ms, self.passed);
        self.decoder
    }
}
