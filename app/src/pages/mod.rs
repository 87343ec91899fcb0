//! One page per route.

pub mod alerts;
pub mod dashboard;
pub mod dashboard_list;
pub mod explore;
pub mod federation;
pub mod home;
pub mod not_found;
pub mod parts;
pub mod probes;
pub mod rules;
pub mod silences;
pub mod status;
pub mod targets;
