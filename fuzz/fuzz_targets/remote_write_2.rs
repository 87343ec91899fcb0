#![no_main]
#![allow(dead_code)]
#[path = "../../crates/remote/tests/mutated/targets.rs"]
mod targets;
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::write_2(data));
