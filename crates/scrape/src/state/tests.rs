//! Bodies in, rows out: labels, staleness, limits, layouts that change.

use super::{Body, Outside, Rulebook, Scratch, TargetState};
use crate::config::Limits;
use crate::families::Families;
use crate::metrics::Metrics;
use exposition::Format;
use exposition::protobuf::{Family, Metric, MetricValue, Writer};
use model::{FloatHistogram, Labels, Metadata, MetricType, SampleValue, stale::is_stale_nan};
use relabel::{RelabelConfig, Rules};
use storage::memory::MemoryStorage;
use storage::{
    AppendReport, Ingest, Layout, Presence, Queryable, Row, Samples, SelectHints, SeriesId, SeriesSamples, StorageError,
};
use telemetry::Registry;

struct Bench {
    state: TargetState,
    book: Rulebook,
    storage: MemoryStorage,
    metrics: Metrics,
    families: Families,
    now_ms: i64,
}

fn bench() -> Bench {
    Bench {
        state: TargetState::default(),
        book: Rulebook {
            generation: 1,
            target: Labels::from_pairs([("job", "j"), ("instance", "i")]),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            legacy_names: false,
            limits: Limits::default(),
            histograms: exposition::protobuf::Options::default(),
            rules: Rules::default(),
            extra: false,
            timeout_seconds: 1.0,
        },
        storage: MemoryStorage::new(),
        metrics: Metrics::new(&Registry::new()),
        families: Families::default(),
        now_ms: 0,
    }
}

impl Bench {
    /// One scrape, a second after the last; the error of the body, or "".
    fn scrape(&mut self, body: Option<&str>) -> String {
        self.scrape_bytes(body.map(|body| (body.as_bytes().to_vec(), Format::Text)))
    }

    fn scrape_bytes(&mut self, body: Option<(Vec<u8>, Format)>) -> String {
        self.now_ms += 1000;
        let (mut bytes, format) = body.clone().unwrap_or((Vec::new(), Format::Text));
        let body = body.map(|_| Body { bytes: &mut bytes, format });
        let mut scratch = Scratch::default();
        let outside = Outside { ingest: &self.storage, metrics: &self.metrics, families: &self.families };
        let done = self.state.scrape(body, self.now_ms, &self.book, outside, &mut scratch, |_| ());
        done.unwrap().1.map(|error| error.to_string()).unwrap_or_default()
    }

    /// Samples of the series of a metric: `labels but job and instance: time=value …`, a line each.
    fn series(&self, metric: &str) -> String {
        let querier = self.storage.querier(i64::MIN, i64::MAX).unwrap();
        let matcher = model::Matcher { name: "__name__".into(), op: model::MatchOp::Equal, value: metric.into() };
        let hints = SelectHints { start_ms: i64::MIN, end_ms: i64::MAX, ..SelectHints::default() };
        let mut lines = Vec::new();
        for series in querier.select(&hints, &[matcher]).unwrap() {
            let series = series.unwrap();
            let mut samples = Samples::default();
            series.read(&mut samples).unwrap();
            let mut line = series.labels().without(&["__name__", "job", "instance"]).to_string();
            for (i, time) in samples.timestamps.iter().enumerate() {
                let value = match samples.value(i) {
                    SampleValue::Float(value) if is_stale_nan(value) => "stale".to_owned(),
                    SampleValue::Float(value) => value.to_string(),
                    SampleValue::Histogram(own) if own.is_stale() => "h:stale".to_owned(),
                    SampleValue::Histogram(own) => format!("h:{}/{}", own.count, own.sum),
                };
                line.push_str(&format!(" {time}={value}"));
                match samples.start_timestamp(i) {
                    0 => {}
                    start => line.push_str(&format!(" since {start}")),
                }
            }
            lines.push(line);
        }
        lines.join("; ")
    }
}

#[test]
fn series_come_and_go() {
    let mut bench = bench();
    bench.scrape(Some("a{k=\"1\"} 1\na{k=\"2\"} 2\nb 3\n"));
    bench.scrape(Some("a{k=\"1\"} 4\nb 5\n"));
    bench.scrape(Some("a{k=\"0\"} 9\na{k=\"1\"} 6\na{k=\"2\"} 7\nb 8\n"));
    assert_eq!(
        bench.series("a"),
        "{k=\"0\"} 3000=9; {k=\"1\"} 1000=1 2000=4 3000=6; {k=\"2\"} 1000=2 2000=stale 3000=7"
    );
    assert_eq!(bench.series("b"), "{} 1000=3 2000=5 3000=8");
    assert_eq!(bench.series("up"), "{} 1000=1 2000=1 3000=1");
    assert_eq!(bench.series("scrape_samples_scraped"), "{} 1000=3 2000=2 3000=4");
    assert_eq!(bench.series("scrape_series_added"), "{} 1000=3 2000=0 3000=2", "one is new, one came back");
}

