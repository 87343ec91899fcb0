//! The thread of a queue: reads the log, relabels, gives each series to its shard, and keeps the position.

use super::{
    RemoteWriteOptions,
    encode::Item,
    shard::{Checkpoint, Entry, Sender},
};
use model::{Labels, SampleValue};
use relabel::Rules;
use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};
use tsdb::{WalEvent, WalPosition};

/// Events of one reading.
const EVENTS_MAX: usize = 5000;
/// Pause when the log has nothing new.
const POLL: Duration = Duration::from_millis(100);
/// The position is written this often; what was sent since is sent again after a kill, and the receiver has it already.
const PERSIST_EVERY: Duration = Duration::from_secs(1);
/// Shards that are full for so long get company.
const BLOCKED_MAX: Duration = Duration::from_secs(5);
/// Relabelled label sets that are remembered.
const CACHE_MAX: usize = 200_000;

pub(super) struct Reader {
    sender: Arc<Sender>,
    options: RemoteWriteOptions,
    stop: Arc<AtomicBool>,
    path: PathBuf,
    rules: Rules,
    /// What becomes of a series' labels; `None`: it is not sent.
    relabelled: HashMap<Labels, Option<Labels>>,
    /// Checkpoints on their way, and the positions behind them.
    in_flight: VecDeque<(Arc<Checkpoint>, WalPosition)>,
    reached: Option<WalPosition>,
    persisted: (Option<WalPosition>, Instant),
}

struct Shards {
    entries: Vec<mpsc::Sender<Entry>>,
    tasks: Vec<JoinHandle<()>>,
}

/// The channel of a shard is closed: the queue is being stopped.
struct Closed;

impl Reader {
    pub(super) fn new(sender: Arc<Sender>, options: RemoteWriteOptions, stop: Arc<AtomicBool>) -> Self {
        let file = format!("{}.position", crate::default_name(&format!("{} {}", sender.name, sender.config.url)));
        let mut reader = Reader {
            path: options.dir.join(file),
            // The section has no faults, so that its rules can be made.
            rules: Rules::new(&sender.config.write_relabel_configs).unwrap_or_default(),
            sender,
            options,
            stop,
            relabelled: HashMap::new(),
            in_flight: VecDeque::new(),
            reached: None,
            persisted: (None, Instant::now()),
        };
        let end = reader.options.tsdb.wal_end();
        reader.reached = Some(match reader.load() {
            // The log was deleted: everything in it is new.
            Some(position) if position > end => WalPosition::default(),
            Some(position) => position,
            // The first time, as Prometheus: from now on.
            None => end,
        });
        reader.persist();
        reader
    }

    pub(super) fn run(mut self, runtime: &Handle) {
        let start = self.reached.unwrap_or_default();
        let mut follower = self.options.tsdb.follow(start);
        let mut count = self.sender.config.queue_config.min_shards;
        let mut shards = self.spawn(count, runtime);
        loop {
            // Before the reading: what was logged before the stop is still sent, if the deadline allows.
            let stopping = self.stop.load(Ordering::Acquire);
            let events = follower.read(EVENTS_MAX).unwrap_or_else(|error| {
                tracing::error!(remote_name = self.sender.name, %error, "the log cannot be read");
                Vec::new()
            });
            if events.is_empty() {
                if stopping {
                    break;
                }
                self.advance();
                std::thread::sleep(POLL);
                continue;
            }
            let started = Instant::now();
            if self.enqueue(events, follower.position(), &shards).is_err() {
                break;
            }
            self.advance();
            if started.elapsed() > BLOCKED_MAX && count < self.sender.config.queue_config.max_shards {
                // A series must not be in two shards: first the old ones send what they have.
                shards.finish(runtime);
                self.advance();
                count = (count * 2).min(self.sender.config.queue_config.max_shards);
                tracing::info!(
                    remote_name = self.sender.name,
                    shards = count,
                    "the receiver is slow; sending in more shards"
                );
                shards = self.spawn(count, runtime);
            }
        }
        shards.finish(runtime);
        self.advance();
        self.persist();
        self.sender.metrics.pending.set(0.0);
    }

