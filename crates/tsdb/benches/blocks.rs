//! Blocks: how large they are, how long they take to write, to compact, to search and to read:
//! `cargo bench -p tsdb --bench blocks`. With `VIGIE_RECORDED` naming a folder of recordings (`cargo xtask record`),
//! on what real exporters said; else on series like those of a node exporter.

use model::{Labels, Matcher};
use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};
use storage::{Queryable, Samples, SelectHints};
use tsdb::{Tsdb, TsdbOptions};

type Content = BTreeMap<Labels, Samples>;
type Outcome<T> = Result<T, Box<dyn Error>>;

const RANGE_MS: i64 = 2 * 3_600_000;

/// 40 hosts with 250 series each for six hours, half of which never change.
fn made_up() -> Content {
    let mut content = Content::new();
    let mut state = 7_u64;
    let mut below = move |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    for host in 0..40 {
        for number in 0..250_u64 {
            let (metric, instance) = (format!("node_metric_{}_total", number / 10), format!("host-{host}:9100"));
            let device = format!("device{}", number % 10);
            let labels =
                Labels::from_pairs([("__name__", metric.as_str()), ("device", &device), ("instance", &instance)]);
            let mut samples = Samples::default();
            let mut value = (below(1 << 20)) as f64;
            for row in 0..1440 {
                value += match number % 10 {
                    0..5 => 0.0,
                    5 => below(2) as f64,
                    6 => below(200) as f64,
                    7 => below(500_000) as f64,
                    8 => (below(41) as f64 - 20.0) * 4096.0,
                    _ => below(1500) as f64 / 100.0,
                };
                if number % 10 == 9 {
                    value = (value * 100.0).round() / 100.0;
                }
                // The times of a host's scrapes are shared and not quite regular.
                samples.push_float(row * 15_000 + host * 300 + (row * 7 + host) % 3, value);
            }
            content.insert(labels, samples);
        }
    }
    content
}

/// What a folder of recordings holds, in text that is simple enough to be cut at its last space.
fn recorded(dir: &Path) -> Outcome<Content> {
    let mut content = Content::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let target = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        let mut series: std::collections::HashMap<&str, Samples> = std::collections::HashMap::new();
        let mut time_ms = 0;
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("#@ ") {
                time_ms = head.split(' ').nth(1).unwrap_or_default().parse()?;
                continue;
            }
            let Some((key, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else { continue };
            if let Ok(value) = value.parse() {
                series.entry(key).or_default().push_float(time_ms, value);
            }
        }
        for (key, samples) in series {
            content.insert(labels(key, &target), samples);
        }
    }
    Ok(content)
}

/// `name{a="b",…}` with the labels of a target; escapes stay as they are.
fn labels(key: &str, target: &str) -> Labels {
    let (name, mut rest) = key.split_once('{').unwrap_or((key, ""));
    let mut pairs = vec![("__name__", name), ("instance", target), ("job", target)];
    while let Some((name, tail)) = rest.split_once("=\"") {
        let end = (tail.match_indices('"')).map(|(at, _)| at).find(|at| !tail[..*at].ends_with('\\'));
        let end = end.unwrap_or(tail.len());
        let name = name.trim_start_matches([',', ' ']);
        pairs.retain(|(own, _)| *own != name);
        pairs.push((name, &tail[..end]));
        rest = tail.get(end + 1..).unwrap_or_default();
    }
    Labels::from_pairs(pairs)
}

fn bytes_by_file(dir: &Path) -> Outcome<BTreeMap<String, u64>> {
    let mut sizes = BTreeMap::new();
    for block in fs::read_dir(dir)? {
        let block = block?.path();
        if !block.join("meta.json").exists() {
            continue;
        }
        for file in fs::read_dir(block)? {
            let file = file?;
            *sizes.entry(file.file_name().to_string_lossy().into_owned()).or_default() += file.metadata()?.len();
        }
    }
    Ok(sizes)
}

