//! Bodies in protobuf, written field by field, for their order is the writer's choice.

use crate::messages::{Messages, Told};
use exposition::protobuf::Options;
use proptest::prelude::*;

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn whole(field: u64, number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3, &mut out);
    varint(number, &mut out);
    out
}

fn float(field: u64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3 | 1, &mut out);
    out.extend(value.to_le_bytes());
    out
}

fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3 | 2, &mut out);
    varint(content.len() as u64, &mut out);
    out.extend(content);
    out
}

/// The type's number, the number of its field in a metric, its name.
const TYPES: [(u64, u64, &str); 5] =
    [(0, 3, "counter"), (1, 2, "gauge"), (2, 4, "summary"), (3, 5, "untyped"), (4, 7, "histogram")];

fn label(name: &str, value: &str) -> Vec<u8> {
    bytes(1, &[bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat())
}

fn timestamp(field: u64, seconds: u64) -> Vec<u8> {
    bytes(field, &whole(1, seconds))
}

fn exemplar(field: u64, value: f64) -> Vec<u8> {
    bytes(field, &[label("id", "7"), float(2, value), timestamp(3, 5)].concat())
}

/// A value of a type. `number` is what changes, `shape` which fields there are.
fn value(type_at: usize, number: u8, shape: u8) -> Vec<u8> {
    let has = |bit: u8| shape >> bit & 1 == 1;
    let some = |wanted: bool, field: Vec<u8>| if wanted { field } else { Vec::new() };
    let own = f64::from(number);
    match TYPES[type_at].2 {
        "counter" => [float(1, own), some(has(0), exemplar(2, own)), some(has(1), timestamp(3, 9))].concat(),
        "summary" => [
            whole(1, u64::from(number) * 100),
            float(2, own),
            some(has(0), bytes(3, &[float(1, 0.5), float(2, own)].concat())),
            bytes(3, &[float(1, if has(1) { 0.75 } else { 0.9 }), float(2, 1.0)].concat()),
            some(has(2), timestamp(4, 9)),
        ]
        .concat(),
        "histogram" => {
            let bucket = |count: u64, bound: f64| bytes(3, &[whole(1, count), float(2, bound)].concat());
            let count = u64::from(number);
            [
                whole(1, if has(3) { count } else { count + 2 }),
                float(2, own),
                some(has(0), bucket(1, if has(1) { 0.5 } else { 0.25 })),
                bucket(if has(4) { 0 } else { count }, 1.0),
                some(has(5), bucket(count + 2, f64::INFINITY)),
                some(
                    has(2),
                    [whole(5, 0), bytes(12, &[whole(1, 0), whole(2, 1)].concat()), whole(13, (count + 2) * 2)].concat(),
                ),
                some(has(6), timestamp(15, 9)),
                some(has(7), exemplar(16, own)),
            ]
            .concat()
        }
        _ => float(1, own),
    }
}

#[derive(Clone, Debug)]
struct Metric {
    labels: Vec<(&'static str, &'static str)>,
    number: u8,
    shape: u8,
    /// 0 labels first, 1 last, 2 around the value; 3 no value at all.
    order: u8,
    own_ms: u64,
}

#[derive(Clone, Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    unit: bool,
    type_at: usize,
    /// 0 the unit at the end, as most have it; 1 in front; 2 among the metrics.
    order: u8,
    metrics: Vec<Metric>,
}

impl Metric {
    fn message(&self, type_at: usize) -> Vec<u8> {
        let labels: Vec<Vec<u8>> = self.labels.iter().map(|(name, value)| label(name, value)).collect();
        let (start, end) = match self.order {
            0 | 3 => (labels.concat(), Vec::new()),
            1 => (Vec::new(), labels.concat()),
            _ => {
                (labels.iter().take(1).flatten().copied().collect(), labels.iter().skip(1).flatten().copied().collect())
            }
        };
        let own = bytes(TYPES[type_at].1, &value(type_at, self.number, self.shape));
        let own = if self.order == 3 { Vec::new() } else { own };
        let stamp = if self.own_ms > 0 { whole(6, self.own_ms) } else { Vec::new() };
        [start, own, stamp, end].concat()
    }
}

impl Family {
    fn message(&self) -> Vec<u8> {
        let unit = if self.unit { bytes(5, b"seconds") } else { Vec::new() };
        let mut fields = vec![bytes(1, self.name.as_bytes()), bytes(2, self.help.as_bytes())];
        fields.push(whole(3, TYPES[self.type_at].0));
        fields.extend(self.metrics.iter().map(|metric| bytes(4, &metric.message(self.type_at))));
        let place = match self.order {
            0 => fields.len(),
            1 => 3,
            _ => 3 + self.metrics.len() / 2,
        };
        fields.insert(place, unit);
        fields.concat()
    }
}

fn body(families: &[Family]) -> Vec<u8> {
    let mut out = Vec::new();
    for family in families {
        let message = family.message();
        varint(message.len() as u64, &mut out);
        out.extend(message);
    }
    out
}

