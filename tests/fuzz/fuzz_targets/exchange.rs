//! Replication's messages: sealed or not, packed or already open, and claim codes as they are typed.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use sync::{
    Site, Value,
    claim::ClaimCode,
    facts::Run,
    keys::{self, Purpose, SecretKey},
    marks::Mark,
    records::{Cell, Row, Span, Version},
    wire::{self, PROTOCOL, Part, Reply, Request},
};

const SITE: Site = Site([7; 16]);

fn request() -> Request {
    Request {
        protocol: PROTOCOL,
        schema: 1,
        epoch: 0,
        site: SITE,
        heads: Vec::new(),
        have: Vec::new(),
        skip: Vec::new(),
        wait_s: 55,
        room: 65_536,
    }
}

fn parts() -> [Part; 2] {
    let cell = Cell {
        column: "name".to_owned(),
        value: Value::Text("Lali".to_owned()),
        edits: 1,
    };
    let row = Row {
        table: "animal".to_owned(),
        key: vec![Value::Blob(vec![1; 16])],
        life: 1,
        turned: false,
        cells: vec![cell],
    };
    let span = Span {
        site: SITE,
        from: Mark::default(),
        to: 1,
        versions: vec![Version {
            number: 1,
            rows: vec![row],
        }],
    };
    let fact = |n| vec![Value::Blob(vec![1, 2]), Value::Integer(n), Value::Null];
    let run = Run {
        log: "milking".to_owned(),
        site: SITE,
        from: Mark::default(),
        columns: ["animal", "yield_ml", "fat_ppm"]
            .map(str::to_owned)
            .to_vec(),
        rows: vec![fact(1), fact(2), fact(9)],
    };
    [Part::Records(span), Part::Facts(run)]
}

/// The inside of a message: what the packing hides from a fuzzer.
fn inside(parts: &[Part]) -> Vec<u8> {
    let message = wire::encode(&request(), parts).expect("it fits");
    zstd::bulk::decompress(&message[4..], 1 << 16).expect("it is ours")
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let key = SecretKey::from_seed([7; 32]);
    let message = wire::encode(&request(), &parts()).expect("it fits");
    let seeds = [
        inside(&parts()),
        inside(&[]),
        key.seal(Purpose::Exchange, 1_700_000_000_000, &message),
        message,
        b"4GZ7-2MNC-K0QX-8TWB".to_vec(),
    ];
    fuzz::mutate(
        data,
        size,
        max_size,
        seed,
        &seeds.each_ref().map(Vec::as_slice),
    )
});

fuzz_target!(|data: &[u8]| {
    comes_back(data);
    let open = zstd::bulk::compress(data, 1).expect("zstd takes any bytes");
    comes_back(&[b"KHS1".to_vec(), open].concat());
    if let Ok(opened) = keys::open(Purpose::Exchange, data) {
        assert_eq!(opened.message, &data[data.len() - opened.message.len()..]);
    }
    if let Some(code) = std::str::from_utf8(data)
        .ok()
        .and_then(|typed| typed.parse::<ClaimCode>().ok())
    {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
});

/// What is understood is packed as it was understood.
fn comes_back(message: &[u8]) {
    drop(wire::decode::<Reply>(message));
    let Ok(said) = wire::decode::<Request>(message) else {
        return;
    };
    if let Ok(again) = wire::encode(&said.0, &said.1) {
        assert_eq!(wire::decode(&again), Ok(said));
    }
}
