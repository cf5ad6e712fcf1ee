//! The farm's MQTT topics: a topic, a line end, a payload.
#![no_main]

use edge_decode::topics::{MAX_NAME, decode};
use farm_model::observation::Body;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 4] = [
        b"farm/milk/050123456789012/am\n{\"quantity\":12.4,\"fat\":4.3,\"snf\":8.7,\"timestamp\":1795132800,\"id\":\"m\"}",
        b"farm/tank/t1/temp\n{\"value\":40.1,\"unit\":\"F\",\"timestamp\":\"2026-11-20T05:30:00+06:00\"}",
        b"farm/stall/3/tag\n{\"tag\":\"epc:30751FEB705C5904\",\"x\":[{}]}",
        b"farm/device/gas-1/gas_flow\n{\"value\":null,\"id\":17}",
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let topic = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let Ok(message) = decode(&topic, parts.next().unwrap_or_default()) else {
        return;
    };
    assert!(
        message
            .key
            .is_none_or(|key| (1..=MAX_NAME).contains(&key.len()))
    );
    match message.body {
        Body::Milked { yield_ml, .. } => assert!((0..=80_000).contains(&yield_ml)),
        Body::Measured { .. } | Body::Identified { .. } => {}
        Body::Heard | Body::Silent { .. } => unreachable!("no topic says that"),
    }
});
