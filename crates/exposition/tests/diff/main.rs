//! A body read by its difference to another is read as if it stood alone: on real bodies, mutated, and generated ones.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod messages;
mod protobuf;
mod reader;

use exposition::Format;
use proptest::prelude::*;
use reader::{Reader, Told, same_from};
use std::path::{Path, PathBuf};

/// `after` read on top of `before` is what the parser reads alone.
fn same(before: &[u8], after: &[u8], format: Format) -> Told {
    let mut reader = Reader::default();
    let _ = reader.read(before, format);
    same_from(&mut reader, after, format)
}

/// Before, after, and what the walk makes of it: lines kept, values read, keys that are new.
const TEXT: &[(&str, &str, [usize; 3])] = &[
    ("a 1\nb 2\n", "a 1\nb 2\n", [2, 0, 0]),
    ("a 1\nb 2\n", "a 1\nb 23\n", [1, 1, 0]),
    ("a 1\nb 2\nc 3\n", "a 100\nb 2\nc 4\n", [1, 2, 0]),
    // Lines come, go and move.
    ("a 1\nb 2\nc 3\n", "a 1\nc 3\n", [1, 1, 0]),
    ("a 1\nc 3\nd 4\n", "a 1\nb 2\nc 3\nd 4\n", [2, 1, 1]),
    ("a 1\nb 2\n", "b 2\na 1\n", [0, 2, 0]),
    ("a 1\n", "a 1\nb 2\n", [1, 0, 1]),
    ("a 1\nb 2\n", "a 1\n", [1, 0, 0]),
    // Keys that start as others do.
    ("a 1\nab 2\n", "ab 1\n", [0, 1, 0]),
    ("a 1\n", "a{b=\"c\"} 1\n", [0, 0, 1]),
    ("a{b=\"c\"} 1\n", "a 1\n", [0, 0, 1]),
    // Ends of bodies.
    ("a 1\nb 2", "a 1\nb 25", [1, 1, 0]),
    ("a 1\nb 25\n", "a 1\nb 2", [1, 1, 0]),
    ("a 1\nb 25", "a 1\nb 25\n", [1, 1, 0]),
    ("a 1\r\nb 2\r\n", "a 1\r\nb 3\r\n", [1, 1, 0]),
    ("a 1\r\n", "a 1\n", [0, 1, 0]),
    // Metadata.
    ("# HELP a x\na 1\n", "# HELP a y\na 1\n", [0, 1, 0]),
    ("# TYPE h gauge\nh{le=\"1\"} 1\n", "# TYPE h histogram\nh{le=\"1\"} 1\n", [0, 0, 1]),
    ("# TYPE h histogram\nh{le=\"1\"} 1\nb 2\n", "h{le=\"1\"} 1\nb 2\n", [0, 0, 2]),
    ("# TYPE s summary\ns{quantile=\"1\"} 1\n", "# TYPE s summary\ns{quantile=\"1\"} 2\n", [0, 1, 0]),
    ("a 1\n\n\n# c\nb 2\n", "a 1\n# d\nb 2\n", [1, 1, 0]),
    // Timestamps, blanks, values.
    ("a 1 1000\nb 2\n", "a 1 2000\nb 2\n", [1, 1, 0]),
    ("a 1 1000\n", "a 1\n", [0, 1, 0]),
    ("a  1\n", "a   1\n", [0, 1, 0]),
    ("a 1\n", "a   1\n", [0, 1, 0]),
    ("a NaN\n", "a +Inf\n", [0, 1, 0]),
    ("a{b=\"é\"} 1\n", "a{b=\"è\"} 1\n", [0, 0, 1]),
    // The same key twice.
    ("a 1\na 2\n", "a 1\na 3\n", [1, 1, 0]),
    ("a 1\na 2\nb 1\n", "a 2\nb 1\n", [0, 2, 0]),
];

#[test]
fn steps() {
    for (before, after, [kept, known, new]) in TEXT {
        let told = same(before.as_bytes(), after.as_bytes(), Format::Text);
        let expected = Told { kept: *kept, known: *known, new: *new, unsure: false };
        assert_eq!(told, expected, "{before:?} -> {after:?}");
    }
}

