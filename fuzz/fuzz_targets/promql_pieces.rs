#![no_main]
#![allow(dead_code)]
#[path = "../../crates/promql/tests/common/mod.rs"]
mod common;
#[path = "../../crates/promql/tests/mutated/targets.rs"]
mod targets;
#[path = "../../crates/promql/tests/trial/mod.rs"]
mod trial;
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::pieces(data));