#[test]
fn a_failed_scrape_ends_all_series_and_says_up_0() {
    let mut bench = bench();
    bench.scrape(Some("a 1\n"));
    bench.scrape(None);
    bench.scrape(None);
    assert_eq!(
        bench.scrape(Some("a 2\nthis is <html>\nb{ 1\n")),
        "line 2: \"is\" is no number; line 3: the labels have no closing brace"
    );
    bench.scrape(Some("a 3\n"));
    assert_eq!(bench.series("a"), "{} 1000=1 2000=stale 5000=3");
    assert_eq!(bench.series("up"), "{} 1000=1 2000=0 3000=0 4000=0 5000=1");
    bench.now_ms += 1000;
    let outside = Outside { ingest: &bench.storage, metrics: &bench.metrics, families: &bench.families };
    bench.state.end(bench.now_ms, &bench.book, outside).unwrap();
    assert_eq!(bench.series("a"), "{} 1000=1 2000=stale 5000=3 6000=stale");
    assert_eq!(bench.series("up"), "{} 1000=1 2000=0 3000=0 4000=0 5000=1 6000=stale");
}

#[test]
fn labels_in_conflict() {
    let body = "a{job=\"own\",exported_job=\"x\",k=\"v\"} 1\nb{instance=\"\"} 2\n";
    let mut plain = bench();
    plain.scrape(Some(body));
    assert_eq!(plain.series("a"), "{exported_exported_job=\"own\", exported_job=\"x\", k=\"v\"} 1000=1");
    let mut honoring = bench();
    honoring.book.honor_labels = true;
    honoring.scrape(Some(body));
    assert_eq!(honoring.series("a"), "{exported_job=\"x\", k=\"v\"} 1000=1");
    let querier = honoring.storage.querier(0, 10_000).unwrap();
    assert_eq!(querier.label_values("job", &[]).unwrap(), ["j", "own"]);
    let b = model::Matcher { name: "__name__".into(), op: model::MatchOp::Equal, value: "b".into() };
    assert!(querier.label_values("instance", &[b]).unwrap().is_empty(), "an empty label is wanted empty");
}

#[test]
fn timestamps_of_the_target() {
    let mut bench = bench();
    bench.scrape(Some("a 1 500\na 2 700\nb 1\n"));
    bench.scrape(Some("b 1\n"));
    assert_eq!(bench.series("a"), "{} 500=1 700=2", "no marker for series with a time of their own");
    bench.book.honor_timestamps = false;
    bench.scrape(Some("a 3 2500\n"));
    assert_eq!(bench.series("a"), "{} 500=1 700=2 3000=3");
}

#[test]
fn limits_and_relabelling() {
    let mut limited = bench();
    limited.book.limits.samples = 1;
    assert_eq!(
        limited.scrape(Some("a 1\nb 2\n")),
        "sample limit exceeded: more than 1 samples after metric relabelling"
    );
    assert_eq!(limited.series("a"), "");
    limited.book.rules = Rules::new(&[RelabelConfig {
        source_labels: Some(vec!["__name__".into()]),
        regex: Some("b".into()),
        action: Some("drop".into()),
        ..RelabelConfig::default()
    }])
    .unwrap();
    limited.state.forget_keys();
    assert_eq!(limited.scrape(Some("a 1\nb 2\n")), "");
    assert_eq!(limited.series("a"), "{} 2000=1");
    assert_eq!(limited.series("b"), "");
    assert_eq!(limited.series("scrape_samples_post_metric_relabeling"), "{} 1000=2 2000=1");
    for (limits, expected) in [
        (
            Limits { labels: 3, ..Limits::default() },
            "label_limit exceeded (metric: \"a\", number of labels: 4, limit: 3)",
        ),
        (
            Limits { label_value_length: 2, ..Limits::default() },
            "label_value_length_limit exceeded (metric: \"a\", label name: \"key\", length: 3, limit: 2)",
        ),
    ] {
        let mut bench = bench();
        bench.book.limits = limits;
        assert_eq!(bench.scrape(Some("a{key=\"abc\"} 1\n")), expected);
    }
}

#[test]
fn caches_stay_small_while_series_churn() {
    let mut bench = bench();
    for round in 0..40 {
        let body: String = (0..100).map(|i| format!("a{{id=\"{round}-{i}\"}} {i}\n")).collect();
        assert_eq!(bench.scrape(Some(&body)), "");
    }
    assert!(bench.metrics.cache_flushes.get() >= 2.0);
    assert_eq!(bench.series("a").matches("stale").count(), 39 * 100, "every series that went got its marker");
    assert_eq!(bench.series("up").matches("=1").count(), 40);
}

#[test]
fn a_late_scrape_of_the_loop_before_a_reload_changes_nothing() {
    let mut bench = bench();
    bench.scrape(Some("a 1\n"));
    let before = bench.book.clone();
    bench.book.generation = 2;
    bench.book.target = Labels::from_pairs([("job", "j"), ("instance", "i"), ("zone", "eu")]);
    bench.scrape(Some("a 2\n"));
    let now = std::mem::replace(&mut bench.book, before);
    bench.scrape(Some("a 3\n"));
    bench.book = now;
    bench.scrape(Some("a 4\n"));
    assert_eq!(bench.series("a"), "{} 1000=1 2000=stale; {zone=\"eu\"} 2000=2 4000=4");
}

#[test]
fn metadata_is_remembered() {
    let mut bench = bench();
    bench.scrape(Some("# HELP a Help.\n# TYPE a counter\na 1\n"));
    let metadata = bench.storage.metadata("a").unwrap();
    assert_eq!((metadata.metric_type.as_str(), metadata.help.as_str()), ("counter", "Help."));
    assert_eq!(bench.state.families().count(), 1);
}

