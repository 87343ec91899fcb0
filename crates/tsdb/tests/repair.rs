//! `verify` finds every flipped bit and every cut, `repair` keeps what can be read and puts the rest aside.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{Content, copy, files, folder, options, read_all, samples};
use model::{Exemplar, Matcher, SampleValue};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use storage::{Ingest, Presence, Row, Samples, SeriesSamples};
use tsdb::{OpenError, SeriesExemplars, Tsdb, TsdbOptions, repair, restore, verify};

/// A folder with blocks, tombstones and several log segments; what it has; its files but the lock, of the log three.
fn original() -> (tempfile::TempDir, Content, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path());
    let engine = open(dir.path());
    engine.delete_series(300, 700, &[Matcher::equal("s", "7")]).unwrap();
    let content = read_all(&engine);
    drop(engine);
    let mut paths = Vec::new();
    files(dir.path(), &mut paths);
    paths.sort();
    let segments: Vec<PathBuf> = paths.iter().filter(|path| path.parent().unwrap().ends_with("wal")).cloned().collect();
    let chosen = [&segments[0], &segments[segments.len() / 2], &segments[segments.len() - 1]];
    paths.retain(|path| !path.ends_with("lock") && (!segments.contains(path) || chosen.contains(&path)));
    let kinds: BTreeSet<&str> = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    for kind in ["data", "times", "symbols", "index", "meta.json", "tombstones"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    (dir, content, paths)
}

fn open(dir: &Path) -> std::sync::Arc<Tsdb> {
    Tsdb::open(TsdbOptions { block_range_ms: 1000, segment_bytes_max: 30_000, ..options(dir) }).unwrap()
}

/// Damages a file: cut at a byte, or a bit of it flipped.
fn damage(path: &Path, bytes: &[u8], at: usize, cut: bool) {
    let mut bytes = bytes.to_vec();
    if cut {
        bytes.truncate(at)
    } else {
        bytes[at] ^= 1 << (at % 8)
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_flipped_bit_and_every_cut_is_told_with_file_and_byte() {
    let (dir, _, paths) = original();
    let mut read = Vec::new();
    let whole = verify(dir.path(), &mut |done, all| read.push((done, all))).unwrap();
    assert_eq!((&whole.damage, &whole.notes), (&vec![], &vec![]));
    assert!(whole.blocks >= 2 && whole.segments > 2, "{whole:?}");
    assert_eq!(read.last(), Some(&(whole.bytes, whole.bytes)));
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        let name = path.strip_prefix(dir.path()).unwrap().display();
        let is_newest = path.to_string_lossy().contains("/wal/") && paths.last() == Some(path);
        let step = (bytes.len() / 12).max(1) | 1;
        for at in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
            for cut in [true, false] {
                damage(path, &bytes, at, cut);
                let found = verify(dir.path(), &mut |_, _| {}).unwrap();
                let first = found.damage.iter().find(|damage| damage.path == *path);
                let note = found.notes.iter().find(|note| note.path == *path);
                // The newest segment may end anywhere: a crash does that. At the end of a record nothing is to be seen.
                match first.or(note) {
                    Some(first) => assert!(first.at <= at as u64, "{name} at {at}, cut: {cut}: {found:?}"),
                    None => assert!(path.to_string_lossy().contains("/wal/") && cut, "{name} at {at}, cut: {cut}"),
                }
                assert!(is_newest || note.is_none(), "{name} at {at}, cut: {cut}: {found:?}");
                assert!(found.damage.iter().all(|damage| damage.path == *path), "{name} at {at}: {found:?}");
            }
        }
        fs::write(path, &bytes).unwrap();
    }
}

