//! Readers' published frames and lines, and what is wrong with wrong ones.

use edge_decode::rfid::{Decoder, Read, Reject, RejectReason, TemplateError};
use farm_model::{device::RfidDialect, tag::Tag};

/// All that `dialect` makes of `bytes`.
fn decode(dialect: &RfidDialect, bytes: &[u8]) -> Vec<Result<Read, Reject>> {
    let mut decoder = Decoder::new(dialect).expect("a valid dialect");
    let mut said = Vec::new();
    decoder.feed(bytes, &mut |outcome| said.push(outcome));
    said
}

fn tags(dialect: &RfidDialect, bytes: &[u8]) -> Vec<String> {
    let said = decode(dialect, bytes);
    said.into_iter()
        .flatten()
        .map(|read| read.tag.to_string())
        .collect()
}

fn reasons(dialect: &RfidDialect, bytes: &[u8]) -> Vec<RejectReason> {
    let said = decode(dialect, bytes);
    said.into_iter()
        .filter_map(Result::err)
        .map(|reject| reject.reason)
        .collect()
}

fn template(pattern: &str) -> RfidDialect {
    let pattern = pattern.to_owned();
    RfidDialect::Template { pattern }
}

/// The frame of 050 123456789012, whose checksum happens to be NUL.
const WL_FRAME: &[u8] = b"\x0241A199EBC12300010000000000\x00\xff\x03";
const WL_OTHER: &[u8] = b"\x0210000000002300010000000000\x01\xfe\x03";
const RDM_FRAME: &[u8] = b"\x0201005A3B7C1C\x03";
const UHF_FRAME: &[u8] = &[
    0xBB, 0x02, 0x22, 0x00, 0x11, 0xC9, 0x34, 0x00, 0x30, 0x75, 0x1F, 0xEB, 0x70, 0x5C, 0x59, 0x04,
    0xE3, 0xD5, 0x0D, 0x70, 0x3A, 0x76, 0xEF, 0x7E,
];

#[test]
fn wl134a_reads_published_frames() {
    let wl = RfidDialect::Wl134a;
    assert_eq!(WL_FRAME.len(), 30);
    assert_eq!(tags(&wl, WL_FRAME), ["050123456789012"]);
    assert_eq!(tags(&wl, WL_OTHER), ["050000000000001"]);
    let mut ends_with_bell = WL_FRAME.to_vec();
    ends_with_bell[29] = 0x07;
    assert_eq!(tags(&wl, &ends_with_bell), ["050123456789012"]);
    assert_eq!(tags(&wl, &[WL_FRAME, WL_OTHER, WL_FRAME].concat()).len(), 3);
    assert_eq!(
        decode(&wl, &WL_FRAME[..29]),
        [],
        "one byte short: still waiting"
    );
}

#[test]
fn wl134a_says_what_is_wrong() {
    let wl = RfidDialect::Wl134a;
    let flipped = |at: usize, byte: u8| {
        let mut frame = WL_FRAME.to_vec();
        frame[at] = byte;
        frame
    };
    let resummed = |at: usize, byte: u8| {
        let mut frame = flipped(at, byte);
        frame[27] = frame[1..27].iter().fold(0, |sum, b| sum ^ b);
        frame[28] = !frame[27];
        frame
    };
    assert_eq!(reasons(&wl, &flipped(3, b'B')), [RejectReason::Checksum]);
    assert_eq!(reasons(&wl, &flipped(28, 0xFE)), [RejectReason::Checksum]);
    assert_eq!(reasons(&wl, &flipped(29, 0x04)), [RejectReason::BadFrame]);
    assert_eq!(reasons(&wl, &resummed(3, b'G')), [RejectReason::NotHex]);
    assert_eq!(
        reasons(&wl, &resummed(16, b'0')),
        [RejectReason::AnimalZero]
    );
    assert_eq!(
        reasons(&wl, &resummed(10, b'F')),
        [RejectReason::OutOfRange],
        "more than 38 bits"
    );
}