fn metric() -> impl Strategy<Value = Metric> {
    let labels = prop::sample::select(vec![
        vec![],
        vec![("a", "1")],
        vec![("a", "2")],
        vec![("a", "1"), ("b", "2")],
        vec![("b", "2"), ("a", "1")],
        vec![("a", ""), ("b", "3")],
    ]);
    let order = prop_oneof![30 => Just(0_u8), 2 => Just(1_u8), 2 => Just(2_u8), 1 => Just(3_u8)];
    let own_ms = prop_oneof![4 => Just(0_u64), 1 => 1_u64..4];
    (labels, prop_oneof![Just(1_u8), 0_u8..4, Just(200_u8)], any::<u8>(), order, own_ms)
        .prop_map(|(labels, number, shape, order, own_ms)| Metric { labels, number, shape, order, own_ms })
}

fn family() -> impl Strategy<Value = Family> {
    (
        prop::sample::select(vec!["x", "y", "z", "xy"]),
        prop::sample::select(vec!["Words.", "Other."]),
        any::<bool>(),
        0..TYPES.len(),
        prop_oneof![6 => Just(0_u8), 1 => Just(1_u8), 1 => Just(2_u8)],
        prop::collection::vec(metric(), 0..5),
    )
        .prop_map(|(name, help, unit, type_at, order, metrics)| Family {
            name,
            help,
            unit,
            type_at,
            order,
            metrics,
        })
}

fn options() -> impl Strategy<Value = Options> {
    any::<(bool, bool, bool)>().prop_map(|(native, classic_always, custom_buckets)| Options {
        native,
        classic_always,
        custom_buckets,
        ..Options::default()
    })
}

/// A change of a body, as targets change theirs.
#[derive(Clone, Debug)]
enum Change {
    Value(usize, usize, u8),
    Shape(usize, usize, u8),
    Metric(usize, usize, Option<Metric>),
    Swap(usize, usize),
    Family(usize, Option<Family>),
    Words(usize),
    Order(usize, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let at = || 0..8_usize;
    prop_oneof![
        8 => (at(), at(), any::<u8>()).prop_map(|(family, metric, number)| Change::Value(family, metric, number)),
        2 => (at(), at(), any::<u8>()).prop_map(|(family, metric, shape)| Change::Shape(family, metric, shape)),
        2 => (at(), at(), prop::option::of(metric())).prop_map(|(family, at, metric)| Change::Metric(family, at, metric)),
        1 => (at(), at()).prop_map(|(family, metric)| Change::Swap(family, metric)),
        2 => (at(), prop::option::of(family())).prop_map(|(at, family)| Change::Family(at, family)),
        1 => at().prop_map(Change::Words),
        1 => (at(), 0..3_u8).prop_map(|(family, order)| Change::Order(family, order)),
    ]
}

impl Change {
    fn apply(self, families: &mut Vec<Family>) {
        let count = families.len();
        match self {
            Change::Family(at, Some(family)) => families.insert(at.min(count), family),
            _ if count == 0 => {}
            Change::Family(at, None) => drop(families.remove(at % count)),
            Change::Value(family, metric, number) => {
                let metrics = &mut families[family % count].metrics;
                let metric = metric % metrics.len().max(1);
                if let Some(metric) = metrics.get_mut(metric) {
                    metric.number = number;
                }
            }
            Change::Shape(family, metric, shape) => {
                let metrics = &mut families[family % count].metrics;
                let metric = metric % metrics.len().max(1);
                if let Some(metric) = metrics.get_mut(metric) {
                    metric.shape = shape;
                }
            }
            Change::Metric(family, at, new) => {
                let metrics = &mut families[family % count].metrics;
                match new {
                    Some(metric) => metrics.insert(at.min(metrics.len()), metric),
                    None if !metrics.is_empty() => drop(metrics.remove(at % metrics.len())),
                    None => {}
                }
            }
            Change::Swap(family, metric) => {
                let metrics = &mut families[family % count].metrics;
                if metrics.len() > 1 {
                    let at = metric % (metrics.len() - 1);
                    metrics.swap(at, at + 1);
                } else if count > 1 {
                    families.swap(family % count, metric % count);
                }
            }
            Change::Words(family) => families[family % count].help = "New words.",
            Change::Order(family, order) => families[family % count].order = order,
        }
    }
}

proptest! {
    #[test]
    fn any_body_after_any_other(
        bodies in prop::collection::vec(prop::collection::vec(family(), 0..5), 2..5),
        options in options(),
    ) {
        let mut reader = Messages::default();
        for families in &bodies {
            reader.same_from(&body(families), &options);
        }
    }

    /// Bodies of which most is equal, as targets send them.
    #[test]
    fn small_changes(
        families in prop::collection::vec(family(), 1..6),
        changes in prop::collection::vec(change(), 1..8),
        options in prop::collection::vec(options(), 2),
    ) {
        let mut families = families;
        let mut reader = Messages::default();
        reader.same_from(&body(&families), &options[0]);
        for change in changes {
            change.apply(&mut families);
            reader.same_from(&body(&families), &options[0]);
        }
        // Read by other rules, a body is another one.
        reader.same_from(&body(&families), &options[1]);
    }

    /// Damage anywhere.
    #[test]
    fn any_bytes_are_read_or_refused(
        families in prop::collection::vec(family(), 1..4),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        options in options(),
    ) {
        let mut reader = Messages::default();
        let good = body(&families);
        reader.same_from(&good, &options);
        let mut changed = good.clone();
        for (at, byte) in &wrong {
            let at = at.index(changed.len());
            changed[at] = *byte;
        }
        reader.same_from(&changed, &options);
        reader.same_from(&good, &options);
    }
}

/// A family of `z` with a metric for each number, its label from `a`.
fn gauge(name: &'static str, numbers: &[(&'static str, u8)]) -> Family {
    let metric = |(value, number): &(&'static str, u8)| Metric {
        labels: vec![("a", *value)],
        number: *number,
        shape: 0,
        order: 0,
        own_ms: 0,
    };
    let metrics = numbers.iter().map(metric).collect();
    Family { name, help: "", unit: false, type_at: 1, order: 0, metrics }
}

