//! Writing a checkpoint: group by group, while appends go on. Each group is told as it was at a place in the log of its
//! own, so that nobody waits for the whole.

use super::{Begin, END, LOOSE, MAGIC, PIECE, SEAL, STATE, path};
use crate::{
    db::{Tsdb, lock},
    files,
    head::Group,
    maintain::Maintenance,
    wal::{
        WalPosition,
        record::{self, Logged},
        segment::{self, RECORD_BYTES_MAX},
    },
};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    sync::{Arc, PoisonError},
};

/// So much is handed to the operating system at a time.
const BUFFER_BYTES: usize = 256 << 10;
/// After a failure nobody tries again for so long.
const RETRY_MS: i64 = 60_000;

/// The checkpoint that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) position: WalPosition,
    pub(crate) bytes: u64,
}

/// A group at one moment.
struct Moment {
    group: Arc<Group>,
    is_member: Vec<bool>,
    /// Everything of the group that was logged before is in it.
    position: WalPosition,
    /// The segment of that position has told the group.
    is_logged: bool,
}

struct Out {
    file: BufWriter<File>,
    bytes: u64,
    record: Vec<u8>,
}

impl Out {
    fn record(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.record.clear();
        segment::frame(&mut self.record, write);
        if self.record.len() > RECORD_BYTES_MAX {
            return Err(io::Error::other("a record would be longer than 64 MiB"));
        }
        self.bytes += self.record.len() as u64;
        self.file.write_all(&self.record)
    }
}

impl Tsdb {
    /// True if a restart would read much more of the log than a checkpoint has bytes.
    pub(crate) fn is_checkpoint_due(&self, state: &Maintenance) -> bool {
        if state.is_cutting() || self.options.clock.now_ms() < state.checkpoint_retry_ms {
            return false;
        }
        let (from, bytes) = state.checkpoint.map_or((WalPosition::default(), 0), |own| (own.position, own.bytes));
        let log_bytes = lock(&self.appends).wal.bytes_since(from);
        log_bytes >= self.options.checkpoint_log_bytes.max(bytes / 2)
    }

    /// Writes a checkpoint if it is time. A failure is logged, for the log has everything too.
    pub(crate) fn checkpoint_if_due(&self, state: &mut Maintenance) {
        if !self.is_checkpoint_due(state) {
            return;
        }
        match self.write_checkpoint() {
            Ok(written) => {
                state.checkpoint = Some(written);
                self.metrics.checkpoints.inc();
            }
            Err(error) => {
                self.metrics.checkpoints_failed.inc();
                state.checkpoint_retry_ms = self.options.clock.now_ms().saturating_add(RETRY_MS);
                let path = path(&self.options.dir);
                tracing::error!(path = %path.display(), %error, "no checkpoint of the head; a restart reads more of the log");
                let _ = files::remove_file(&path.with_extension("tmp"));
            }
        }
    }

    /// Deletes the checkpoint: blocks are about to have what it tells.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn drop_checkpoint(&self, state: &mut Maintenance) -> io::Result<()> {
        if state.checkpoint.take().is_some() {
            match files::remove_file(&path(&self.options.dir)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => files::sync_dir(&self.options.dir)?,
            }
        }
        Ok(())
    }

    fn write_checkpoint(&self) -> io::Result<Written> {
        let target = path(&self.options.dir);
        let temporary = target.with_extension("tmp");
        let mut out = Out {
            file: BufWriter::with_capacity(BUFFER_BYTES, files::create(&temporary)?),
            bytes: MAGIC.len() as u64,
            record: Vec::new(),
        };
        out.file.write_all(&MAGIC)?;
        let begin = {
            let appends = lock(&self.appends);
            let position = appends.wal.end();
            Begin {
                block_range_ms: self.options.block_range_ms,
                position,
                row_ms: appends.logged.row_ms(position.segment).unwrap_or(0),
                segments: appends.wal.segments().clone(),
            }
        };
        out.record(|out| begin.put(out))?;
        let mut told = Logged::default();
        // Groups that come meanwhile are told by the log behind the position.
        let numbers = self.head.store().group_numbers();
        for number in 0..numbers {
            if let Some(moment) = self.moment(number) {
                self.put_group(number, &moment, &mut told, &mut out)?;
            }
        }
        self.put_exemplars(&told, &mut out)?;
        {
            let known = self.metadata.read().unwrap_or_else(PoisonError::into_inner);
            if !known.is_empty() {
                out.record(|out| record::metadata(known.iter(), out))?;
            }
        }
        out.record(|out| {
            out.push(END);
            crate::bytes::put_varint(out, self.head.max_ms());
        })?;
        let bytes = out.bytes;
        let file = out.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        files::sync(&file)?;
        // Its positions are not ahead of the log on the disk: a log that is shorter has lost something.
        let log = lock(&self.appends).wal.file();
        log.map_or(Ok(()), |log| files::sync(&log))?;
        files::rename(&temporary, &target)?;
        files::sync_dir(&self.options.dir)?;
        tracing::debug!(bytes, groups = numbers, "checkpoint of the head written");
        Ok(Written { position: begin.position, bytes })
    }

    /// A group that has series, as it is now.
    fn moment(&self, number: u32) -> Option<Moment> {
        let appends = lock(&self.appends);
        let store = self.head.store();
        let group = Arc::clone(store.group(number)?);
        let is_member: Vec<bool> = (0..group.slots()).map(|slot| store.is_member(number, &group, slot)).collect();
        let position = appends.wal.end();
        let is_logged = appends.logged.row_ms(position.segment).is_some() && appends.logged.has_group(number);
        is_member.contains(&true).then_some(Moment { group, is_member, position, is_logged })
    }

    fn put_group(&self, number: u32, moment: &Moment, told: &mut Logged, out: &mut Out) -> io::Result<()> {
        let group = &*moment.group;
        let index = self.head.index();
        out.record(|out| told.group(number, group, &index, |slot| moment.is_member[slot], out))?;
        drop(index);
        out.record(|out| {
            out.push(STATE);
            crate::bytes::put_uvarint(out, moment.position.segment);
            crate::bytes::put_uvarint(out, moment.position.offset);
            out.push(u8::from(moment.is_logged));
            group.put_state(out);
        })?;
        for seal in group.seals() {
            out.record(|out| {
                out.push(SEAL);
                seal.put(out);
            })?;
        }
        for (slot, loose) in group.loose() {
            out.record(|out| {
                out.push(LOOSE);
                Group::put_loose(slot, loose, out);
            })?;
            for piece in loose.pieces() {
                out.record(|out| {
                    out.push(PIECE);
                    crate::bytes::put_uvarint(out, u64::from(slot));
                    piece.put(out);
                })?;
            }
        }
        Ok(())
    }

    /// Exemplars of the groups that are told. Behind these, for the log before a group's position is passed over.
    fn put_exemplars(&self, told: &Logged, out: &mut Out) -> io::Result<()> {
        let store = self.head.store();
        let exemplars = lock(&self.exemplars);
        for (series, _, exemplar, timestamp_ms) in exemplars.all() {
            if let Some(place) = store.place(series).filter(|place| told.has_group(place.group)) {
                out.record(|out| record::exemplar(place.group, place.slot, exemplar, timestamp_ms, out))?;
            }
        }
        Ok(())
    }
}
