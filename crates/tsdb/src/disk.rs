//! A disk that loses its power, by seed: what was written and not forced is there, or not, or in part; what was created,
//! renamed or deleted in a folder that was not forced happened, or did not, each for itself. Before every operation of the
//! engine, and between its calls, some of the states that the disk may be in are opened and compared with what was
//! acknowledged. `VIGIE_POWER_SEEDS=50` for more seeds.
//!
//! The files are real ones. What of them would be left is kept beside: the content at the last `sync` of each file, the
//! names at the last `sync` of each folder.

use crate::{SyncPolicy, Tsdb, TsdbOptions, files::Force};
use model::{Labels, Matcher, SampleValue};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};

thread_local! {
    static DISK: RefCell<Option<Disk>> = const { RefCell::new(None) };
}

/// Called before every operation that changes names or forces something to the disk.
pub(crate) fn step(force: &Force<'_>) {
    // While a state is looked at, what the engine does to it is no matter of this disk.
    let Some(mut disk) = DISK.take() else { return };
    disk.step(force);
    DISK.set(Some(disk));
}

/// Looks at a state, of which it is told which one it is.
type Look = Box<dyn FnMut(&Path, &str)>;

/// A file or a folder, whatever it is called.
type Node = u64;

#[derive(Clone, Debug)]
enum Change {
    Named { name: String, node: Node },
    Gone { name: String },
    Renamed { from: String, to: String, node: Node },
}

#[derive(Default)]
struct Folder {
    /// Names that are on the disk.
    forced: BTreeMap<String, Node>,
    /// What happened since, in order; each may have reached the disk or not.
    since: Vec<Change>,
    now: BTreeMap<String, Node>,
}

struct Disk {
    root: PathBuf,
    noise: mutation::Noise,
    /// One in so many steps is a power cut.
    rare: usize,
    next: Node,
    /// By number of the file system, as long as the file is there.
    by_inode: HashMap<u64, Node>,
    folders: HashMap<Node, Folder>,
    forced: HashMap<Node, Vec<u8>>,
    /// Hears of a sync of a log segment that is about to be done.
    log_is_forced: Box<dyn FnMut()>,
    look: Look,
    states: u64,
    steps: u64,
}

const ROOT: Node = 0;

impl Disk {
    fn new(root: &Path, seed: u64, log_is_forced: Box<dyn FnMut()>, look: Look) -> Self {
        Disk {
            root: root.to_owned(),
            noise: mutation::Noise::new(seed),
            rare: 6,
            next: ROOT + 1,
            by_inode: HashMap::new(),
            folders: [(ROOT, Folder::default())].into(),
            forced: HashMap::new(),
            log_is_forced,
            look,
            states: 0,
            steps: 0,
        }
    }

    fn step(&mut self, force: &Force<'_>) {
        self.steps += 1;
        self.scan(&self.root.clone(), ROOT, &mut BTreeSet::new());
        self.maybe_fail();
        match force {
            Force::Nothing => {}
            Force::File(file) => {
                let inode = file.metadata().unwrap().ino();
                if let Some(node) = self.by_inode.get(&inode).copied() {
                    let path = self.path_of(node).unwrap();
                    self.forced.insert(node, fs::read(&path).unwrap());
                    if path.parent() == Some(&self.root.join("wal")) {
                        (self.log_is_forced)();
                    }
                }
            }
            Force::Dir(dir) => {
                let inode = fs::metadata(dir).unwrap().ino();
                let node = if *dir == self.root { Some(ROOT) } else { self.by_inode.get(&inode).copied() };
                if let Some(folder) = node.and_then(|node| self.folders.get_mut(&node)) {
                    folder.since.clear();
                    folder.forced = folder.now.clone();
                }
            }
        }
    }

    /// Between calls: what is in the log and not forced may be there in part.
    fn maybe_fail(&mut self) {
        if self.noise.below(self.rare) == 0 {
            self.scan(&self.root.clone(), ROOT, &mut BTreeSet::new());
            self.fail();
        }
    }

