//! The auto-decoder: what a display shows, a NUL, and the device's words.
#![no_main]

use edge_decode::modbus::auto::{MAX_PROPOSALS, narrow, propose};
use farm_model::{device::ReadFunction, quantity::Quantity};
use fuzz::Numbers;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 3] = [
        b"12.5\0\0\x41\x48\0\0",
        b"-10.1\0\0\xff\x9b\0\x01",
        b"1,000.00\0\x05\0\x01\x86\xa0",
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == 0);
    let shown = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let mut numbers = Numbers(parts.next().unwrap_or_default());
    let quantity = numbers.one_of(Quantity::ALL);
    // The first word is an address too, so that the last addresses are reached.
    let words = numbers.words(64);
    let address = words.first().copied().unwrap_or_default();
    let blocks = [(ReadFunction::HoldingRegisters, address, words)];
    let Ok(found) = propose(&shown, &blocks, quantity) else {
        return;
    };
    assert!(found.len() <= MAX_PROPOSALS);
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    let again = narrow(&found, &shown, &blocks).expect("read once, read again");
    assert_eq!(again.len(), found.len());
});
