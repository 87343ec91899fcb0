//! The `alerting:` section: alerts to external Alertmanagers.
