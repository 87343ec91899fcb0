//! Vigie against real programs. `cargo xtask e2e` sets `VIGIE_BIN` and `VIGIE_PEERS`; a test whose peer is
//! not there says so and passes.

mod alerting;
mod api;
mod bad_input;
mod beside_prometheus;
mod cardinality;
mod clients;
mod config;
mod differential;
mod durability;
mod federation;
mod first_start;
mod golden;
mod kill_rounds;
mod native_histograms;
mod object_storage;
mod probing;
mod prometheus_history;
mod promtool;
mod retention;
mod rule_tests;
mod scrapes_alike;
mod scraping;
mod shipping;
mod tools;
mod web_config;
