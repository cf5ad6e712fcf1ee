//! Milk: written down once, corrected by later words, and always adding up.

use std::collections::BTreeMap;

use farm::{
    alerts::{self, AlertKind},
    events::{self, EventBody, NewEvent},
    inbox,
    milkings::{
        self, Correction, MilkError, RecordMilk, Repeat, Told, VisitFilter, VisitSort, What,
    },
    production,
};
use farm_model::{
    AnimalId, Body, Destination, DeviceId, Identity, Observation, VisitId, milking::Finding,
};
use proptest::prelude::*;

use crate::support::{DAY, Fixture, date, session, tag, visit};

fn by_hand(key: &str, animal: AnimalId, yield_ml: i64, repeat: Repeat) -> RecordMilk {
    RecordMilk {
        key: key.into(),
        animal,
        session: session("2026-11-20", 1),
        yield_ml,
        fat: None,
        snf: None,
        destination: Destination::Tank,
        repeat,
    }
}

#[test]
fn a_visit_told_twice_is_stored_once() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let now = f.now();
    let told = |f: &Fixture| {
        f.write(move |tx| {
            milkings::record(
                tx,
                visit("a", Some(cow), session("2026-11-20", 1), 8_000, now),
            )
        })
        .unwrap()
    };
    assert!(matches!(told(&f), Told::Recorded(_)));
    assert!(matches!(told(&f), Told::Known(_)));
    let f = f.reopen(now.wall, now.clock);
    assert!(matches!(told(&f), Told::Known(_)));
    let day = f.read(|conn| production::of_day(conn, date("2026-11-20")));
    assert_eq!((day.visits, day.cows, day.tank_ml), (1, 1, 8_000));
}

#[test]
fn a_second_milking_by_hand_needs_a_word() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let record = |cmd: RecordMilk| f.write(move |tx| milkings::record_by_hand(tx, &cmd));
    let first = record(by_hand("k1", cow, 5_000, Repeat::Refuse)).unwrap();
    assert_eq!(
        record(by_hand("k1", cow, 5_000, Repeat::Refuse)).unwrap(),
        Told::Known(first.visit())
    );
    let refused = record(by_hand("k2", cow, 4_000, Repeat::Refuse));
    assert!(matches!(refused, Err(MilkError::AlreadyMilked(id)) if id == first.visit()));
    let second = record(by_hand("k2", cow, 4_000, Repeat::Confirmed)).unwrap();
    let row = f
        .read(move |conn| milkings::get(conn, second.visit()))
        .unwrap();
    assert_eq!(row.findings, [Finding::MilkedTwice]);
    let open = f.read(alerts::open);
    assert_eq!(open[0].kind, AlertKind::MilkedTwice);
    assert!(matches!(
        record(by_hand("k3", cow, 90_000, Repeat::Confirmed)),
        Err(MilkError::Yield)
    ));
    let future = RecordMilk {
        session: session("2026-11-20", 2),
        ..by_hand("k4", cow, 1_000, Repeat::Refuse)
    };
    assert!(matches!(record(future), Err(MilkError::Future)));
    let stranger = by_hand("k5", AnimalId::new(), 1_000, Repeat::Refuse);
    assert!(matches!(record(stranger), Err(MilkError::UnknownAnimal)));
}

#[test]
fn a_published_milking_finds_its_cow_and_session_and_a_redelivery_creates_none() {
    let f = Fixture::new();
    let cow = f.cow("217");
    f.write(move |tx| farm::animals::tag(tx, cow, &tag("050000000000217")))
        .unwrap();
    let device = DeviceId::new();
    let publish = |animal: &str, session: &str, yield_ml| {
        let told = Observation {
            device,
            at: f.now(),
            body: Body::Milked {
                animal: animal.into(),
                session: session.into(),
                yield_ml,
                fat: None,
                snf: None,
            },
            raw: Vec::new(),
            key: None,
        };
        f.write(move |tx| milkings::record_told(tx, &told))
    };
    let first = publish("050000000000217", "morning", 8_400)
        .unwrap()
        .unwrap();
    assert!(matches!(first, Told::Recorded(_)));
    assert_eq!(
        publish("050000000000217", "morning", 8_400)
            .unwrap()
            .unwrap(),
        Told::Known(first.visit())
    );
    let row = f
        .read(move |conn| milkings::get(conn, first.visit()))
        .unwrap();
    assert_eq!(
        (row.animal, row.session),
        (Some(cow), session("2026-11-20", 1))
    );
    // The evening has not come: yesterday's.
    let evening = publish("২১৭", "evening", 6_000).unwrap().unwrap();
    let row = f
        .read(move |conn| milkings::get(conn, evening.visit()))
        .unwrap();
    assert_eq!(
        (row.animal, row.session),
        (Some(cow), session("2026-11-19", 2))
    );
    let stranger = publish("050000000000999", "1", 6_000).unwrap().unwrap();
    let row = f
        .read(move |conn| milkings::get(conn, stranger.visit()))
        .unwrap();
    assert_eq!(
        (row.animal, &row.findings[..]),
        (None, &[Finding::UnknownTag][..])
    );
    assert!(matches!(
        publish("217", "midnight", 1_000),
        Err(MilkError::UnknownSession(_))
    ));
}

