//! Our own metrics and logs
