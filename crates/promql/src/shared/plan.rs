//! Which parts of queries are the same: those that are printed alike, evaluated at the same times.

use super::kept::Room;
use super::{Member, Parts, SharedParts, Table};
use crate::engine::Engine;
use crate::functions::matrix_argument;
use promql_syntax::{Expr, Span, ValueType};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex},
};
use storage::{History, Queryable};

/// Parts longer than this are no parts of two panels, and printing them all would cost more than they do.
const PART_BYTES_MAX: usize = 4096;
/// So many bytes of parts are compared for all queries of a batch.
const TEXT_BYTES_MAX: usize = 16 << 20;
/// What is kept takes at most such a part of the memory that one query may take, and one part at most such a part.
const ROOM_PART: usize = 4;
const PART_PART: usize = 16;

/// A query of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchQuery<'a> {
    pub query: &'a str,
    /// Start, end and step in Unix milliseconds; the step is 0 for an instant query, at the end.
    pub times_ms: (i64, i64, i64),
    /// Instead of the engine's.
    pub lookback_delta_ms: Option<i64>,
}

impl Engine {
    /// What each of the queries has in common with others that are asked for the same times; for
    /// [`crate::QueryOptions::shared`] of the same query over the same storage. `None` where there is nothing, or where the query
    /// is wrong.
    pub fn share(&self, storage: &dyn Queryable, queries: &[BatchQuery<'_>]) -> Vec<Option<SharedParts>> {
        // Asked before anything is read.
        let history = storage.history();
        let mut out: Vec<Option<SharedParts>> = queries.iter().map(|_| None).collect();
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, query) in queries.iter().enumerate() {
            let lookback_ms = query.lookback_delta_ms.filter(|&ms| ms > 0).unwrap_or(self.options().lookback_delta_ms);
            groups.entry((query.times_ms, lookback_ms)).or_default().push(index);
        }
        let (room, mut text_bytes) = (room_of(self.options().max_memory_bytes), TEXT_BYTES_MAX);
        for ((_, lookback_ms), members) in groups {
            if members.len() < 2 {
                continue;
            }
            let mut search = Search { is_batch: true, text_bytes, ..Search::default() };
            let mut places = Vec::with_capacity(members.len());
            for &index in &members {
                let found = self.parse(queries[index].query).map(|expr| search.visit(&expr));
                places.push((index, found.unwrap_or_default()));
            }
            text_bytes = search.text_bytes;
            let texts = places.iter().map(|(index, _)| queries[*index].query);
            let shared = search.finish(
                texts.zip(places.iter().map(|(_, places)| places.as_slice())),
                lookback_ms,
                &room,
                history,
            );
            for ((index, _), shared) in places.iter().zip(shared) {
                out[*index] = shared;
            }
        }
        out
    }
}

fn room_of(max_memory_bytes: usize) -> Arc<Room> {
    Room::new(max_memory_bytes / ROOM_PART, max_memory_bytes / PART_PART)
}

impl SharedParts {
    /// What one query has more than once.
    pub(crate) fn of(expr: &Expr, query: &str, lookback_ms: i64, max_memory_bytes: usize) -> Option<SharedParts> {
        let (mut gathering, mut open) = (0, vec![expr]);
        while let Some(expr) = open.pop() {
            gathering += usize::from(is_gathering(expr));
            open.extend(expr.children());
        }
        if gathering < 2 {
            return None;
        }
        let mut search = Search { text_bytes: TEXT_BYTES_MAX, ..Search::default() };
        let places = search.visit(expr);
        search
            .finish(std::iter::once((query, places.as_slice())), lookback_ms, &room_of(max_memory_bytes), None)
            .pop()?
    }
}

/// Parts by their texts.
#[derive(Default)]
struct Search {
    /// All vectors and what range selectors read. Of a single query only what gathers series: what turns each series into one
    /// is streamed, and reading twice is cheaper than keeping it for somebody who comes right after.
    is_batch: bool,
    numbers: HashMap<String, usize>,
    asks: Vec<usize>,
    /// How often each part that gathers series stands anywhere: of those a query alone reads only the first.
    gathering: Vec<usize>,
    /// How many bytes may still be printed.
    text_bytes: usize,
}

