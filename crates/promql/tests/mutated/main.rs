//! Queries survive any damage: the same on every run, and without end in `fuzz/`.

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod common;
mod targets;
#[path = "../trial/mod.rs"]
mod trial;

use common::generate;
use promql_syntax::ValueType;

/// What people write, and what else there is.
const QUERIES: &str = r#"
sum by (a) (rate(m[5m])) / on (a) group_left (le) sum without (le) (m offset 1m) > bool 0.5
histogram_quantile(0.9, sum by (le) (rate(h[1m]))) or quantile(0.1, n)
label_replace(m{a=~"1|2",le!="x"}, "b", "$1-$2", "a", "(.)(.*)") unless on (a) nothing
max_over_time((m * 2 ^ 3 - -1)[2m:20s] @ end()) and topk(2, m @ start() offset -30s)
count_values("v", m) + ignoring (v) group_right () fill (0) sum(h)
increase(m[5m] anchored) or rate(m[5m] smoothed) or m[step()] or last_over_time({"m", a="1"}[1m + 30s])
limit_ratio(-0.5, m) </ 3 and info(m, {a="1"}) == NaN or vector(0x1f) atan2 Inf % 1e-3 # the end
predict_linear(n[1m], 3600) * holt_winters(m[1m], 0.1, 0.2) + time() - scalar(avg(m))
"#;

fn queries() -> Vec<Vec<u8>> {
    let mut noise = mutation::Noise::new(3);
    let made = (0..40).map(|_| generate(ValueType::Vector, 3, &mut |below| noise.below(below)).into_bytes());
    QUERIES.trim().lines().map(|line| line.as_bytes().to_vec()).chain(made).collect()
}

#[test]
fn queries_are_evaluated_or_refused() {
    mutation::run("promql_text", &queries(), 15_000, targets::text);
    let mut noise = mutation::Noise::new(5);
    let pieces: Vec<Vec<u8>> = (0..40).map(|_| (0..12).map(|_| noise.below(256) as u8).collect()).collect();
    mutation::run("promql_pieces", &pieces, 15_000, targets::pieces);
}
