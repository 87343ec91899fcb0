//! Units that the server inferred, for fields to which the dashboard gives none.

use crate::frame::{Field, Frame};

/// Later moments than this are told in seconds since 1970, and are no durations: it is 2001.
const MOMENT_SECONDS: f64 = 1e9;

/// Units of metrics, as the server names them, and what shows them.
const IDS: &[(&str, &str)] = &[
    ("bytes", "bytes"),
    ("kibibytes", "kbytes"),
    ("mebibytes", "mbytes"),
    ("gibibytes", "gbytes"),
    ("kilobytes", "deckbytes"),
    ("megabytes", "decmbytes"),
    ("gigabytes", "decgbytes"),
    ("bits", "decbits"),
    ("bytes/second", "binBps"),
    ("kibibytes/second", "KiBs"),
    ("mebibytes/second", "MiBs"),
    ("gibibytes/second", "GiBs"),
    ("kilobytes/second", "KBs"),
    ("megabytes/second", "MBs"),
    ("gigabytes/second", "GBs"),
    ("bits/second", "bps"),
    ("packets/second", "pps"),
    ("1/second", "count:/s"),
    ("nanoseconds", "ns"),
    ("microseconds", "µs"),
    ("milliseconds", "ms"),
    ("seconds", "s"),
    ("minutes", "m"),
    ("hours", "h"),
    ("days", "d"),
    ("percent", "percent"),
    ("celsius", "celsius"),
    ("fahrenheit", "fahrenheit"),
    ("kelvin", "kelvin"),
    ("meters", "lengthm"),
    ("meters/second", "velocityms"),
    ("grams", "massg"),
    ("joules", "joule"),
    ("joules/second", "watt"),
    ("watts", "watt"),
    ("volts", "volt"),
    ("amperes", "amp"),
    ("ohms", "ohm"),
    ("hertz", "hertz"),
    ("pascals", "pressurepa"),
    ("rpm", "rotrpm"),
    ("decibels", "dB"),
];

/// The id of what shows values in a unit that was inferred; `""` for plain numbers. `bounds` are the smallest and the
/// largest of the values: a ratio is shown in percent within 0 and 1 only, and seconds that are moments stay numbers.
pub fn id_of_inferred(unit: &str, bounds: Option<(f64, f64)>) -> &'static str {
    if unit == "ratio" {
        return if bounds.is_some_and(|(low, high)| low >= 0.0 && high <= 1.0) { "percentunit" } else { "" };
    }
    let a_second = match unit {
        "seconds" => 1.0,
        "milliseconds" => 1e3,
        _ => f64::INFINITY,
    };
    if bounds.is_some_and(|(_, high)| high >= MOMENT_SECONDS * a_second) {
        return "";
    }
    IDS.iter().find(|(name, _)| *name == unit).map_or("", |(_, id)| id)
}

/// Gives the numbers of each query the unit that was inferred for it, before [`crate::field::apply_config`] lets the
/// dashboard's own go first. `inferred` are names of queries and units; where all values share `one_axis`, units that
/// differ are none.
pub fn suggest(frames: &mut [Frame], inferred: &[(String, Option<String>)], one_axis: bool) {
    if one_axis && inferred.windows(2).any(|pair| pair[0].1 != pair[1].1) {
        return;
    }
    for (at, (_, unit)) in inferred.iter().enumerate() {
        let Some(unit) = unit else { continue };
        // Queries of the same unit are shown alike.
        if inferred[..at].iter().any(|(_, earlier)| earlier.as_ref() == Some(unit)) {
            continue;
        }
        let is_of =
            |frame: &Frame| inferred.iter().any(|(name, other)| *name == frame.ref_id && other.as_ref() == Some(unit));
        let numbers = frames.iter().filter(|frame| is_of(frame)).flat_map(|frame| &frame.fields);
        let id = id_of_inferred(unit, crate::field::auto_bounds(numbers));
        let frames = frames.iter_mut().filter(|frame| is_of(frame));
        for field in frames.flat_map(|frame| &mut frame.fields).filter(|field| field.numbers().is_some()) {
            set(field, id);
        }
    }
}

