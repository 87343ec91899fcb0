//! Logs put together after the format's description.

use anyhow::Result;
use prometheus_tsdb::{DamageList, head, wal::Record};
use proptest::prelude::*;
use std::{fs, path::Path};

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn series(number: u64, name: &str) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(number.to_be_bytes());
    out.push(1);
    for text in ["__name__", name] {
        out.push(text.len() as u8);
        out.extend(text.as_bytes());
    }
    out
}

fn samples(list: &[(u64, i64, f64)]) -> Vec<u8> {
    let mut out = vec![2];
    let (number, time, _) = list[0];
    out.extend(number.to_be_bytes());
    out.extend(time.to_be_bytes());
    for (own, at, value) in list {
        varint(&mut out, own.cast_signed() - number.cast_signed());
        varint(&mut out, at - time);
        out.extend(value.to_bits().to_be_bytes());
    }
    out
}

fn exemplar(number: u64, time: i64, value: f64, trace: &str) -> Vec<u8> {
    let mut out = vec![4];
    out.extend(number.to_be_bytes());
    out.extend(time.to_be_bytes());
    varint(&mut out, 0);
    varint(&mut out, 0);
    out.extend(value.to_bits().to_be_bytes());
    out.push(1);
    for text in ["trace", trace] {
        out.push(text.len() as u8);
        out.extend(text.as_bytes());
    }
    out
}

#[test]
fn exemplars_come_with_their_series() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let records =
        [series(7, "m"), exemplar(7, 100, 0.5, "a"), exemplar(7, 200, 0.7, "b"), exemplar(9, 100, 1.0, "lost")];
    segment(&dir.path().join("wal/00000000"), &records)?;
    let mut damage = DamageList::default();
    let head = head::load(dir.path(), i64::MIN, &mut damage, &mut |_, _| {})?;
    let found: Vec<String> = (head.exemplars.iter())
        .flat_map(|(labels, list)| {
            list.iter().map(move |own| format!("{labels} {} {} {:?}", own.labels, own.value, own.timestamp_ms))
        })
        .collect();
    let m = "{__name__=\"m\"}";
    assert_eq!(found, [format!("{m} {{trace=\"a\"}} 0.5 Some(100)"), format!("{m} {{trace=\"b\"}} 0.7 Some(200)")]);
    assert_eq!((head.orphans, damage.count), (1, 0));
    Ok(())
}

fn deleted(number: u64, from: i64, to: i64) -> Vec<u8> {
    let mut out = vec![3];
    out.extend(number.to_be_bytes());
    varint(&mut out, from);
    varint(&mut out, to);
    out
}

fn segment(path: &Path, records: &[Vec<u8>]) -> Result<()> {
    let mut bytes = Vec::new();
    for record in records {
        bytes.push(1);
        bytes.extend((record.len() as u16).to_be_bytes());
        bytes.extend(crc32c::crc32c(record).to_be_bytes());
        bytes.extend(record);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(path, bytes)?)
}

fn load(dir: &Path, from_ms: i64) -> Result<(String, DamageList)> {
    let mut damage = DamageList::default();
    let head = head::load(dir, from_ms, &mut damage, &mut |_, _| {})?;
    let mut text = String::new();
    for (labels, samples) in &head.series {
        text += labels.get("__name__").unwrap_or_default();
        for (time, value) in samples.timestamps.iter().zip(&samples.values) {
            text += &format!(" {time}={value}");
        }
        text += "; ";
    }
    Ok((format!("{text}orphans {}", head.orphans), damage))
}

#[test]
fn logs_become_a_head() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // What the checkpoint replaces must not be read again: number 1 would be another series.
    segment(&dir.path().join("wal/00000000"), &[series(1, "old")])?;
    let checkpoint = [series(1, "a"), samples(&[(1, 5, 0.5), (1, 10, 1.0)])];
    segment(&dir.path().join("wal/checkpoint.00000000/00000000"), &checkpoint)?;
    // The series comes again under another number; one is not known; some is deleted.
    let log = [
        series(2, "b"),
        series(3, "a"),
        samples(&[(2, 20, 2.0), (3, 30, 3.0), (9, 30, 9.0), (2, 40, 4.0)]),
        deleted(2, 35, 45),
    ];
    segment(&dir.path().join("wal/00000001"), &log)?;
    // Late samples; at an equal time the first one counts.
    segment(&dir.path().join("wbl/00000000"), &[samples(&[(1, 7, 0.7), (1, 30, 8.0)])])?;
    let (said, damage) = load(dir.path(), 10)?;
    assert_eq!(said, "a 7=0.7 10=1 30=3; b 20=2; orphans 1");
    assert_eq!(damage.list, []);

    // What was being written at the end is no damage; a flipped bit is, and costs the rest of the segment.
    let path = dir.path().join("wal/00000001");
    let whole = fs::read(&path)?;
    fs::write(&path, &whole[..whole.len() - 3])?;
    let (said, damage) = load(dir.path(), 10)?;
    assert_eq!((said.as_str(), damage.count), ("a 7=0.7 10=1 30=3; b 20=2 40=4; orphans 1", 0));
    let mut flipped = whole;
    flipped[60] ^= 1;
    fs::write(&path, flipped)?;
    let (said, damage) = load(dir.path(), 10)?;
    assert!(said.starts_with("a 7=0.7 10=1 30=8; "), "{said}");
    assert_eq!(damage.count, 1);
    assert!(damage.list[0].to_string().contains("the rest of the segment is left out"), "{}", damage.list[0]);
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_not(kind in 0_u8..17, mut data in proptest::collection::vec(any::<u8>(), 1..200)) {
        data[0] = kind;
        let _ = Record::decode(&data);
    }
}
