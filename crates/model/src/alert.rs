//! An alert on its way from a rule to the notifications.

use crate::labels::Labels;

/// What rules send and routing receives.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Identity, with `alertname`.
    pub labels: Labels,
    pub annotations: Labels,
    /// Unix milliseconds.
    pub starts_at_ms: i64,
    /// When it was, or will be taken as, resolved; `None`: the receiver's `resolve_timeout` decides.
    pub ends_at_ms: Option<i64>,
    /// Link to the expression that fired.
    pub generator_url: String,
}
