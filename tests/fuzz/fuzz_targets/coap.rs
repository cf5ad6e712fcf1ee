//! CoAP as nodes use it: whatever comes, nobody who is refused is told more than he sent.
#![no_main]

use edge_decode::coap::{Asked, ResponseType, read};
use firmware_protocol::MAX_FRAME;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 4] = [
        b"\x41\x02\x12\x34\x09\xb4node\xff\x10\x00\x8f\x3a\x11\x9c\x52\x07\xe4\xb6\x07\x02\xca\x42\x7b\x05\x85\xe9\x0b\xa4\xb1\xff\x95\xb4",
        b"\x51\x02\x00\x01\x09\x37edge.me\x84node\x60\xff\x10\x00",
        b"\x48\x01\x00\x07abcdefgh\xb4node\x41x",
        b"\x40\x00\x00\x07",
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| match read(data) {
    Asked::Refused(exchange, code) => {
        assert!(exchange.answer(code, Vec::new(), None).len() <= data.len());
    }
    Asked::Frame(exchange, frame) => {
        assert!(frame.len() <= MAX_FRAME);
        assert!(exchange.acknowledgement().len() == 4);
        let down = exchange.answer(ResponseType::Changed, vec![1; MAX_FRAME], Some(1));
        assert!(down.len() < MAX_FRAME + 20);
    }
    Asked::Nothing | Asked::Reset(_) => {}
});
