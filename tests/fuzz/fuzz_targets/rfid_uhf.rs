//! UHF frames that begin with BB.
#![no_main]

use farm_model::device::RfidDialect;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const FRAME: &[u8] = b"\xbb\x02\x22\x00\x11\xc9\x34\x00\x30\x75\x1f\xeb\x70\x5c\x59\x04\xe3\xd5\x0d\x70\x3a\x76\xef\x7e";

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutate(
        data,
        size,
        max_size,
        seed,
        &[FRAME, b"\xbb\x00\x07\x00\x01\x01\x09\x7e"],
    )
});

fuzz_target!(|data: &[u8]| fuzz::reader(&RfidDialect::UhfBb, data, FRAME));
