//! What is made of CoAP datagrams, whatever is in them.

use edge_decode::coap::{Asked, ResponseType, read};
use firmware_protocol::MAX_FRAME;
use proptest::prelude::*;

/// A request: CON, token `t`, path `node`.
fn request(code: u8, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x41, code, 0x12, 0x34, b't', 0xb4];
    datagram.extend(b"node");
    if !payload.is_empty() {
        datagram.push(0xff);
        datagram.extend(payload);
    }
    datagram
}

fn refusal(datagram: &[u8]) -> ResponseType {
    match read(datagram) {
        Asked::Refused(_, code) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_has_its_code() {
    assert_eq!(refusal(&request(1, b"")), ResponseType::MethodNotAllowed);
    assert_eq!(refusal(&request(2, b"")), ResponseType::BadRequest);
    let json = br#"{"value": 4.5}"#;
    assert_eq!(refusal(&request(2, json)), ResponseType::BadRequest);
    let long = refusal(&request(2, &[0; MAX_FRAME + 1]));
    assert_eq!(long, ResponseType::RequestEntityTooLarge);
    let root = [0x40, 2, 0, 1];
    assert_eq!(refusal(&root), ResponseType::NotFound);
    let query = [&request(2, b"")[..], &[0x41, b'x']].concat();
    assert_eq!(refusal(&query), ResponseType::BadOption);
    assert!(matches!(read(&[0x40, 0, 0, 7]), Asked::Reset(7)), "a ping");
    assert!(matches!(read(&[0x50, 0, 0, 7]), Asked::Nothing));
    assert!(matches!(read(&[0x60, 0, 0, 7]), Asked::Nothing));
}

proptest! {
    #[test]
    fn nobody_unknown_is_told_more_than_he_sent(bytes in any::<Vec<u8>>(), code in 0..8_u8, rest in any::<Vec<u8>>()) {
        let near = [&request(code, b"")[..], &rest].concat();
        for datagram in [bytes, near] {
            match read(&datagram) {
                Asked::Refused(exchange, code) => {
                    prop_assert!(exchange.answer(code, Vec::new(), None).len() <= datagram.len());
                }
                Asked::Frame(exchange, _) => {
                    let answer = exchange.answer(ResponseType::Unauthorized, Vec::new(), None);
                    prop_assert!(answer.len() <= datagram.len());
                }
                Asked::Nothing | Asked::Reset(_) => {}
            }
        }
    }
}