#[test]
fn wl134a_finds_the_frame_behind_a_false_start() {
    let wl = RfidDialect::Wl134a;
    for cut in 1..30 {
        let stream = [&WL_FRAME[..cut], WL_FRAME].concat();
        assert_eq!(tags(&wl, &stream), ["050123456789012"], "cut at {cut}");
        let rejected: usize = decode(&wl, &stream)
            .into_iter()
            .filter_map(Result::err)
            .map(|r| r.raw.len())
            .sum();
        assert_eq!(rejected, cut, "each byte is told once");
    }
}

#[test]
fn rdm6300_reads_and_repeats() {
    let rdm = RfidDialect::Rdm6300;
    let said = decode(&rdm, &[RDM_FRAME, RDM_FRAME].concat());
    let tag = Tag::Em4100(0x01_005A_3B7C);
    assert_eq!(said.len(), 2);
    assert!(said.iter().flatten().all(|read| read.tag == tag));
    assert_eq!(said[0].as_ref().unwrap().raw, RDM_FRAME);
    assert_eq!(
        reasons(&rdm, b"\x0201005A3B7C1D\x03"),
        [RejectReason::Checksum]
    );
    assert_eq!(
        reasons(&rdm, b"\x0201005A3BxC1C\x03"),
        [RejectReason::NotHex]
    );
    assert_eq!(
        reasons(&rdm, b"\x020000000000\x30\x30\x03"),
        [RejectReason::AnimalZero]
    );
}

#[test]
fn allflex_reads_each_line_end() {
    let allflex = RfidDialect::Allflex;
    for end in ["\r\n", "\r", "\n"] {
        let line = format!("LA 982 000001088420{end}");
        assert_eq!(tags(&allflex, line.as_bytes()), ["982000001088420"]);
    }
    assert_eq!(
        tags(&allflex, b"LR 0006 0000000018514243\r\n"),
        ["006000018514243"]
    );
    assert_eq!(
        tags(&allflex, b"\xff\x00LA 982 000001088420\r\n"),
        ["982000001088420"]
    );
    for (line, reason) in [
        ("LA 982 0000010884200\r", RejectReason::NoMatch),
        ("LA 982 00000108842\r", RejectReason::NoMatch),
        ("LA 982  00001088420\r", RejectReason::NoMatch),
        ("READY\r", RejectReason::NoMatch),
        ("LA 982 274877906944\r", RejectReason::OutOfRange),
        ("LA 982 000000000000\r", RejectReason::AnimalZero),
        ("LR 1006 0000000018514243\r", RejectReason::OutOfRange),
    ] {
        assert_eq!(reasons(&allflex, line.as_bytes()), [reason], "{line}");
    }
}

#[test]
fn an_endless_line_is_rejected_once() {
    let endless = [b"A".repeat(10_000).as_slice(), b"\rLA 982 000001088420\r"].concat();
    let said = decode(&RfidDialect::Allflex, &endless);
    assert_eq!(said.len(), 2);
    let reject = said[0].as_ref().unwrap_err();
    assert_eq!(
        (reject.reason, reject.raw.len()),
        (RejectReason::TooLong, 64)
    );
    assert!(said[1].is_ok());
}

#[test]
fn templates_read_many_forms() {
    for (pattern, line, tag) in [
        ("{id15}", "050123456789012", "050123456789012"),
        ("{c3} {n12}", "050 123456789012", "050123456789012"),
        ("LA {c3} {n12}", "LA 982 000001088420", "982000001088420"),
        (
            "{skip}{c3} {n12}{skip}",
            "TAG: 050 123456789012 OK",
            "050123456789012",
        ),
        (
            "#{n12};{c3}{skip}",
            "#123456789012;050,7",
            "050123456789012",
        ),
        ("{hex16}", "80000C9CBE991A14", "050123456789012"),
        (
            "ID={hex16}{skip}",
            "ID=80000c9cbe991a14 rssi 7",
            "050123456789012",
        ),
        (
            "{skip}{id15}",
            "\x021234 050123456789012\x03",
            "050123456789012",
        ),
    ] {
        let said = tags(&template(pattern), format!("{line}\r\n").as_bytes());
        assert_eq!(said, [tag], "{pattern} on {line}");
    }
}

