//! Random expressions that are well-typed, for the most part.

use promql_syntax::{AGGREGATIONS, FUNCTIONS, Function, ValueType};

/// A sequence that its seed determines. Source: SplitMix64 (Steele, Lea, Flood).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// What the Prometheus of the distributions (3.5) does not know yet; `info` became another function since.
pub(super) const NEWER: [&str; 11] = [
    "end",
    "first_over_time",
    "histogram_quantiles",
    "info",
    "max_of",
    "min_of",
    "range",
    "start",
    "start_timestamp",
    "step",
    "ts_of_first_over_time",
];

const FLOATS: [&str; 8] = [
    "gauge",
    "counter_total",
    "edge",
    "{__name__=~\"dup_.*\"}",
    "{\"dotted.name\"}",
    "latency_bucket",
    "target_info",
    "{__name__=~\"gauge|counter_total\",job=\"a\"}",
];
const HISTOGRAMS: [&str; 5] = ["native", "custom", "gauge_histogram", "mixed", "{__name__=~\"native|custom\"}"];
const RANGES: [&str; 8] = ["15s", "1m", "2m", "5m", "90s", "61s", "10m", "1m*2"];
const LABELS: [&str; 8] = ["job", "instance", "zone", "le", "__name__", "version", "\"label.ü\"", "nosuch"];

/// An instant query that has an order has it in the answer.
pub(super) fn is_ordered(query: &str) -> bool {
    query.starts_with("sort")
}

pub(super) fn expression(random: &mut Random) -> String {
    let depth = 1 + random.below(3);
    match random.below(20) {
        0 => scalar(random, depth),
        1 => matrix(random, depth),
        2 => format!("{}({})", random.of(&["sort", "sort_desc"]), vector(random, depth - 1)),
        // Every function in turn, more often than chance would have it.
        3..=9 => {
            let known: Vec<&Function> = FUNCTIONS.iter().filter(|function| !NEWER.contains(&function.name)).collect();
            let function = known[random.below(known.len())];
            call(random, function, depth - 1)
        }
        _ => vector(random, depth),
    }
}

fn selector(random: &mut Random) -> String {
    let mut text = if random.below(5) < 3 { random.of(&FLOATS) } else { random.of(&HISTOGRAMS) }.to_owned();
    if random.one_in(3) {
        let matcher = random.of(&[
            "job=\"a\"",
            "job!=\"a\"",
            "instance=~\"1|3\"",
            "instance!~\"1.*\"",
            "zone=\"\"",
            "zone!=\"\"",
            "job=\"a\",instance=\"1\"",
        ]);
        text = match text.strip_suffix('}') {
            Some(open) => format!("{open},{matcher}}}"),
            None => format!("{text}{{{matcher}}}"),
        };
    }
    text
}

fn modifiers(random: &mut Random) -> String {
    let at = random.of(&["", "", "", " @ 1700000600", " @ 1700000300.5", " @ start()", " @ end()"]);
    let offset = random.of(&["", "", "", " offset 1m", " offset -45s", " offset 7s", " offset -(1m+5s)"]);
    if random.one_in(4) {
        format!("{offset}{at}")
    } else if random.one_in(3) {
        offset.to_owned()
    } else {
        String::new()
    }
}

fn matrix(random: &mut Random, depth: usize) -> String {
    let range = random.of(&RANGES);
    if depth == 0 || random.below(4) > 0 {
        return format!("{}[{range}]{}", selector(random), modifiers(random));
    }
    let step = random.of(&["", "15s", "20s", "1m", "7s"]);
    format!("({})[{range}:{step}]{}", vector(random, depth - 1), modifiers(random))
}

fn scalar(random: &mut Random, depth: usize) -> String {
    const NUMBERS: [&str; 16] =
        ["0", "1", "-1", "2", "0.5", "0.9", "-2.5", "3", "1e3", "NaN", "Inf", "-Inf", "0x1f", "1_000", "5m", "1e-320"];
    match random.below(if depth == 0 { 4 } else { 8 }) {
        0..=3 => random.of(&NUMBERS).to_owned(),
        4 => random.of(&["time()", "pi()"]).to_owned(),
        5 => format!("scalar({})", vector(random, depth - 1)),
        6 => format!("-({})", scalar(random, depth - 1)),
        _ => {
            let op = random.of(&["+", "-", "*", "/", "%", "^", "atan2", "== bool", "< bool", ">= bool", "!= bool"]);
            format!("({}) {op} {}", scalar(random, depth - 1), scalar(random, depth - 1))
        }
    }
}

fn labels(random: &mut Random) -> String {
    let count = random.below(3);
    let mut chosen: Vec<&str> = (0..count).map(|_| random.of(&LABELS)).collect();
    chosen.dedup();
    chosen.join(", ")
}