    /// Finds out what happened since the last step.
    fn scan(&mut self, dir: &Path, node: Node, seen: &mut BTreeSet<u64>) {
        let mut now = BTreeMap::new();
        let mut deeper = Vec::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(meta) = entry.metadata() else { continue };
            // A lock means nothing on the disk.
            if name == "lock" {
                continue;
            }
            seen.insert(meta.ino());
            let own = *self.by_inode.entry(meta.ino()).or_insert_with(|| {
                self.next += 1;
                self.next
            });
            if meta.is_dir() {
                self.folders.entry(own).or_default();
                deeper.push((entry.path(), own));
            }
            now.insert(name, own);
        }
        let folder = self.folders.entry(node).or_default();
        let mut come: Vec<(&String, Node)> = now
            .iter()
            .filter(|(name, own)| folder.now.get(*name) != Some(own))
            .map(|(name, own)| (name, *own))
            .collect();
        for (name, own) in &folder.now {
            if now.get(name) == Some(own) {
                continue;
            }
            let to = come.iter().position(|(_, come)| come == own).map(|at| come.remove(at));
            match to {
                Some((to, node)) => {
                    folder.since.push(Change::Renamed { from: name.clone(), to: to.clone(), node });
                }
                // Another file took the name.
                None if now.contains_key(name) => {}
                None => folder.since.push(Change::Gone { name: name.clone() }),
            }
        }
        folder.since.extend(come.into_iter().map(|(name, node)| Change::Named { name: name.clone(), node }));
        folder.now = now;
        for (path, own) in deeper {
            self.scan(&path, own, seen);
        }
        if node == ROOT {
            // Numbers are used again for other files.
            self.by_inode.retain(|inode, _| seen.contains(inode));
        }
    }

    fn path_of(&self, wanted: Node) -> Option<PathBuf> {
        let mut open = vec![(ROOT, self.root.clone())];
        while let Some((node, path)) = open.pop() {
            for (name, own) in &self.folders.get(&node)?.now {
                let path = path.join(name);
                if *own == wanted {
                    return Some(path);
                }
                if self.folders.contains_key(own) {
                    open.push((*own, path));
                }
            }
        }
        None
    }

    /// Looks at one of the states that the disk may be in now.
    fn fail(&mut self) {
        let dir = folder();
        let kind = ["nothing that was not forced", "everything", "some of it", "some of it, in order"];
        let which = self.noise.below(kind.len());
        self.build(ROOT, dir.path(), which);
        self.states += 1;
        (self.look)(dir.path(), &format!("state {} after step {}: {}", self.states, self.steps, kind[which]));
    }

    fn build(&mut self, node: Node, to: &Path, kind: usize) {
        let folder = &self.folders[&node];
        let mut names = folder.forced.clone();
        let changes = folder.since.clone();
        let until = self.noise.below(changes.len() + 1);
        for (at, change) in changes.into_iter().enumerate() {
            let happened = match kind {
                0 => false,
                1 => true,
                2 => self.noise.below(2) == 0,
                _ => at < until,
            };
            if !happened {
                continue;
            }
            match change {
                Change::Named { name, node } => drop(names.insert(name, node)),
                Change::Gone { name } => drop(names.remove(&name)),
                Change::Renamed { from, to, node } => {
                    // Where the name from before is another file by now, that one is not meant.
                    if names.get(&from) == Some(&node) {
                        names.remove(&from);
                    }
                    names.insert(to, node);
                }
            }
        }
        for (name, own) in names {
            let path = to.join(name);
            if self.folders.contains_key(&own) {
                fs::create_dir(&path).unwrap();
                self.build(own, &path, kind);
            } else {
                let content = self.content(own, kind);
                fs::write(path, content).unwrap();
            }
        }
    }

    fn content(&mut self, node: Node, kind: usize) -> Vec<u8> {
        let forced = self.forced.get(&node).cloned().unwrap_or_default();
        // Of a file that is deleted, what was forced is all that is known.
        let Some(now) = self.path_of(node).and_then(|path| fs::read(path).ok()) else { return forced };
        match kind {
            0 => forced,
            1 => now,
            _ if !now.starts_with(&forced) => {
                if self.noise.below(2) == 0 {
                    forced
                } else {
                    now
                }
            }
            _ => {
                let mut torn = now;
                torn.truncate(forced.len() + self.noise.below(torn.len() - forced.len() + 1));
                // The length is told and the bytes never came.
                if self.noise.below(3) == 0 {
                    let from = forced.len() + self.noise.below(torn.len() - forced.len() + 1);
                    let to = (from + 512).min(torn.len());
                    torn[from..to].fill(0);
                }
                torn
            }
        }
    }
}

type Content = BTreeMap<(String, i64), u64>;

/// What the engine said.
#[derive(Default)]
struct Said {
    /// Everything that was ever sent.
    sent: Content,
    /// Acknowledged, and not deleted since.
    acknowledged: Content,
    /// Of that, what was forced to the disk.
    safe: Content,
    /// What is being deleted, or was and is not forced.
    deleting: BTreeSet<(String, i64)>,
    every: bool,
}