#[test]
fn milk_without_a_cow_waits_for_a_person() {
    let f = Fixture::new();
    let now = f.now();
    let (small, large, milked) = (f.cow("1"), f.cow("2"), f.cow("3"));
    f.write(move |tx| {
        for day in 1..=8 {
            let day_session = session(&format!("2026-11-1{day}"), 1);
            for (cow, yield_ml) in [(small, 4_000), (large, 9_000), (milked, 9_000)] {
                let at = farm_model::Stamp {
                    wall: now.wall.plus((day - 10) * DAY),
                    ..now
                };
                let id = format!("{cow}{day}");
                milkings::record(tx, visit(&id, Some(cow), day_session, yield_ml + day, at))?;
            }
        }
        milkings::record(
            tx,
            visit("t", Some(milked), session("2026-11-20", 1), 9_000, now),
        )?;
        milkings::record(tx, visit("u", None, session("2026-11-20", 1), 9_100, now))
    })
    .unwrap();
    let waiting = f.read(inbox::inbox);
    let item = waiting
        .items
        .iter()
        .find(|i| i.alert.kind == AlertKind::Unidentified)
        .unwrap();
    let order: Vec<_> = item.candidates.iter().map(|c| c.animal).collect();
    assert_eq!(order, [large, small, milked], "near, far, milked already");
    let id = item.visit.as_ref().unwrap().id;
    f.write(move |tx| milkings::assign(tx, id, large)).unwrap();
    let row = f.read(move |conn| milkings::get(conn, id)).unwrap();
    assert_eq!(row.animal, Some(large));
    assert!(f.read(inbox::inbox).items.is_empty());
    assert_eq!(
        f.read(|conn| production::of_day(conn, date("2026-11-20")))
            .cows,
        2
    );
    // A mistake: it waits again.
    f.write(move |tx| milkings::undo(tx, id)).unwrap();
    assert_eq!(
        f.read(move |conn| milkings::get(conn, id)).unwrap().animal,
        None
    );
    assert_eq!(f.read(inbox::inbox).items.len(), 1);
}

#[test]
fn milk_that_turns_out_to_be_anothers_is_no_second_milking() {
    let f = Fixture::new();
    let (one, other) = (f.cow("1"), f.cow("2"));
    let now = f.now();
    let told = |key: &'static str| {
        f.write(move |tx| {
            let visit = visit(key, Some(one), session("2026-11-20", 1), 8_000, now);
            milkings::record(tx, visit)
        })
        .unwrap()
        .visit()
    };
    told("a");
    let second = told("b");
    assert_eq!(f.read(alerts::open)[0].kind, AlertKind::MilkedTwice);
    f.write(move |tx| milkings::assign(tx, second, other))
        .unwrap();
    assert_eq!(f.read(alerts::open), []);
}

#[test]
fn milk_of_a_tag_she_wore_before_is_hers() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let old = tag("050000000000001");
    let now = f.now();
    let id = f
        .write(move |tx| {
            farm::animals::tag(tx, cow, &old).expect("a free tag");
            farm::animals::untag(tx, cow, &old).expect("her tag");
            let mut seen = visit("seen", None, session("2026-11-20", 1), 8_000, now);
            seen.identity = Identity::UnknownTag { tag: old };
            seen.findings = vec![Finding::UnknownTag];
            milkings::record(tx, seen)
        })
        .unwrap()
        .visit();
    let row = f.read(move |conn| milkings::get(conn, id)).unwrap();
    assert_eq!((row.animal, row.findings.as_slice()), (Some(cow), &[][..]));
    assert!(f.read(alerts::open).is_empty());
}

