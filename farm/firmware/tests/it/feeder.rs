//! Laws of feeding: every byte that was asked for last, in order, and never too fast.

use std::time::Duration;

use farm_firmware::Feeder;
use farm_model::DeviceId;
use firmware_protocol::{ChunkRequest, ImageId, MAX_CHUNK};
use proptest::prelude::*;

const IMAGE: ImageId = ImageId([1; 8]);

fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([n; 16])
}

fn request(offset: u32, length: u32, chunk: u16) -> ChunkRequest {
    ChunkRequest {
        image: IMAGE,
        offset,
        length,
        chunk,
    }
}

#[test]
fn the_newest_request_takes_the_place_of_the_last() {
    let mut feeder = Feeder::new(512, 4);
    let at = Duration::from_secs;
    feeder.ask(device(1), &request(0, 10_000, 512), 10_000, at(0));
    assert_eq!(feeder.next(at(0)).unwrap().offset, 0);
    assert_eq!(
        feeder.next(at(0)),
        None,
        "the next one is due a second later"
    );
    feeder.ask(device(1), &request(9_900, 512, 64), 10_000, at(0));
    assert_eq!(feeder.due(), Some(at(1)));
    let piece = feeder.next(at(1)).unwrap();
    assert_eq!((piece.offset, piece.length), (9_900, 64));
    let piece = feeder.next(at(2)).unwrap();
    assert_eq!(
        (piece.offset, piece.length),
        (9_964, 36),
        "no further than the image"
    );
    assert_eq!((feeder.next(at(3)), feeder.due()), (None, None));
}

#[test]
fn nodes_beyond_the_bound_wait_for_a_place() {
    let mut feeder = Feeder::new(512, 2);
    for n in 0..3 {
        feeder.ask(device(n), &request(0, 512, 512), 512, Duration::ZERO);
    }
    let served: Vec<_> = std::iter::from_fn(|| feeder.next(Duration::ZERO))
        .map(|p| p.device)
        .collect();
    assert_eq!(served, [device(0), device(1)]);
    let later = Duration::from_secs(2);
    feeder.ask(device(2), &request(0, 512, 512), 512, later);
    assert_eq!(feeder.next(later).map(|p| p.device), Some(device(2)));
}

proptest! {
    #[test]
    fn no_node_gets_more_than_its_rate(
        asks in prop::collection::vec((0_u8..3, 0_u32..40_000, 0_u32..40_000, 0_u16..2_000), 1..60),
        rate in 500_u32..20_000,
    ) {
        let size = 30_000;
        let mut feeder = Feeder::new(rate, 8);
        let mut sent = [0_u64; 3];
        let mut now = Duration::ZERO;
        for (n, offset, length, chunk) in asks {
            feeder.ask(device(n), &request(offset, length, chunk), size, now);
            while let Some(piece) = feeder.next(now) {
                prop_assert!((1..=MAX_CHUNK).contains(&usize::from(piece.length)));
                prop_assert!(piece.offset + u32::from(piece.length) <= size);
                sent[usize::from(piece.device.as_bytes()[0])] += u64::from(piece.length);
            }
            now += Duration::from_millis(40);
        }
        let most = u64::from(rate) * now.as_millis() as u64 / 1_000 + 2 * MAX_CHUNK as u64;
        for bytes in sent {
            prop_assert!(bytes <= most, "{bytes} of {most}");
        }
    }

    #[test]
    fn a_range_comes_whole_and_in_order(offset in 0_u32..5_000, length in 1_u32..9_000, chunk in 1_u16..700) {
        let size = 6_000;
        let mut feeder = Feeder::new(1_000_000, 1);
        feeder.ask(device(0), &request(offset, length, chunk), size, Duration::ZERO);
        let mut next = offset;
        while let Some(due) = feeder.due() {
            let piece = feeder.next(due).unwrap();
            prop_assert_eq!(piece.offset, next);
            next += u32::from(piece.length);
        }
        prop_assert_eq!(next, (offset + length).min(size).max(offset));
    }
}
