//! Withdrawal fails closed: only a trusted clock ends a hold.

use farm::{
    alerts::{self, AlertKind, Subject},
    events::{self, EventBody, NewEvent},
    holds::{self, Product},
    milkings::{self, RecordMilk, Repeat},
};
use farm_model::{AnimalId, ClockQuality, Destination, UnixMillis, VisitId, milking::Finding};
use proptest::prelude::*;

use crate::support::{DAY, Fixture, HOUR, HandClock, NOW, date, session, visit};

fn treat(f: &Fixture, cow: AnimalId, milk_hold_h: u32) -> farm::FactId {
    let treatment = EventBody::Treatment {
        medicine: "amoxicillin".into(),
        dose: "20 ml".into(),
        reason: "mastitis".into(),
        milk_hold_h,
        meat_hold_h: milk_hold_h * 2,
    };
    f.write(move |tx| events::record(tx, &NewEvent::now(cow, treatment)))
        .unwrap()
}

fn held(f: &Fixture, cow: AnimalId) -> bool {
    let now = f.now();
    f.read(move |conn| holds::milk_is_held(conn, cow, &now))
}

#[test]
fn a_hold_ends_at_its_hour_by_a_trusted_clock() {
    let f = Fixture::new();
    let cow = f.cow("1");
    assert!(!held(&f, cow));
    let cause = treat(&f, cow, 72);
    f.clock.pass(72 * HOUR - 1);
    assert!(held(&f, cow));
    f.clock.pass(1);
    assert!(!held(&f, cow));
    let now = f.now();
    let standing = f.read(move |conn| holds::of_animal(conn, cow, &now));
    assert_eq!(standing.len(), 1);
    assert_eq!(
        (standing[0].product, standing[0].cause),
        (Product::Meat, cause)
    );
}

#[test]
fn the_strictest_of_several_counts_and_a_voided_one_does_not() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let long = treat(&f, cow, 96);
    treat(&f, cow, 24);
    f.clock.pass(48 * HOUR);
    assert!(held(&f, cow));
    f.write(move |tx| events::void(tx, long)).unwrap();
    assert!(!held(&f, cow));
}

#[test]
fn an_unknown_or_jumped_clock_ends_nothing() {
    for quality in [
        ClockQuality::Unknown,
        ClockQuality::Restored,
        ClockQuality::Told,
    ] {
        let f = Fixture::new();
        let cow = f.cow("1");
        treat(&f, cow, 72);
        f.clock.set(NOW.plus(1000 * DAY), quality);
        assert!(held(&f, cow), "{quality:?}");
        let f = f.reopen(NOW.plus(1000 * DAY), quality);
        assert!(held(&f, cow), "{quality:?} after a restart");
        f.clock.set(NOW.plus(73 * HOUR), ClockQuality::Synced);
        assert!(!held(&f, cow), "known again");
    }
}

#[test]
fn what_a_trusted_clock_saw_end_stays_ended_when_the_clock_is_lost() {
    let f = Fixture::new();
    let cow = f.cow("1");
    treat(&f, cow, 72);
    f.clock.pass(100 * HOUR);
    f.write(holds::date_holds).unwrap();
    let f = f.reopen(UnixMillis(0), ClockQuality::Unknown);
    assert!(!held(&f, cow));
    treat(&f, cow, 1);
    assert!(held(&f, cow));
}

#[test]
fn a_treatment_without_a_clock_is_dated_by_the_same_boot() {
    let f = Fixture::with(HandClock::new(UnixMillis(0), ClockQuality::Unknown));
    let cow = f.cow("1");
    treat(&f, cow, 72);
    f.clock.pass(10 * HOUR);
    // NTP: the treatment was ten hours before this.
    f.clock.set(NOW, ClockQuality::Synced);
    assert!(held(&f, cow), "not dated yet");
    assert_eq!(f.write(holds::date_holds).unwrap(), 2);
    f.clock.set(NOW.plus(61 * HOUR), ClockQuality::Synced);
    assert!(held(&f, cow));
    f.clock.set(NOW.plus(62 * HOUR), ClockQuality::Synced);
    assert!(!held(&f, cow));
    // Another event of hers rebuilds the holds; the date stays.
    f.write(move |tx| events::record(tx, &NewEvent::now(cow, EventBody::Heat)))
        .unwrap();
    assert!(!held(&f, cow));
}

