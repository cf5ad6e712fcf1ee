//! What goes by age goes by a trusted clock; what goes for want of room needs none.

use farm::{
    readings::{self, Resolution},
    retention::{self, Budget},
};
use farm_model::{
    Body, ClockQuality, DeviceId, Milli, Observation, Quality, Quantity, Stamp, UnixMillis,
};
use proptest::prelude::*;

use crate::support::{DAY, Fixture, HOUR, NOW};

const RAW_MS: i64 = 30 * DAY;

fn device() -> DeviceId {
    DeviceId::from_bytes([7; 16])
}

/// A reading every `step` milliseconds of the last `days` days, compacted.
fn fill(f: &Fixture, days: i64, step: i64) {
    let all: Vec<_> = (0..days * DAY / step)
        .map(|n| reading(NOW.plus(-n * step)))
        .collect();
    f.write(move |tx| {
        readings::ingest(tx, &all)?;
        readings::compact(tx, all.len())
    })
    .unwrap();
}

fn reading(at: UnixMillis) -> Observation {
    Observation {
        device: device(),
        at: Stamp {
            wall: at,
            clock: ClockQuality::Synced,
            boot: 1,
            mono: 0,
        },
        body: Body::Measured {
            quantity: Quantity::Temperature,
            value: Some(Milli(4_000)),
            quality: Quality::Good,
            flaw: None,
        },
        raw: Vec::new(),
        key: None,
    }
}

fn enforce(f: &Fixture, bytes: u64) {
    let budget = Budget {
        raw_ms: RAW_MS,
        bytes,
    };
    while f
        .write(move |tx| retention::enforce(tx, budget))
        .unwrap()
        .more
    {}
}

/// When the raw readings that are left were taken, oldest first.
fn left(f: &Fixture) -> Vec<UnixMillis> {
    let (from, to) = (NOW.plus(-400 * DAY), NOW.plus(DAY));
    let points = f.read(|conn| {
        readings::history(
            conn,
            device(),
            Quantity::Temperature,
            from,
            to,
            Resolution::Raw,
        )
    });
    points.into_iter().map(|p| p.at).collect()
}

#[test]
fn a_jump_far_ahead_deletes_nothing_and_want_of_room_still_does() {
    let f = Fixture::new();
    fill(&f, 20, 300_000);
    let all = left(&f);
    for quality in [ClockQuality::Unknown, ClockQuality::Told] {
        f.clock.set(NOW.plus(4_000 * DAY), quality);
        enforce(&f, u64::MAX);
        assert_eq!(left(&f), all, "by a clock that is {quality:?}");
    }
    let before = f.read(retention::size);
    let room = before.used - 150_000;
    enforce(&f, room);
    let after = f.read(retention::size);
    assert!(after.used <= room, "{before:?} became {after:?}");
    let kept = left(&f);
    assert!(
        all.ends_with(&kept) && kept.len() < all.len(),
        "the oldest go first: {} of {} are left",
        kept.len(),
        all.len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the clock says on the way, nothing goes that is not old by true time; and when a trusted clock speaks, all
    /// that is old goes.
    #[test]
    fn nothing_goes_before_its_time(
        steps in prop::collection::vec((0i64..8, prop::option::of((-400i64..4_000, 0i64..3))), 1..8),
    ) {
        let f = Fixture::new();
        fill(&f, 40, 6 * HOUR);
        let all = left(&f);
        let mut truth = NOW;
        for (days, lie) in steps {
            truth = truth.plus(days * DAY);
            f.clock.pass(days * DAY);
            match lie {
                Some((ahead, quality)) => f.clock.set(truth.plus(ahead * DAY), ClockQuality::from_code(quality)),
                None => f.clock.set(truth, ClockQuality::Synced),
            }
            enforce(&f, u64::MAX);
            let kept = left(&f);
            let young: Vec<_> = all.iter().copied().filter(|at| truth.since(*at) <= RAW_MS).collect();
            prop_assert!(kept.ends_with(&young), "{} of {} kept, lie {lie:?}", kept.len(), young.len());
            prop_assert!(lie.is_some() || kept == young, "{} kept, {} are young", kept.len(), young.len());
        }
    }
}