#[test]
fn what_cannot_be_read_is_read_carefully() {
    for (before, after, format) in [
        ("a 1\nb 2\n", "a 1\nb x\n", Format::Text),
        ("a 1\nb 2\n", "a 1\nb \n", Format::Text),
        ("a 1\n", "a {b=\"c\"} 1\n", Format::Text),
        ("a 1\n# EOF\n", "a 1\n", Format::OpenMetrics),
        ("a 1\n# EOF\n", "a 2", Format::OpenMetrics),
        ("a 1\n# EOF\n", "a 1\n# EOF\nb 2\n", Format::OpenMetrics),
        ("a 1\nb 2\n# EOF\n", "a 1\n# EOF\nb 2\n# EOF\n", Format::OpenMetrics),
        ("a 1\n# EOF\n", "a 1 \n# EOF\n", Format::OpenMetrics),
    ] {
        assert!(same(before.as_bytes(), after.as_bytes(), format).unsure, "{before:?} -> {after:?}");
    }
    assert!(same(b"a 1\nb 2\n", b"a 1\nb \xff2\n", Format::Text).unsure);
    assert!(same(b"a 1\nb 2\n", b"a 1\nb{c=\"\xff\"} 2\n", Format::Text).unsure);
    let exemplars = ("a_total 1 # {id=\"x\"} 1\n# EOF\n", "a_total 1 # {id=\"yy\"} 2 3\n# EOF\n");
    let told = same(exemplars.0.as_bytes(), exemplars.1.as_bytes(), Format::OpenMetrics);
    assert_eq!(told, Told { kept: 0, known: 1, new: 0, unsure: false });
    // Another format is another body.
    let mut reader = Reader::default();
    reader.read(b"a 1 5\n", Format::Text).0.unwrap();
    same_from(&mut reader, b"a 1 5\n# EOF\n", Format::OpenMetrics);
}

fn real_bodies() -> Vec<(PathBuf, Vec<u8>, Format)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/exposition"));
    let mut folders = vec![root.to_path_buf()];
    let mut bodies = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            println!("skipped: {} is not there", folder.display());
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "txt") {
                let openmetrics = path.to_string_lossy().contains("openmetrics");
                let format = if openmetrics { Format::OpenMetrics } else { Format::Text };
                let body = std::fs::read(&path).unwrap();
                bodies.push((path, body, format));
            }
        }
    }
    bodies.sort_by(|a, b| a.0.cmp(&b.0));
    bodies
}

/// A small generator, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }

    /// Does to a body what targets do, and what they should not.
    fn mutate(&mut self, body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = body.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        for _ in 0..=self.below(6) {
            if lines.is_empty() {
                break;
            }
            let at = self.below(lines.len());
            let other = self.below(lines.len());
            match self.below(12) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[other].clone()),
                2 => lines.swap(at, other),
                3 => lines.rotate_left(at),
                4 => lines.truncate(at.max(1)),
                5 if !lines[at].is_empty() => {
                    let byte = self.below(lines[at].len());
                    lines[at][byte] = b"0 1\t9{}\",#\n\xffx"[self.below(13)];
                }
                6 => {
                    let cut = self.below(lines[at].len());
                    lines[at].truncate(cut);
                }
                7 => drop(lines.drain(at..(at + self.below(9)).min(lines.len()))),
                // The commonest: other values.
                _ => {
                    for line in lines.iter_mut().skip(at).take(1 + other % 40) {
                        if let Some(blank) = line.iter().rposition(|byte| *byte == b' ')
                            && !line.starts_with(b"#")
                        {
                            line.truncate(blank + 1);
                            line.extend_from_slice(format!("{}\n", self.below(100_000)).as_bytes());
                        }
                    }
                }
            }
        }
        lines.concat()
    }
}

