//! WL-134A frames.
#![no_main]

use farm_model::device::RfidDialect;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const FRAME: &[u8] = b"\x0241A199EBC12300010000000000\x00\xff\x03";

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutate(
        data,
        size,
        max_size,
        seed,
        &[FRAME, b"\x0210000000002300010000000000\x01\xfe\x07"],
    )
});

fuzz_target!(|data: &[u8]| fuzz::reader(&RfidDialect::Wl134a, data, FRAME));
