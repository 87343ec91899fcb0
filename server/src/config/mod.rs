//! What the program reads before it runs: flags, `prometheus.yml`, logging.

pub(crate) mod features;
pub(crate) mod logging;
pub(crate) mod prometheus_yml;
pub(crate) mod show;
