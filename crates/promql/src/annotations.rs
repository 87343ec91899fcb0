//! What a query tells besides its result: warnings and infos, in Prometheus' words.

use promql_syntax::Span;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Collects annotations, each text once: of several places, as in Prometheus, the last one that told it counts.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    /// Info rather than warning, and text; with the place in the query.
    seen: Mutex<BTreeMap<(bool, String), Span>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// Info rather than warning.
    pub(crate) is_info: bool,
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Annotations {
    fn seen(&self) -> MutexGuard<'_, BTreeMap<(bool, String), Span>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what `f` tells, and gives it.
    pub(crate) fn captured<T>(&self, f: impl FnOnce() -> T) -> (T, Vec<Note>) {
        let before = std::mem::take(&mut *self.seen());
        let result = f();
        let told = std::mem::replace(&mut *self.seen(), before);
        let notes: Vec<Note> = told.into_iter().map(|((is_info, text), span)| Note { is_info, text, span }).collect();
        self.add(notes.clone());
        (result, notes)
    }

    /// Notes what was told before.
    pub(crate) fn add(&self, notes: Vec<Note>) {
        self.seen().extend(notes.into_iter().map(|note| ((note.is_info, note.text), note.span)));
    }

    /// Something is probably wrong with the result.
    pub(crate) fn warn(&self, span: Span, text: impl Into<String>) {
        self.seen().insert((false, text.into()), span);
    }

    /// Something is worth knowing.
    pub(crate) fn info(&self, span: Span, text: impl Into<String>) {
        self.seen().insert((true, text.into()), span);
    }

    /// Warnings and infos with their places in `query`.
    pub(crate) fn finish(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        let seen = self.seen();
        let mut notes: Vec<_> = seen.iter().map(|((is_info, text), span)| (span.start, is_info, text)).collect();
        notes.sort_unstable();
        for (at, is_info, text) in notes {
            let (line, column) = promql_syntax::error::line_column(query, at);
            if *is_info {
                infos.push(format!("PromQL info: {text} ({line}:{column})"));
            } else {
                warnings.push(format!("PromQL warning: {text} ({line}:{column})"));
            }
        }
        (warnings, infos)
    }
}
