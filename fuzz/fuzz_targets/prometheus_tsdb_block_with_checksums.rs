#![no_main]
#![allow(dead_code)]
#[path = "../../crates/prometheus-tsdb/tests/mutated/targets.rs"]
mod targets;
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::block_with_checksums(data));