impl Search {
    /// Gives the number of the part at each place.
    fn visit(&mut self, expr: &Expr) -> Vec<(Span, usize)> {
        let mut places = Vec::new();
        // With each node whether it is asked for; what is inside a part that was seen before is not.
        let mut open = vec![(expr, true)];
        while let Some((expr, mut is_asked)) = open.pop() {
            if self.is_part(expr) {
                is_asked = self.add(expr.to_string(), expr.span(), is_asked, &mut places);
                if let (true, Some((_, number))) = (is_gathering(expr), places.last()) {
                    self.gathering[*number] += 1;
                }
            }
            if let (true, Expr::Call(call)) = (self.is_batch, expr)
                && let Some(matrix) = matrix_argument(call)
                && self.fits(matrix.span)
            {
                // What a storage with down-sampled history gives depends on the function; these two are one to it.
                let function = if call.function == "increase" { "rate" } else { &call.function };
                // Nothing else begins with a bracket.
                let text = format!("[{function}] {}", Expr::Matrix(matrix.clone()));
                self.add(text, matrix.span, is_asked, &mut places);
            }
            open.extend(expr.children().into_iter().rev().map(|child| (child, is_asked)));
        }
        places
    }

    fn fits(&self, span: Span) -> bool {
        span.end.saturating_sub(span.start) <= PART_BYTES_MAX && self.text_bytes > 0
    }

    fn is_part(&self, expr: &Expr) -> bool {
        if !self.fits(expr.span()) {
            return false;
        }
        if !self.is_batch {
            return is_gathering(expr);
        }
        !matches!(expr, Expr::Paren(_)) && expr.value_type() == ValueType::Vector
    }

    /// True if what is inside is asked for, too.
    fn add(&mut self, text: String, span: Span, is_asked: bool, places: &mut Vec<(Span, usize)>) -> bool {
        self.text_bytes = self.text_bytes.saturating_sub(text.len());
        let next = self.numbers.len();
        let number = *self.numbers.entry(text).or_insert(next);
        let is_new = number == next;
        if is_new {
            self.asks.push(0);
            self.gathering.push(0);
        }
        self.asks[number] += usize::from(is_asked);
        places.push((span, number));
        is_asked && is_new
    }

    /// What each of the queries shares, in their order; they come with their texts and places.
    fn finish<'a>(
        self,
        queries: impl Iterator<Item = (&'a str, &'a [(Span, usize)])>,
        lookback_ms: i64,
        room: &Arc<Room>,
        history: Option<History>,
    ) -> Vec<Option<SharedParts>> {
        let (asks, gathering) = (self.asks, self.gathering);
        let mut users = vec![0_usize; asks.len()];
        let members: Vec<_> = queries
            .map(|(query, places)| {
                let is_wanted = |number: usize| asks[number] > 1 || gathering[number] > 1;
                let places: HashMap<Span, usize> =
                    places.iter().copied().filter(|&(_, number)| is_wanted(number)).collect();
                let mut numbers: Vec<usize> = places.values().copied().collect();
                numbers.sort_unstable();
                numbers.dedup();
                numbers.iter().for_each(|&number| users[number] += 1);
                (query.to_owned(), places, numbers)
            })
            .collect();
        let table = Mutex::new(Table { users, slots: HashMap::new() });
        let parts = Arc::new(Parts { asks, table, changed: Condvar::new(), room: Arc::clone(room) });
        members
            .into_iter()
            .map(|(query, places, numbers)| {
                let member = Member { parts: Arc::clone(&parts), history, query, lookback_ms, places, numbers };
                (!member.places.is_empty()).then(|| SharedParts(Arc::new(member)))
            })
            .collect()
    }
}

/// Nodes that need all series of their argument at once.
pub(super) fn is_gathering(expr: &Expr) -> bool {
    match expr {
        Expr::Aggregate(_) => true,
        Expr::Call(e) => e.function.starts_with("histogram_"),
        _ => false,
    }
}
