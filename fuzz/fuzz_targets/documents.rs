#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| registry_probe::fuzzing::check("documents", input));