#[test]
fn templates_reject_what_does_not_fit() {
    for (pattern, line, reason) in [
        ("{id15}", "0501234567890123", RejectReason::NoMatch),
        ("{id15}", "05012345678901x", RejectReason::NoMatch),
        (
            "{skip}{id15}{skip}",
            "id 0501234567890123",
            RejectReason::NoMatch,
        ),
        ("{id15}", "050274877906944", RejectReason::OutOfRange),
        ("{hex16}", "0000000000000000", RejectReason::AnimalZero),
        ("{c3} {n12}", "050", RejectReason::NoMatch),
    ] {
        let said = reasons(&template(pattern), format!("{line}\n").as_bytes());
        assert_eq!(said, [reason], "{pattern} on {line}");
    }
}

#[test]
fn a_template_that_says_nothing_is_refused() {
    let refused = |pattern: &str| Decoder::new(&template(pattern)).unwrap_err();
    assert_eq!(refused("{c3}"), TemplateError::Identity);
    assert_eq!(refused("{id15}{id15}"), TemplateError::Identity);
    assert_eq!(refused("{c3}{n12}{hex16}"), TemplateError::Identity);
    assert_eq!(refused(""), TemplateError::Identity);
    assert_eq!(refused("{id15"), TemplateError::Unclosed);
    assert_eq!(refused("{id}"), TemplateError::UnknownField("id".into()));
    assert_eq!(refused("{id15}\n"), TemplateError::NotPrintable);
    assert_eq!(refused(&"x".repeat(129)), TemplateError::TooLong);
    insta::assert_snapshot!(refused("{id}"), @"no field is called {id}; use {c3} {n12} {id15} {hex16} or {skip}");
}

#[test]
fn uhf_reads_inventory_notices_only() {
    let uhf = RfidDialect::UhfBb;
    assert_eq!(tags(&uhf, UHF_FRAME), ["epc:30751FEB705C5904E3D50D70"]);
    let answer = [0xBB, 0x00, 0x07, 0x00, 0x01, 0x01, 0x09, 0x7E];
    assert_eq!(decode(&uhf, &answer), [], "sound, and no tag");
    assert_eq!(
        tags(&uhf, &[&answer, UHF_FRAME, UHF_FRAME].concat()).len(),
        2
    );
    let with = |at: usize, byte: u8| {
        let mut frame = UHF_FRAME.to_vec();
        frame[at] = byte;
        frame
    };
    assert_eq!(reasons(&uhf, &with(9, 0)), [RejectReason::Checksum]);
    assert_eq!(reasons(&uhf, &with(23, 0)), [RejectReason::BadFrame]);
    assert_eq!(reasons(&uhf, &with(3, 1))[0], RejectReason::TooLong);
    let mut wrong_words = with(6, 0x3C);
    wrong_words[22] = wrong_words[22].wrapping_add(8);
    assert_eq!(reasons(&uhf, &wrong_words), [RejectReason::BadFrame]);
}

#[test]
fn a_quiet_line_frees_what_is_stuck() {
    let mut decoder = Decoder::new(&RfidDialect::UhfBb).unwrap();
    let mut said = Vec::new();
    let false_start = [0xBB, 0x02, 0x22, 0x00, 0x70];
    decoder.feed(&[&false_start, UHF_FRAME].concat(), &mut |o| said.push(o));
    assert_eq!(said, [], "the false start claims more bytes than came");
    decoder.idle(&mut |o| said.push(o));
    assert_eq!(said.len(), 2);
    assert_eq!(said[0].as_ref().unwrap_err().reason, RejectReason::Partial);
    assert_eq!(said[1].as_ref().unwrap().raw, UHF_FRAME);
    assert_eq!(decoder.pending(), 0);
}

#[test]
fn reasons_have_distinct_keys() {
    let mut keys: Vec<_> = RejectReason::ALL.iter().map(|r| r.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), RejectReason::ALL.len());
}
