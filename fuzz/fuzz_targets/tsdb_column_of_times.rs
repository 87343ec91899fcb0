#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tsdb::fuzz::column_of_times(data));
