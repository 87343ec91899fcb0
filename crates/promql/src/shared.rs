//! Parts that stand in a query more than once are evaluated once: `sum(a) / (sum(a) + sum(b))`.

use crate::value::{Grid, Intermediate};
use promql_syntax::{Expr, Span};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The repeated parts of a query, and their values while somebody still needs them.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Number of the text at each place.
    places: HashMap<Span, usize>,
    /// By that number.
    parts: Mutex<Vec<Part>>,
}

#[derive(Debug, Default)]
struct Part {
    /// How many places have not asked yet.
    waiting: usize,
    value: Option<(Grid, bool, Intermediate)>,
}

/// Parts by their texts.
#[derive(Default)]
struct Search {
    texts: HashMap<String, usize>,
    places: Vec<(Span, usize)>,
}

impl Search {
    fn visit(&mut self, expr: &Expr) {
        // What turns each series into one is streamed, never held: reading twice is cheaper than keeping it.
        if matches!(expr, Expr::Aggregate(_)) || is_gathering(expr) {
            let next = self.texts.len();
            let number = *self.texts.entry(expr.to_string()).or_insert(next);
            self.places.push((expr.span(), number));
            if number < next {
                // What is inside is not asked for again.
                return;
            }
        }
        expr.children().into_iter().for_each(|child| self.visit(child));
    }
}

/// Functions that need all series of their argument at once.
fn is_gathering(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(e) if e.function.starts_with("histogram_"))
}

impl Shared {
    pub(crate) fn of(expr: &Expr) -> Shared {
        let mut candidates = 0;
        count(expr, &mut candidates);
        if candidates < 2 {
            return Shared::default();
        }
        let mut search = Search::default();
        search.visit(expr);
        let mut uses = vec![0_usize; search.texts.len()];
        search.places.iter().for_each(|(_, number)| uses[*number] += 1);
        let repeated: HashSet<usize> = (0..uses.len()).filter(|&number| uses[number] > 1).collect();
        search.places.retain(|(_, number)| repeated.contains(number));
        let parts = uses.into_iter().map(|waiting| Part { waiting, value: None }).collect();
        Shared { places: search.places.into_iter().collect(), parts: Mutex::new(parts) }
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the part stands elsewhere, too.
    pub(crate) fn has(&self, expr: &Expr) -> bool {
        !self.places.is_empty() && self.places.contains_key(&expr.span())
    }

    /// The value of a part that was evaluated elsewhere for the same times; `histogram_stats` as the evaluator has it.
    pub(crate) fn take(&self, expr: &Expr, grid: Grid, histogram_stats: bool) -> Option<Intermediate> {
        let mut parts = self.parts();
        let part = parts.get_mut(*self.places.get(&expr.span())?)?;
        part.waiting = part.waiting.saturating_sub(1);
        if part.waiting == 0 {
            return part
                .value
                .take()
                .filter(|(own, stats, _)| (*own, *stats) == (grid, histogram_stats))
                .map(|all| all.2);
        }
        let (own, stats, value) = part.value.as_ref()?;
        ((*own, *stats) == (grid, histogram_stats)).then(|| value.clone())
    }

    /// Keeps a value for the places that have not asked yet.
    pub(crate) fn put(&self, expr: &Expr, grid: Grid, histogram_stats: bool, value: &Intermediate) {
        let Some(&number) = self.places.get(&expr.span()) else { return };
        let mut parts = self.parts();
        if let Some(part) = parts.get_mut(number).filter(|part| part.waiting > 0 && part.value.is_none()) {
            part.value = Some((grid, histogram_stats, value.clone()));
        }
    }
}

fn count(expr: &Expr, found: &mut usize) {
    *found += usize::from(matches!(expr, Expr::Aggregate(_)) || is_gathering(expr));
    expr.children().into_iter().for_each(|child| count(child, found));
}
