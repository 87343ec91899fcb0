#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tsdb::fuzz::checkpoint_records(data));