#[test]
fn what_is_repaired_serves_all_that_could_be_read() {
    let (original, expected, paths) = original();
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        let relative = path.strip_prefix(original.path()).unwrap();
        for (at, cut) in [(bytes.len() / 2, false), (bytes.len() / 3, true), (0, false), (bytes.len() - 1, false)] {
            let what = format!("{} at {at}, cut: {cut}", relative.display());
            let (dir, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            copy(original.path(), dir.path());
            damage(&dir.path().join(relative), &bytes, at, cut);
            copy(dir.path(), second.path());
            let served = read_all(&open(second.path()));
            let found = verify(dir.path(), &mut |_, _| {}).unwrap();
            let outcome = repair(dir.path(), &mut |_, _| {}).unwrap();
            assert_eq!(outcome.damage, found.damage, "{what}");
            for repaired in &outcome.repaired {
                // Nothing is thrown away.
                let aside = repaired.aside.as_ref().unwrap();
                let was = if repaired.is_block { aside.join(relative.file_name().unwrap()) } else { aside.clone() };
                assert_eq!(fs::read(was).unwrap(), fs::read(second.path().join(relative)).unwrap(), "{what}");
            }
            assert_eq!(outcome.repaired.is_empty(), found.damage.is_empty(), "{what}");
            assert_eq!(verify(dir.path(), &mut |_, _| {}).unwrap().damage, [], "{what}");
            assert_eq!(repair(dir.path(), &mut |_, _| {}).unwrap().repaired, [], "{what}: once is enough");
            let engine = open(dir.path());
            assert_eq!(engine.damage(), [], "{what}");
            let content = read_all(&engine);
            let lost_deletions = relative.ends_with("tombstones");
            for (series, samples) in &content {
                for (time, value) in samples {
                    let own = expected.get(series).and_then(|samples| samples.get(time));
                    assert!(own == Some(value) || lost_deletions && own.is_none(), "{what}: {series} at {time}");
                }
            }
            for (series, samples) in &served {
                for (time, value) in samples {
                    let kept = content.get(series).and_then(|samples| samples.get(time));
                    assert_eq!(kept, Some(value), "{what}: {series} at {time} was served before the repair");
                }
            }
            assert!(samples(&content) >= samples(&expected) / 2 - 60, "{what}");
        }
    }
}

/// Rows in the head and in a checkpoint of it, and more behind that.
fn with_checkpoint(dir: &Path) -> (TsdbOptions, Vec<PathBuf>) {
    let options =
        TsdbOptions { block_range_ms: 1 << 30, segment_bytes_max: 6_000, checkpoint_log_bytes: 1, ..options(dir) };
    let engine = Tsdb::open(options.clone()).unwrap();
    let layout = engine.layout(&(0..7).map(common::labels).collect::<Vec<_>>()).unwrap();
    for time in 0..1200_i64 {
        let values: Vec<f64> = (0..7).map(|series| (time * series % 13) as f64).collect();
        let row = Row {
            layout: &layout,
            timestamp_ms: time * 10,
            values: &values,
            presence: Presence::All,
            histograms: &[],
            own_timestamps: &[],
            start_timestamps: &[],
            changed: None,
            exemplars: &[],
        };
        engine.append_rows(&[row]).unwrap();
        if time == 900 {
            engine.maintain().unwrap();
        }
    }
    engine.close().unwrap();
    drop(engine);
    assert!(dir.join("head").exists());
    let mut paths = Vec::new();
    files(&dir.join("wal"), &mut paths);
    paths.sort();
    (options, paths)
}

/// The name of the segment in which the checkpoint of [`with_checkpoint`] was made: the newest that is older than it.
fn position_segment(paths: &[PathBuf]) -> std::ffi::OsString {
    let head = paths[0].parent().unwrap().parent().unwrap().join("head");
    let bytes = fs::read(head).unwrap();
    // Magic, then length and checksum of BEGIN: its kind, a varint of five bytes (2^30), and the number.
    let number = bytes[8 + 8 + 1 + 5];
    paths
        .iter()
        .find(|path| path.to_string_lossy().ends_with(&format!("{number:08}")))
        .unwrap()
        .file_name()
        .unwrap()
        .to_owned()
}