    fn spawn(&self, count: usize, runtime: &Handle) -> Shards {
        self.sender.metrics.shards.set(count as f64);
        let mut shards = Shards { entries: Vec::with_capacity(count), tasks: Vec::with_capacity(count) };
        for _ in 0..count {
            let (entries, receiver) = mpsc::channel(self.sender.config.queue_config.capacity);
            shards.entries.push(entries);
            shards.tasks.push(runtime.spawn(Arc::clone(&self.sender).run_shard(receiver)));
        }
        shards
    }

    fn enqueue(&mut self, events: Vec<WalEvent>, position: WalPosition, shards: &Shards) -> Result<(), Closed> {
        let config = &self.sender.config;
        let (with_exemplars, with_histograms) = (config.send_exemplars, config.send_native_histograms);
        let mut newest_ms = i64::MIN;
        for event in events {
            let item = match event {
                WalEvent::Metadata { .. } => continue,
                WalEvent::Exemplar { .. } if !with_exemplars => continue,
                WalEvent::Sample { value: SampleValue::Histogram(_), .. } if !with_histograms => {
                    self.sender.metrics.dropped_unwanted.inc();
                    continue;
                }
                WalEvent::Sample { labels, timestamp_ms, value } => {
                    newest_ms = newest_ms.max(timestamp_ms);
                    self.relabel(&labels).map(|labels| Item::Sample { labels, timestamp_ms, value })
                }
                WalEvent::Exemplar { labels, exemplar } => {
                    self.relabel(&labels).map(|labels| Item::Exemplar { labels, exemplar })
                }
            };
            let Some(item) = item else {
                self.sender.metrics.dropped_relabel.inc();
                continue;
            };
            let hash = (item.labels().as_packed().bytes())
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
            let shard = &shards.entries[(hash % shards.entries.len() as u64) as usize];
            self.sender.metrics.pending.add(1.0);
            shard.blocking_send(Entry::Item(item)).map_err(|_| Closed)?;
        }
        if newest_ms > i64::MIN {
            self.sender.metrics.highest_read_seconds.set(newest_ms as f64 / 1000.0);
        }
        let checkpoint = Checkpoint::of_shards(shards.entries.len());
        for shard in &shards.entries {
            shard.blocking_send(Entry::Checkpoint(Arc::clone(&checkpoint))).map_err(|_| Closed)?;
        }
        self.in_flight.push_back((checkpoint, position));
        Ok(())
    }

    /// External labels, where the series has none of that name, then the rules.
    fn relabel(&mut self, labels: &Labels) -> Option<Labels> {
        if let Some(known) = self.relabelled.get(labels) {
            return known.clone();
        }
        let mut builder = self.options.external_labels.to_builder();
        for (name, value) in labels {
            builder.set(name, value);
        }
        let sent = self.rules.apply(&builder.build()).filter(|labels| !labels.is_empty());
        if self.relabelled.len() >= CACHE_MAX {
            self.relabelled.clear();
        }
        self.relabelled.insert(labels.clone(), sent.clone());
        sent
    }

    /// Notes what has been sent.
    fn advance(&mut self) {
        while let Some((checkpoint, position)) = self.in_flight.front() {
            if !checkpoint.is_reached() {
                break;
            }
            self.reached = Some(*position);
            self.in_flight.pop_front();
        }
        if self.persisted.1.elapsed() >= PERSIST_EVERY {
            self.persist();
        }
    }

    fn load(&self) -> Option<WalPosition> {
        let text = fs::read_to_string(&self.path).ok()?;
        let (segment, offset) = text.trim().split_once(' ')?;
        Some(WalPosition { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
    }

    fn persist(&mut self) {
        self.persisted.1 = Instant::now();
        let Some(position) = self.reached.filter(|reached| self.persisted.0 != Some(*reached)) else { return };
        let write = || -> io::Result<()> {
            let temporary = self.path.with_extension("tmp");
            fs::write(&temporary, format!("{} {}\n", position.segment, position.offset))?;
            fs::rename(&temporary, &self.path)
        };
        match write() {
            Ok(()) => self.persisted.0 = Some(position),
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "the position of remote_write cannot be written");
            }
        }
    }
}

impl Shards {
    /// Lets the shards send what they have, and waits for them.
    fn finish(self, runtime: &Handle) {
        drop(self.entries);
        for task in self.tasks {
            let _ = runtime.block_on(task);
        }
    }
}
