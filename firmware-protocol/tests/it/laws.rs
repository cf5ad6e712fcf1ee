//! What holds for every frame: it comes back as it went, and only with its key, unchanged, whole.

use firmware_protocol::*;
use proptest::prelude::*;

fn device() -> impl Strategy<Value = DeviceId> {
    any::<[u8; 8]>().prop_map(DeviceId)
}

fn sequence() -> impl Strategy<Value = (Direction, DeviceId, u32, u64)> {
    let direction = prop_oneof![Just(Direction::Up), Just(Direction::Down)];
    (direction, device(), any::<u32>(), 0..=MAX_SEQ)
}

/// Readings of any kind, with what they need of memory.
fn reading() -> impl Strategy<Value = (u32, u8, u8, u8, i64, Vec<u8>)> {
    (
        any::<u32>(),
        any::<u8>(),
        any::<u8>(),
        1_u8..=110,
        any::<i64>(),
        prop::collection::vec(any::<u8>(), 0..62),
    )
}

fn what(kind: u8, value: i64, bytes: &[u8]) -> What<'_> {
    match kind {
        1..=99 => What::Measured(Measure::from_code(kind), value),
        100 => What::Tag(Tag::Iso {
            country: value as u16,
            national: value as u64,
        }),
        101 => What::Tag(Tag::Epc(bytes)),
        102 => What::Tag(Tag::Em4100(value as u64)),
        _ => What::Unknown {
            kind,
            contents: bytes,
        },
    }
}

proptest! {
    #[test]
    fn a_frame_comes_back_as_it_went(
        (direction, device, boot, seq) in sequence(),
        key in any::<[u8; 32]>(),
        records in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..8),
        size in 0..1_200_usize,
    ) {
        let key = Key::new(key);
        let mut buffer = vec![0; size];
        let mut sequence = Sequence::resume(direction, device, boot, seq);
        let Ok(mut writer) = FrameWriter::new(&mut buffer, &mut sequence) else {
            prop_assert!(size < Header::MAX_LEN + TAG_LEN);
            return Ok(());
        };
        let mut added = Vec::new();
        for (kind, contents) in &records {
            let room = writer.room();
            match writer.add_stored(*kind, contents) {
                Ok(()) => added.push((*kind, contents)),
                Err(Full) => prop_assert!(room < contents.len() + Record::OVERHEAD),
            }
        }
        let sealed = writer.seal(&key).to_vec();
        prop_assert!(sealed.len() <= size.min(MAX_FRAME));
        let mut line = [0; MAX_SERIAL];
        let mut heard = Vec::new();
        Deframer::new().feed(to_serial(&sealed, &mut line).unwrap(), &mut |frame| heard.push(frame.unwrap().to_vec()));
        prop_assert_eq!(&heard, std::slice::from_ref(&sealed));
        let opened = open(&mut heard[0], &key).unwrap();
        prop_assert_eq!((opened.header.direction, opened.header.device, opened.header.boot, opened.header.seq), (direction, device, boot, seq));
        for (record, (kind, contents)) in opened.records().zip(&added) {
            prop_assert_eq!(record, Record::read(*kind, contents));
        }
        prop_assert_eq!(opened.records().count(), added.len());
    }

    #[test]
    fn a_changed_frame_says_nothing((direction, device, boot, seq) in sequence(), at in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<prop::sample::Index>()) {
        let key = Key::new([9; 32]);
        let mut buffer = [0; 100];
        let mut writer = FrameWriter::new(&mut buffer, &mut Sequence::resume(direction, device, boot, seq)).unwrap();
        writer.add(&Record::TimeRequest(TimeRequest { ticks: 77 })).unwrap();
        let sealed = writer.seal(&key).to_vec();
        let mut changed = sealed.clone();
        changed[at.index(sealed.len())] ^= flip;
        let before = changed.clone();
        prop_assert!(open(&mut changed, &key).is_err());
        prop_assert_eq!(&changed, &before);
        changed.copy_from_slice(&sealed);
        prop_assert!(open(&mut changed[..cut.index(sealed.len())], &key).is_err());
        changed.copy_from_slice(&sealed);
        prop_assert_eq!(open(&mut changed, &Key::new([8; 32])).unwrap_err(), OpenError::NotAuthentic);
    }

    #[test]
    fn readings_come_back_as_they_went(readings in prop::collection::vec(reading(), 0..120), size in 0..1_200_usize) {
        let batch = Batch { queue: 1, number: 2, boot: 3, ticks: 4, unix_ms: 5, clock: ClockQuality::Told };
        let mut buffer = vec![0; size];
        let Ok(mut writer) = ReadingsWriter::new(&mut buffer, &batch) else {
            prop_assert!(size < 7);
            return Ok(());
        };
        let mut added = Vec::new();
        for (after_ms, channel, state, kind, value, bytes) in &readings {
            let state = State { quality: Quality::from_code(state & 3), flaw: Flaw::from_code(state >> 2) };
            let reading = Reading { after_ms: *after_ms, channel: *channel, state, what: what(*kind, *value, bytes) };
            if writer.add(&reading).is_ok() {
                added.push(reading);
            }
        }
        prop_assert!(added.len() <= MAX_READINGS);
        let stored = writer.finish();
        let read = Readings::from_stored(stored).unwrap();
        prop_assert_eq!(read.batch, batch);
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), added);
        let mut again = vec![0; stored.len() + Header::MAX_LEN + TAG_LEN + Record::OVERHEAD];
        let mut frame = FrameWriter::new(&mut again, &mut Sequence::start(Direction::Up, DeviceId([0; 8]), 1)).unwrap();
        if stored.len() <= frame.room() - Record::OVERHEAD {
            frame.add(&Record::Readings(read)).unwrap();
            let key = Key::new([0; 32]);
            let opened = open(frame.seal(&key), &key).unwrap();
            let same = opened.records().next().unwrap().unwrap();
            prop_assert_eq!(same, Record::Readings(read));
        }
    }
}

