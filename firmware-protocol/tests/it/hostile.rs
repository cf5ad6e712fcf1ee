//! Bytes from anybody: nothing panics, nothing is read beyond its end, and a line recovers.

use firmware_protocol::*;
use proptest::prelude::*;

/// Looks at everything that can be looked at.
fn look(record: &Record<'_>) -> usize {
    match record {
        Record::Readings(readings) => readings.iter().count(),
        Record::Config(config) => config.iter().count(),
        Record::Offer(offer) => offer.signed(&mut [0; Offer::MAX_SIGNED]).unwrap().len(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes_are_a_frame_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..1_100), generation in any::<bool>()) {
        if generation && !bytes.is_empty() {
            bytes[0] = VERSION;
        }
        let before = bytes.clone();
        prop_assert!(open(&mut bytes, &Key::new([5; 32])).is_err());
        prop_assert_eq!(bytes, before);
    }

    #[test]
    fn any_contents_are_a_record_or_refused(kind in prop_oneof![1_u8..9, 64_u8..71, any::<u8>()], contents in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..8], 0..300)) {
        if let Ok(record) = Record::read(kind, &contents) {
            look(&record);
            prop_assert_eq!(record.kind(), kind);
        }
    }

    #[test]
    fn a_line_recovers_after_any_noise(noise in prop::collection::vec(any::<u8>(), 0..2_500), cut in 1_usize..40) {
        let key = Key::new([5; 32]);
        let mut buffer = [0; MAX_FRAME];
        let mut sequence = Sequence::start(Direction::Up, DeviceId([2; 8]), 1);
        let mut writer = FrameWriter::new(&mut buffer, &mut sequence).unwrap();
        writer.add(&Record::TimeRequest(TimeRequest { ticks: 1 })).unwrap();
        let sealed = writer.seal(&key).to_vec();
        let mut line = [0; MAX_SERIAL];
        let sent = to_serial(&sealed, &mut line).unwrap();
        let stream: Vec<u8> = [&noise[..], &[0], sent].concat();
        let mut last = Vec::new();
        let mut refused = 0;
        let mut deframer = Deframer::new();
        for piece in stream.chunks(cut) {
            deframer.feed(piece, &mut |found| match found {
                Ok(frame) => last = frame.to_vec(),
                Err(raw) => refused += raw.len(),
            });
        }
        prop_assert_eq!(last, sealed);
        prop_assert!(refused <= noise.len());
    }
}
