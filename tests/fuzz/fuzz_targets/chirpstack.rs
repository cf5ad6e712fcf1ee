//! ChirpStack's uplinks: the payload, on a fixed topic.
#![no_main]

use edge_decode::chirpstack::{MAX_VALUES, decode};
use farm_model::quantity::Quantity;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 2] = [
        b"{\"deviceInfo\":{\"devEui\":\"24e124136d1f0a2b\"},\"object\":{\"t\":27.4,\"BatV\":3.6,\"d\":{\"1\":null}}}",
        b"{\"deduplicationId\":\"3ac7\",\"time\":\"2026-11-20T09:34:15.7+00:00\",\"fCnt\":7,\"rxInfo\":[{\"rssi\":-97}],\"deviceInfo\":{\"devEui\":\"24e124136d1f0a2b\"}}",
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| {
    let topic = "application/a/device/24e124136d1f0a2b/event/up";
    if let Ok(uplink) = decode(topic, data) {
        assert!(uplink.values.len() <= MAX_VALUES);
        uplink.bodies(&[("t".to_owned(), Quantity::Temperature)]);
    }
});
