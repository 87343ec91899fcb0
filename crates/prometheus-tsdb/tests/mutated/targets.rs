//! One function for each kind of bytes that is read of Prometheus' files: any input is read or refused.

use prometheus_tsdb::{
    DamageList,
    block::{BlockReader, list},
    chunk::{self, Encoding},
    head,
    wal::Record,
};
use std::{fs, path::Path};
use storage::Samples;

/// An encoding, then the data of a chunk.
pub(crate) fn chunk(data: &[u8]) {
    let Some((&byte, data)) = data.split_first() else { return };
    let Some(encoding) = Encoding::from_byte(byte) else { return };
    let mut samples = Samples::default();
    samples.push_float(i64::MIN, 1.0);
    match chunk::decode(encoding, data, &mut samples) {
        Ok(()) => assert!(samples.timestamps[1..].windows(2).all(|pair| pair[0] < pair[1])),
        Err(_) => assert_eq!((samples.len(), samples.values.len()), (1, 1), "what was there stays"),
    }
}

/// A record of the log.
pub(crate) fn record(data: &[u8]) {
    let _ = Record::decode(data);
}

/// A file of a folder that has nothing else.
fn alone(name: &str, data: &[u8], read: impl FnOnce(&Path)) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let path = dir.path().join(name);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, data));
    if written.is_ok() {
        read(dir.path());
    }
}

/// A segment of the log, as the last one and with another behind it.
pub(crate) fn segment(data: &[u8]) {
    alone("wal/00000000", data, |dir| {
        let _ = head::load(dir, i64::MIN, &mut DamageList::default(), &mut |_, _| {});
        if fs::write(dir.join("wal/00000001"), b"").is_ok() {
            let _ = head::load(dir, i64::MIN, &mut DamageList::default(), &mut |_, _| {});
        }
    });
}

/// Checksums of records of a log are made right, where their lengths are.
pub(crate) fn segment_with_checksums(data: &[u8]) {
    const PAGE: usize = 32 << 10;
    let (mut sealed, mut at) = (data.to_vec(), 0);
    while let Some(&[kind, high, low, ..]) = sealed.get(at..) {
        let (length, left) = (usize::from(u16::from_be_bytes([high, low])), PAGE - at % PAGE);
        if kind == 0 || left < 7 {
            at += left;
            continue;
        }
        let Some(fragment) = sealed.get(at + 7..at + 7 + length) else { break };
        let checksum = crc32c(fragment).to_be_bytes();
        sealed[at + 3..at + 7].copy_from_slice(&checksum);
        at += 7 + length;
    }
    segment(&sealed);
}

/// Castagnoli's, one bit after the other: what is tested has its own.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |state, byte| {
        (0..8).fold(state ^ u32::from(*byte), |state, _| (state >> 1) ^ if state & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

/// A file of full chunks of the head.
pub(crate) fn head_chunks(data: &[u8]) {
    alone("000001", data, |dir| {
        let _ = head::read_chunks(dir, &mut DamageList::default(), |_, _, _| {});
    });
}

/// Length in 7 bits a byte, and how many bytes that took.
fn uvarint(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let value = bytes[..=end].iter().rev().fold(0_usize, |value, byte| value << 7 | usize::from(byte & 0x7f));
    Some((value, end + 1))
}

/// Puts the right checksum behind `bytes[from..to]`.
fn seal(bytes: &mut [u8], from: usize, to: usize) {
    let Some(checksum) = bytes.get(from..to).map(crc32c) else { return };
    if let Some(place) = bytes.get_mut(to..to.saturating_add(4)) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// As [`block`], with all checksums made right that can be found.
pub(crate) fn block_with_checksums(data: &[u8]) {
    let mut sealed = data.to_vec();
    let mut at = 0;
    for kind in 0..3 {
        let Some(length) = sealed.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>()) else { break };
        let begin = at + 4;
        let end = begin.saturating_add(u32::from_le_bytes(*length) as usize).min(sealed.len());
        let file = &mut sealed[begin..end];
        match kind {
            0 if file.len() > 60 => {
                let toc = file.len() - 52;
                seal(file, toc, toc + 48);
                let place = |file: &[u8], number: usize| {
                    let bytes = file[toc + number * 8..].first_chunk::<8>().copied().unwrap_or_default();
                    usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX).min(file.len())
                };
                let (symbols, mut entry) = (place(file, 0), place(file, 1));
                if let Some(length) = file.get(symbols..).and_then(|bytes| bytes.first_chunk::<4>()) {
                    let length = u32::from_be_bytes(*length) as usize;
                    seal(file, symbols + 4, symbols.saturating_add(4).saturating_add(length));
                }
                while let Some((length, bytes)) = file.get(entry..toc).and_then(uvarint).filter(|own| own.0 > 0) {
                    seal(file, entry + bytes, entry + bytes + length);
                    entry = (entry + bytes + length + 4).next_multiple_of(16);
                }
            }
            1 => {
                let mut chunk = 8;
                while let Some((length, bytes)) = file.get(chunk..).and_then(uvarint) {
                    seal(file, chunk + bytes, chunk + bytes + 1 + length);
                    chunk += bytes + 1 + length + 4;
                }
            }
            2 if file.len() > 9 => seal(file, 5, file.len() - 4),
            _ => {}
        }
        at = end;
    }
    block(&sealed);
}

/// The files of a block, each behind its length (four bytes, little-endian): index, chunks, tombstones, `meta.json`.
pub(crate) fn block(data: &[u8]) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let block = dir.path().join("01HM7N5AJ7QDXY0V4VW8RBYVH1");
    if fs::create_dir_all(block.join("chunks")).is_err() {
        return;
    }
    let mut rest = data;
    for name in ["index", "chunks/000001", "tombstones", "meta.json"] {
        let (length, behind) = rest
            .split_first_chunk::<4>()
            .map_or((0, rest), |(length, rest)| (u32::from_le_bytes(*length) as usize, rest));
        let (file, behind) = behind.split_at(length.min(behind.len()));
        if fs::write(block.join(name), file).is_err() {
            return;
        }
        rest = behind;
    }
    let mut damage = DamageList::default();
    let _ = list(dir.path(), &mut damage);
    let Ok(mut reader) = BlockReader::open(&block, &mut damage) else { return };
    let mut samples = Samples::default();
    while let Ok(Some(_)) = reader.next(&mut samples, &mut damage) {
        assert!(samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
