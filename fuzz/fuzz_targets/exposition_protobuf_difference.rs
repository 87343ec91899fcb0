#![no_main]
#![allow(dead_code)]
#[path = "../../crates/exposition/tests/mutated/targets.rs"]
mod targets;
libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::protobuf_difference(data));
