//! `/sys/class/thermal`: temperatures; virtual machines have none.

use crate::source::{HostError, Source};
use telemetry::Collected;

pub(crate) fn collect(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    for name in source.names("sys/class/thermal") {
        let Some(zone) = name.strip_prefix("thermal_zone") else { continue };
        let kind = source.attribute(&format!("sys/class/thermal/{name}/type")).unwrap_or_default();
        if let Some(millidegrees) = source.number(&format!("sys/class/thermal/{name}/temp")) {
            let labels = [("zone", zone), ("type", &kind)];
            out.gauge("node_thermal_zone_temp", "Temperature of a zone in Celsius.", &labels, millidegrees / 1000.0);
        }
    }
    Ok(())
}