#[test]
fn real_bodies_and_what_may_become_of_them() {
    let bodies = real_bodies();
    let mut quick = 0;
    for (i, (path, body, format)) in bodies.iter().enumerate() {
        let mut dice = Dice(i as u64);
        let mut reader = Reader::default();
        let rounds = if body.len() > 20_000 { 60 } else { 30 };
        for _ in 0..rounds {
            let after = dice.mutate(body);
            let told = same_from(&mut reader, &after, *format);
            quick += usize::from(told.kept > 0 && !told.unsure);
            let told = same_from(&mut reader, body, *format);
            quick += usize::from(told.kept > 0 && !told.unsure);
        }
        println!("{}: good", path.display());
    }
    assert!(bodies.is_empty() || quick > bodies.len(), "only {quick} of the walks were quick ones");
}

fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "[ab]{1,2}".prop_map(|name| name),
        ("[ab]{1,2}", "[ab]", "[a-c]{0,2}").prop_map(|(name, label, value)| format!("{name}{{{label}=\"{value}\"}}")),
        Just("h_bucket{le=\"1\"}".to_owned()),
    ];
    let value = prop_oneof![Just("1".to_owned()), "[0-9]{1,3}", Just("NaN".to_owned()), "[0-9]\\.[0-9]"];
    let tail = prop_oneof![4 => Just(String::new()), 1 => " [0-9]{1,2}", 1 => Just(" # {id=\"x\"} 1".to_owned())];
    prop_oneof![
        8 => (key, value, tail).prop_map(|(key, value, tail)| format!("{key} {value}{tail}")),
        1 => "# (HELP|TYPE) [ab] (counter|histogram)",
        1 => Just("# TYPE h histogram".to_owned()),
        1 => Just("# EOF".to_owned()),
        1 => "[ -~é]{0,6}",
    ]
}

proptest! {
    #[test]
    fn any_body_after_any_other(
        bodies in prop::collection::vec(prop::collection::vec(line(), 0..8), 2..5),
        ends in prop::collection::vec(any::<(bool, bool, bool)>(), 5),
    ) {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut reader = Reader::default();
            for (body, (newline, eof, crlf)) in bodies.iter().zip(&ends) {
                let mut text = body.join(if *crlf { "\r\n" } else { "\n" });
                if *newline {
                    text.push('\n');
                }
                if *eof && format == Format::OpenMetrics {
                    text.push_str("# EOF\n");
                }
                same_from(&mut reader, text.as_bytes(), format);
            }
        }
    }

    /// Bytes that are no text, where a text is expected, end in a fault and in nothing worse, whatever was read before.
    #[test]
    fn any_bytes_are_read_or_refused(
        body in prop::collection::vec(line(), 0..10),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut reader = Reader::default();
            let good = format!("a 1\nb{{c=\"d\"}} 2\n{}\n# EOF\n", body.join("\n"));
            same_from(&mut reader, good.as_bytes(), format);
            let mut changed = good.clone().into_bytes();
            for (at, byte) in &wrong {
                let at = at.index(changed.len());
                changed[at] = *byte;
            }
            same_from(&mut reader, &changed, format);
            same_from(&mut reader, &bytes, format);
            same_from(&mut reader, &[good.as_bytes(), &bytes].concat(), format);
            exposition::check(&bytes);
        }
    }

    /// Bodies of which most is equal, as targets send them.
    #[test]
    fn small_changes(
        body in prop::collection::vec(line(), 1..30),
        changes in prop::collection::vec((any::<prop::sample::Index>(), line(), 0..4_u8), 0..6),
    ) {
        let mut lines: Vec<String> = body.iter().filter(|line| !line.starts_with("# EOF")).cloned().collect();
        let mut reader = Reader::default();
        let mut send = |lines: &[String]| {
            same_from(&mut reader, format!("{}\n# EOF\n", lines.join("\n")).as_bytes(), Format::OpenMetrics);
        };
        send(&lines);
        for (place, line, what) in changes {
            let at = if lines.is_empty() { 0 } else { place.index(lines.len()) };
            match what {
                0 => lines.insert(at, line),
                1 if !lines.is_empty() => drop(lines.remove(at)),
                _ if !lines.is_empty() => lines[at] = line,
                _ => {}
            }
            send(&lines);
        }
    }
}