fn vector(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return format!("{}{}", selector(random), modifiers(random));
    }
    match random.below(12) {
        0 => format!("{}{}", selector(random), modifiers(random)),
        1 => format!("-{}", vector(random, depth - 1)),
        2 => format!("vector({})", scalar(random, depth - 1)),
        3..=5 => aggregation(random, depth - 1),
        6..=8 => binary(random, depth - 1),
        _ => {
            let known: Vec<&Function> = (FUNCTIONS.iter())
                .filter(|function| function.returns == ValueType::Vector && !NEWER.contains(&function.name))
                .collect();
            let function = known[random.below(known.len())];
            call(random, function, depth - 1)
        }
    }
}

fn aggregation(random: &mut Random, depth: usize) -> String {
    let (op, _) = AGGREGATIONS[random.below(AGGREGATIONS.len())];
    let parameter = match op {
        "topk" | "bottomk" | "limitk" => format!("{}, ", random.of(&["1", "2", "0", "-1", "3", "1.7", "time()"])),
        "limit_ratio" => format!("{}, ", random.of(&["0.5", "-0.5", "1", "0", "2", "-3", "0.3"])),
        "quantile" => format!("{}, ", random.of(&["0.5", "0", "1", "-1", "2", "NaN", "0.99", "time()"])),
        "count_values" => format!("{}, ", random.of(&["\"v\"", "\"job\"", "\"label.ü\"", "\"__name__\""])),
        _ => String::new(),
    };
    let inner = vector(random, depth);
    match random.below(4) {
        0 => format!("{op}({parameter}{inner})"),
        1 => format!("{op} by ({}) ({parameter}{inner})", labels(random)),
        2 => format!("{op} without ({}) ({parameter}{inner})", labels(random)),
        _ => format!("{op}({parameter}{inner}) by (job)"),
    }
}

fn binary(random: &mut Random, depth: usize) -> String {
    let op = random.of(&[
        "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "> bool", "<= bool",
        "!= bool", "and", "or", "unless",
    ]);
    let is_set = matches!(op, "and" | "or" | "unless");
    if !is_set && random.one_in(3) {
        let (one, other) = (vector(random, depth), scalar(random, depth));
        return if random.one_in(2) { format!("({one}) {op} {other}") } else { format!("{other} {op} ({one})") };
    }
    let how = random.of(&["", "on (job)", "on (job, instance)", "ignoring (zone)", "ignoring (instance)", "on ()"]);
    let group = if how.is_empty() || is_set {
        ""
    } else {
        random.of(&["", "", "group_left", "group_right", "group_left (version)", "group_right (zone, env)"])
    };
    format!("({}) {op} {how} {group} ({})", vector(random, depth), vector(random, depth))
}

fn call(random: &mut Random, function: &Function, depth: usize) -> String {
    let name = function.name;
    match name {
        "label_replace" => {
            let (to, with) =
                (random.of(&["x", "job", "__name__", "label.ü"]), random.of(&["$1", "", "a-$1", "${1}x", "$n", "fix"]));
            let (from, pattern) = (
                random.of(&["job", "instance", "nosuch", "__name__"]),
                random.of(&["(.*)", "a", "(?P<n>a|1)", "[^a]+", ""]),
            );
            return format!(
                "label_replace({}, \"{to}\", \"{with}\", \"{from}\", \"{pattern}\")",
                vector(random, depth)
            );
        }
        "label_join" => {
            let to = random.of(&["x", "job", "__name__"]);
            let from = random.of(&["", ", \"job\"", ", \"job\", \"instance\"", ", \"nosuch\", \"job\""]);
            return format!("label_join({}, \"{to}\", \"-\"{from})", vector(random, depth));
        }
        "sort_by_label" | "sort_by_label_desc" => {
            return format!(
                "{name}({}, {})",
                vector(random, depth),
                random.of(&["\"job\"", "\"instance\", \"job\"", "\"le\""])
            );
        }
        _ => {}
    }
    let optional = usize::from(function.variadic != 0 && random.one_in(2));
    let args: Vec<String> = function.args[..function.args.len() - optional]
        .iter()
        .map(|wanted| match wanted {
            ValueType::Scalar
                if name.starts_with("histogram") || name.starts_with("quantile") || name.starts_with("double") =>
            {
                random.of(&["0.5", "0.9", "0", "1", "-1", "2", "NaN", "0.1", "Inf", "-Inf", "3", "time()"]).to_owned()
            }
            ValueType::Scalar => scalar(random, depth),
            ValueType::Vector => vector(random, depth),
            ValueType::Matrix => matrix(random, depth),
            ValueType::String => "\"job\"".to_owned(),
        })
        .collect();
    format!("{name}({})", args.join(", "))
}
