//! `vigie query analyze`: how many buckets of histograms are in use, as promtool tells it.

use super::output::say;
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const HEAD: &str = "\
Bucket stats for each histogram series over time
------------------------------------------------
First the min, avg, and max number of populated buckets, followed by the total
number of buckets (only if different from the max number of populated buckets
which is typical for classic but not native histograms).
";

const AGGREGATED: &str = "
Aggregated bucket stats
-----------------------
Each line shows min/avg/max over the series above.";

/// Buckets of one histogram over time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stats {
    min: usize,
    avg: f64,
    max: usize,
    total: usize,
}

impl Stats {
    /// From the number of populated buckets at each time.
    fn of(populated: &[usize], total: usize) -> Option<Stats> {
        let (min, max) = (populated.iter().min()?, populated.iter().max()?);
        #[expect(clippy::cast_precision_loss, reason = "counts of buckets are small")]
        let avg = populated.iter().sum::<usize>() as f64 / populated.len() as f64;
        Some(Stats { min: *min, avg, max: *max, total })
    }
}

impl std::fmt::Display for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{:.3}/{}", self.min, self.avg, self.max)?;
        if self.total == self.max { Ok(()) } else { write!(f, "/{}", self.total) }
    }
}

/// Prints the report on the matrices that the selectors gave.
pub(super) fn report(matrices: &[Value]) -> Result<()> {
    let (mut native, mut classic) = (Vec::new(), Vec::new());
    say(HEAD);
    for matrix in matrices {
        if matrix["resultType"] != "matrix" {
            bail!("the server did not answer with a range of samples, but with {}", matrix["resultType"]);
        }
        let series = matrix["result"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (name, stats) in of_native(series) {
            say(&format!("- {name} (native): {stats}"));
            native.push(stats);
        }
        for (name, stats) in of_classic(series) {
            say(&format!("- {name} (classic): {stats}"));
            classic.push(stats);
        }
    }
    say(AGGREGATED);
    for (kind, all) in [("Native", native), ("Classic", classic)] {
        aggregated(kind, &all).iter().for_each(|line| say(line));
    }
    Ok(())
}

fn aggregated(kind: &str, all: &[Stats]) -> Vec<String> {
    if all.is_empty() {
        return Vec::new();
    }
    // promtool counts in whole buckets here.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an average of counts")]
    let average = |stats: &Stats| stats.avg as usize;
    let line = |what: &str, of: &dyn Fn(&Stats) -> usize| {
        let values: Vec<usize> = all.iter().map(of).collect();
        let stats = Stats::of(&values, values.iter().copied().max().unwrap_or_default());
        format!("- {what}: {}", stats.map(|stats| stats.to_string()).unwrap_or_default())
    };
    let mut lines = vec![
        String::new(),
        format!("{kind} histogram series ({} in total):", all.len()),
        line("min populated", &|stats| stats.min),
        line("avg populated", &average),
        line("max populated", &|stats| stats.max),
    ];
    if all.iter().any(|stats| stats.total != stats.max) {
        lines.push(line("total", &|stats| stats.total));
    }
    lines
}

fn of_native(series: &[Value]) -> BTreeMap<String, Stats> {
    let mut found = BTreeMap::new();
    for one in series {
        let histograms = one["histograms"].as_array().map(Vec::as_slice).unwrap_or_default();
        // What has both is taken for a classic one.
        if histograms.is_empty() || one["values"].as_array().is_some_and(|values| !values.is_empty()) {
            continue;
        }
        let (mut populated, mut different) = (Vec::new(), BTreeSet::new());
        for histogram in histograms {
            let buckets = histogram[1]["buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
            populated.push(buckets.len());
            different.extend(buckets.iter().map(|bucket| format!("{} {}", bucket[1], bucket[2])));
        }
        if let Some(stats) = Stats::of(&populated, different.len()) {
            found.insert(super::query::metric(&one["metric"]), stats);
        }
    }
    found
}

fn of_classic(series: &[Value]) -> BTreeMap<String, Stats> {
    let mut by_name: BTreeMap<String, Vec<(f64, &[Value])>> = BTreeMap::new();
    for one in series {
        let Some(mut labels) = one["metric"].as_object().cloned() else { continue };
        let is_bucket = labels.get("__name__").and_then(Value::as_str).is_some_and(|name| name.ends_with("_bucket"));
        let bound = labels.remove("le").and_then(|le| model::float::parse_float(le.as_str()?));
        let values = one["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(bound) = bound
            && is_bucket
            && !values.is_empty()
        {
            let name = super::query::metric_with_braces(&Value::Object(labels));
            by_name.entry(name).or_default().push((bound, values));
        }
    }
    let with_stats = by_name.into_iter().filter_map(|(name, mut buckets)| {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some((name, classic(&buckets)?))
    });
    with_stats.collect()
}

/// `buckets` in order of their bounds. At least two times are wanted; from the first time on that a bucket lacks,
/// nothing counts.
fn classic(buckets: &[(f64, &[Value])]) -> Option<Stats> {
    let times = buckets.first()?.1.len();
    if times < 2 {
        return None;
    }
    let mut populated = Vec::new();
    'times: for time in 0..times {
        let (mut before, mut count) = (0.0, 0);
        for (_, values) in buckets {
            let Some(value) = values.get(time).and_then(|sample| sample[1].as_str()) else { break 'times };
            let value = model::float::parse_float(value).unwrap_or(f64::NAN);
            // Fractions of an observation are none.
            count += usize::from((value - before).trunc() != 0.0);
            before = value;
        }
        populated.push(count);
    }
    Stats::of(&populated, buckets.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Buckets as `bound: value value …`, and the stats as promtool 3.5 tells them.
    const CASES: &str = "
1: 0 1; 2: 0 2; 4: 3 3; +Inf: 3 9 => 1/2.500/4
1: 1 1; +Inf: 3 3 => 2/2.000/2
1: 0 1; 2: 0; +Inf: 3 7 => 1/1.000/1/3
+Inf: 7 7 => 1/1.000/1
2: 1 1 1; 10: 1 1 1; +Inf: 1 2 2 => 1/1.667/2/3
1: 1; 2: 2; +Inf: 3 => none
";

    #[test]
    fn classic_buckets() {
        for case in CASES.trim().lines() {
            let (written, expected) = case.split_once(" => ").unwrap();
            let series: Vec<Value> = written
                .split("; ")
                .map(|bucket| {
                    let (le, values) = bucket.split_once(": ").unwrap();
                    let values: Vec<Value> = values.split(' ').map(|value| json!([1, value])).collect();
                    json!({"metric": {"__name__": "h_bucket", "x": "y", "le": le}, "values": values})
                })
                .collect();
            let said = of_classic(&series).remove("h_bucket{x=\"y\"}").map_or("none".to_owned(), |s| s.to_string());
            assert_eq!(said, expected, "in case `{case}`");
        }
    }

    #[test]
    fn native_buckets_and_all_together() {
        let bucket = |low: &str| json!([0, low, "9", "1"]);
        let series = json!([{"metric": {"__name__": "h"}, "histograms": [
            [1, {"buckets": [bucket("1")]}],
            [2, {"buckets": [bucket("1"), bucket("2"), bucket("3")]}]
        ]}]);
        let stats = of_native(series.as_array().unwrap()).remove("h").unwrap();
        assert_eq!(stats.to_string(), "1/2.000/3");
        let two = [stats, Stats { min: 1, avg: 1.667, max: 2, total: 5 }];
        let expected = "
Native histogram series (2 in total):
- min populated: 1/1.000/1
- avg populated: 1/1.500/2
- max populated: 2/2.500/3
- total: 3/4.000/5";
        assert_eq!(aggregated("Native", &two).join("\n"), expected);
    }
}