#[test]
fn a_day_that_an_unknown_clock_offered_is_not_believed() {
    let f = Fixture::with(HandClock::new(UnixMillis(0), ClockQuality::Unknown));
    let cow = f.cow("1");
    let on = |day: &str, medicine: &str| {
        let treatment = EventBody::Treatment {
            medicine: medicine.into(),
            dose: String::new(),
            reason: String::new(),
            milk_hold_h: 72,
            meat_hold_h: 0,
        };
        let event = NewEvent::on(cow, date(day), treatment);
        f.write(move |tx| events::record(tx, &event)).unwrap();
    };
    // The form offered the clock's own day; somebody typed the other one.
    on("1970-01-01", "offered");
    on("2026-11-01", "typed");
    f.clock.set(NOW, ClockQuality::Synced);
    let now = f.now();
    let holds = f.read(move |conn| holds::of_animal(conn, cow, &now));
    let standing: Vec<_> = holds.iter().map(|h| h.medicine.as_str()).collect();
    assert_eq!(standing, ["offered"]);
    assert_eq!(f.write(holds::date_holds).unwrap(), 1);
    f.clock.pass(72 * HOUR);
    assert!(!held(&f, cow));
}

#[test]
fn a_treatment_of_an_earlier_boot_without_a_clock_counts_from_the_first_trusted_moment() {
    let f = Fixture::with(HandClock::new(UnixMillis(0), ClockQuality::Unknown));
    let cow = f.cow("1");
    treat(&f, cow, 72);
    let f = f.reopen(NOW, ClockQuality::Synced);
    assert_eq!(f.write(holds::date_holds).unwrap(), 2);
    f.clock.pass(72 * HOUR - 1);
    assert!(held(&f, cow));
    f.clock.pass(1);
    assert!(!held(&f, cow));
    assert_eq!(f.write(holds::date_holds).unwrap(), 0);
}

#[test]
fn held_milk_is_kept_out_of_the_tank_and_raises_one_alarm() {
    let f = Fixture::new();
    let cow = f.cow("1");
    treat(&f, cow, 72);
    let now = f.now();
    f.write(move |tx| {
        milkings::record(
            tx,
            visit("a", Some(cow), session("2026-11-20", 1), 9_000, now),
        )?;
        milkings::record(
            tx,
            visit("b", Some(cow), session("2026-11-20", 2), 7_000, now),
        )
    })
    .unwrap();
    let visits = f.read(move |conn| milkings::of_animal(conn, cow, 5));
    for visit in &visits {
        assert_eq!(visit.destination, Destination::Withheld);
        assert!(visit.findings.contains(&Finding::Withdrawal));
    }
    let day = f.read(|conn| farm::production::of_day(conn, session("2026-11-20", 1).date));
    assert_eq!(
        (day.yield_ml, day.tank_ml, day.withheld_ml),
        (16_000, 0, 16_000)
    );
    let open = f.read(alerts::open);
    let of_cow: Vec<_> = open
        .iter()
        .filter(|a| a.kind == AlertKind::Withdrawal && a.subject == Subject::Animal(cow))
        .collect();
    assert_eq!(of_cow.len(), 1);
    // Nobody can correct it into the tank, either.
    let id = visits[0].id;
    f.write(move |tx| {
        let correction = milkings::Correction {
            yield_ml: 6_000,
            destination: Destination::Tank,
            reason: None,
        };
        milkings::correct(tx, id, &correction)
    })
    .unwrap();
    let corrected = f.read(move |conn| milkings::get(conn, id)).unwrap();
    assert_eq!(corrected.destination, Destination::Withheld);
}

/// Milk of the cow in a session of the past, by hand; where it went.
fn by_hand(f: &Fixture, cow: AnimalId, of: farm_model::SessionKey) -> (VisitId, Destination) {
    let command = RecordMilk {
        key: format!("{cow} {of:?}"),
        animal: cow,
        session: of,
        yield_ml: 7_000,
        fat: None,
        snf: None,
        destination: Destination::Tank,
        repeat: Repeat::Refuse,
    };
    let told = f.write(move |tx| milkings::record_by_hand(tx, &command));
    let id = told.unwrap().visit();
    let visit = f.read(move |conn| milkings::get(conn, id)).unwrap();
    (id, visit.destination)
}

fn put_into_tank(f: &Fixture, id: VisitId) -> Destination {
    let correction = milkings::Correction {
        yield_ml: 7_000,
        destination: Destination::Tank,
        reason: None,
    };
    f.write(move |tx| match milkings::correct(tx, id, &correction) {
        Ok(_) | Err(milkings::MilkError::NoChange) => Ok(()),
        Err(error) => Err(error),
    })
    .unwrap();
    let visit = f.read(move |conn| milkings::get(conn, id)).unwrap();
    visit.destination
}

