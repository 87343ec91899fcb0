//! A year of history, as it was stored and down-sampled to windows of 5 minutes: how long it takes to make windows, and to
//! read a year of each for the functions that panels ask for: `cargo bench -p tsdb --bench year`. With `VIGIE_YEAR` naming a
//! folder, the data stays there and is read again the next time; it can be served with `retention_rules` as in [`rules`].

use model::{Labels, Matcher, SampleValue};
use std::{env, error::Error, io::Write as _, path::Path, time::Instant};
use storage::{Ingest, Queryable, Samples, SelectHints, SeriesSamples};
use tsdb::{RetentionRule, Tsdb, TsdbOptions};

type Outcome<T> = Result<T, Box<dyn Error>>;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const YEAR_MS: i64 = 365 * DAY_MS;
/// 2024-01-01.
const BEGIN_MS: i64 = 1_704_067_200_000;
const SERIES: usize = 100;
/// What is written at once.
const BLOCK_MS: i64 = 2 * HOUR_MS;

fn say(text: &str) -> Outcome<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// `{match: '{kept="windows"}', keep: 5y, resolution: 5m}` and `{match: '{kept="raw"}', keep: 5y}`.
fn rules() -> Vec<RetentionRule> {
    let rule = |kept: &str, resolution_ms| RetentionRule {
        selector: format!("{{kept=\"{kept}\"}}"),
        matchers: vec![Matcher::equal("kept", kept)],
        keep_ms: 5 * YEAR_MS,
        resolution_ms,
    };
    vec![rule("windows", Some(5 * MINUTE_MS)), rule("raw", None)]
}

fn labels(kept: &str, number: usize) -> Labels {
    let name = if number.is_multiple_of(2) { "requests_total" } else { "temperature_celsius" };
    Labels::from_pairs([("__name__", name), ("instance", &format!("host-{number:03}")), ("kept", kept)])
}

/// Counters that begin anew every 40 days, gauges that wander.
fn write(tsdb: &Tsdb) -> Outcome<u64> {
    let mut state = 7_u64;
    let mut below = move |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let mut values = vec![0.0_f64; SERIES];
    let mut written = 0;
    let all: Vec<(Labels, Labels)> =
        (0..SERIES).map(|number| (labels("raw", number), labels("windows", number))).collect();
    let mut rows = vec![Samples::default(); SERIES];
    for window in 0..YEAR_MS / BLOCK_MS {
        let from = BEGIN_MS + window * BLOCK_MS;
        for (number, (samples, value)) in rows.iter_mut().zip(&mut values).enumerate() {
            samples.clear();
            for minute in 0..BLOCK_MS / MINUTE_MS {
                *value = match number % 2 {
                    0 if (window + number as i64) % 480 == 0 && minute == 0 => 0.0,
                    0 => *value + below(300) as f64,
                    _ => (*value + below(21) as f64 / 10.0 - 1.0).clamp(-40.0, 60.0),
                };
                samples.push_float(from + minute * MINUTE_MS, (*value * 10.0).round() / 10.0);
            }
        }
        let mut import = tsdb.import_block(from, from + BLOCK_MS)?;
        // In order of their labels: name, then instance, then what is kept.
        for even in [0, 1] {
            for ((raw, windows), samples) in all.iter().zip(&rows).skip(even).step_by(2) {
                import.add_series(raw, samples)?;
                import.add_series(windows, samples)?;
                written += 2 * samples.len() as u64;
            }
        }
        import.finish()?;
        if window % 120 == 119 {
            tsdb.maintain()?;
        }
    }
    Ok(written)
}

/// Writes the year, and all that maintenance does with it.
fn fill(tsdb: &Tsdb) -> Outcome<()> {
    let begin = Instant::now();
    let written = write(tsdb)?;
    // What is scraped now: nothing comes to the year any more.
    let now = SeriesSamples {
        labels: Labels::from_pairs([("__name__", "later")]),
        samples: vec![(BEGIN_MS + YEAR_MS + 2 * BLOCK_MS, SampleValue::Float(1.0))],
        ..SeriesSamples::default()
    };
    tsdb.append_series(&[now])?;
    let mut before = Vec::new();
    loop {
        tsdb.maintain()?;
        let blocks: Vec<_> = tsdb.blocks().into_iter().map(|block| block.ulid).collect();
        if blocks == before {
            break;
        }
        before = blocks;
    }
    let seconds = begin.elapsed().as_secs_f64();
    say(&format!("{} series, {written} samples written, compacted and down-sampled in {seconds:.1} s", 2 * SERIES))
}

fn read(tsdb: &Tsdb, name: &str, kept: &str, function: &str, range_ms: i64) -> Outcome<(usize, f64)> {
    let (start_ms, end_ms) = (BEGIN_MS + 1, BEGIN_MS + YEAR_MS);
    let hints = SelectHints {
        start_ms,
        end_ms,
        step_ms: range_ms,
        range_ms,
        function: function.to_owned(),
        tiers: true,
        ..SelectHints::default()
    };
    let matchers = [Matcher::equal("__name__", name), Matcher::equal("kept", kept)];
    let begin = Instant::now();
    let (mut count, mut samples) = (0, Samples::default());
    for series in tsdb.querier(start_ms, end_ms)?.select(&hints, &matchers)? {
        samples.clear();
        series?.read(&mut samples)?;
        count += samples.len();
    }
    Ok((count, begin.elapsed().as_secs_f64()))
}

fn measure(dir: &Path) -> Outcome<()> {
    let options = TsdbOptions { retention_ms: 15 * DAY_MS, retention_rules: rules(), ..TsdbOptions::new(dir) };
    let tsdb = Tsdb::open(options)?;
    if tsdb.blocks().is_empty() {
        fill(&tsdb)?;
    }
    for resolution_ms in [None, Some(5 * MINUTE_MS)] {
        let blocks: Vec<_> = tsdb.blocks().into_iter().filter(|block| block.resolution_ms == resolution_ms).collect();
        say(&format!("{} blocks of resolution {resolution_ms:?}", blocks.len()))?;
    }
    for (name, function) in
        [("requests_total", "rate"), ("temperature_celsius", "avg_over_time"), ("temperature_celsius", "max_over_time")]
    {
        let mut best = [f64::MAX; 2];
        let mut counts = [0; 2];
        for _ in 0..3 {
            for (place, kept) in ["raw", "windows"].into_iter().enumerate() {
                let (count, seconds) = read(&tsdb, name, kept, function, DAY_MS)?;
                (counts[place], best[place]) = (count, best[place].min(seconds));
            }
        }
        say(&format!(
            "{function}, a year by days of {} series: raw {} samples in {:.0} ms, windows {} in {:.1} ms: {:.2} of it",
            SERIES / 2,
            counts[0],
            best[0] * 1e3,
            counts[1],
            best[1] * 1e3,
            best[1] / best[0]
        ))?;
    }
    Ok(())
}

fn main() -> Outcome<()> {
    match env::var_os("VIGIE_YEAR") {
        Some(dir) => measure(Path::new(&dir)),
        None => measure(&tempfile::tempdir()?.path().join("data")),
    }
}
