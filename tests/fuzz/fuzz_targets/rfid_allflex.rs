//! Allflex ASCII lines.
#![no_main]

use farm_model::device::RfidDialect;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const FRAME: &[u8] = b"\rLA 982 000001088420\r\n";

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutate(
        data,
        size,
        max_size,
        seed,
        &[FRAME, b"LR 0006 0000000018514243\r"],
    )
});

fuzz_target!(|data: &[u8]| fuzz::reader(&RfidDialect::Allflex, data, FRAME));