/// A metric of a body in protobuf: family, label `k` if it has one, value, and its time.
type Line<'a> = (&'a str, &'a str, MetricValue<'a>, Option<i64>);

/// Every metric in a family of its own; a float is a counter that started at 5 s.
fn protobuf(lines: &[Line<'_>]) -> Option<(Vec<u8>, Format)> {
    let mut writer = Writer::default();
    for (name, k, value, timestamp_ms) in lines {
        let float = matches!(value, MetricValue::Float(_));
        let metric_type = if float { MetricType::Counter } else { MetricType::Histogram };
        writer.family(&Family { name, help: "Help.", unit: "", metric_type });
        let metric = Metric { timestamp_ms: *timestamp_ms, start_ms: float.then_some(5000), ..Metric::new(*value) };
        writer.metric((!k.is_empty()).then_some(("k", *k)), &metric);
    }
    Some((writer.finish(), Format::Protobuf))
}

fn native(observations: u32) -> FloatHistogram {
    FloatHistogram {
        count: f64::from(observations),
        sum: f64::from(observations) * 0.5,
        positive_spans: vec![model::histogram::Span { offset: 3, length: 1 }],
        positive_buckets: vec![f64::from(observations)],
        ..FloatHistogram::default()
    }
}

#[test]
fn native_histograms_come_and_go() {
    use MetricValue::{Classic, Float, Histogram};
    let mut bench = bench();
    bench.book.histograms.native = true;
    let (one, two) = (native(1), native(2));
    let classic = Classic { count: 4.0, sum: 6.0, buckets: &[(1.0, 3.0)] };
    bench.scrape_bytes(protobuf(&[
        ("a_total", "1", Float(1.0), None),
        ("h", "", Histogram(&one), None),
        ("c", "", classic, None),
    ]));
    bench.scrape_bytes(protobuf(&[("h", "", Histogram(&two), None), ("a_total", "2", Float(7.0), None)]));
    bench.scrape_bytes(protobuf(&[("a_total", "2", Float(8.0), None), ("a_total", "1", Float(3.0), None)]));
    // A series may become one of histograms, and back.
    bench.scrape_bytes(protobuf(&[("a_total", "2", Histogram(&two), None), ("h", "", Float(9.0), None)]));
    assert_eq!(bench.scrape(Some("a_total{k=\"2\"} 10\n# TYPE h counter\nh 11\n")), "");
    assert_eq!(bench.series("h"), "{} 1000=h:1/0.5 2000=h:2/1 3000=h:stale 4000=9 since 5000 5000=11");
    assert_eq!(
        bench.series("a_total"),
        "{k=\"1\"} 1000=1 since 5000 2000=stale 3000=3 since 5000 4000=stale; \
         {k=\"2\"} 2000=7 since 5000 3000=8 since 5000 4000=h:2/1 5000=10"
    );
    assert_eq!(bench.series("c_bucket"), "{le=\"+Inf\"} 1000=4 2000=stale; {le=\"1.0\"} 1000=3 2000=stale");
    assert_eq!(bench.series("c_sum"), "{} 1000=6 2000=stale");
    assert_eq!(bench.series("scrape_samples_scraped"), "{} 1000=6 2000=2 3000=2 4000=2 5000=2");
    assert_eq!(bench.series("scrape_series_added"), "{} 1000=6 2000=1 3000=1 4000=1 5000=0");
    let metadata = bench.storage.metadata("c").unwrap();
    assert_eq!((metadata.metric_type, metadata.help.as_str()), (MetricType::Histogram, "Help."));
}

#[test]
fn bodies_in_protobuf_keep_to_the_job() {
    use MetricValue::{Float, Histogram};
    let mut bench = bench();
    bench.book.histograms.native = true;
    bench.book.histograms.buckets_max = 1;
    let wide = FloatHistogram {
        count: 2.0,
        positive_spans: vec![
            model::histogram::Span { offset: -3, length: 1 },
            model::histogram::Span { offset: 9, length: 1 },
        ],
        positive_buckets: vec![1.0, 1.0],
        ..FloatHistogram::default()
    };
    assert_eq!(
        bench.scrape_bytes(protobuf(&[("a", "", Float(1.0), None), ("h", "", Histogram(&wide), None)])),
        "histogram \"h\" has 2 buckets at its coarsest, native_histogram_bucket_limit is 1"
    );
    assert_eq!(bench.metrics.exceeded_bucket_limit.get(), 1.0);
    assert_eq!(bench.series("up") + &bench.series("a"), "{} 1000=0");
    // Times of the target, twice the same series among them.
    let lines = [
        ("a", "", Float(1.0), Some(700)),
        ("a", "", Float(2.0), Some(800)),
        ("h", "", Histogram(&native(3)), Some(900)),
        ("h", "", Histogram(&native(4)), None),
    ];
    assert_eq!(bench.scrape_bytes(protobuf(&lines)), "");
    bench.scrape_bytes(protobuf(&[]));
    assert_eq!(bench.series("a"), "{} 700=1 since 5000 800=2", "no marker for series with a time of their own");
    assert_eq!(bench.series("h"), "{} 900=h:3/1.5");
    bench.book.limits.samples = 1;
    assert_eq!(
        bench.scrape_bytes(protobuf(&[("a", "", Float(1.0), None), ("b", "", Float(1.0), None)])),
        "sample limit exceeded: more than 1 samples after metric relabelling"
    );
    let (mut cut, format) = protobuf(&[("a", "", Float(1.0), None)]).unwrap();
    cut.pop();
    assert_eq!(bench.scrape_bytes(Some((cut, format))), "protobuf at byte 0: the message ends within a field");
}

#[test]
fn classic_histograms_of_a_text_become_native_ones() {
    let mut bench = bench();
    bench.book.histograms.custom_buckets = true;
    let body = |one: u32, all: u32| {
        format!(
            "# TYPE h histogram\nh_bucket{{k=\"v\",le=\"1\"}} {one}\nh_bucket{{k=\"v\",le=\"+Inf\"}} {all}\n\
             h_sum{{k=\"v\"}} 1.5\nh_count{{k=\"v\"}} {all}\n# TYPE s summary\ns_count 3\ns_sum 4\n"
        )
    };
    for (one, all) in [(1, 2), (1, 2), (2, 3), (4, 3), (4, 5)] {
        assert_eq!(bench.scrape(Some(&body(one, all))), "");
        assert!(bench.state.settled);
        bench.state.verify(Format::Text, &bench.book, 0).unwrap();
    }
    // Lines in another order, and some of them gone.
    let mut lines: Vec<String> = body(5, 6).lines().skip(1).take(4).map(str::to_owned).collect();
    lines.reverse();
    bench.scrape(Some(&format!("# TYPE h histogram\n{}\n", lines.join("\n"))));
    bench.scrape(Some("a 1\n"));
    assert_eq!(
        bench.series("h"),
        "{k=\"v\"} 1000=h:2/1.5 2000=h:2/1.5 3000=h:3/1.5 4000=h:stale 5000=h:5/1.5 6000=h:6/1.5 7000=h:stale"
    );
    assert_eq!(bench.series("h_bucket") + &bench.series("h_sum") + &bench.series("h_count"), "");
    assert_eq!(bench.series("s_count"), "{} 1000=3 2000=3 3000=3 4000=3 5000=3 6000=stale");
    let counts = "{} 1000=3 2000=3 3000=3 4000=2 5000=3 6000=1 7000=1";
    assert_eq!(bench.series("scrape_samples_scraped"), counts);
    assert_eq!(bench.series("scrape_samples_post_metric_relabeling"), counts);
    assert_eq!(bench.series("scrape_series_added"), "{} 1000=3 2000=0 3000=0 4000=0 5000=0 6000=0 7000=1");
    bench.book.histograms.classic_always = true;
    bench.state.forget_keys();
    bench.scrape(Some(&body(1, 2)));
    bench.scrape(Some(&body(2, 3)));
    assert!(bench.series("h").ends_with("8000=h:2/1.5 9000=h:3/1.5"), "{}", bench.series("h"));
    assert!(bench.series("h_bucket").contains("{k=\"v\", le=\"1.0\"} 8000=1 9000=2"), "{}", bench.series("h_bucket"));
    assert!(bench.series("scrape_samples_scraped").ends_with("8000=7 9000=7"));
    bench.book.histograms.buckets_max = 1;
    assert_eq!(bench.scrape(Some(&body(2, 3))), "a histogram has 2 custom buckets, native_histogram_bucket_limit is 1");
    // Relabelling sees the histogram under its own name.
    let rule = RelabelConfig {
        source_labels: Some(vec!["__name__".into()]),
        regex: Some("h".into()),
        action: Some("drop".into()),
        ..RelabelConfig::default()
    };
    bench.book.rules = Rules::new(&[rule]).unwrap();
    bench.state.forget_keys();
    assert_eq!(bench.scrape(Some(&body(2, 3))), "");
    assert!(bench.series("h").ends_with("10000=h:stale"), "{}", bench.series("h"));
    assert!(bench.series("h_count").ends_with("11000=3"), "{}", bench.series("h_count"));
}

#[test]
fn series_of_protobuf_are_found_wherever_they_are() {
    let mut bench = bench();
    let series = |order: &mut dyn Iterator<Item = u32>| {
        let texts: Vec<(String, f64)> = order.map(|i| (i.to_string(), f64::from(i))).collect();
        let lines: Vec<Line<'_>> =
            texts.iter().map(|(k, value)| ("a", k.as_str(), MetricValue::Float(*value), None)).collect();
        protobuf(&lines)
    };
    bench.scrape_bytes(series(&mut (0..500)));
    bench.scrape_bytes(series(&mut (0..500).rev()));
    bench.scrape_bytes(series(&mut (100..501)));
    bench.scrape_bytes(series(&mut (100..501)));
    assert_eq!(bench.series("scrape_series_added"), "{} 1000=500 2000=0 3000=1 4000=0");
    let all = bench.series("a");
    assert_eq!(all.matches("4000=").count(), 401);
    assert!(all.contains("{k=\"499\"} 1000=499 since 5000 2000=499 since 5000 3000=499"), "{all}");
    assert!(all.contains("{k=\"99\"} 1000=99 since 5000 2000=99 since 5000 3000=stale"), "{all}");
}

/// Families that come under another name at every scrape are not kept for ever, with samples and without.
#[test]
fn families_of_the_past_are_forgotten() {
    for sample in ["1", "NaN"] {
        let mut bench = bench();
        for round in 0..400 {
            let families = (0..50).map(|i| format!("# HELP f{round}_{i} Help.\n# TYPE f{round}_{i} gauge\n"));
            let body = format!("{}a{{k=\"{}\"}} {sample}\n", families.collect::<String>(), round % 3);
            assert_eq!(bench.scrape(Some(&body)), "");
            assert!(bench.state.families().count() < 50 * 2 + 1000 + 51, "round {round}");
        }
        assert!(bench.state.families().any(|family| family.name == "f399_49"));
        assert_eq!(bench.series("a").matches("stale").count(), 399);
    }
}

/// Lines of containers, in the order of a map that is made anew for every answer, as of cAdvisor: containers come and go,
/// and no two bodies have the same lines in the same place.
fn containers(random: &mut impl FnMut() -> u64, round: u64) -> String {
    let random = &std::cell::RefCell::new(random);
    let random = || random.borrow_mut()();
    let mut families = String::new();
    for family in ["container_cpu_usage_seconds_total", "container_memory_rss", "container_fs_reads_total"] {
        families.push_str(&format!("# HELP {family} Of a container.\n# TYPE {family} gauge\n"));
        let mut lines: Vec<(u64, String)> = (0..40)
            .filter(|_| random() % 10 > 0)
            .map(|container| {
                // Every second one is replaced by another now and then, at its own time.
                let generation = if container % 2 == 0 { 0 } else { (round + container * 7) / 20 };
                let value = if random() % 3 == 0 { round } else { container };
                (random(), format!("{family}{{id=\"/pods/{container}\",generation=\"{generation}\"}} {value}\n"))
            })
            .collect();
        lines.sort();
        families.extend(lines.into_iter().map(|(_, line)| line));
    }
    families
}

/// A layout that is another at every scrape: what is stored is what reading in full stores, memory keeps its bounds, and
/// the checks of the quick walk find nothing.
#[test]
fn targets_whose_lines_never_stand_still() {
    let (mut quick, mut full) = (bench(), bench());
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut most = 0;
    for round in 0..600 {
        let body = containers(&mut random, round);
        assert_eq!(quick.scrape(Some(&body)), "");
        full.state.forget_keys();
        assert_eq!(full.scrape(Some(&body)), "");
        most = most.max(quick.state.series.len());
        assert!(quick.state.slots.capacity() <= 240 && quick.state.base.len() <= 120, "round {round}");
    }
    assert!(most <= 120 * super::CACHE_FACTOR + super::CACHE_SLACK + 130, "{most} series of 120");
    assert!(quick.metrics.walks_checked.get() >= 1.0, "no walk was checked");
    assert_eq!(quick.metrics.walks_wrong.get(), 0.0);
    for metric in ["container_cpu_usage_seconds_total", "container_memory_rss", "container_fs_reads_total", "up"] {
        assert_eq!(quick.series(metric), full.series(metric));
    }
    assert_eq!(quick.series("scrape_samples_scraped"), full.series("scrape_samples_scraped"));
    assert_eq!(quick.series("scrape_series_added"), full.series("scrape_series_added"));
}

/// What a quick walk got wrong is found by the check, counted and mended, and the target is read in full from then on.
#[test]
fn a_wrong_walk_is_found_and_mended() {
    let mut bench = bench();
    bench.state.walks = Some(0);
    for _ in 0..2 {
        assert_eq!(bench.scrape(Some("a 1\nb 2\nc 3\n")), "");
    }
    let slot = bench.state.slots[1];
    bench.state.values[slot as usize] = 77.0;
    bench.state.walks = Some(super::VERIFY_EVERY - 1);
    assert_eq!(bench.scrape(Some("a 1\nb 2\nc 4\n")), "");
    assert_eq!((bench.metrics.walks_checked.get(), bench.metrics.walks_wrong.get()), (1.0, 1.0));
    assert!(bench.state.distrusted);
    assert_eq!(bench.scrape(Some("a 1\nb 5\nc 4\n")), "");
    assert_eq!(bench.series("b"), "{} 1000=2 2000=2 3000=2 4000=5");
    assert_eq!(bench.metrics.walks_wrong.get(), 1.0, "it is not walked any more");
}

/// The same of a body in protobuf.
#[test]
fn a_wrong_walk_over_messages_is_found_and_mended() {
    let wrongs: [fn(&mut TargetState); 3] = [
        |state| state.values[state.slots[1] as usize] = 77.0,
        |state| state.slots.swap(1, 2),
        |state| state.seen.remove(state.slots[1]),
    ];
    for wrong in wrongs {
        let mut bench = bench();
        bench.book.histograms.native = true;
        // Gauges, a counter and a histogram.
        let body = |last, h| Some((messages(&[(0, 1), (1, 2), (2, last), (4, h)]), Format::Protobuf));
        bench.state.walks = Some(0);
        for _ in 0..2 {
            assert_eq!(bench.scrape_bytes(body(3, 1)), "");
        }
        wrong(&mut bench.state);
        bench.state.walks = Some(super::VERIFY_EVERY - 1);
        assert_eq!(bench.scrape_bytes(body(4, 2)), "");
        assert_eq!((bench.metrics.walks_checked.get(), bench.metrics.walks_wrong.get()), (1.0, 1.0));
        assert!(bench.state.distrusted);
        assert_eq!(bench.scrape_bytes(body(5, 2)), "");
        let a = "{k=\"0\"} 1000=1 2000=1 3000=1 4000=1; {k=\"1\"} 1000=2 2000=2 3000=2 4000=2";
        assert_eq!(bench.series("a"), a);
        let since = "since 5000";
        let b = format!("{{k=\"0\"}} 1000=3 {since} 2000=3 {since} 3000=4 {since} 4000=5 {since}");
        assert_eq!(bench.series("b"), b);
        assert_eq!(bench.series("h"), "{k=\"0\"} 1000=h:1/0.5 2000=h:1/0.5 3000=h:2/1 4000=h:2/1");
        assert_eq!(bench.metrics.walks_wrong.get(), 1.0, "it is not walked any more");
    }
}

#[test]
fn histograms_that_contradict_themselves_are_counted() {
    let mut bench = bench();
    bench.book.histograms.custom_buckets = true;
    let text = |first: u32| {
        format!("# TYPE h histogram\nh_bucket{{le=\"1\"}} {first}\nh_bucket{{le=\"+Inf\"}} 4\nh_sum 9\nh_count 4\n")
    };
    for (first, counted) in [(5, 1.0), (5, 2.0), (3, 2.0)] {
        assert_eq!(bench.scrape(Some(&text(first))), "");
        assert_eq!(bench.metrics.contradictions.get(), counted);
    }
    assert_eq!(bench.series("h"), "{} 3000=h:4/9");
    let buckets = [(1.0, 5.0), (f64::INFINITY, 4.0)];
    let body = protobuf(&[("h", "", MetricValue::Classic { count: 4.0, sum: 9.0, buckets: &buckets }, None)]);
    bench.scrape_bytes(body);
    assert_eq!(bench.metrics.contradictions.get(), 3.0);
    assert_eq!(bench.series("h"), "{} 3000=h:4/9 4000=h:stale");
}

/// One sample far ahead would make the engine take all others for too old.
#[test]
fn samples_far_ahead_are_left_out() {
    let mut bench = bench();
    for body in ["a 1 601001\nb 2 600000\nc 3\n", "a 1 601001\nb 3 601000\nc 4\n", "a 5\nb 6\nc 7\n"] {
        assert_eq!(bench.scrape(Some(body)), "");
    }
    assert_eq!(bench.series("a"), "{} 3000=5");
    assert_eq!(bench.series("b"), "{} 3000=6 600000=2 601000=3");
    assert_eq!(bench.series("c"), "{} 1000=3 2000=4 3000=7");
    assert_eq!(bench.metrics.out_of_bounds.get(), 1.0);
}

/// What is beyond a limit is counted and not remembered, and the scrape after it reads the right lines.
#[test]
fn bodies_beyond_a_limit_are_counted_to_their_end() {
    let mut bench = bench();
    bench.book.limits.samples = 3;
    let many: String = (0..500).map(|i| format!("a{{k=\"{i}\"}} {i}\n")).collect();
    let limited = "sample limit exceeded: more than 3 samples after metric relabelling";
    for (body, said) in [
        ("a{k=\"1\"} 1\nb 2\n", ""),
        (many.as_str(), limited),
        (many.as_str(), limited),
        ("b 3\na{k=\"1\"} 4\n", ""),
        ("c 1\nb 5\na{k=\"1\"} 6\nd 7\n", limited),
        ("b 8\nc 9\na{k=\"1\"} 10\n", ""),
    ] {
        assert_eq!(bench.scrape(Some(body)), said);
    }
    assert_eq!(bench.series("scrape_samples_scraped"), "{} 1000=2 2000=500 3000=500 4000=2 5000=4 6000=3");
    assert_eq!(
        bench.series("scrape_samples_post_metric_relabeling"),
        "{} 1000=2 2000=500 3000=500 4000=2 5000=4 6000=3"
    );
    assert_eq!(bench.series("a"), "{k=\"1\"} 1000=1 2000=stale 4000=4 5000=stale 6000=10");
    assert_eq!(bench.series("b"), "{} 1000=2 2000=stale 4000=3 5000=stale 6000=8");
    assert_eq!(bench.series("c"), "{} 6000=9");
    assert!(bench.state.series.len() < 20, "{} series are remembered", bench.state.series.len());
}

/// What Prometheus says of bodies that it refuses.
#[test]
fn refused_bodies_are_counted_up_to_the_fault() {
    for (body, scraped, added) in
        [("a 1\nb oops\nc 3\n", 1.0, 1.0), ("a 1\nb{k=\"1\",k=\"2\"} 2\nc 3\n", 2.0, 1.0), ("a 1\na 2\n", 2.0, 1.0)]
    {
        let mut bench = bench();
        bench.scrape(Some(body));
        assert_eq!(bench.series("scrape_samples_scraped"), format!("{{}} 1000={scraped}"), "{body}");
        assert_eq!(bench.series("scrape_series_added"), format!("{{}} 1000={added}"), "{body}");
    }
    let mut twice = bench();
    for _ in 0..3 {
        twice.scrape(Some("a 1\na 2\n"));
    }
    assert_eq!(twice.metrics.duplicate_timestamp.get(), 3.0);
}

#[test]
fn names_of_the_legacy_scheme_are_those_that_are_stored() {
    let mut bench = bench();
    bench.book.legacy_names = true;
    assert!(bench.scrape(Some("{\"a.b\"} 1\n")).contains("\"a.b\" is not valid"));
    assert!(bench.scrape(Some("a{\"k.k\"=\"1\"} 1\n")).contains("\"k.k\" is not valid"));
    let rename: RelabelConfig = serde_json::from_str(r#"{"target_label": "__name__", "replacement": "ab"}"#).unwrap();
    bench.book.rules = Rules::new(&[rename]).unwrap();
    bench.state.forget_keys();
    assert_eq!(bench.scrape(Some("{\"a.b\"} 1\n")), "");
    assert_eq!(bench.series("ab"), "{} 3000=1");
}

/// Passes rows on, after a look at whether what they say did not change is what the row before had.
struct Watching<'a> {
    storage: &'a MemoryStorage,
    /// Of every series of the row before that had a value, its bits.
    before: std::sync::Mutex<Vec<Option<u64>>>,
}

impl Ingest for Watching<'_> {
    fn extend_layout(&self, known: &[SeriesId], new: &[Labels]) -> Result<Layout, StorageError> {
        self.before.lock().unwrap().clear();
        self.storage.extend_layout(known, new)
    }

    fn series_labels(&self, series: SeriesId) -> Option<Labels> {
        self.storage.series_labels(series)
    }

    fn append_rows(&self, rows: &[Row<'_>]) -> Result<AppendReport, StorageError> {
        for row in rows {
            let mut before = self.before.lock().unwrap();
            let has = |bitmap: &[u64], i: usize| bitmap[i / 64] >> (i % 64) & 1 == 1;
            let mut now = Vec::new();
            for (i, value) in row.values.iter().enumerate() {
                let present = match row.presence {
                    Presence::All => true,
                    Presence::Bitmap(bitmap) => has(bitmap, i),
                };
                now.push(present.then_some(value.to_bits()));
                if present && let Some(changed) = row.changed.filter(|changed| !has(changed, i)) {
                    assert_eq!(before[i], Some(value.to_bits()), "series {i} changed, but not by {changed:?}");
                }
            }
            *before = now;
        }
        self.storage.append_rows(rows)
    }

    fn append_series(&self, series: &[SeriesSamples]) -> Result<AppendReport, StorageError> {
        self.storage.append_series(series)
    }

    fn append_metadata(&self, metadata: &[(String, Metadata)]) -> Result<(), StorageError> {
        self.storage.append_metadata(metadata)
    }
}

/// Lines of bodies: what changes, comes twice, has a time of its own, is told otherwise or is wrong.
const LINES: [&str; 19] = [
    "a 1\n",
    "a 2\n",
    "a{k=\"1\"} 1\n",
    "a{k=\"1\"} 17\r\n",
    "a{k=\"1\"} 3 700\n",
    "a{k=\"1\"} 4 1700\n",
    "b 5\n",
    "b NaN\n",
    "b  +Inf\n",
    "# TYPE h histogram\n",
    "h_bucket{le=\"1\"} 3\n",
    "h_bucket{le=\"1.0\"} 4\n",
    "h_bucket{le=\"2\"} 4 900\n",
    "h_count 5\n",
    "h_count 6\n",
    "up 7\n",
    "c{k=\"1\",l=\"2\"} 1\n",
    "c{l=\"2\",k=\"1\"} 2\n",
    "d oops\n",
];

/// A body of metrics of these kinds and values: what stands in a family of its own or with others, has a start, a time, a
/// histogram, or the place of a series of the report; `up` and what comes twice among them.
fn messages(list: &[(usize, u8)]) -> Vec<u8> {
    let mut writer = Writer::default();
    let mut last = "";
    for (kind, number) in list {
        let value = f64::from(*number);
        let histogram = native(u32::from(*number));
        let buckets = [(0.5, value), (1.0, value + 1.0)];
        let classic = MetricValue::Classic { count: value + 2.0, sum: value, buckets: &buckets };
        let (name, metric_type, k, metric) = match kind {
            0 | 1 => ("a", MetricType::Gauge, *kind, Metric::new(MetricValue::Float(value))),
            2 => {
                let metric = Metric { start_ms: Some(5000), ..Metric::new(MetricValue::Float(value)) };
                ("b", MetricType::Counter, 0, metric)
            }
            3 => {
                let metric =
                    Metric { timestamp_ms: Some(700 + i64::from(*number)), ..Metric::new(MetricValue::Float(1.0)) };
                ("c", MetricType::Unknown, 0, metric)
            }
            4 => ("h", MetricType::Histogram, 0, Metric::new(MetricValue::Histogram(&histogram))),
            5 => ("h", MetricType::Histogram, 1, Metric::new(classic)),
            _ => ("up", MetricType::Gauge, 0, Metric::new(MetricValue::Float(value))),
        };
        if name != last {
            writer.family(&Family { name, help: "Help.", unit: "", metric_type });
            last = name;
        }
        let k = k.to_string();
        writer.metric([("k", k.as_str())].into_iter().filter(|_| name != "up"), &metric);
    }
    writer.finish()
}

proptest::proptest! {
    /// Whatever comes in, in whatever order of formats, a good body after it is stored.
    #[test]
    fn any_bytes_leave_the_target_usable(
        bodies in proptest::collection::vec((proptest::collection::vec(proptest::num::u8::ANY, 0..60), 0..6_u8), 1..8),
        flip in proptest::num::u8::ANY,
    ) {
        let mut bench = bench();
        bench.book.histograms.native = true;
        bench.book.histograms.custom_buckets = true;
        let one = native(1);
        for (bytes, what) in bodies {
            let (mut good, _) = protobuf(&[
                ("a", "1", MetricValue::Float(1.0), None),
                ("h", "", MetricValue::Histogram(&one), Some(700)),
            ]).unwrap();
            let format = [Format::Text, Format::OpenMetrics, Format::Protobuf][usize::from(what) % 3];
            if what < 3 {
                bench.scrape_bytes(Some((bytes, format)));
            } else {
                let at = bytes.len() % good.len();
                good[at] ^= flip;
                bench.scrape_bytes(Some((good, Format::Protobuf)));
            }
        }
        proptest::prop_assert_eq!(bench.scrape(Some("last 5\n")), "");
        let stored = bench.series("last");
        proptest::prop_assert!(stored.ends_with("=5"), "{}", stored);
    }

    /// Reading messages by difference stores what reading them in full stores, and tells truly what changed.
    #[test]
    fn difference_and_full_reading_of_messages_agree(
        bodies in proptest::collection::vec(proptest::collection::vec((0..7_usize, 0..4_u8), 0..8), 1..10),
        steps in proptest::collection::vec((0..4_u8, 0..8_usize, 0..7_usize, 0..4_u8), 8),
        native_too in proptest::bool::ANY,
        classic_always in proptest::bool::ANY,
    ) {
        let (mut quick, mut full) = (bench(), bench());
        for bench in [&mut quick, &mut full] {
            bench.book.histograms.native = native_too;
            bench.book.histograms.classic_always = classic_always;
        }
        let storage = MemoryStorage::new();
        let watching = Watching { storage: &storage, before: std::sync::Mutex::default() };
        let mut scratch = Scratch::default();
        // Each list, and what becomes of it.
        let lists = bodies.into_iter().flat_map(|list| {
            let changed = steps.iter().scan(list.clone(), |list: &mut Vec<(usize, u8)>, (what, at, kind, number)| {
                match what {
                    0 => list.insert((*at).min(list.len()), (*kind, *number)),
                    1 if !list.is_empty() => drop(list.remove(at % list.len())),
                    _ if !list.is_empty() => {
                        let at = at % list.len();
                        list[at].1 = *number;
                    }
                    _ => {}
                }
                Some(list.clone())
            });
            std::iter::once(list.clone()).chain(changed.collect::<Vec<_>>())
        });
        for list in lists {
            let body = messages(&list);
            full.state.forget_keys();
            let said = full.scrape_bytes(Some((body.clone(), Format::Protobuf)));
            quick.now_ms = full.now_ms;
            let mut bytes = body;
            let body = Some(Body { bytes: &mut bytes, format: Format::Protobuf });
            let outside = Outside { ingest: &watching, metrics: &quick.metrics, families: &quick.families };
            let done = quick.state.scrape(body, quick.now_ms, &quick.book, outside, &mut scratch, |_| ());
            proptest::prop_assert_eq!(done.unwrap().1.map(|error| error.to_string()).unwrap_or_default(), said);
            if quick.state.settled {
                for turn in 0..8 {
                    quick.state.verify_messages(&quick.book, turn).unwrap();
                }
            }
        }
        quick.storage = storage;
        for metric in ["a", "b", "c", "h", "h_bucket", "h_count", "h_sum", "up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"] {
            proptest::prop_assert_eq!(quick.series(metric), full.series(metric));
        }
    }

    /// Reading by difference stores what reading in full stores, and tells truly what changed.
    #[test]
    fn difference_and_full_reading_agree(
        bodies in proptest::collection::vec(
            (proptest::collection::vec(0..LINES.len() * 8, 0..12), 0_usize..40), 1..12),
        custom_buckets in proptest::bool::ANY,
        classic_always in proptest::bool::ANY,
    ) {
        let (mut quick, mut full) = (bench(), bench());
        for bench in [&mut quick, &mut full] {
            bench.book.histograms.custom_buckets = custom_buckets;
            bench.book.histograms.classic_always = classic_always;
        }
        let storage = MemoryStorage::new();
        let watching = Watching { storage: &storage, before: std::sync::Mutex::default() };
        let mut scratch = Scratch::default();
        for (lines, cut) in bodies {
            // The faulty line is rare; a cut takes the end off one body in ten.
            let mut body: String = lines
                .iter()
                .map(|line| LINES[if *line == LINES.len() - 1 { *line } else { line % (LINES.len() - 1) }])
                .collect();
            if cut < 4 {
                body.truncate(body.len().saturating_sub(cut));
            }
            full.state.forget_keys();
            let said = full.scrape(Some(&body));
            quick.now_ms = full.now_ms;
            let mut bytes = body.clone().into_bytes();
            let body = Some(Body { bytes: &mut bytes, format: Format::Text });
            let outside = Outside { ingest: &watching, metrics: &quick.metrics, families: &quick.families };
            let done = quick.state.scrape(body, quick.now_ms, &quick.book, outside, &mut scratch, |_| ());
            proptest::prop_assert_eq!(done.unwrap().1.map(|error| error.to_string()).unwrap_or_default(), said);
            if quick.state.settled {
                quick.state.verify(Format::Text, &quick.book, 0).unwrap();
            }
        }
        quick.storage = storage;
        for metric in ["a", "b", "h", "h_bucket", "h_count", "up", "c", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"] {
            proptest::prop_assert_eq!(quick.series(metric), full.series(metric));
        }
    }
}
