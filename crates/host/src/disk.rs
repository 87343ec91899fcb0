//! `/proc/diskstats`. Source: "I/O statistics fields" in the kernel's documentation.

use crate::source::{HostError, Source, column};
use telemetry::Collected;

/// The kernel's unit here, whatever the device's is.
const SECTOR_BYTES: f64 = 512.0;
const MS: f64 = 0.001;

/// Metric without `node_disk_`, factor, help: by column from the fourth on. `io_now` alone is a gauge.
#[rustfmt::skip]
const FIELDS: [(&str, f64, &str); 17] = [
    ("reads_completed_total", 1.0, "Reads completed successfully."),
    ("reads_merged_total", 1.0, "Reads merged with others."),
    ("read_bytes_total", SECTOR_BYTES, "Bytes read successfully."),
    ("read_time_seconds_total", MS, "Seconds spent by all reads."),
    ("writes_completed_total", 1.0, "Writes completed successfully."),
    ("writes_merged_total", 1.0, "Writes merged with others."),
    ("written_bytes_total", SECTOR_BYTES, "Bytes written successfully."),
    ("write_time_seconds_total", MS, "Seconds spent by all writes."),
    ("io_now", 1.0, "I/Os in progress."),
    ("io_time_seconds_total", MS, "Seconds in which at least one I/O was in progress."),
    ("io_time_weighted_seconds_total", MS, "Seconds spent doing I/Os, weighted by their number."),
    ("discards_completed_total", 1.0, "Discards completed successfully."),
    ("discards_merged_total", 1.0, "Discards merged with others."),
    ("discarded_sectors_total", 1.0, "Sectors discarded successfully."),
    ("discard_time_seconds_total", MS, "Seconds spent by all discards."),
    ("flush_requests_total", 1.0, "Flush requests completed successfully."),
    ("flush_requests_time_seconds_total", MS, "Seconds spent by all flush requests."),
];

pub(crate) fn collect(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for line in source.read("proc/diskstats")?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(device) = words.get(2).copied().filter(|device| !is_ignored(device)) else { continue };
        let (major, minor) = (words.first().copied().unwrap_or(""), words.get(1).copied().unwrap_or(""));
        let model = source.attribute(&format!("sys/block/{device}/device/model")).unwrap_or_default();
        let labels = [("device", device), ("major", major), ("minor", minor), ("model", &model)];
        out.gauge("node_disk_info", "What a block device is; the value is always 1.", &labels, 1.0);
        for (i, (name, factor, help)) in FIELDS.iter().enumerate() {
            let Some(value) = column(&words, i + 3) else { break };
            let (metric, labels, value) = (format!("node_disk_{name}"), [("device", device)], value * factor);
            if *name == "io_now" {
                out.gauge(&metric, help, &labels, value);
            } else {
                out.counter(&metric, help, &labels, value);
            }
        }
    }
    Ok(())
}

/// RAM disks, loops, floppies and partitions, as node_exporter leaves out by default.
fn is_ignored(device: &str) -> bool {
    let base = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if base.len() == device.len() {
        return false;
    }
    if matches!(base, "ram" | "zram" | "loop" | "fd") {
        return true;
    }
    // sda1, hda1, vda1, xvda1; nvme0n1p1.
    let partition = ["xvd", "hd", "sd", "vd"].iter().find_map(|kind| base.strip_prefix(kind));
    let nvme = || {
        let (controller, rest) = base.strip_prefix("nvme")?.split_once('n')?;
        let namespace = rest.strip_suffix('p')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        Some(digits(controller) && digits(namespace))
    };
    partition.is_some_and(|letter| letter.len() == 1) || nvme().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    #[test]
    fn partitions_are_left_out() {
        for (device, ignored) in [
            ("sda", false),
            ("sda1", true),
            ("vdb2", true),
            ("xvda1", true),
            ("nvme0n1", false),
            ("nvme0n1p2", true),
            ("loop0", true),
            ("zram0", true),
            ("dm-0", false),
            ("md127", false),
            ("mmcblk0", false),
        ] {
            assert_eq!(super::is_ignored(device), ignored, "{device}");
        }
    }
}