#[test]
fn a_time_before_the_treatment_does_not_put_milk_into_the_tank() {
    let f = Fixture::new();
    let (cow, free) = (f.cow("1"), f.cow("2"));
    treat(&f, cow, 72);
    f.clock.pass(HOUR);
    // Yesterday evening she was not treated, if it was yesterday evening.
    let yesterday = session("2026-11-19", 2);
    let (id, destination) = by_hand(&f, cow, yesterday);
    assert_eq!(destination, Destination::Withheld);
    assert_eq!(by_hand(&f, free, yesterday).1, Destination::Tank);
    assert!(
        f.read(alerts::open)
            .iter()
            .any(|a| { a.kind == AlertKind::Withdrawal && a.subject == Subject::Animal(cow) })
    );
    // A person who vouches for the time may release it, and nobody milk of the hold itself.
    let row = f.read(move |conn| milkings::get(conn, id)).unwrap();
    assert!(!f.read(move |conn| milkings::stays_out(conn, &row)));
    assert_eq!(put_into_tank(&f, id), Destination::Tank);
    let (now, _) = by_hand(&f, cow, session("2026-11-20", 1));
    assert_eq!(put_into_tank(&f, now), Destination::Withheld);
}

#[test]
fn a_hold_that_ended_between_the_told_time_and_the_telling_counts() {
    let f = Fixture::new();
    let cow = f.cow("1");
    treat(&f, cow, 12);
    f.clock.pass(30 * HOUR);
    assert!(!held(&f, cow), "it has ended");
    let (id, destination) = by_hand(&f, cow, session("2026-11-19", 2));
    assert_eq!(destination, Destination::Withheld);
    assert_eq!(put_into_tank(&f, id), Destination::Tank);
    assert_eq!(
        by_hand(&f, cow, session("2026-11-21", 1)).1,
        Destination::Tank
    );
}

#[test]
fn milk_that_a_device_tells_late_is_judged_by_every_hold_since() {
    let f = Fixture::new();
    let cow = f.cow("1");
    treat(&f, cow, 12);
    f.clock.pass(20 * HOUR);
    let tell = |hours: i64, key: &str| {
        let at = f.now().told(f.now().wall.plus(-hours * HOUR));
        let told = farm_model::Observation {
            device: farm_model::DeviceId::new(),
            at,
            body: farm_model::Body::Milked {
                animal: "1".into(),
                session: "1".into(),
                yield_ml: 7_000,
                fat: None,
                snf: None,
            },
            raw: Vec::new(),
            key: Some(key.into()),
        };
        let told = f.write(move |tx| milkings::record_told(tx, &told)).unwrap();
        let id = told.unwrap().visit();
        let row = f.read(move |conn| milkings::get(conn, id)).unwrap();
        assert!(!row.findings.contains(&Finding::ClockUnknown));
        row.destination
    };
    assert_eq!(tell(0, "now"), Destination::Tank);
    assert_eq!(tell(30, "before she was treated"), Destination::Withheld);
    assert_eq!(tell(15, "while she was"), Destination::Withheld);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the clock says on the way, milk is held if by true time it must be, and once a trusted clock has come
    /// and dated everything, exactly as long as it must be.
    #[test]
    fn milk_is_never_sold_too_early(
        steps in prop::collection::vec((0u8..5, 1i64..40), 1..12),
        lie in -400i64..400,
    ) {
        let f = Fixture::with(HandClock::new(NOW, ClockQuality::Unknown));
        let cow = f.cow("1");
        let mut true_ms = 0i64;
        let mut true_until = i64::MIN;
        let mut quality = ClockQuality::Unknown;
        for (what, hours) in steps {
            match what {
                0 => {
                    treat(&f, cow, hours as u32);
                    true_until = true_until.max(true_ms + hours * HOUR);
                }
                1 => {
                    quality = ClockQuality::Synced;
                    f.clock.set(NOW.plus(true_ms), quality);
                    f.write(holds::date_holds).unwrap();
                }
                2 => {
                    quality = ClockQuality::Restored;
                    f.clock.set(NOW.plus(true_ms + lie * DAY), quality);
                }
                _ => {
                    f.clock.pass(hours * HOUR);
                    true_ms += hours * HOUR;
                }
            }
            if true_until > true_ms {
                prop_assert!(held(&f, cow), "held until {true_until}, now {true_ms}, {quality:?}");
            } else if quality == ClockQuality::Synced {
                f.write(holds::date_holds).unwrap();
                prop_assert!(!held(&f, cow), "free since {true_until}, now {true_ms}");
            }
        }
    }
}
