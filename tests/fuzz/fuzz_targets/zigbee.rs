//! Zigbee2MQTT's messages: a topic, a line end, a payload.
#![no_main]

use edge_decode::zigbee::{MAX_NAME, decode, name_of};
use farm_model::observation::Body;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 3] = [
        b"zigbee2mqtt/barn/air\n{\"temperature\":27.3,\"humidity\":81.2,\"battery\":91,\"voltage\":3015,\"linkquality\":120,\"last_seen\":\"2026-11-20T05:30:00+06:00\"}",
        b"zigbee2mqtt/pump\n{\"power\":740,\"energy\":12.31,\"state\":\"ON\",\"device\":{\"ieeeAddr\":\"0x00158d00036c1821\"},\"last_seen\":1795132800000}",
        b"zigbee2mqtt/0x00158D00036C1821\n{\"co2\":812,\"temperature\":null}",
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let topic = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let Some(name) = name_of(&topic) else {
        return;
    };
    let Ok(report) = decode(name, parts.next().unwrap_or_default()) else {
        return;
    };
    assert!((1..=MAX_NAME).contains(&report.name.len()));
    for body in report.bodies {
        let Body::Measured {
            value, quality, ..
        } = body
        else {
            unreachable!("a Zigbee device measures");
        };
        assert_eq!(value.is_none(), quality == farm_model::Quality::Missing);
    }
});
