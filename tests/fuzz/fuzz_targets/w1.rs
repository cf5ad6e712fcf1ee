//! The kernel's files of a DS18B20.
#![no_main]

use edge_decode::w1::parse;
use farm_model::observation::{Body, Quality};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 3] = [
        b"72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n",
        b"50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n",
        b"00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n",
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| {
    let reading = parse(data, None);
    assert!(matches!(reading.raw.len(), 0 | 9));
    if let Body::Measured {
        quality: Quality::Good,
        ..
    } = reading.body
    {
        assert!(
            reading.raw.iter().any(|b| *b != 0),
            "a bus held low is not 0 degrees"
        );
    }
    if let Some(cut) = data.iter().position(|b| *b == 0) {
        parse(&data[..cut], Some(&data[cut..]));
    }
});