fn open(dir: &Path, every: bool) -> Arc<Tsdb> {
    let options = TsdbOptions {
        block_range_ms: 100,
        block_range_ms_max: 900,
        retention_ms: 0,
        segment_bytes_max: 1500,
        checkpoint_log_bytes: 150,
        sync: if every { SyncPolicy::EveryAppend } else { SyncPolicy::Interval(Duration::from_secs(3600)) },
        clock: Arc::new(system::TestClock::at(1_700_000_000_000)),
        ..TsdbOptions::new(dir)
    };
    Tsdb::open(options).unwrap()
}

fn content(engine: &Tsdb) -> Content {
    let mut content = Content::new();
    for series in engine.querier(i64::MIN, i64::MAX).unwrap().select(&SelectHints::default(), &[]).unwrap() {
        let (series, mut samples) = (series.unwrap(), Samples::default());
        series.read(&mut samples).unwrap();
        assert!(samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]), "no sample twice");
        let name = series.labels().get("s").unwrap_or_default().to_owned();
        for (time, value) in samples.timestamps.iter().zip(&samples.values) {
            content.insert((name.clone(), *time), value.to_bits());
        }
    }
    content
}

/// In memory, where there is such a place: nothing of it is forced anywhere.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Opens a state and compares.
fn look(dir: &Path, what: &str, said: &Said, thoroughly: bool) {
    // Without the thread that syncs: thousands of them take their time.
    let engine = open(dir, true);
    let found = content(&engine);
    for (sample, value) in &found {
        assert_eq!(said.sent.get(sample), Some(value), "{what}: {sample:?} was never sent so");
        let is_gone = said.every && !said.acknowledged.contains_key(sample) && !said.deleting.contains(sample);
        // What is being sent may be there.
        assert!(!is_gone || is_new(said, sample), "{what}: {sample:?} was deleted");
    }
    for (sample, value) in &said.safe {
        let there = found.get(sample) == Some(value) || said.deleting.contains(sample);
        assert!(there, "{what}: {sample:?} was acknowledged and is lost; damage: {:?}", engine.damage());
    }
    // A checkpoint tells of nothing that the log has lost.
    let ahead: Vec<_> =
        engine.damage().into_iter().filter(|damage| damage.reason.contains("checkpoint of the head")).collect();
    assert_eq!(ahead, [], "{what}");
    if thoroughly {
        // The folder is good for another life.
        let newest = said.sent.keys().map(|(_, time)| *time).max().unwrap_or(0);
        let more = row(newest + 150, 2);
        assert_eq!(engine.append_series(&more).unwrap().samples_appended, 3, "{what}");
        engine.maintain().unwrap();
        engine.maintain().unwrap();
        let expected = content(&engine);
        assert!(found.keys().all(|sample| expected.contains_key(sample)), "{what}");
        drop(engine);
        assert_eq!(content(&open(dir, true)), expected, "{what}, and started once more");
    }
}

/// Of the call that is not back yet.
fn is_new(said: &Said, sample: &(String, i64)) -> bool {
    let newest = said.acknowledged.keys().map(|(_, time)| *time).max().unwrap_or(i64::MIN);
    sample.1 > newest
}

fn row(time: i64, value: u64) -> Vec<SeriesSamples> {
    let one = |number: usize| SeriesSamples {
        labels: Labels::from_pairs([("__name__", "m"), ("s", number.to_string().as_str())]),
        samples: vec![(time, SampleValue::Float((value + number as u64) as f64))],
        ..SeriesSamples::default()
    };
    (0..3).map(one).collect()
}