#[test]
fn no_nonce_comes_twice() {
    let node = DeviceId([3; 8]);
    let mut sequence = Sequence::resume(Direction::Up, node, 1, MAX_SEQ);
    let mut buffer = [0; 64];
    FrameWriter::new(&mut buffer, &mut sequence).unwrap();
    assert_eq!(
        FrameWriter::new(&mut buffer, &mut sequence).unwrap_err(),
        Full
    );
}

/// What a probe with a battery sends: the numbers that the page tells.
#[test]
fn small_frames_stay_small() {
    let mut flash = [0; 128];
    let batch = Batch {
        queue: 1,
        number: 300,
        boot: 12,
        ticks: 600_000,
        unix_ms: 1_795_219_200_000,
        clock: ClockQuality::Synced,
    };
    let mut writer = ReadingsWriter::new(&mut flash, &batch).unwrap();
    for (i, value) in [4_120, 4_180, 4_150].into_iter().enumerate() {
        writer
            .add(&Reading::good(
                300_000 * i as u32,
                0,
                Measure::TemperatureMilliCelsius,
                value,
            ))
            .unwrap();
    }
    writer
        .add(&Reading::good(600_000, 0, Measure::BatteryMillivolt, 3_700))
        .unwrap();
    let stored = writer.finish();
    let mut buffer = [0; MAX_FRAME];
    let mut frame = FrameWriter::new(
        &mut buffer,
        &mut Sequence::resume(Direction::Up, DeviceId([3; 8]), 12, 40),
    )
    .unwrap();
    frame
        .add(&Record::Held(Held {
            ticks: 1_210_000,
            queue: 1,
            oldest: 300,
            newest: 300,
        }))
        .unwrap();
    frame.add_stored(kind::READINGS, stored).unwrap();
    assert_eq!(
        (stored.len(), frame.seal(&Key::new([1; 32])).len()),
        (49, 91)
    );
}