#[test]
fn a_tag_in_doubt_is_in_doubt_after_a_rebuild_too() {
    let f = Fixture::new();
    let now = f.now();
    let mut late = visit("late", None, session("2026-11-20", 1), 8_000, now);
    late.identity = Identity::Ambiguous {
        tags: vec![tag("050000000000217")],
    };
    let id = f
        .write(move |tx| milkings::record(tx, late))
        .unwrap()
        .visit();
    let before = f.read(move |conn| milkings::get(conn, id)).unwrap();
    f.write(milkings::rebuild).unwrap();
    let after = f.read(move |conn| milkings::get(conn, id)).unwrap();
    assert_eq!((after.animal, &after.tag), (None, &before.tag));
    assert_eq!(after.findings, [Finding::Unidentified]);
    assert_eq!(after.findings, before.findings);
}

#[test]
fn assigned_milk_of_a_held_cow_leaves_the_tank() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let now = f.now();
    f.write(move |tx| {
        let treatment = EventBody::Treatment {
            medicine: "x".into(),
            dose: String::new(),
            reason: String::new(),
            milk_hold_h: 24,
            meat_hold_h: 0,
        };
        events::record(tx, &NewEvent::now(cow, treatment))
    })
    .unwrap();
    let id = f
        .write(move |tx| {
            milkings::record(tx, visit("u", None, session("2026-11-20", 1), 9_100, now))
        })
        .unwrap()
        .visit();
    let account = |f: &Fixture| {
        let milk = f.read(|conn| production::of_session(conn, session("2026-11-20", 1)));
        (milk.tank_ml, milk.withheld_ml, milk.discarded_ml)
    };
    assert_eq!(account(&f), (9_100, 0, 0));
    f.write(move |tx| milkings::assign(tx, id, cow)).unwrap();
    assert_eq!(account(&f), (0, 9_100, 0));
    f.write(move |tx| milkings::undo(tx, id)).unwrap();
    assert_eq!(account(&f), (9_100, 0, 0));
}

#[test]
fn words_about_a_visit_are_kept_and_taken_back_in_order() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let now = f.now();
    let id = f
        .write(move |tx| {
            milkings::record(
                tx,
                visit("a", Some(cow), session("2026-11-20", 1), 8_000, now),
            )
        })
        .unwrap()
        .visit();
    let correction = |yield_ml| Correction {
        yield_ml,
        destination: Destination::Tank,
        reason: None,
    };
    f.write(move |tx| milkings::correct(tx, id, &correction(7_500)))
        .unwrap();
    let same = f.write(move |tx| milkings::correct(tx, id, &correction(7_500)));
    assert!(matches!(same, Err(MilkError::NoChange)));
    f.write(move |tx| milkings::void(tx, id, None)).unwrap();
    let now_gives = || {
        f.read(move |conn| milkings::get(conn, id))
            .map(|v| (v.yield_ml, v.voided))
            .unwrap()
    };
    assert_eq!(now_gives(), (7_500, true));
    assert!(matches!(
        f.write(move |tx| milkings::void(tx, id, None)),
        Err(MilkError::Voided)
    ));
    f.write(move |tx| milkings::undo(tx, id)).unwrap();
    assert_eq!(now_gives(), (7_500, false));
    f.write(move |tx| milkings::undo(tx, id)).unwrap();
    assert_eq!(now_gives(), (8_000, false));
    assert!(matches!(
        f.write(move |tx| milkings::undo(tx, id)),
        Err(MilkError::NothingToUndo)
    ));
    let words: Vec<_> = f
        .read(move |conn| milkings::history(conn, id))
        .into_iter()
        .map(|w| (w.what, w.undone))
        .collect();
    assert_eq!(
        words,
        [
            (What::Recorded, false),
            (What::Corrected, true),
            (What::Voided, true),
            (What::Undone, false),
            (What::Undone, false),
        ]
    );
}

