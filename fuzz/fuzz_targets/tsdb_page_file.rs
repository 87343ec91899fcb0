#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tsdb::fuzz::page_file(data));
