//! Requests survive any damage: the same on every run, and without end in `fuzz/`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod targets;

/// A field of a protobuf message: text or message.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128, "one byte tells the length");
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

fn whole(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn float(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1], value.to_bits().to_le_bytes().as_slice()].concat()
}

fn label(name: &str, value: &str) -> Vec<u8> {
    bytes(1, &[bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat())
}

fn sample(at: u8, value: f64) -> Vec<u8> {
    bytes(2, &[float(1, value), whole(2, at)].concat())
}

/// Whole counts, two spans, a bucket up and one down.
fn histogram() -> Vec<u8> {
    let spans = |number: u8| bytes(number, &[whole(1, 2), whole(2, 1)].concat());
    [
        whole(1, 3),
        float(3, 2.5),
        whole(4, 6),
        float(5, 0.001),
        whole(6, 1),
        spans(8),
        bytes(9, &[2]),
        spans(11),
        bytes(12, &[2]),
        vec![15 << 3, 7],
    ]
    .concat()
}

fn version_1() -> Vec<Vec<u8>> {
    let labels = |name: &str| [label("__name__", name), label("é", "y")].concat();
    let plain = bytes(1, &[labels("a"), sample(5, 1.5), sample(6, 2.0)].concat());
    let exemplar = bytes(3, &[label("id", "7"), float(2, 0.5), whole(3, 6)].concat());
    let with_exemplar = bytes(1, &[labels("b"), sample(5, 1.0), exemplar].concat());
    let native = bytes(1, &[labels("c"), bytes(4, &histogram())].concat());
    let metadata = bytes(3, &[whole(1, 1), bytes(2, b"a"), bytes(4, b"help"), bytes(5, b"s")].concat());
    vec![[plain.clone(), plain.clone(), with_exemplar, native, metadata].concat(), [plain.clone(), plain].concat()]
}

fn version_2() -> Vec<u8> {
    let symbols: Vec<u8> =
        ["", "__name__", "a", "job", "é", "help", "s"].iter().flat_map(|text| bytes(4, text.as_bytes())).collect();
    let metadata = bytes(5, &[whole(1, 1), whole(3, 5), whole(4, 6)].concat());
    let exemplar = bytes(4, &[bytes(1, &[3, 4]), float(2, 0.5), whole(3, 6)].concat());
    let series = [bytes(1, &[1, 2, 3, 4]), sample(5, 1.5), bytes(3, &histogram()), exemplar, metadata].concat();
    [symbols, bytes(5, &series)].concat()
}

fn question() -> Vec<u8> {
    let matcher = bytes(3, &[whole(1, 2), bytes(2, b"job"), bytes(3, b"a.*")].concat());
    let hints = bytes(4, &[whole(1, 5), bytes(2, b"rate"), whole(3, 1), whole(4, 9)].concat());
    bytes(1, &[whole(1, 1), whole(2, 100), matcher, hints].concat())
}

fn snappy(data: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(data).unwrap()
}

#[test]
fn requests_are_taken_or_refused() {
    for body in version_1() {
        assert!(remote::receive::decode("", "", &snappy(&body)).is_ok());
    }
    mutation::run("remote_write_1", &version_1(), 20_000, targets::write_1);
    let type_2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    remote::receive::decode(type_2, "", &snappy(&version_2())).unwrap();
    mutation::run("remote_write_2", &[version_2()], 20_000, targets::write_2);
    mutation::run("remote_read", &[question()], 10_000, targets::read);
    let compressed = [snappy(&version_1()[0]), snappy(&version_2()), snappy(&question()), vec![0xff, 0xff, 0xff, 0x3f]];
    mutation::run("remote_compressed", &compressed, 10_000, targets::compressed);
}
