//! RDM6300 frames.
#![no_main]

use farm_model::device::RfidDialect;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const FRAME: &[u8] = b"\x0201005A3B7C1C\x03";

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutate(
        data,
        size,
        max_size,
        seed,
        &[FRAME, b"\x02000000000101\x03"],
    )
});

fuzz_target!(|data: &[u8]| fuzz::reader(&RfidDialect::Rdm6300, data, FRAME));
