//! The pace of a line: how much at once, and how long a rest.

use std::time::Duration;

use sync::peer::Pace;

const AIM_S: u64 = Pace::AIM.as_secs();

#[test]
fn the_room_follows_a_full_exchange() {
    let mut pace = Pace::default();
    let start = pace.room();
    pace.came_through(10, Duration::from_secs(20 * AIM_S));
    assert_eq!(pace.room(), start, "a small one tells nothing");
    pace.came_through(start, Duration::from_secs(AIM_S));
    assert_eq!(pace.room(), start, "just right");
    pace.came_through(start, Duration::from_millis(AIM_S * 800));
    assert_eq!(pace.room(), start * 5 / 4);
    for _ in 0..30 {
        pace.came_through(pace.room(), Duration::from_millis(1));
    }
    assert_eq!(pace.room(), Pace::MOST);
    pace.came_through(Pace::MOST, Duration::from_secs(100 * AIM_S));
    assert_eq!(
        pace.room(),
        Pace::MOST / 2,
        "never less than half of the last"
    );
}

#[test]
fn rests_grow_to_a_bound_and_spread_down_to_nothing() {
    let mut pace = Pace::default();
    let waits: Vec<_> = (0..40).map(|_| pace.failed(u32::MAX).as_secs()).collect();
    assert_eq!(waits[..4], [2, 4, 8, 16]);
    assert_eq!(waits[39], Pace::LONGEST_WAIT.as_secs());
    assert_eq!(pace.room(), Pace::LEAST);
    assert_eq!(pace.failed(0), Duration::ZERO);
    pace.came_through(1, Duration::from_secs(1));
    assert_eq!(pace.failed(u32::MAX).as_secs(), 2, "a success forgets");
}
