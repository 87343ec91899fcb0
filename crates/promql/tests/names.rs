//! When the names of metrics go: at the end of a query with delayed removal, else where they lose their meaning.

use model::Labels;
use promql::{Engine, EngineOptions, QueryOptions, Value};
use storage::{Samples, memory::MemoryStorage};

/// Counters `a` and `b` of two instances; `t` with its type, before one without; `u` and `v`, which follow each other.
fn data() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let add = |labels: &[(&str, &str)], steps: std::ops::Range<i64>| {
        let mut samples = Samples::default();
        for step in steps {
            samples.push_float(step * 15_000, step as f64);
        }
        storage.replace_series(Labels::from_pairs(labels.iter().copied()), samples);
    };
    for name in ["a", "b"] {
        add(&[("__name__", name), ("i", "1")], 0..80);
        add(&[("__name__", name), ("i", "2")], 0..80);
    }
    add(&[("__name__", "t"), ("__type__", "counter"), ("i", "1")], 0..80);
    add(&[("__name__", "t"), ("i", "1")], 0..80);
    add(&[("__name__", "t"), ("i", "2")], 0..80);
    add(&[("__name__", "u"), ("i", "1")], 0..20);
    add(&[("__name__", "v"), ("i", "1")], 60..80);
    storage
}

const SAME: &str = "vector cannot contain metrics with the same labelset";

/// A query; what series it gives when names go at once; and with delayed removal. `!` stands for the error.
const CASES: &str = r#"
rate(a[1m])                                    => {i="1"} {i="2"}         => {i="1"} {i="2"}
rate({__name__=~"a|b"}[1m])                    => !                       => !
-{__name__=~"a|b"}                             => !                       => !
abs({__name__=~"a|b"}) > 1e9                   => !                       =>
sum(abs({__name__=~"a|b"}))                    => !                       => {}
sum by (__name__) (abs({__name__=~"a|b"}))     => !                       => !
count(last_over_time({__name__=~"a|b"}[1m]))   => {}                      => {}
sum by (__name__) (a)                          => {__name__="a"}          => {__name__="a"}
sum by (__name__) (rate(a[1m]))                => {}                      => {}
sum by (__name__, i) (rate(a[1m]))             => {i="1"} {i="2"}         => {i="1"} {i="2"}
label_replace(rate(a[1m]), "was", "$1", "__name__", "(.+)") => {i="1"} {i="2"} => {i="1", was="a"} {i="2", was="a"}
label_replace(-{__name__=~"a|b"}, "was", "$1", "__name__", "(.+)") => !    => {i="1", was="a"} {i="1", was="b"} {i="2", was="a"} {i="2", was="b"}
max_over_time((-{__name__=~"a|b"})[1m:15s])    => !                       => !
topk(1, -{__name__=~"a|b"})                    => !                       => {i="1"}
rate(t[1m])                                    => !                       => !
sum(rate(t[1m]))                               => !                       => {}
sum(rate({__name__=~"u|v"}[1m]))               => {}                      => {}
rate({__name__=~"u|v"}[1m])                    => {i="1"}                 => {i="1"}
-{__name__=~"u|v"} or -a                       => {i="1"} {i="2"}         => {i="1"} {i="2"}
a == bool on (i) group_left b                  => {i="1"} {i="2"}         => {i="1"} {i="2"}
{__name__=~"a|b"} == bool on (i) group_left u  => !m                      => !
"#;

#[test]
fn names_go_when_they_should() {
    let storage = data();
    for case in CASES.trim().lines() {
        let parts: Vec<&str> = case.split("=>").map(str::trim).collect();
        for (delayed_name_removal, expected) in [(false, parts[1]), (true, parts[2])] {
            for helper_threads in [0, 3] {
                let options = EngineOptions {
                    delayed_name_removal,
                    helper_threads: Some(helper_threads),
                    ..EngineOptions::default()
                };
                let done =
                    Engine::new(options).range(&storage, parts[0], 0, 1_200_000, 60_000, &QueryOptions::default());
                let got = match done {
                    Ok(output) => match output.value {
                        Value::Matrix(series) => {
                            series.iter().map(|series| series.labels.to_string()).collect::<Vec<_>>().join(" ")
                        }
                        other => format!("{other:?}"),
                    },
                    Err(error) if error.to_string() == SAME => "!".to_owned(),
                    Err(error) if error.to_string().starts_with("multiple matches for labels") => "!m".to_owned(),
                    Err(error) => error.to_string(),
                };
                assert_eq!(got, expected, "`{}`, delayed: {delayed_name_removal}", parts[0]);
            }
        }
    }
}
