//! Parts that stand more than once in a query, or in the queries of a batch, are evaluated once: `sum(a) / (sum(a) + sum(b))`,
//! or `rate(a[5m])` below `sum by (b)` in one panel and below `sum by (c)` in the next.
//!
//! Whoever comes first to a part evaluates it. Who comes meanwhile waits, who comes later takes what is kept, and the last one
//! who may come takes it away. What would need more memory than is set aside is not kept: then everyone evaluates it alone.

mod evaluate;
mod kept;
mod plan;

pub(crate) use kept::{Cost, Gathering, Kept, Known, Read, Reads, Rows};
pub use plan::BatchQuery;

use crate::error::QueryError;
use crate::eval::Times;
use crate::value::Grid;
use kept::Room;
use promql_syntax::{Expr, Span};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use storage::History;

/// So often who waits for a part looks whether his own query was stopped.
const LOOK: Duration = Duration::from_millis(10);

/// What a query shares with itself or with the others of its batch. Given back when the last clone is dropped.
#[derive(Clone)]
pub struct SharedParts(Arc<Member>);

impl fmt::Debug for SharedParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedParts").field("query", &self.0.query).field("places", &self.0.places.len()).finish()
    }
}

/// One of the queries that share.
struct Member {
    parts: Arc<Parts>,
    /// Of the storage before any of the queries read from it.
    history: Option<History>,
    /// Its text, and the lookback that it is evaluated with.
    query: String,
    lookback_ms: i64,
    /// Number of the part at each place.
    places: HashMap<Span, usize>,
    /// Those numbers, each once.
    numbers: Vec<usize>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut table = self.parts.table();
        for &number in &self.numbers {
            table.users[number] = table.users[number].saturating_sub(1);
        }
        let Table { users, slots } = &mut *table;
        slots.retain(|key, _| users[key.number] > 0);
    }
}

impl SharedParts {
    /// What may be said of results that stand on what another query of the batch read, `now` being what may be said of what is
    /// read now.
    pub(crate) fn history(&self, now: History) -> Option<History> {
        let earlier = self.0.history?;
        Some(History { settled_before_ms: earlier.settled_before_ms.min(now.settled_before_ms), ..earlier })
    }

    /// True if this was made for the query.
    pub(crate) fn is_of(&self, query: &str, lookback_ms: i64) -> bool {
        self.0.query == query && self.0.lookback_ms == lookback_ms
    }

    /// Number of the part that a node is, if it is one.
    pub(crate) fn number(&self, expr: &Expr) -> Option<usize> {
        if matches!(expr, Expr::Paren(_)) {
            // Its inside is asked.
            return None;
        }
        self.0.places.get(&expr.span()).copied()
    }

    /// As [`SharedParts::number`], of what a range selector reads, or of the node at a place that is none in parentheses.
    pub(crate) fn number_at(&self, span: Span) -> Option<usize> {
        self.0.places.get(&span).copied()
    }

    /// Whose turn it is to evaluate a part; may wait, and asks `check` now and then whether to go on.
    ///
    /// # Errors
    /// Those of `check`.
    pub(crate) fn ask(&self, key: Key, check: &dyn Fn() -> Result<(), QueryError>) -> Result<Turn<'_>, QueryError> {
        let parts = &*self.0.parts;
        let mut table = parts.table();
        loop {
            let slot = table
                .slots
                .entry(key)
                .or_insert_with(|| Slot { asks: parts.asks.get(key.number).copied().unwrap_or(0), state: State::Idle });
            if matches!(slot.state, State::Running) {
                check()?;
                table = parts.changed.wait_timeout(table, LOOK).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            slot.asks = slot.asks.saturating_sub(1);
            // Parts wait only for parts inside of them, so that nobody waits in a circle.
            let turn = match (&slot.state, slot.asks) {
                (State::Kept(kept), _) => Turn::Kept(Arc::clone(kept)),
                (State::Idle, 1..) => Turn::First(Running { parts, key, is_open: true }),
                (State::Spent, _) => Turn::Spent,
                _ => Turn::Alone,
            };
            if slot.asks == 0 {
                slot.state =
                    if matches!(slot.state, State::Kept(_) | State::Spent) { State::Spent } else { State::Alone };
            } else if matches!(turn, Turn::First(_)) {
                slot.state = State::Running;
            }
            return Ok(turn);
        }
    }
}

/// A part at the times at which it is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) number: usize,
    pub(crate) grid: Grid,
    pub(crate) times: Times,
    /// As the evaluator has it.
    pub(crate) histogram_stats: bool,
    /// As the storage counted when the query began: parts from before and after a deletion do not go together.
    pub(crate) deletions: u64,
}

