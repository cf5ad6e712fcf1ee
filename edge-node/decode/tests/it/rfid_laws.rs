//! Laws that hold for every stream: cuts do not matter, nothing is held without bound, true frames are found.

use edge_decode::rfid::{Decoder, MAX_PENDING, Read, Reject, iso11784::Code};
use farm_model::{
    device::RfidDialect,
    observation::MAX_RAW,
    tag::{Epc, MAX_NATIONAL_ID, Rfid, Tag},
};
use proptest::{collection::vec, prelude::*};

fn dialects() -> Vec<RfidDialect> {
    let pattern = "{skip}{c3} {n12}{skip}".to_owned();
    vec![
        RfidDialect::Wl134a,
        RfidDialect::Rdm6300,
        RfidDialect::Allflex,
        RfidDialect::Template { pattern },
        RfidDialect::UhfBb,
    ]
}

fn any_identity() -> impl Strategy<Value = Rfid> {
    (0u16..1000, 1..=MAX_NATIONAL_ID).prop_map(|(c, n)| Rfid::new(c, n).expect("in range"))
}

fn wl134a(rfid: Rfid) -> Vec<u8> {
    let reversed = |text: String| text.chars().rev().collect::<String>();
    let id = reversed(format!("{:010X}", rfid.national()));
    let country = reversed(format!("{:04X}", rfid.country()));
    let body = format!("{id}{country}010000000000");
    let sum = body.bytes().fold(0, |sum, b| sum ^ b);
    [&[2], body.as_bytes(), &[sum, !sum, 3]].concat()
}

fn rdm6300(number: u64) -> Vec<u8> {
    let sum = number.to_be_bytes().iter().fold(0, |sum, b| sum ^ b);
    format!("\x02{number:010X}{sum:02X}\x03").into_bytes()
}

fn uhf(epc: &Epc) -> Vec<u8> {
    let words = epc.bytes().len() as u8 / 2;
    let header = [2, 0x22, 0, epc.bytes().len() as u8 + 5, 0xC8, words << 3, 0];
    let body = [&header, epc.bytes(), &[0x12, 0x34]].concat();
    let sum = body.iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
    [&[0xBB], body.as_slice(), &[sum, 0x7E]].concat()
}

/// A tag of the dialect's kind and how a reader would send it.
fn any_frame() -> impl Strategy<Value = (RfidDialect, Tag, Vec<u8>)> {
    let allflex = |r: Rfid| format!("LA {:03} {:012}\r\n", r.country(), r.national());
    let pattern = "{c3} {n12}";
    let template = RfidDialect::Template {
        pattern: pattern.to_owned(),
    };
    let hex = RfidDialect::Template {
        pattern: "{hex16}".to_owned(),
    };
    prop_oneof![
        any_identity().prop_map(|r| (RfidDialect::Wl134a, r.into(), wl134a(r))),
        (1u64..1 << 40).prop_map(|n| (RfidDialect::Rdm6300, Tag::Em4100(n), rdm6300(n))),
        any_identity().prop_map(move |r| (RfidDialect::Allflex, r.into(), allflex(r).into())),
        any_identity().prop_map(move |r| {
            let line = format!("{:03} {:012}\n", r.country(), r.national());
            (template.clone(), r.into(), line.into())
        }),
        any_identity().prop_map(move |r| {
            let line = format!("{:016X}\r", Code::of_animal(r).0);
            (hex.clone(), r.into(), line.into())
        }),
        vec(any::<[u8; 2]>(), 2..31).prop_filter_map("all zero", |words| {
            let epc = Epc::new(&words.concat()).expect("of a true length");
            let zero = epc.bytes().iter().all(|b| *b == 0);
            (!zero).then(|| (RfidDialect::UhfBb, Tag::Epc(epc.clone()), uhf(&epc)))
        }),
    ]
}

/// Bytes with many of those that mean something to a decoder.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"\x02\x03\xBB\x7E\x00\x22 09AFLR\r\n".as_slice());
    vec(prop_oneof![any::<u8>(), special], 0..200)
}

fn run(dialect: &RfidDialect, pieces: &[&[u8]]) -> Vec<Result<Read, Reject>> {
    let mut decoder = Decoder::new(dialect).expect("a valid dialect");
    let mut said = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut |outcome| said.push(outcome));
        assert!(decoder.pending() <= MAX_PENDING);
    }
    decoder.idle(&mut |outcome| said.push(outcome));
    assert_eq!(decoder.pending(), 0);
    said
}

proptest! {
    #[test]
    fn cuts_do_not_matter(stream in noise(), (_, _, frame) in any_frame(), size in 1usize..40) {
        let stream = [stream.as_slice(), &frame, &stream].concat();
        for dialect in dialects() {
            let whole = run(&dialect, &[&stream]);
            let cut: Vec<&[u8]> = stream.chunks(size).collect();
            prop_assert_eq!(&run(&dialect, &cut), &whole);
            for outcome in whole {
                let raw = match outcome { Ok(read) => read.raw, Err(reject) => reject.raw };
                prop_assert!(!raw.is_empty() && raw.len() <= MAX_RAW);
            }
        }
    }

    #[test]
    fn what_a_reader_sends_is_read((dialect, tag, frame) in any_frame(), times in 1usize..4) {
        let said = run(&dialect, &[&frame.repeat(times)]);
        prop_assert_eq!(said.len(), times);
        for outcome in said {
            prop_assert_eq!(outcome.map(|read| read.tag), Ok(tag.clone()));
        }
    }

    #[test]
    fn noise_around_does_not_hide_a_frame((dialect, tag, frame) in any_frame(), before in noise(), after in noise()) {
        // Text readers end what stands before by a line end; framed ones have to be found anywhere.
        let text = matches!(dialect, RfidDialect::Allflex | RfidDialect::Template { .. });
        let gap: &[u8] = if text { b"\r" } else { b"" };
        let stream = [before.as_slice(), gap, &frame, &after].concat();
        let found = run(&dialect, &[&stream]).into_iter().flatten().any(|read| read.tag == tag);
        prop_assert!(found);
    }

    #[test]
    fn noise_alone_is_never_a_framed_tag(noise in vec(any::<u8>(), 0..300)) {
        for dialect in [RfidDialect::Wl134a, RfidDialect::Rdm6300, RfidDialect::UhfBb] {
            prop_assert!(run(&dialect, &[&noise]).iter().all(Result::is_err));
        }
    }
}