fn of(kind: usize, number: u8, shape: u8) -> Vec<Family> {
    let metric = Metric { labels: vec![("a", "1")], number, shape, order: 0, own_ms: 0 };
    vec![Family { type_at: kind, metrics: vec![metric], ..gauge("h", &[]) }]
}

/// Before, after, and what the walk makes of it: samples kept, values read, series that are new.
#[test]
fn steps() {
    let two = |x: u8, y: u8| vec![gauge("x", &[("1", x), ("2", 2)]), gauge("y", &[("1", y), ("2", 4)])];
    let [first, second] = <[Family; 2]>::try_from(two(1, 3)).unwrap();
    let (counter, summary, histogram) = (0, 2, 4);
    for (what, before, after, [kept, known, new]) in [
        ("nothing changed", two(1, 3), two(1, 3), [4, 0, 0]),
        ("a value changed", two(1, 3), two(9, 3), [3, 1, 0]),
        ("a family went", two(1, 3), vec![second.clone()], [2, 0, 0]),
        ("a family came", vec![second.clone()], two(1, 3), [2, 0, 2]),
        ("families changed places", two(1, 3), vec![second.clone(), first.clone()], [4, 0, 0]),
        ("a metric came", two(1, 3), vec![gauge("x", &[("1", 1), ("0", 0), ("2", 2)]), second.clone()], [4, 0, 1]),
        ("metrics changed places", two(1, 3), vec![gauge("x", &[("2", 2), ("1", 1)]), second], [2, 2, 0]),
        ("other words", vec![first.clone()], vec![Family { help: "Words.", ..first.clone() }], [2, 0, 0]),
        ("another type", vec![first.clone()], vec![Family { type_at: 3, ..first }], [0, 0, 2]),
        // Starts are told at every walk.
        ("a counter with a start", of(counter, 1, 2), of(counter, 1, 2), [0, 1, 0]),
        ("a summary", of(summary, 1, 1), of(summary, 2, 1), [0, 4, 0]),
        ("another quantile", of(summary, 1, 1), of(summary, 1, 3), [0, 0, 4]),
        ("a histogram", of(histogram, 1, 1), of(histogram, 200, 1), [0, 5, 0]),
        ("the same histogram", of(histogram, 1, 1), of(histogram, 1, 1), [5, 0, 0]),
        ("another bound", of(histogram, 1, 1), of(histogram, 1, 3), [0, 0, 5]),
        ("a bound more", of(histogram, 1, 0), of(histogram, 1, 1), [0, 0, 5]),
    ] {
        let mut reader = Messages::default();
        reader.same_from(&body(&before), &Options::default());
        let told = reader.same_from(&body(&after), &Options::default());
        assert_eq!(told, Told { kept, known, new, unsure: false }, "{what}");
    }
}

/// Native histograms are told at every walk, in their places.
#[test]
fn whole_histograms() {
    for (native, custom_buckets, classic_always, samples) in
        [(true, false, false, 1), (true, false, true, 5), (false, true, false, 1), (false, true, true, 6)]
    {
        let options = Options { native, custom_buckets, classic_always, ..Options::default() };
        let shape = if native { 0b100 } else { 1 };
        let mut reader = Messages::default();
        reader.same_from(&body(&of(4, 3, shape)), &options);
        for number in [3, 7] {
            let told = reader.same_from(&body(&of(4, number, shape)), &options);
            assert_eq!(told, Told { kept: 0, known: samples, new: 0, unsure: false }, "{options:?}");
        }
    }
}
