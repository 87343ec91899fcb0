//! What a query tells besides its result: warnings and infos, in Prometheus' words.

use promql_syntax::Span;
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Collects annotations, each text once.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    seen: Mutex<BTreeSet<Note>>,
}

/// Info rather than warning, place in the query, text.
pub(crate) type Note = (bool, usize, String);

impl Annotations {
    fn seen(&self) -> MutexGuard<'_, BTreeSet<Note>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.seen().len()
    }

    /// Something is probably wrong with the result.
    pub(crate) fn warn(&self, span: Span, text: impl Into<String>) {
        self.seen().insert((false, span.start, text.into()));
    }

    /// Something is worth knowing.
    pub(crate) fn info(&self, span: Span, text: impl Into<String>) {
        self.seen().insert((true, span.start, text.into()));
    }

    /// Warnings and infos with their places in `query`.
    pub(crate) fn finish(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        for (is_info, at, text) in &*self.seen() {
            let (line, column) = promql_syntax::error::line_column(query, *at);
            if *is_info {
                infos.push(format!("PromQL info: {text} ({line}:{column})"));
            } else {
                warnings.push(format!("PromQL warning: {text} ({line}:{column})"));
            }
        }
        (warnings, infos)
    }
}
