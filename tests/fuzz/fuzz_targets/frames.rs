//! Frames of nodes: bytes from a wire, contents of every kind of record, and a serial line that recovers.
#![no_main]

use firmware_protocol::{
    Deframer, DeviceId, Direction, FrameWriter, Header, Key, MAX_FRAME, MAX_SERIAL, Offer,
    Readings, Record, Sequence, VERSION, What, open, to_serial,
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seeds: [&[u8]; 5] = [
        // A header, a batch of two readings, a configuration, an offer's texts, a line's stuffing.
        &[VERSION, 0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 1],
        &[
            2, 1, 41, 7, 0, 0, 3, 2, 6, 0, 0, 0, 1, 0x90, 0x4e, 5, 0, 1, 3, 20, 2,
        ],
        &[66, 3, 2, 1, 0xd8, 4, 2, 0x88, 0x0e],
        b"\x051.4.0\x06stable",
        &[0, 3, 0x10, 0, 4, 1, 2, 3, 0, 0xff],
    ];
    fuzz::mutate(data, size, max_size, seed, &seeds)
});

fuzz_target!(|data: &[u8]| {
    contents(data);
    wire(data);
    line(data);
});

/// The first byte is a kind; whatever is understood is written as it was understood.
fn contents(data: &[u8]) {
    let Some((&kind, contents)) = data.split_first() else {
        return;
    };
    let Ok(record) = Record::read(kind, contents) else {
        return;
    };
    match record {
        Record::Readings(readings) => known(&readings),
        Record::Config(config) => config.iter().for_each(drop),
        Record::Offer(offer) => {
            offer
                .signed(&mut [0; Offer::MAX_SIGNED])
                .expect("it has room for any");
        }
        _ => {}
    }
    // What was added after the end that is known is left out, once.
    let (mut first, mut second) = ([0; MAX_FRAME], [0; MAX_FRAME]);
    if let Some(once) = rewrite(&record, &mut first) {
        let twice = rewrite(&once, &mut second).expect("it had room before");
        assert_eq!(format!("{once:?}"), format!("{twice:?}"));
    }
}

/// The record out of a frame that it was put into, if it has room.
fn rewrite<'b>(record: &Record<'_>, buffer: &'b mut [u8; MAX_FRAME]) -> Option<Record<'b>> {
    let key = Key::new([1; 32]);
    let mut sequence = Sequence::start(Direction::Up, DeviceId([2; 8]), 3);
    let mut frame = FrameWriter::new(buffer, &mut sequence).expect("an empty frame has room");
    frame.add(record).ok()?;
    let opened = open(frame.seal(&key), &key).expect("it was sealed");
    let read = opened.records().next().expect("one was added");
    Some(read.expect("it was written"))
}

fn known(readings: &Readings<'_>) {
    assert_eq!(readings.iter().count(), readings.len());
    for reading in readings.iter() {
        if let What::Unknown { contents, .. } = reading.what {
            assert!(contents.len() <= 255);
        }
    }
}

/// Nobody who lacks the key gets a frame opened, and none is changed by trying.
fn wire(data: &[u8]) {
    let mut frame = data.to_vec();
    assert!(open(&mut frame, &Key::new([1; 32])).is_err());
    assert_eq!(frame, data);
    if let Ok(header) = Header::read(data) {
        assert_eq!(header.version, data[0]);
    }
}

/// Frames that are found fit a frame, and after any noise and a zero the next one is found.
fn line(data: &[u8]) {
    let mut deframer = Deframer::new();
    deframer.feed(data, &mut |found| {
        if let Ok(frame) = found {
            assert!(frame.len() <= MAX_FRAME);
        }
    });
    deframer.feed(&[0], &mut |_| {});
    let mut buffer = [0; MAX_SERIAL];
    let sent = &data[..data.len().min(MAX_FRAME)];
    if sent.is_empty() {
        return;
    }
    let mut found = 0;
    deframer.feed(
        to_serial(sent, &mut buffer).expect("it fits"),
        &mut |frame| {
            assert_eq!(frame.expect("it is whole"), sent);
            found += 1;
        },
    );
    assert_eq!(found, 1);
}
