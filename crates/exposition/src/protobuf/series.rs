//! What a sample of a body is a sample of.

use super::wire::{Fields, WireError};
use crate::number::float_label;
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

/// Number of the field that has a label, in metrics and in exemplars.
pub(super) const LABEL: u64 = 1;

/// Which series of its metric it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Whole,
    Count,
    Sum,
    Bucket(f64),
    Quantile(f64),
}

/// A series of a body, nothing of it decoded.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    pub(super) family: &'a str,
    pub(super) part: Part,
    /// The message of the metric, which has the labels.
    pub(super) metric: &'a [u8],
}

impl Series<'_> {
    /// The labels, `__name__` among them; bounds and quantiles in the form that all formats share.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn labels(&self) -> Result<Labels, String> {
        let mut builder = pairs(self.metric)?;
        if builder.get(METRIC_NAME).is_some() {
            return Err(format!("a series of {:?} has a label {METRIC_NAME}; the name is the family's", self.family));
        }
        let (suffix, bound) = match self.part {
            Part::Whole => ("", None),
            Part::Count => ("_count", None),
            Part::Sum => ("_sum", None),
            Part::Bucket(bound) => ("_bucket", Some(("le", bound))),
            Part::Quantile(quantile) => ("", Some(("quantile", quantile))),
        };
        builder.set(METRIC_NAME, &format!("{}{suffix}", self.family));
        if let Some((name, bound)) = bound {
            if builder.get(name).is_some() {
                return Err(format!("a series of {:?} has a label {name:?}, which its type sets", self.family));
            }
            builder.set(name, &float_label(bound));
        }
        Ok(builder.build())
    }

    /// True when the target wrote this label with an empty value, which [`Series::labels`] leaves out.
    pub fn has_empty_label(&self, name: &str) -> bool {
        let mut fields = Fields::new(self.metric);
        while let Ok(Some((number, value))) = fields.next() {
            let label = if number == LABEL { value.bytes() } else { continue };
            if label.and_then(pair).is_ok_and(|pair| pair == (name.as_bytes(), b"".as_slice())) {
                return true;
            }
        }
        false
    }
}

/// Name and value of a label.
fn pair(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// The labels of a metric or of an exemplar: both have them in the same field.
pub(super) fn pairs(message: &[u8]) -> Result<LabelsBuilder, String> {
    let mut builder = LabelsBuilder::default();
    let mut names: Vec<&str> = Vec::new();
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        if number != LABEL {
            continue;
        }
        let (name, value) = pair(value.bytes()?)?;
        let name = std::str::from_utf8(name).map_err(|_| "a label's name is not valid UTF-8")?;
        let value =
            std::str::from_utf8(value).map_err(|_| format!("the value of label {name:?} is not valid UTF-8"))?;
        if name.is_empty() {
            return Err("a label has no name".into());
        }
        names.push(name);
        builder.set(name, value);
    }
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("label name {:?} is not unique", pair[0])),
        None => Ok(builder),
    }
}
