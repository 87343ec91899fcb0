//! Whether what was read by difference is what the plain parser reads.

use super::custom_buckets::is_part;
use super::{DROPPED, REPEATED, Rulebook, TargetState};
use crate::labels::sample_labels;
use exposition::{Entry, Format, Parser};

/// Of so many lines the labels of one are read, too: they cost far more than keys and values.
const LABELS_EVERY: usize = 16;

impl TargetState {
    /// Compares the lines of the base and their values with what the parser reads. `turn` chooses the lines whose
    /// labels are read.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn verify(&mut self, format: Format, book: &Rulebook, turn: u64) -> Result<(), String> {
        let parser = Parser::new(self.base.body(), format).map_err(|fault| fault.to_string())?;
        let turn = turn as usize % LABELS_EVERY;
        let mut line = 0;
        for entry in parser {
            let Entry::Sample(sample) = entry.map_err(|fault| fault.to_string())? else { continue };
            let (Some(head), Some(&slot)) = (self.base.head(line), self.slots.get(line)) else {
                return Err(format!("line {} has a sample more", sample.line));
            };
            if head.trim_ascii() != sample.key.trim().as_bytes() {
                return Err(format!("line {} has the key {}", sample.line, sample.key));
            }
            if is_part(slot) {
                let value = self.parts.value(slot);
                if slot & REPEATED == 0 && value.map(f64::to_bits) != Some(sample.value.to_bits()) {
                    return Err(format!("line {} has the value {}, not {value:?}", sample.line, sample.value));
                }
                line += 1;
                continue;
            }
            let series = if slot == DROPPED { DROPPED } else { slot & !REPEATED };
            if line % LABELS_EVERY == turn {
                let own = sample.labels().map_err(|fault| fault.to_string())?;
                let labels = sample_labels(
                    &own,
                    |name| sample.has_empty_label(name),
                    &book.target,
                    book.honor_labels,
                    &book.rules,
                );
                let expected = labels.map_or(Some(DROPPED), |labels| self.series.slot(&labels));
                if expected != Some(series) {
                    return Err(format!("line {} is another series: {}", sample.line, sample.key));
                }
            }
            let stamped = sample.timestamp_ms.is_some() && book.honor_timestamps;
            let value = self.values.get(series as usize).copied();
            // The report may have taken the place of a value, and so has an earlier line.
            if slot & REPEATED == 0 && !self.report_slots.contains(&slot) {
                if value.map(f64::to_bits) != Some(sample.value.to_bits()) {
                    return Err(format!("line {} has the value {}, not {value:?}", sample.line, sample.value));
                }
                if stamped != self.stamped.contains(series) || !self.seen.contains(series) {
                    return Err(format!("line {} is of another kind: {}", sample.line, sample.key));
                }
            }
            line += 1;
        }
        if line == self.slots.len() && line == self.base.len() {
            Ok(())
        } else {
            Err(format!("{line} samples, not {}", self.slots.len()))
        }
    }
}