fn set(field: &mut Field, id: &str) {
    id.clone_into(&mut field.config.unit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::apply_config;
    use crate::frame::Values;
    use crate::model::FieldConfig;
    use crate::units::format_text;

    #[test]
    fn every_id_is_known() {
        for (unit, id) in IDS {
            let custom = id.starts_with("count:");
            assert!(custom || crate::units::UNITS.iter().any(|known| known.id == *id), "{unit}: {id}");
        }
    }

    /// Unit, values, and how the largest of them reads.
    const CASES: &str = "
bytes              1048576 3145728   => 3 MiB
bytes/second       1536 2048         => 2 KiB/s
bits/second        2e6 1.5e7         => 15 Mb/s
seconds            0.002 0.25        => 250 ms
seconds            0.00012 0.00025   => 250 µs
seconds            0 1700000000      => 1700000000
milliseconds       0 1700000000000   => 1700000000000
milliseconds       12 1500           => 1.50 s
ratio              0.1 0.425         => 42.5%
ratio              0.1 1.5           => 1.50
ratio              -0.5 0.5          => 0.500
percent            1 42.5            => 42.5%
1                  1 12345           => 12345
1/second           0.1 0.25          => 0.250 /s
1/second           1 250             => 250 /s
1/second           1 12500           => 12.5K /s
celsius            20 21.5           => 21.5 °C
joules/second      20 1500           => 1.50 kW
bytes^2            1 5               => 5
";

    #[test]
    fn values_read_as_people_say_them() {
        for case in CASES.trim().lines() {
            let (left, expected) = case.split_once("=>").unwrap();
            let mut words = left.split_whitespace();
            let unit = words.next().unwrap();
            let [low, high] = [0; 2].map(|_| words.next().unwrap().parse::<f64>().unwrap());
            let id = id_of_inferred(unit, Some((low, high)));
            assert_eq!(format_text(high, id, None), expected.trim(), "in case `{case}`");
        }
    }

    fn frame(name: &str, value: f64) -> Frame {
        let fields = vec![Field::new("Time", Values::Time(vec![0])), Field::new("v", Values::Number(vec![value]))];
        Frame { ref_id: name.to_owned(), fields, ..Frame::default() }
    }

    /// Units of the queries A and B, whether they share an axis, the dashboard's own unit; then what A and B are shown in.
    #[test]
    fn a_set_unit_goes_first_and_different_ones_share_no_axis() {
        for (a, b, one_axis, own, expected) in [
            ("bytes", "bytes", true, "", "bytes bytes"),
            ("bytes", "seconds", true, "", " "),
            ("bytes", "seconds", false, "", "bytes s"),
            ("bytes", "", true, "", " "),
            ("bytes", "", false, "", "bytes "),
            ("bytes", "bytes", true, "short", "short short"),
            ("ratio", "ratio", true, "", " "),
            ("1", "1/second", false, "", " count:/s"),
        ] {
            let mut frames = vec![frame("A", 0.5), frame("B", 3.0)];
            let told = |unit: &str| Some(unit.to_owned()).filter(|unit| !unit.is_empty());
            suggest(&mut frames, &[("A".to_owned(), told(a)), ("B".to_owned(), told(b))], one_axis);
            let mut config = FieldConfig::default();
            own.clone_into(&mut config.defaults.unit);
            apply_config(&mut frames, &config);
            let units: Vec<&str> = frames.iter().map(|frame| frame.fields[1].config.unit.as_str()).collect();
            assert_eq!(units.join(" "), expected, "{a}, {b}, {one_axis}, {own}");
            assert!(frames.iter().all(|frame| frame.fields[0].config.unit == own), "the time stays as it is");
        }
    }
}
