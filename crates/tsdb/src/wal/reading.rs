//! Reading and decoding a checkpoint and the log behind it, in a thread of its own, beside the one that applies them.

use super::{
    record::{Decoder, Record},
    segment::{Next, SegmentReader, segment_path},
};
use crate::{
    checkpoint::{self, Begin, CheckpointReader, Piece},
    files,
};
use foldhash::fast::RandomState;
use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};
use storage::StorageError;

/// Handed over at once.
const BATCH: usize = 128;
/// Batches that may wait.
const BATCHES_MAX: usize = 8;

/// What is read, in order.
#[derive(Debug)]
pub(super) enum Read {
    /// A checkpoint follows, and behind it the log from its position on.
    Checkpoint(Begin),
    Piece(Piece),
    /// The checkpoint is of no use, and nothing follows.
    Unusable {
        at: u64,
        reason: String,
    },
    /// A segment follows from its beginning, or from where the checkpoint ends.
    Segment {
        number: u64,
        is_new: bool,
    },
    /// Of that segment.
    Record {
        at: u64,
        record: Record,
    },
    /// Its rest is left out. A write that was not finished looks `torn`.
    Damaged {
        at: u64,
        reason: String,
        torn: bool,
    },
    /// Its end, and how long the file is.
    End {
        bytes: u64,
    },
    Failed(StorageError),
}

/// Calls `apply` with everything that is read, until it says no. `numbers` are the segments there are.
pub(super) fn read(
    dir: &Path,
    numbers: &[u64],
    with_checkpoint: bool,
    hasher: RandomState,
    mut apply: impl FnMut(Read) -> bool,
) {
    let (send, receive): (SyncSender<Vec<Read>>, Receiver<_>) = sync_channel(BATCHES_MAX);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut out = Out { batch: Vec::with_capacity(BATCH), send };
            if let Err(Stop::Failed(error)) = everything(dir, numbers, with_checkpoint, hasher, &mut out) {
                let _ = out.push(Read::Failed(error));
            }
            let _ = out.flush();
        });
        // Moved in, so that the reader hears when nobody wants more.
        let receive = receive;
        let wanted = receive.iter().flatten().all(&mut apply);
        drop(receive);
        // A panic in the reader goes on here, as it would without a thread.
        if let (Err(panic), true) = (reader.join(), wanted) {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Why the reader ends early.
enum Stop {
    Failed(StorageError),
    /// Nobody wants more.
    Unwanted,
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Stop::Failed(error)
    }
}

struct Out {
    batch: Vec<Read>,
    send: SyncSender<Vec<Read>>,
}

impl Out {
    fn push(&mut self, read: Read) -> Result<(), Stop> {
        self.batch.push(read);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.send.send(batch).map_err(|_| Stop::Unwanted)
    }
}

fn everything(
    dir: &Path,
    numbers: &[u64],
    with_checkpoint: bool,
    hasher: RandomState,
    out: &mut Out,
) -> Result<(), Stop> {
    let mut from = None;
    if with_checkpoint {
        let path = checkpoint::path(dir);
        match CheckpointReader::open(&path, Decoder::with_hasher(hasher.clone())).map_err(files::at(&path))? {
            None => {}
            Some(Err(unusable)) => return out.push(Read::Unusable { at: unusable.at, reason: unusable.reason }),
            // Another process deleted segments that it did not know to be in use here: the log has everything.
            Some(Ok(reader)) if !reader.begin().fits(numbers) => {
                let super::WalPosition { segment, offset } = reader.begin().position;
                tracing::warn!(
                    segment,
                    byte = offset,
                    "the checkpoint of the head does not fit the log, which is read as a whole; `vigie tsdb verify` tells what is missing"
                );
            }
            Some(Ok(mut reader)) => {
                let begin = reader.begin();
                let position = begin.position;
                out.push(Read::Checkpoint(begin.clone()))?;
                loop {
                    match reader.next().map_err(files::at(&path))? {
                        Ok(piece) => {
                            let is_end = matches!(piece, Piece::End { .. });
                            out.push(Read::Piece(piece))?;
                            if is_end {
                                break;
                            }
                        }
                        Err(unusable) => {
                            return out.push(Read::Unusable { at: unusable.at, reason: unusable.reason });
                        }
                    }
                }
                from = Some((position, reader.into_decoder()));
            }
        }
    }
    let wal = dir.join("wal");
    let first = from.as_ref().map_or(0, |(position, _)| position.segment);
    for &number in numbers.iter().filter(|number| **number >= first) {
        let path = segment_path(&wal, number);
        let mut reader = SegmentReader::open(&path).map_err(files::at(&path))?;
        let bytes = reader.file_bytes().map_err(files::at(&path))?;
        let resumed = from.take();
        out.push(Read::Segment { number, is_new: resumed.is_none() })?;
        let mut decoder = match resumed {
            None => Decoder::with_hasher(hasher.clone()),
            Some((position, decoder)) => {
                if bytes < position.offset {
                    let reason = format!(
                        "it ends here, and had {} bytes when the checkpoint of the head was written",
                        position.offset
                    );
                    out.push(Read::Damaged { at: bytes, reason, torn: false })?;
                }
                reader.seek(position.offset);
                decoder
            }
        };
        loop {
            match reader.next(bytes).map_err(files::at(&path))? {
                Next::End => break,
                Next::Record { at, payload } => match decoder.decode(&payload, at) {
                    Some(Record::Passed) => {}
                    Some(record) => out.push(Read::Record { at, record })?,
                    None => {
                        let reason = "a record cannot be decoded".to_owned();
                        out.push(Read::Damaged { at, reason, torn: false })?;
                        break;
                    }
                },
                Next::Damaged { at, reason, torn } => {
                    out.push(Read::Damaged { at, reason, torn })?;
                    break;
                }
            }
        }
        out.push(Read::End { bytes })?;
    }
    Ok(())
}
