//! What was seen: replays and redeliveries change nothing, gaps close, every batch is stored once.

use std::collections::BTreeSet;

use firmware_protocol::*;
use proptest::prelude::*;

const NODE: DeviceId = DeviceId([1; 8]);

fn header(boot: u32, seq: u64) -> Header {
    Header {
        version: VERSION,
        direction: Direction::Up,
        device: NODE,
        boot,
        seq,
    }
}

#[test]
fn a_boot_that_is_over_says_nothing_more() {
    let mut window = ReplayWindow::default();
    let said = [
        (1, 1),
        (1, 1),
        (1, 3),
        (1, 2),
        (1, 2),
        (3, 1),
        (1, 4),
        (2, 1),
        (3, 1),
        (3, 500),
        (3, 436),
        (3, 437),
    ]
    .map(|(boot, seq)| window.take(&header(boot, seq)));
    use Replay::{New, OldBoot, Seen};
    assert_eq!(
        said,
        [
            New, Seen, New, New, Seen, New, OldBoot, OldBoot, Seen, New, Seen, New
        ]
    );
}

#[test]
fn gaps_close_and_losses_are_counted() {
    let held = |oldest| Held {
        ticks: 0,
        queue: 2,
        oldest,
        newest: 200,
    };
    let mut window = AckWindow::default();
    assert_eq!(
        window.held(&held(10)),
        0,
        "a queue that is new has lost nothing that is known"
    );
    assert_eq!(window.take(2, 11), Arrival::New);
    assert_eq!(window.take(2, 11), Arrival::Known);
    assert_eq!(window.take(2, 9), Arrival::Known);
    assert_eq!(window.take(2, 9 + 64), Arrival::New);
    assert_eq!(window.take(2, 9 + 65), Arrival::TooFar);
    assert_eq!(window.take(1, 12), Arrival::OldQueue);
    assert_eq!(
        window.ack(),
        Ack {
            queue: 2,
            through: 9,
            also: 1 << 63 | 0b10
        }
    );
    assert_eq!(window.held(&held(12)), 1, "number 10 never came");
    assert_eq!(
        window.ack(),
        Ack {
            queue: 2,
            through: 11,
            also: 1 << 61
        }
    );
    assert_eq!(window.take(2, 12), Arrival::New);
    assert_eq!(window.ack().through, 12);
    assert_eq!(window.held(&held(5)), 0, "what is on disk stays so");
    assert_eq!(window.held(&held(100)), 86, "13 to 99, without 73");
    assert_eq!(
        window.ack(),
        Ack {
            queue: 2,
            through: 99,
            also: 0
        }
    );
    assert_eq!(
        window.take(7, 1),
        Arrival::New,
        "a queue that was formatted begins again"
    );
    assert_eq!(
        window.ack(),
        Ack {
            queue: 7,
            through: 1,
            also: 0
        }
    );
}

proptest! {
    /// Against a set of all that was seen: nothing new is called seen within the window, nothing seen is called new.
    #[test]
    fn no_frame_is_new_twice(frames in prop::collection::vec((1_u32..4, 1_u64..200), 1..300)) {
        let mut window = ReplayWindow::default();
        let mut seen = BTreeSet::new();
        for (boot, seq) in frames {
            let newest = seen.iter().next_back().copied().unwrap_or((0, 0));
            let said = window.take(&header(boot, seq));
            let expected = match () {
                () if boot < newest.0 => Replay::OldBoot,
                () if seen.contains(&(boot, seq)) => Replay::Seen,
                () if boot == newest.0 && seq + 64 <= newest.1 => Replay::Seen,
                () => Replay::New,
            };
            prop_assert_eq!(said, expected);
            if said == Replay::New {
                seen.insert((boot, seq));
            }
        }
    }

    /// Whatever order, repetition and loss: each number is new at most once, and what is acknowledged was new or given up.
    #[test]
    fn each_batch_is_stored_once(steps in prop::collection::vec((any::<bool>(), 1_u32..300), 1..400)) {
        let mut window = AckWindow::default();
        let (mut stored, mut floor, mut lost) = (BTreeSet::new(), 0, 0);
        for (is_held, number) in steps {
            if is_held {
                let oldest = number.min(floor + 20);
                lost += window.held(&Held { ticks: 0, queue: 0, oldest, newest: 300 });
                floor = floor.max(oldest - 1);
            } else if window.take(0, number) == Arrival::New {
                prop_assert!(stored.insert(number), "{} was stored twice", number);
            }
            let ack = window.ack();
            for number in 1..=310 {
                prop_assert_eq!(ack.covers(0, number), number <= floor || stored.contains(&number) , "{} in {:?}", number, ack);
            }
        }
        let through = window.ack().through;
        let had = stored.iter().filter(|n| **n <= through).count() as u32;
        prop_assert_eq!(lost, through - had);
    }
}