#[test]
fn a_drop_in_yield_is_told_within_a_session_and_taken_back() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let now = f.now();
    let told = |day: i64, yield_ml: i64| {
        let at = farm_model::Stamp {
            wall: now.wall.plus((day - 16) * DAY),
            ..now
        };
        let key = format!("d{day}");
        let day_session = session(&format!("2026-11-{day:02}"), 1);
        f.write(move |tx| milkings::record(tx, visit(&key, Some(cow), day_session, yield_ml, at)))
            .unwrap();
        f.read(alerts::open)
            .iter()
            .any(|a| a.kind == AlertKind::YieldDrop)
    };
    for day in 1..=14 {
        assert!(!told(day, 10_000 + (day % 3) * 300), "day {day}");
    }
    assert!(told(15, 7_000));
    assert!(!told(16, 9_900));
}

#[test]
fn a_drop_in_imported_history_calls_nobody() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let now = f.now();
    for day in 1..=15 {
        let at = farm_model::Stamp {
            wall: now.wall.plus((day - 20) * DAY),
            ..now
        };
        let yield_ml = if day == 15 { 5_000 } else { 10_000 };
        let day_session = session(&format!("2026-11-{day:02}"), 1);
        f.write(move |tx| {
            milkings::record(
                tx,
                visit(&format!("h{day}"), Some(cow), day_session, yield_ml, at),
            )
        })
        .unwrap();
    }
    assert!(f.read(alerts::open).is_empty());
}

#[test]
fn records_come_page_by_page_without_gap_or_repeat() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let now = f.now();
    f.write(move |tx| {
        for n in 0..25 {
            let at = farm_model::Stamp {
                wall: now.wall.plus(n / 3),
                ..now
            };
            milkings::record(
                tx,
                visit(
                    &n.to_string(),
                    Some(cow),
                    session("2026-11-20", 1),
                    1_000 + n % 7,
                    at,
                ),
            )?;
        }
        Ok::<_, MilkError>(())
    })
    .unwrap();
    for sort in [
        VisitSort::Newest,
        VisitSort::Oldest,
        VisitSort::Most,
        VisitSort::Least,
    ] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let filter = VisitFilter {
                from: Some(date("2026-11-20")),
                to: Some(date("2026-11-20")),
                ..VisitFilter::default()
            };
            let page = f.read(move |conn| milkings::list(conn, &filter, sort, after, 4));
            seen.extend(
                page.records
                    .iter()
                    .map(|r| (r.visit.start, r.visit.yield_ml, r.visit.n)),
            );
            let Some(next) = page.next else { break };
            after = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(seen.len(), 25, "{sort:?}");
        match sort {
            VisitSort::Newest => assert!(seen.is_sorted_by(|a, b| a.0 >= b.0)),
            VisitSort::Oldest => assert!(seen.is_sorted_by(|a, b| a.0 <= b.0)),
            VisitSort::Most => assert!(seen.is_sorted_by(|a, b| a.1 >= b.1)),
            VisitSort::Least => assert!(seen.is_sorted_by(|a, b| a.1 <= b.1)),
        }
        seen.sort_by_key(|s| s.2);
        seen.dedup();
        assert_eq!(seen.len(), 25, "{sort:?}");
    }
    let mut exported = 0;
    f.read(|conn| {
        milkings::each(conn, &VisitFilter::default(), |record| {
            assert_eq!(record.animal_number, "1");
            exported += 1;
            Ok(())
        })
    });
    assert_eq!(exported, 25);
}