/// The log before a checkpoint is read by nobody, so that its damage costs nothing, and neither does its repair.
#[test]
fn what_a_checkpoint_has_outlives_the_repair_of_the_log() {
    let original = tempfile::tempdir().unwrap();
    let (options, paths) = with_checkpoint(original.path());
    assert!(paths.len() > 3, "{paths:?}");
    let open = |dir: &Path| {
        Tsdb::open(TsdbOptions { dir: dir.to_owned(), registry: Default::default(), ..options.clone() }).unwrap()
    };
    let mut whole = 0;
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        let relative = path.strip_prefix(original.path()).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 5 + 1) {
            let what = format!("{} at {at}", relative.display());
            let (dir, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            copy(original.path(), dir.path());
            damage(&dir.path().join(relative), &bytes, at, false);
            copy(dir.path(), second.path());
            let served = read_all(&open(second.path()));
            let found = verify(dir.path(), &mut |_, _| {}).unwrap();
            let outcome = repair(dir.path(), &mut |_, _| {}).unwrap();
            assert_eq!(outcome.damage, found.damage, "{what}");
            let aside = outcome.repaired[0].aside.as_ref().unwrap();
            assert_eq!(fs::read(aside).unwrap(), fs::read(second.path().join(relative)).unwrap(), "{what}");
            assert_eq!(verify(dir.path(), &mut |_, _| {}).unwrap().damage, [], "{what}");
            assert_eq!(repair(dir.path(), &mut |_, _| {}).unwrap().repaired, [], "{what}: once is enough");
            assert_eq!(read_all(&open(dir.path())), served, "{what}");
            whole += usize::from(samples(&served) == 7 * 1200);
        }
    }
    assert!(whole > 5, "{whole} times all was there");
    // The segment in which the checkpoint was made is shorter, or is not there at all: what is behind is lost, and said.
    let last = Path::new("wal").join(position_segment(&paths));
    for cut in [Some(8), Some(3), Some(2_000), None] {
        let (dir, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(original.path(), dir.path());
        let newer: Vec<&PathBuf> = paths.iter().filter(|path| path.file_name() > last.file_name()).collect();
        newer.iter().for_each(|path| fs::remove_file(dir.path().join("wal").join(path.file_name().unwrap())).unwrap());
        match cut {
            Some(bytes) => {
                let file = fs::OpenOptions::new().write(true).open(dir.path().join(&last)).unwrap();
                file.set_len(bytes).unwrap();
            }
            None => fs::remove_file(dir.path().join(&last)).unwrap(),
        }
        copy(dir.path(), second.path());
        if let Some(bytes) = cut {
            let told: Vec<_> = open(second.path()).damage().into_iter().map(|damage| damage.at).collect();
            assert_eq!(told, [bytes], "at {bytes}");
        }
        // What comes then is not taken for what the checkpoint has.
        for time in [20_000, 30_000] {
            let sample = SeriesSamples {
                labels: common::labels(3),
                samples: vec![(time, SampleValue::Float(1.5))],
                ..SeriesSamples::default()
            };
            assert_eq!(open(second.path()).append_series(&[sample]).unwrap().samples_appended, 1);
            let after = read_all(&open(second.path()));
            assert!(after.values().any(|samples| samples.contains_key(&time)), "{cut:?}: {time}");
        }
        let found = verify(dir.path(), &mut |_, _| {}).unwrap();
        assert_eq!(found.damage.len(), 1, "{cut:?}: {found:?}");
        assert_eq!(
            (&found.damage[0].path, found.damage[0].at),
            (&dir.path().join(&last), cut.unwrap_or(0)),
            "{found:?}"
        );
        let outcome = repair(dir.path(), &mut |_, _| {}).unwrap();
        assert_eq!(outcome.damage, found.damage, "{cut:?}");
        assert_eq!(verify(dir.path(), &mut |_, _| {}).unwrap().damage, [], "{cut:?}");
        let kept = samples(&read_all(&open(dir.path())));
        assert!(kept + 2 >= samples(&read_all(&open(second.path()))) && kept >= 7 * 900, "{cut:?}: {kept}");
    }
    // A segment that is missing there.
    fs::remove_file(&paths[1]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    copy(original.path(), dir.path());
    assert_eq!(samples(&read_all(&open(original.path()))), 7 * 1200);
    assert_eq!(repair(dir.path(), &mut |_, _| {}).unwrap().repaired.len(), 1);
    assert_eq!(samples(&read_all(&open(dir.path()))), 7 * 1200);
}

#[test]
fn missing_files_are_damage() {
    let (dir, expected, paths) = original();
    let middle = paths[paths.len() - 2].clone();
    assert!(middle.to_string_lossy().contains("/wal/"));
    for path in [middle, paths.iter().find(|path| path.ends_with("times")).unwrap().clone()] {
        fs::remove_file(&path).unwrap();
        let found = verify(dir.path(), &mut |_, _| {}).unwrap();
        assert_eq!(found.damage.iter().map(|damage| &damage.path).collect::<Vec<_>>(), [&path]);
        assert_eq!(repair(dir.path(), &mut |_, _| {}).unwrap().damage.len(), 1);
    }
    assert_eq!(verify(dir.path(), &mut |_, _| {}).unwrap().damage, []);
    let content = read_all(&open(dir.path()));
    assert!(samples(&content) < samples(&expected) && samples(&content) > 0);
}

#[test]
fn files_that_only_some_blocks_have_are_missed_too() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let mut import = engine.import_block(0, 1000).unwrap();
    let mut samples = Samples::default();
    (0..1000).step_by(10).for_each(|time| samples.push_float(time, time as f64));
    import.add_series(&common::labels(1), &samples).unwrap();
    let exemplar = Exemplar { labels: common::labels(9), value: 1.0, timestamp_ms: Some(500) };
    import.set_exemplars([SeriesExemplars { labels: common::labels(1), exemplars: vec![exemplar] }]);
    let block = dir.path().join(import.finish().unwrap().unwrap());
    engine.delete_series(100, 199, &[Matcher::equal("s", "1")]).unwrap();
    engine.delete_series(300, 399, &[Matcher::equal("s", "1")]).unwrap();
    let snapshot = tempfile::tempdir().unwrap();
    let copied = snapshot.path().join("all");
    engine.snapshot(&copied, false).unwrap();
    drop(engine);
    let without = |dir: &Path, name: &str| {
        let own = tempfile::tempdir().unwrap();
        copy(dir, own.path());
        assert_eq!(verify(own.path(), &mut |_, _| {}).unwrap().damage, [], "{name}");
        let path = own.path().join(block.file_name().unwrap()).join(name);
        fs::remove_file(&path).unwrap();
        let found = verify(own.path(), &mut |_, _| {}).unwrap().damage;
        assert_eq!(found.iter().map(|damage| &damage.path).collect::<Vec<_>>(), [&path], "{name}");
        // The server serves the rest and says so.
        let engine = open(own.path());
        let exemplars = engine.exemplars(i64::MIN, i64::MAX, &[Vec::new()]).unwrap().len();
        let damage = engine.damage();
        assert!(damage.len() == 1 && damage[0].path == path && damage[0].reason.contains("missing"), "{damage:?}");
        let content = read_all(&engine);
        drop(engine);
        let outcome = repair(own.path(), &mut |_, _| {}).unwrap();
        assert_eq!((outcome.damage.len(), outcome.repaired.len()), (1, 1), "{name}");
        assert_eq!(verify(own.path(), &mut |_, _| {}).unwrap().damage, [], "{name}");
        let engine = open(own.path());
        assert_eq!((read_all(&engine), engine.damage()), (content.clone(), vec![]), "{name}");
        assert_eq!(engine.exemplars(i64::MIN, i64::MAX, &[Vec::new()]).unwrap().len(), exemplars);
        (common::samples(&content), exemplars)
    };
    for folder in [dir.path(), &copied] {
        assert_eq!(without(folder, "exemplars"), (80, 0));
        assert_eq!(without(folder, "tombstones"), (100, 1));
    }
}

