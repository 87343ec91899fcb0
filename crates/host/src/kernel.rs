//! What the kernel says about itself: load, processes, time, name, release, entropy, file descriptors.

use crate::source::{HostError, Source};
use system::{Clock, SystemClock};
use telemetry::Collected;

pub(crate) fn load_average(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    let text = source.read("proc/loadavg")?;
    for (minutes, word) in ["1", "5", "15"].iter().zip(text.split_whitespace()) {
        if let Ok(value) = word.parse() {
            out.gauge(&format!("node_load{minutes}"), &format!("Load average over {minutes} min."), &[], value);
        }
    }
    Ok(())
}

/// First word of a line of `/proc/stat`, metric, whether it is a counter, help.
const STAT: [(&str, &str, bool, &str); 6] = [
    ("intr", "node_intr_total", true, "Interrupts serviced."),
    ("ctxt", "node_context_switches_total", true, "Context switches."),
    ("processes", "node_forks_total", true, "Forks."),
    ("btime", "node_boot_time_seconds", false, "When the machine was started, in seconds since 1970."),
    ("procs_running", "node_procs_running", false, "Processes that could run."),
    ("procs_blocked", "node_procs_blocked", false, "Processes that waited for I/O."),
];

pub(crate) fn stat(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for line in source.read("proc/stat")?.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let Some((_, metric, counter, help)) = STAT.iter().find(|(key, ..)| *key == first) else { continue };
        if let Some(Ok(value)) = words.next().map(str::parse) {
            if *counter { out.counter(metric, help, &[], value) } else { out.gauge(metric, help, &[], value) }
        }
    }
    Ok(())
}

pub(crate) fn time(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    let seconds = SystemClock.now_ms() as f64 / 1000.0;
    out.gauge("node_time_seconds", "The machine's time in seconds since 1970.", &[], seconds);
    for name in source.names("sys/devices/system/clocksource") {
        let Some(device) = name.strip_prefix("clocksource") else { continue };
        let folder = format!("sys/devices/system/clocksource/{name}");
        let available = source.attribute(&format!("{folder}/available_clocksource")).unwrap_or_default();
        for clock in available.split_whitespace() {
            let labels = [("clocksource", clock), ("device", device)];
            let help = "Clock sources that the kernel could use.";
            out.gauge("node_time_clocksource_available_info", help, &labels, 1.0);
        }
        if let Some(clock) = source.attribute(&format!("{folder}/current_clocksource")) {
            let labels = [("clocksource", clock.as_str()), ("device", device)];
            out.gauge("node_time_clocksource_current_info", "The clock source that the kernel uses.", &labels, 1.0);
        }
    }
    Ok(())
}

pub(crate) fn entropy(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for (file, metric, help) in [
        ("entropy_avail", "node_entropy_available_bits", "Bits of entropy available."),
        ("poolsize", "node_entropy_pool_size_bits", "Bits that the entropy pool holds."),
    ] {
        if let Some(value) = source.number(&format!("proc/sys/kernel/random/{file}")) {
            out.gauge(metric, help, &[], value);
        }
    }
    Ok(())
}

pub(crate) fn file_descriptors(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    let text = source.read("proc/sys/fs/file-nr")?;
    let words: Vec<&str> = text.split_whitespace().collect();
    for (i, name) in [(0, "allocated"), (2, "maximum")] {
        if let Some(Ok(value)) = words.get(i).map(|word| word.parse()) {
            out.gauge(&format!("node_filefd_{name}"), &format!("File descriptor statistics: {name}."), &[], value);
        }
    }
    Ok(())
}

pub(crate) fn conntrack(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for (file, metric, help) in [
        ("nf_conntrack_count", "node_nf_conntrack_entries", "Connections that are tracked."),
        ("nf_conntrack_max", "node_nf_conntrack_entries_limit", "Connections that can be tracked."),
    ] {
        // Not there without the kernel's module.
        if let Some(value) = source.number(&format!("proc/sys/net/netfilter/{file}")) {
            out.gauge(metric, help, &[], value);
        }
    }
    Ok(())
}

/// Keys of os-release(5) that become labels of `node_os_info`.
#[rustfmt::skip]
const OS_KEYS: [&str; 12] = [
    "BUILD_ID", "ID", "ID_LIKE", "IMAGE_ID", "IMAGE_VERSION", "NAME", "PRETTY_NAME", "VARIANT", "VARIANT_ID",
    "VERSION", "VERSION_CODENAME", "VERSION_ID",
];

pub(crate) fn os_release(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    let text = source.read("etc/os-release").or_else(|_| source.read("usr/lib/os-release"))?;
    let mut labels: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        if OS_KEYS.contains(&key) {
            labels.push((key.to_ascii_lowercase(), value.trim().trim_matches(['"', '\'']).to_owned()));
        }
    }
    let borrowed: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    out.gauge("node_os_info", "The operating system; the value is always 1.", &borrowed, 1.0);
    let of = |key: &str| borrowed.iter().find(|(own, _)| *own == key).map_or("", |(_, value)| *value);
    // `22.04.3` is told as 22.04.
    let mut parts = of("version_id").split('.');
    let version = match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}"),
        (Some(major), None) => major.to_owned(),
        _ => String::new(),
    };
    if let Ok(version) = version.parse() {
        let labels = [("id", of("id")), ("id_like", of("id_like")), ("name", of("name"))];
        out.gauge("node_os_version", "Major and minor part of the operating system's version.", &labels, version);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
pub(crate) fn uname(_source: &Source, out: &mut Collected) -> Result<(), HostError> {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let labels = [
        ("sysname", &*text(uname.sysname())),
        ("release", &*text(uname.release())),
        ("version", &*text(uname.version())),
        ("machine", &*text(uname.machine())),
        ("nodename", &*text(uname.nodename())),
        ("domainname", &*text(uname.domainname())),
    ];
    out.gauge("node_uname_info", "What the uname system call says; the value is always 1.", &labels, 1.0);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn uname(_source: &Source, _out: &mut Collected) -> Result<(), HostError> {
    Ok(())
}
