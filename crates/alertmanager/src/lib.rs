//! Routing, grouping, inhibition, silences and notifications