#[test]
fn an_interrupted_repair_is_taken_up() {
    let (dir, expected, _) = original();
    let block =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.join("data").exists());
    let block = block.unwrap();
    let ready = dir.path().join("repaired");
    // It was killed after the damaged block went aside.
    fs::create_dir_all(&ready).unwrap();
    fs::rename(&block, ready.join(block.file_name().unwrap())).unwrap();
    assert_eq!(read_all(&open(dir.path())), expected);
    assert!(!ready.exists());
    // It was killed before.
    copy(&block, &ready.join(block.file_name().unwrap()));
    fs::create_dir_all(ready.join("01ARZ3NDEKTSV4RRFFQ69G5FAV.tmp")).unwrap();
    repair(dir.path(), &mut |_, _| {}).unwrap();
    assert!(!ready.exists());
    assert_eq!(read_all(&open(dir.path())), expected);
}

#[test]
fn snapshots_and_copies_are_restored() {
    let (dir, expected, _) = original();
    let copies = tempfile::tempdir().unwrap();
    let (snapshot, target, moved) =
        (copies.path().join("snapshot"), copies.path().join("new/data"), copies.path().join("moved"));
    let engine = open(dir.path());
    engine.snapshot(&snapshot, false).unwrap();
    assert!(matches!(restore(dir.path(), &target, &mut |_, _| {}), Err(OpenError::Locked { .. })));
    drop(engine);
    let blocks = restore(&snapshot, &target, &mut |_, _| {}).unwrap();
    assert!(blocks > 2);
    // Once more, as after an interruption; a block of it is missing.
    let block =
        fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.join("data").exists());
    fs::remove_dir_all(block.unwrap()).unwrap();
    assert_eq!(restore(&snapshot, &target, &mut |_, _| {}).unwrap(), blocks);
    assert_eq!(read_all(&open(&target)), expected);
    // A data folder with its log; what happens to the one does not happen to the other.
    restore(dir.path(), &moved, &mut |_, _| {}).unwrap();
    let engine = open(&moved);
    assert_eq!(read_all(&engine), expected);
    engine.delete_series(i64::MIN, i64::MAX, &[Matcher::equal("s", "8")]).unwrap();
    engine.clean_tombstones().unwrap();
    drop(engine);
    assert!(read_all(&open(&moved)) != expected);
    assert_eq!(read_all(&open(dir.path())), expected);
    assert!(matches!(restore(&snapshot, &moved, &mut |_, _| {}), Err(OpenError::NotEmpty { .. })));
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let (dir, ..) = original();
    let engine = open(dir.path());
    assert!(matches!(verify(dir.path(), &mut |_, _| {}), Err(OpenError::Locked { .. })));
    assert!(matches!(repair(dir.path(), &mut |_, _| {}), Err(OpenError::Locked { .. })));
    drop(engine);
    let nowhere = dir.path().join("nowhere");
    assert!(verify(&nowhere, &mut |_, _| {}).is_err() && repair(&nowhere, &mut |_, _| {}).is_err());
    assert!(!nowhere.exists());
}