/// What is done to a visit, by its number.
#[derive(Clone, Debug)]
enum Op {
    Record {
        visit: u8,
        cow: Option<u8>,
        day: u8,
        session: u8,
        yield_ml: i64,
        destination: u8,
    },
    Assign {
        visit: u8,
        cow: u8,
    },
    Correct {
        visit: u8,
        yield_ml: i64,
        destination: u8,
    },
    Void {
        visit: u8,
    },
    Undo {
        visit: u8,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let visit = 0u8..12;
    // What cows give, nothing, and more than any gives.
    let told = prop_oneof![4 => 0i64..20_000, 1 => Just(0), 1 => 80_001i64..500_000];
    prop_oneof![
        3 => (visit.clone(), prop::option::of(0u8..4), 0u8..3, 1u8..3, told, 0u8..3).prop_map(
            |(visit, cow, day, session, yield_ml, destination)| Op::Record { visit, cow, day, session, yield_ml, destination }
        ),
        1 => (visit.clone(), 0u8..4).prop_map(|(visit, cow)| Op::Assign { visit, cow }),
        1 => (visit.clone(), 0i64..20_000, 0u8..3).prop_map(|(visit, yield_ml, destination)| Op::Correct { visit, yield_ml, destination }),
        1 => visit.clone().prop_map(|visit| Op::Void { visit }),
        1 => visit.prop_map(|visit| Op::Undo { visit }),
    ]
}

/// Every derived row, in the order of its key.
fn derived(conn: &rusqlite::Connection) -> Result<Vec<String>, farm::StoreError> {
    let mut rows = Vec::new();
    for sql in [
        "SELECT hex(id) || '|' || quote(animal) || '|' || start || '|' || day || '|' || session || '|' || yield_ml || '|'
            || destination || '|' || findings || '|' || voided FROM visit ORDER BY id",
        "SELECT hex(animal) || '|' || day || '|' || n || '|' || yield_ml FROM animal_day ORDER BY animal, day",
        "SELECT day || '|' || session || '|' || n || '|' || cows || '|' || yield_ml || '|' || tank_ml || '|' || withheld_ml
            || '|' || discarded_ml FROM herd_day WHERE n <> 0 OR yield_ml <> 0 ORDER BY day, session",
    ] {
        let mut statement = conn.prepare(sql)?;
        let found = statement.query_map([], |row| row.get(0))?;
        rows.extend(found.collect::<Result<Vec<String>, _>>()?);
    }
    Ok(rows)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn days_are_the_sums_of_the_visits_that_stand(ops in prop::collection::vec(op(), 1..60)) {
        let f = Fixture::new();
        let cows: Vec<AnimalId> = (0..4).map(|n| f.cow(&n.to_string())).collect();
        let now = f.now();
        f.write(move |tx| {
            let id = |n: u8| VisitId::derive("test", &n.to_string());
            for op in ops {
                let result = match op {
                    Op::Record { visit: n, cow, day, session: number, yield_ml, destination } => {
                        let day_session = session(&format!("2026-11-1{day}"), number);
                        let mut told = visit(&n.to_string(), cow.map(|c| cows[c as usize]), day_session, yield_ml, now);
                        told.destination = Destination::from_code(destination.into());
                        if cow.is_none() && yield_ml % 2 == 0 {
                            told.identity = Identity::Ambiguous { tags: vec![tag("050000000000001"), tag("050000000000002")] };
                        }
                        milkings::record(tx, told).map(drop)
                    }
                    Op::Assign { visit: n, cow } => milkings::assign(tx, id(n), cows[cow as usize]).map(drop),
                    Op::Correct { visit: n, yield_ml, destination } => {
                        let destination = Destination::from_code(destination.into());
                        milkings::correct(tx, id(n), &Correction { yield_ml, destination, reason: None }).map(drop)
                    }
                    Op::Void { visit: n } => milkings::void(tx, id(n), None).map(drop),
                    Op::Undo { visit: n } => milkings::undo(tx, id(n)).map(drop),
                };
                // The rules may refuse; what they refuse must change nothing.
                if let Err(MilkError::Store(e)) = result {
                    return Err(e);
                }
            }
            Ok(())
        }).unwrap();
        let all = VisitFilter::default();
        let standing = f.read(move |conn| milkings::list(conn, &all, VisitSort::Oldest, None, 1000)).records;
        let mut days: BTreeMap<(jiff::civil::Date, u8), [i64; 5]> = BTreeMap::new();
        let mut cows: BTreeMap<jiff::civil::Date, std::collections::BTreeSet<AnimalId>> = BTreeMap::new();
        for record in &standing {
            let v = &record.visit;
            for number in [0, v.session.number] {
                let sums = days.entry((v.session.date, number)).or_default();
                sums[0] += 1;
                sums[1] += v.yield_ml;
                sums[2 + v.destination as usize] += v.yield_ml;
            }
            let milked = v.animal.filter(|_| v.yield_ml > 0);
            cows.entry(v.session.date).or_default().extend(milked);
        }
        for ((day, number), expected) in days {
            let milk = f.read(move |conn| match number {
                0 => production::of_day(conn, day),
                number => production::of_session(conn, farm_model::SessionKey { date: day, number }),
            });
            prop_assert_eq!([milk.visits, milk.yield_ml, milk.tank_ml, milk.withheld_ml, milk.discarded_ml], expected);
            if number == 0 {
                prop_assert_eq!(milk.cows, cows[&day].len() as i64);
            }
        }
        let before = f.read(derived);
        f.write(milkings::rebuild).unwrap();
        prop_assert_eq!(before, f.read(derived), "the facts alone say the same");
    }
}
