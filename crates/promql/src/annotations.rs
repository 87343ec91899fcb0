//! What a query tells besides its result: warnings and infos, in Prometheus' words.

use promql_syntax::Span;
use std::{cell::RefCell, collections::BTreeSet};

/// Collects annotations, each text once.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    seen: RefCell<BTreeSet<(bool, usize, String)>>,
}

impl Annotations {
    /// Something is probably wrong with the result.
    pub(crate) fn warn(&self, span: Span, text: impl Into<String>) {
        self.seen.borrow_mut().insert((false, span.start, text.into()));
    }

    /// Something is worth knowing.
    pub(crate) fn info(&self, span: Span, text: impl Into<String>) {
        self.seen.borrow_mut().insert((true, span.start, text.into()));
    }

    /// Warnings and infos with their places in `query`.
    pub(crate) fn finish(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        for (is_info, at, text) in &*self.seen.borrow() {
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