fn say(text: &str) -> Outcome<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

fn sizes(dir: &Path, samples: u64, when: &str) -> Outcome<()> {
    let sizes = bytes_by_file(dir)?;
    let total: u64 = sizes.values().sum();
    let each: Vec<String> =
        sizes.iter().map(|(name, bytes)| format!("{name} {:.4}", *bytes as f64 / samples as f64)).collect();
    say(&format!("{when}: {:.4} bytes a sample ({})", total as f64 / samples as f64, each.join(", ")))
}

fn measure(content: &Content) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let dir: PathBuf = folder.path().join("data");
    let options = TsdbOptions { retention_ms: 0, ..TsdbOptions::new(&dir) };
    let tsdb = Tsdb::open(options)?;
    let samples: u64 = content.values().map(|samples| samples.len() as u64).sum();
    let first = content.values().filter_map(|samples| samples.timestamps.first()).min().copied().unwrap_or(0);
    let last = content.values().filter_map(|samples| samples.timestamps.last()).max().copied().unwrap_or(0);
    say(&format!("{} series, {samples} samples", content.len()))?;
    let million = |seconds: f64| samples as f64 / 1e6 / seconds;

    let begin = Instant::now();
    for window in first.div_euclid(RANGE_MS)..=last.div_euclid(RANGE_MS) {
        let (from, to) = (window * RANGE_MS, (window + 1) * RANGE_MS);
        let mut import = tsdb.import_block(from, to)?;
        for (labels, all) in content {
            let (a, b) = (
                all.timestamps.partition_point(|time| *time < from),
                all.timestamps.partition_point(|time| *time < to),
            );
            let mut part = Samples::default();
            (a..b).for_each(|at| part.push_float(all.timestamps[at], all.values[at]));
            import.add_series(labels, &part)?;
        }
        import.finish()?;
    }
    say(&format!("written: {:.1} M samples/s", million(begin.elapsed().as_secs_f64())))?;
    sizes(&dir, samples, "blocks of 2 h")?;

    // A block behind them all, so that their window is complete.
    let mut import = tsdb.import_block(last + 30 * RANGE_MS, last + 31 * RANGE_MS)?;
    let mut one = Samples::default();
    one.push_float(last + 30 * RANGE_MS, 1.0);
    import.add_series(&Labels::from_pairs([("__name__", "later")]), &one)?;
    import.finish()?;
    let begin = Instant::now();
    tsdb.maintain()?;
    say(&format!("compacted: {:.1} M samples/s", million(begin.elapsed().as_secs_f64())))?;
    sizes(&dir, samples, "compacted")?;

    for round in ["first", "second", "third"] {
        let begin = Instant::now();
        let (mut count, mut into) = (0_u64, Samples::default());
        for series in tsdb.querier(first, last)?.select(&SelectHints::default(), &[])? {
            into.clear();
            series?.read(&mut into)?;
            count += into.len() as u64;
        }
        assert_eq!(count, samples, "samples are lost");
        say(&format!("all read, {round} time: {:.0} M samples/s", million(begin.elapsed().as_secs_f64())))?;
    }
    let name = content.keys().nth(content.len() / 2).map(|labels| labels.metric_name().to_owned()).unwrap_or_default();
    let matchers = [Matcher::equal("__name__", &name)];
    let begin = Instant::now();
    let mut found = 0;
    for _ in 0..1000 {
        found = tsdb.querier(first, last)?.select(&SelectHints::default(), &matchers)?.count();
    }
    say(&format!("{found} series found by name: {:.1} µs", begin.elapsed().as_secs_f64() * 1e3))
}

fn main() -> Outcome<()> {
    match std::env::var_os("VIGIE_RECORDED") {
        Some(dir) => measure(&recorded(Path::new(&dir))?),
        None => {
            say("VIGIE_RECORDED names no folder of recordings: made-up series")?;
            measure(&made_up())
        }
    }
}
