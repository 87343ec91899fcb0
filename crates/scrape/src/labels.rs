//! Labels of a sample and labels of its target: who wins.

use crate::config::Limits;
use model::labels::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use model::{Labels, LabelsBuilder};
use relabel::Rules;

/// Puts the target's labels to a sample's and applies `metric_relabel_configs`. `None`: the sample is dropped.
/// `wanted_empty` tells which labels the target writes without a value.
pub(crate) fn sample_labels(
    own: &Labels,
    wanted_empty: impl Fn(&str) -> bool,
    target: &Labels,
    honor_labels: bool,
    rules: &Rules,
) -> Option<Labels> {
    let mut builder = own.to_builder();
    if honor_labels {
        for (name, value) in target {
            // A label that the target writes as empty is wanted empty: this is how federation keeps `instance` away.
            if own.get(name).is_none() && !wanted_empty(name) {
                builder.set(name, value);
            }
        }
    } else {
        set_exporting(&mut builder, own, target);
    }
    if rules.is_empty() || rules.apply_to(&mut builder) { Some(builder.build()) } else { None }
}

/// Sets the target's labels; a label of the sample that is in the way moves to `exported_…`.
fn set_exporting(builder: &mut LabelsBuilder, own: &Labels, target: &Labels) {
    let mut moved: Vec<(String, String)> = Vec::new();
    for (name, value) in target {
        if let Some(before) = own.get(name) {
            moved.push((name.to_owned(), before.to_owned()));
        }
        builder.set(name, value);
    }
    for (name, value) in moved {
        let mut free = format!("exported_{name}");
        while builder.get(&free).is_some() {
            free.insert_str(0, "exported_");
        }
        builder.set(&free, &value);
    }
}

/// Labels of a series that the scrape itself makes, as `up`.
pub(crate) fn report_labels(name: &str, target: &Labels) -> Labels {
    let mut builder = target.to_builder();
    builder.set(METRIC_NAME, name);
    builder.build()
}

/// The name of the metric or of a label that only newer rules allow.
pub(crate) fn modern_name(labels: &Labels) -> Option<String> {
    let legacy = |name: &str, value: &str| match name {
        METRIC_NAME => is_legacy_metric_name(value),
        _ => is_legacy_label_name(name),
    };
    let (name, value) = labels.iter().find(|(name, value)| !legacy(name, value))?;
    Some(if name == METRIC_NAME { value } else { name }.to_owned())
}

/// Why labels break a limit of the job.
pub(crate) fn check_limits(labels: &Labels, limits: &Limits) -> Result<(), String> {
    if limits.labels == 0 && limits.label_name_length == 0 && limits.label_value_length == 0 {
        return Ok(());
    }
    let metric = labels.metric_name();
    let count = labels.len() as u64;
    if limits.labels > 0 && count > limits.labels {
        return Err(format!(
            "label_limit exceeded (metric: {metric:?}, number of labels: {count}, limit: {})",
            limits.labels
        ));
    }
    for (name, value) in labels {
        if limits.label_name_length > 0 && name.len() as u64 > limits.label_name_length {
            return Err(format!(
                "label_name_length_limit exceeded (metric: {metric:?}, label name: {name:?}, length: {}, limit: {})",
                name.len(),
                limits.label_name_length
            ));
        }
        if limits.label_value_length > 0 && value.len() as u64 > limits.label_value_length {
            return Err(format!(
                "label_value_length_limit exceeded (metric: {metric:?}, label name: {name:?}, length: {}, limit: {})",
                value.len(),
                limits.label_value_length
            ));
        }
    }
    Ok(())
}
