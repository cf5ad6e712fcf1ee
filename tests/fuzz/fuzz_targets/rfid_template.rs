//! Line templates: any template, and any lines for a few true ones.
#![no_main]

use edge_decode::rfid::Template;
use farm_model::device::RfidDialect;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const FRAME: &[u8] = b"\rTAG: 050 123456789012 OK\r\n";

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 3] = [
        FRAME,
        b"{hex16}\n80000C9CBE991A14",
        b"{skip}{id15}{skip}\nx050123456789012y",
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| {
    let pattern = "{skip}{c3} {n12}{skip}".to_owned();
    fuzz::reader(&RfidDialect::Template { pattern }, data, FRAME);

    let mut parts = data.splitn(2, |b| *b == b'\n');
    let (pattern, line) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if let Ok(template) = String::from_utf8_lossy(pattern).parse::<Template>() {
        let _ = template.read(line);
    }
});
