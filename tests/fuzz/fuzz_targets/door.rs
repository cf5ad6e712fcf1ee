//! The MQTT door: what a client sends, in whatever pieces, before and after its log-in, in each version.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 10] = [
        b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03abc",
        b"\x10\x26\0\x04MQTT\x05\xc6\0\x3c\x05\x11\0\0\0\x01\0\x03abc\x02\x01\x01\0\x03w/t\0\x01x\0\x01u\0\x01p",
        b"\x10\x11\0\x06MQIsdp\x03\x02\0\x3c\0\x03abc",
        b"\x32\x0c\0\x06farm/a\0\x0ahi",
        b"\x34\x14\0\x06farm/a\0\x0a\x07\x23\0\x01\x26\0\0\0hi",
        b"\x82\x0b\0\x0a\0\x06farm/#\x01",
        b"\x82\x0e\0\x0a\x02\x0b\x01\0\x06farm/+\x2d",
        b"\xa2\x0b\0\x0b\0\0\x06farm/#",
        b"\x62\x02\0\x0a\x40\x04\0\x0a\x10\0\xe0\x02\x04\0",
        b"\xf0\x02\x18\0\xc0\0",
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| edge_broker::fuzzing::read(data));
