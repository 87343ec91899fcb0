//! Blocks written, read back, and judged by `promtool`.

use anyhow::{Result, ensure};
use harness::peer;
use model::{FloatHistogram, Labels, LabelsBuilder, histogram::Span, stale::STALE_NAN};
use prometheus_tsdb::{
    DamageList,
    block::{self, BlockReader, BlockWriter},
    export::{create_data_folder, new_ulid},
};
use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::Arc};
use storage::Samples;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let mut builder = LabelsBuilder::default();
    for (name, value) in pairs {
        builder.set(name, value);
    }
    builder.build()
}

/// A thousand counters, a series with a gap and markers, a histogram, a UTF-8 name.
fn content() -> BTreeMap<Labels, Samples> {
    let mut all = BTreeMap::new();
    for instance in 0..1000 {
        let mut samples = Samples::default();
        for scrape in 0..240_i64 {
            samples.push_float(scrape * 15_000, (scrape * i64::from(instance)) as f64);
        }
        all.insert(labels(&[("__name__", "requests_total"), ("instance", &format!("host{instance}"))]), samples);
    }
    let mut gap = Samples::default();
    for (time, value) in [(0, 1.5), (15_000, f64::INFINITY), (30_000, STALE_NAN), (3_000_000, -0.0)] {
        gap.push_float(time, value);
    }
    all.insert(labels(&[("__name__", "up"), ("größe", "日本")]), gap);
    let mut histograms = Samples::default();
    for scrape in 0..200_u32 {
        let count = f64::from(scrape);
        let histogram = FloatHistogram {
            schema: 3,
            count: 3.0 * count,
            sum: count / 3.0,
            positive_spans: vec![Span { offset: -4, length: 2 }, Span { offset: 3, length: 1 }],
            positive_buckets: vec![count, count, count],
            ..FloatHistogram::default()
        };
        histograms.push_histogram(i64::from(scrape) * 15_000, Arc::new(histogram));
    }
    all.insert(labels(&[("__name__", "duration_seconds")]), histograms);
    all
}

fn write(dir: &Path, content: &BTreeMap<Labels, Samples>) -> Result<()> {
    create_data_folder(dir)?;
    let mut writer = BlockWriter::create(dir, new_ulid(1_700_000_000_000), None)?;
    for (labels, samples) in content {
        writer.add_series(labels, samples)?;
    }
    ensure!(writer.finish()?.is_some(), "a block is written");
    Ok(())
}

fn bits(samples: &Samples) -> Vec<(i64, u64)> {
    samples.timestamps.iter().copied().zip(samples.values.iter().map(|value| value.to_bits())).collect()
}

#[test]
fn what_is_written_is_read() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let content = content();
    write(dir.path(), &content)?;
    let mut damage = DamageList::default();
    let list = block::list(dir.path(), &mut damage)?;
    let [(path, meta)] = list.as_slice() else { anyhow::bail!("{} blocks", list.len()) };
    assert_eq!((meta.min_time_ms, meta.max_time_ms), (0, 239 * 15_000 + 1));
    assert_eq!((meta.stats.series, meta.stats.samples), (1002, 240_204));
    let (mut reader, mut samples) = (BlockReader::open(path, &mut damage)?, Samples::default());
    let mut expected = content.iter();
    while let Some(labels) = reader.next(&mut samples, &mut damage)? {
        let Some((own, wanted)) = expected.next() else { anyhow::bail!("one series too many: {labels}") };
        assert_eq!(&labels, own);
        assert_eq!(bits(&samples), bits(wanted), "{labels}");
        for at in 0..samples.len() {
            let counts =
                |samples: &Samples| samples.histogram(at).map(|h| (h.count, h.sum, h.positive_buckets.clone()));
            assert_eq!(counts(&samples), counts(wanted), "{labels}");
        }
    }
    assert!(expected.next().is_none());
    assert_eq!(damage.list, []);
    Ok(())
}

#[test]
fn a_flipped_bit_costs_a_chunk_and_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let content = content();
    write(dir.path(), &content)?;
    let mut damage = DamageList::default();
    let (path, _) = block::list(dir.path(), &mut damage)?.remove(0);
    let chunks = path.join("chunks/000001");
    let mut bytes = fs::read(&chunks)?;
    let at = bytes.len() / 2;
    bytes[at] ^= 0x10;
    fs::write(&chunks, bytes)?;
    let (mut reader, mut samples) = (BlockReader::open(&path, &mut damage)?, Samples::default());
    let (mut series, mut left) = (0, 0);
    while reader.next(&mut samples, &mut damage)?.is_some() {
        series += 1;
        left += samples.len();
    }
    assert_eq!(series, content.len());
    assert_eq!(left, 240_204 - 120);
    assert_eq!(damage.count, 1, "{:?}", damage.list);
    assert!(damage.list[0].to_string().contains("the chunk is left out"), "{}", damage.list[0]);
    Ok(())
}

#[test]
fn promtool_reads_our_blocks() -> Result<()> {
    let Some(promtool) = peer("promtool") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    write(dir.path(), &content())?;
    let run = |what: &str| -> Result<String> {
        let output = Command::new(&promtool).args(["tsdb", what]).arg(dir.path()).output()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() && !errors.contains("level=ERROR"), "promtool tsdb {what}: {errors}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(run("list")?.contains("1002"), "series");
    assert!(run("analyze")?.contains("Total Series: 1002"));
    let dump = run("dump")?;
    // promtool 3.5 swallows the first two samples of a series of integer histograms, of its own blocks as well.
    assert_eq!(dump.lines().count(), 240_204 - 2);
    assert!(dump.contains("{__name__=\"requests_total\", instance=\"host999\"} 238761 3585000"));
    Ok(())
}
