//! Milk that cannot be, and cows that gave none: neither moves a figure, and a person settles what can be settled.

use farm::{
    alerts::{self, AlertKind},
    inbox,
    milkings::{self, Correction, MilkError, Told},
    production,
};
use farm_model::{
    AnimalId, Body, Destination, DeviceId, Milli, Observation, VisitId, milking::Finding,
};
use rusqlite::Connection;

use crate::support::{Fixture, date, session, visit};

const DAY: &str = "2026-11-20";

fn record(f: &Fixture, key: &'static str, cow: AnimalId, yield_ml: i64) -> VisitId {
    let at = f.now();
    let told = f.write(move |tx| {
        milkings::record(tx, visit(key, Some(cow), session(DAY, 1), yield_ml, at))
    });
    told.unwrap().visit()
}

fn figures(f: &Fixture) -> (i64, i64, i64) {
    let day = f.read(|conn| production::of_day(conn, date(DAY)));
    (day.visits, day.cows, day.yield_ml)
}

fn open(f: &Fixture) -> Vec<(AlertKind, Option<i64>)> {
    let open = f.read(alerts::open);
    open.iter()
        .map(|a| (a.kind, a.detail["yield_ml"].as_i64()))
        .collect()
}

fn correction(yield_ml: i64) -> Correction {
    Correction {
        yield_ml,
        destination: Destination::Tank,
        reason: None,
    }
}

#[test]
fn more_than_a_cow_gives_counts_nothing_until_a_person_says_what_it_was() {
    let f = Fixture::new();
    let cow = f.cow("1");
    let id = record(&f, "a", cow, 95_000);
    assert_eq!(figures(&f), (1, 0, 0));
    assert_eq!(open(&f), [(AlertKind::TooMuch, Some(95_000))]);
    let waiting = f.read(inbox::inbox);
    assert_eq!(waiting.items.len(), 1);
    assert!(
        waiting.items[0].candidates.is_empty(),
        "whose it was is no question"
    );
    let row = f.read(move |conn| milkings::get(conn, id)).unwrap();
    assert_eq!((row.yield_ml, row.findings), (0, vec![Finding::TooMuch]));
    let words = f.read(move |conn| milkings::history(conn, id));
    assert_eq!(
        words[0].yield_ml,
        Some(95_000),
        "what the meter said is kept"
    );

    let correct = |ml| f.write(move |tx| milkings::correct(tx, id, &correction(ml)));
    assert!(matches!(correct(95_000), Err(MilkError::Yield)));
    correct(9_500).unwrap();
    assert_eq!(figures(&f), (1, 1, 9_500));
    assert!(open(&f).is_empty());
    f.write(move |tx| milkings::undo(tx, id)).unwrap();
    assert_eq!(figures(&f), (1, 0, 0));
    assert_eq!(
        open(&f),
        [(AlertKind::TooMuch, Some(95_000))],
        "open again, with the figure"
    );
    correct(0).unwrap();
    assert!(open(&f).is_empty(), "it was nothing");
    f.write(move |tx| milkings::undo(tx, id)).unwrap();
    f.write(move |tx| milkings::void(tx, id, None)).unwrap();
    assert_eq!(figures(&f), (0, 0, 0));
    assert!(open(&f).is_empty());
}

#[test]
fn a_told_milking_that_cannot_be_waits_in_the_inbox_and_not_in_quarantine() {
    let f = Fixture::new();
    f.cow("217");
    let told = Observation {
        device: DeviceId::new(),
        at: f.now(),
        body: Body::Milked {
            animal: "217".into(),
            session: "1".into(),
            yield_ml: 812_000,
            fat: Some(Milli(4_100)),
            snf: None,
        },
        raw: Vec::new(),
        key: Some("k".into()),
    };
    let recorded = f.write(move |tx| milkings::record_told(tx, &told)).unwrap();
    assert!(matches!(recorded, Some(Told::Recorded(_))));
    assert_eq!(open(&f), [(AlertKind::TooMuch, Some(812_000))]);
    assert_eq!(figures(&f), (1, 0, 0));
}

#[test]
fn a_cow_that_gave_nothing_is_no_cow_milked() {
    let f = Fixture::new();
    let (dry, milked) = (f.cow("1"), f.cow("2"));
    let empty = record(&f, "a", dry, 0);
    record(&f, "b", milked, 8_000);
    assert_eq!(figures(&f), (2, 1, 8_000));
    f.write(move |tx| milkings::correct(tx, empty, &correction(3_000)))
        .unwrap();
    assert_eq!(figures(&f), (2, 2, 11_000));
    f.write(move |tx| milkings::undo(tx, empty)).unwrap();
    assert_eq!(figures(&f), (2, 1, 8_000));
}

#[test]
fn a_file_that_counted_them_is_set_right() {
    let f = Fixture::new();
    let (dry, milked) = (f.cow("1"), f.cow("2"));
    record(&f, "a", dry, 0);
    record(&f, "b", milked, 8_000);
    record(&f, "c", milked, 0);
    let days = |conn: &Connection| {
        let sql = "SELECT group_concat(n || ':' || yield_ml, ' ') FROM (SELECT * FROM animal_day ORDER BY animal)";
        Ok::<String, farm::StoreError>(conn.query_row(sql, [], |row| row.get(0))?)
    };
    let right = (figures(&f), f.read(days));
    // As version 3 left it, and as version 4 makes of it.
    f.write(|tx| {
        tx.conn().execute_batch(
            "DELETE FROM animal_day;
             INSERT INTO animal_day (animal, day, n, yield_ml)
                SELECT animal, day, count(*), sum(yield_ml) FROM visit WHERE animal IS NOT NULL GROUP BY animal, day;
             UPDATE herd_day SET cows = 2 WHERE session = 0;",
        )?;
        Ok::<_, farm::StoreError>(())
    })
    .unwrap();
    assert_ne!((figures(&f), f.read(days)), right);
    f.write(|tx| {
        let mend = include_str!("../../src/schema/v4.sql");
        Ok::<_, farm::StoreError>(tx.conn().execute_batch(mend)?)
    })
    .unwrap();
    assert_eq!((figures(&f), f.read(days)), right);
}