/// One life of a folder; gives the number of power cuts, and after how many calls there was a checkpoint.
fn live(seed: u64, every: bool) -> (u64, u64) {
    let dir = folder();
    // The folder's own name is for its owner to force.
    let root = dir.path().to_owned();
    let said = Rc::new(RefCell::new(Said { every, ..Said::default() }));
    let force_log = {
        let said = Rc::clone(&said);
        move || {
            let mut said = said.borrow_mut();
            said.safe = said.acknowledged.clone();
        }
    };
    let look = {
        let (said, mut count) = (Rc::clone(&said), seed);
        move |dir: &Path, what: &str| {
            count += 1;
            let what =
                format!("seed {seed}, {}, {what}", if every { "sync at every append" } else { "sync now and then" });
            look(dir, &what, &said.borrow(), count % 8 == 0);
        }
    };
    DISK.set(Some(Disk::new(&root, seed, Box::new(force_log), Box::new(look))));
    let between = || {
        let Some(mut disk) = DISK.take() else { return };
        disk.maybe_fail();
        DISK.set(Some(disk));
    };
    let mut noise = mutation::Noise::new(seed ^ 0x5eed);
    let mut engine = open(&root, every);
    let (mut time, mut with_checkpoint) = (0, 0);
    for _ in 0..60 {
        match noise.below(12) {
            0 => engine.maintain().unwrap(),
            1 => engine.compact_all().unwrap(),
            2 => {
                let (from, to) = (time - 300 + noise.below(200) as i64, time - 50);
                let all = |sample: &(String, i64)| sample.0 == "1" && (from..=to).contains(&sample.1);
                {
                    let mut said = said.borrow_mut();
                    let gone: Vec<_> = said.acknowledged.keys().filter(|sample| all(sample)).cloned().collect();
                    said.deleting.extend(gone);
                }
                engine.delete_series(from, to, &[Matcher::equal("s", "1")]).unwrap();
                let mut said = said.borrow_mut();
                said.acknowledged.retain(|sample, _| !all(sample));
                if every {
                    said.safe.retain(|sample, _| !all(sample));
                    said.deleting.clear();
                }
            }
            3 => engine.clean_tombstones().unwrap(),
            4 => {
                drop(engine);
                engine = open(&root, every);
            }
            _ => {
                for _ in 0..1 + noise.below(8) {
                    time += 5 + noise.below(30) as i64;
                    let rows = row(time, noise.below(50) as u64);
                    let sent = rows.iter().map(|one| {
                        let SampleValue::Float(value) = one.samples[0].1 else { unreachable!() };
                        ((one.labels.get("s").unwrap().to_owned(), time), value.to_bits())
                    });
                    let sent: Content = sent.collect();
                    said.borrow_mut().sent.extend(sent.clone());
                    assert_eq!(engine.append_series(&rows).unwrap().samples_appended, 3);
                    {
                        let mut said = said.borrow_mut();
                        said.acknowledged.extend(sent.clone());
                        if every {
                            said.safe.extend(sent);
                        }
                    }
                    between();
                }
            }
        }
        between();
        with_checkpoint += u64::from(root.join("head").exists());
    }
    drop(engine);
    (DISK.take().map_or(0, |disk| disk.states), with_checkpoint)
}

#[test]
fn no_power_cut_loses_what_was_forced() {
    let seeds = std::env::var("VIGIE_POWER_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let (mut states, mut with_checkpoint) = (0, 0);
    for seed in 0..seeds {
        let own = live(seed, seed % 2 == 0);
        states += own.0;
        with_checkpoint += own.1;
    }
    assert!(states >= 30 * seeds, "{states} power cuts");
    assert!(with_checkpoint > seeds, "a checkpoint was there after {with_checkpoint} calls");
}

/// The disk itself: what was not forced is lost in the strictest state, and what was is in none.
#[test]
fn the_disk_forgets_what_was_not_forced() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().to_owned();
    let mut disk = Disk::new(&root, 1, Box::new(|| {}), Box::new(|_, _| {}));
    disk.rare = usize::MAX;
    let state = |disk: &mut Disk, kind: usize| -> io::Result<BTreeMap<String, Vec<u8>>> {
        disk.scan(&root, ROOT, &mut BTreeSet::new());
        let to = tempfile::tempdir()?;
        disk.build(ROOT, to.path(), kind);
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(to.path())? {
            let entry = entry?;
            found.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
        }
        Ok(found)
    };
    let told = |list: &[(&str, &[u8])]| -> BTreeMap<String, Vec<u8>> {
        list.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect()
    };
    fs::write(root.join("a"), "one")?;
    assert_eq!((state(&mut disk, 0)?, state(&mut disk, 1)?), (told(&[]), told(&[("a", b"one")])));
    // The name alone, then the content as well.
    disk.step(&Force::Dir(&root));
    assert_eq!(state(&mut disk, 0)?, told(&[("a", b"")]));
    disk.step(&Force::File(&File::open(root.join("a"))?));
    fs::write(root.join("a"), "one and more")?;
    assert_eq!(state(&mut disk, 0)?, told(&[("a", b"one")]));
    for _ in 0..50 {
        let torn = &state(&mut disk, 2)?["a"];
        assert!(torn.starts_with(b"one") && torn.len() <= 12);
    }
    // A name that goes over: the old file or the new one, never none.
    fs::write(root.join("b"), "two")?;
    disk.scan(&root, ROOT, &mut BTreeSet::new());
    disk.step(&Force::File(&File::open(root.join("b"))?));
    fs::rename(root.join("b"), root.join("a"))?;
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let found = state(&mut disk, 2)?;
        seen.insert(found["a"].starts_with(b"two"));
    }
    assert_eq!(seen.len(), 2);
    Ok(())
}