/// What to do about a part.
pub(crate) enum Turn<'p> {
    /// Somebody did it.
    Kept(Arc<Kept>),
    /// Evaluate it, and tell the others.
    First(Running<'p>),
    /// Evaluate it; nobody else wants it, or it is too large to be kept.
    Alone,
    /// Evaluate it; it was kept, but has gone before somebody came who was not foreseen.
    Spent,
}

/// The parts of the queries of one grid.
struct Parts {
    /// How often each part is asked for, if all others are evaluated once.
    asks: Vec<usize>,
    table: Mutex<Table>,
    changed: Condvar,
    room: Arc<Room>,
}

struct Table {
    /// How many queries that have each part are not done.
    users: Vec<usize>,
    slots: HashMap<Key, Slot>,
}

struct Slot {
    /// How many have not asked yet.
    asks: usize,
    state: State,
}

enum State {
    Idle,
    Running,
    Kept(Arc<Kept>),
    Alone,
    /// All have it who were foreseen.
    Spent,
}

impl Parts {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part is being evaluated. Dropped without more, as when that failed, the next one who asks does it.
pub(crate) struct Running<'p> {
    parts: &'p Parts,
    key: Key,
    is_open: bool,
}

impl Running<'_> {
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.parts.room
    }

    /// For the others.
    pub(crate) fn keep(mut self, kept: Arc<Kept>) {
        self.close(State::Kept(kept));
    }

    /// It is too large: the others are to do it themselves.
    pub(crate) fn give_up(mut self) {
        self.close(State::Alone);
    }

    fn close(&mut self, state: State) {
        self.is_open = false;
        let mut table = self.parts.table();
        // It is gone where the last query that has the part is.
        if let Some(slot) = table.slots.get_mut(&self.key) {
            slot.state = if slot.asks == 0 { State::Alone } else { state };
        }
        drop(table);
        self.parts.changed.notify_all();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.close(State::Idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, EngineOptions, QueryOptions};
    use model::Labels;
    use storage::{Samples, memory::MemoryStorage};

    fn data() -> MemoryStorage {
        let storage = MemoryStorage::new();
        for number in 0..20 {
            let mut samples = Samples::default();
            for step in 0..100_i64 {
                samples.push_float(step * 15_000, (step * number) as f64);
            }
            storage
                .replace_series(Labels::from_pairs([("__name__", "m"), ("i", number.to_string().as_str())]), samples);
        }
        storage
    }

    const TIMES_MS: (i64, i64, i64) = (0, 1_400_000, 10_000);

    fn share(engine: &Engine, queries: &[&str]) -> Vec<SharedParts> {
        let queries: Vec<_> =
            queries.iter().map(|query| BatchQuery { query, times_ms: TIMES_MS, lookback_delta_ms: None }).collect();
        engine.share(&data(), &queries).into_iter().flatten().collect()
    }

    fn run(engine: &Engine, query: &str, shared: SharedParts) {
        let options = QueryOptions { shared: Some(shared), ..QueryOptions::default() };
        engine.range(&data(), query, TIMES_MS.0, TIMES_MS.1, TIMES_MS.2, &options).unwrap();
    }

    #[test]
    fn memory_is_given_back_with_the_last_user() {
        let queries = ["sum(rate(m[1m]))", "max(rate(m[1m]))", "min(rate(m[1m]))"];
        let engine = Engine::default();
        let mut shared = share(&engine, &queries);
        let room = Arc::clone(&shared[0].0.parts.room);
        let last = shared.pop().unwrap();
        let second = shared.pop().unwrap();
        run(&engine, queries[0], shared.pop().unwrap());
        let (series, steps) = (20, 141);
        let taken = room.taken();
        assert!(taken > series * steps * 9 && taken < series * (steps * 9 + 500), "{taken} bytes");
        run(&engine, queries[1], second);
        assert_eq!(room.taken(), taken);
        run(&engine, queries[2], last);
        assert_eq!(room.taken(), 0);
        // Also where the last user never comes.
        let mut shared = share(&engine, &queries);
        let room = Arc::clone(&shared[0].0.parts.room);
        run(&engine, queries[1], shared.remove(1));
        assert_eq!(room.taken(), taken);
        drop(shared);
        assert_eq!(room.taken(), 0);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        // One part may take a sixteenth.
        let engine = Engine::new(EngineOptions { max_memory_bytes: 200_000, ..EngineOptions::default() });
        let queries = ["sum(rate(m[1m]))", "max(rate(m[1m]))"];
        let mut shared = share(&engine, &queries);
        let room = Arc::clone(&shared[0].0.parts.room);
        let last = shared.pop().unwrap();
        run(&engine, queries[0], shared.pop().unwrap());
        assert_eq!(room.taken(), 0);
        let table = last.0.parts.table();
        assert!(table.slots.values().all(|slot| matches!(slot.state, State::Alone)), "{} slots", table.slots.len());
        assert!(!table.slots.is_empty());
    }
}
