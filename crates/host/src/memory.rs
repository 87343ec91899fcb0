//! `/proc/meminfo` and a part of `/proc/vmstat`.

use crate::source::{HostError, Source};
use model::{Labels, MetricType};
use telemetry::{Collected, Value};

/// Fields of `/proc/vmstat` that node_exporter takes by default.
fn is_vmstat_field(name: &str) -> bool {
    name.starts_with("oom_kill") || name.starts_with("pgpg") || name.starts_with("pswp") || {
        name.starts_with("pg") && name.contains("fault")
    }
}

pub(crate) fn meminfo(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for line in source.read("proc/meminfo")?.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_whitespace();
        let Some(value) = words.next().and_then(|word| word.parse::<f64>().ok()) else {
            return Err(HostError::Format { file: "proc/meminfo", line: line.to_owned() });
        };
        // `Active(anon)` becomes `Active_anon`.
        let field = key.replace('(', "_").replace(')', "");
        let (field, value) =
            if words.next() == Some("kB") { (format!("{field}_bytes"), value * 1024.0) } else { (field, value) };
        let help = format!("Memory information field {field}.");
        out.gauge(&format!("node_memory_{field}"), &help, &[], value);
    }
    Ok(())
}

pub(crate) fn vmstat(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for line in source.read("proc/vmstat")?.lines() {
        if let Some((name, value)) = line.split_once(' ')
            && is_vmstat_field(name)
            && let Ok(value) = value.trim().parse()
        {
            let help = format!("/proc/vmstat information field {name}.");
            let metric = format!("node_vmstat_{name}");
            out.push(&metric, &help, MetricType::Unknown, Labels::empty(), Value::Number(value));
        }
    }
    Ok(())
}
