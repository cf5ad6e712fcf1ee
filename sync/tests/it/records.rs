//! Records: what passes the border, what does not, and what waits.

use proptest::prelude::*;
use sync::{
    Error, Outcome, Refused, Sender, Site, Tally, Value, held,
    marks::{self, LIMIT, Mark, RECORDS, Standing},
    records::{self, AT_MOST, Cell, Row, Size, Span, Version},
    site,
    wire::{self, Part},
};

use crate::{dice::Dice, farm::Farm};

const STRANGER: Site = Site([7; 16]);
const ALL: usize = usize::MAX;

fn taken(outcome: &Outcome) -> (usize, usize, Vec<String>) {
    match outcome {
        Outcome::Taken(tally) => counts(tally),
        other => panic!("{other:?}"),
    }
}

fn counts(tally: &Tally) -> (usize, usize, Vec<String>) {
    let reasons = tally.aside.iter().map(|aside| aside.reason.clone());
    (tally.stored, tally.parked, reasons.collect())
}

fn hub() -> Farm {
    let hub = Farm::new();
    hub.register(STRANGER);
    hub
}

fn cell(column: &str, value: Value, edits: i64) -> Cell {
    Cell {
        column: column.to_owned(),
        value,
        edits,
    }
}

fn row() -> Row {
    Row {
        table: "animal".to_owned(),
        key: vec![Value::Blob(vec![1; 16])],
        life: 1,
        turned: false,
        cells: vec![cell("name", Value::Text("Lali".to_owned()), 1)],
    }
}

fn span(rows: Vec<Row>) -> Span {
    Span {
        site: STRANGER,
        from: Mark::default(),
        to: 1,
        versions: vec![Version { number: 1, rows }],
    }
}

#[test]
fn a_cell_that_somebody_has_put_at_the_limit_does_not_take_the_rest_of_a_version_with_it() {
    let hub = hub();
    let honest = Site([8; 16]);
    hub.register(honest);
    let limit = vec![cell("name", Value::Text("limit".to_owned()), LIMIT)];
    let hostile = span(vec![Row {
        cells: limit,
        ..row()
    }]);
    let sender = Sender::Edge(STRANGER);
    assert_eq!(taken(&hub.apply(sender, &hostile).unwrap()), (1, 0, vec![]));

    // Somebody who holds that edits the cell, and another one of the same row.
    let edited = vec![
        cell("name", Value::Text("Kali".to_owned()), LIMIT + 1),
        cell("weight_g", Value::Integer(400_000), 1),
    ];
    let told = Span {
        site: honest,
        ..span(vec![Row {
            cells: edited,
            ..row()
        }])
    };
    let (stored, parked, aside) = taken(&hub.apply(Sender::Edge(honest), &told).unwrap());
    assert_eq!((stored, parked, aside.len()), (1, 0, 1), "{aside:?}");
    let read = "SELECT name, weight_g FROM animal";
    let stands: (String, i64) = hub
        .conn
        .query_row(read, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(stands, ("limit".to_owned(), 400_000));

    // It is handed on whole, and what is aside stays so when it is tried again.
    let passed_on = records::read(&hub.conn, &hub.schema, honest, Mark::default(), ALL).unwrap();
    let cells: usize = passed_on
        .versions
        .iter()
        .flat_map(|v| &v.rows)
        .map(|row| row.cells.len())
        .sum();
    assert_eq!(cells, 2, "{passed_on:?}");
    records::replay(&hub.conn, &hub.schema).unwrap();
    assert_eq!(held::aside(&hub.conn).unwrap().len(), 1);
}

#[test]
fn a_version_arrives_once_and_in_step() {
    let (edge, hub) = (Farm::new(), Farm::new());
    hub.register(edge.site);
    edge.animal(1, "a");
    edge.animal(2, "b");
    let first = edge.span(edge.site, &hub, 1);
    let sender = Sender::Edge(edge.site);
    assert_eq!(
        (first.to, first.versions.len()),
        (1, 1),
        "one version fills the room"
    );
    assert_eq!(taken(&hub.apply(sender, &first).unwrap()), (1, 0, vec![]));
    assert_eq!(hub.apply(sender, &first).unwrap(), Outcome::Known);
    edge.animal(3, "c");
    let last = records::read(
        &edge.conn,
        &edge.schema,
        edge.site,
        Mark {
            upto: 2,
            ..Mark::default()
        },
        ALL,
    )
    .unwrap();
    assert_eq!(
        hub.apply(sender, &last).unwrap(),
        Outcome::OutOfStep { have: 1 }
    );
    let rest = edge.span(edge.site, &hub, ALL);
    assert_eq!(taken(&hub.apply(sender, &rest).unwrap()), (2, 0, vec![]));
    assert_eq!(hub.names(), ["a", "b", "c"]);
    assert_eq!(hub.mark(RECORDS, edge.site), rest.end().unwrap());
}

#[test]
fn a_sender_speaks_for_itself_alone() {
    let (edge, hub) = (Farm::new(), hub());
    edge.animal(1, "a");
    let refused = |sender, span: &Span| match hub.apply(sender, span) {
        Err(Error::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    let part = edge.span(edge.site, &hub, ALL);
    assert_eq!(
        refused(Sender::Edge(edge.site), &part),
        Refused::UnknownSite
    );
    assert_eq!(
        refused(Sender::Edge(STRANGER), &part),
        Refused::NotTheSenders
    );
    let own = Span {
        site: hub.site,
        ..part
    };
    assert_eq!(refused(Sender::Hub(STRANGER), &own), Refused::OurOwn);
    assert!(hub.names().is_empty());
}

#[test]
fn hostile_cells_are_set_aside_with_a_reason_and_the_row_stays_as_it_was() {
    let text = |n: usize| Value::Text("x".repeat(n));
    let cells = |cells: Vec<Cell>| Row { cells, ..row() };
    let keys = |key: Vec<Value>| Row { key, ..row() };
    let hostile = [
        ("empty key", keys(vec![])),
        ("null key", keys(vec![Value::Null])),
        ("key of another class", keys(vec![Value::Integer(1)])),
        (
            "two keys",
            keys(vec![Value::Blob(vec![1]), Value::Blob(vec![1])]),
        ),
        ("huge key", keys(vec![Value::Blob(vec![1; 300])])),
        ("life 0", Row { life: 0, ..row() }),
        ("life negative", Row { life: -1, ..row() }),
        (
            "life without end",
            Row {
                life: i64::MAX,
                ..row()
            },
        ),
        (
            "dead with cells",
            Row {
                life: 2,
                turned: true,
                ..row()
            },
        ),
        ("nothing said", cells(vec![])),
        ("edits negative", cells(vec![cell("name", text(1), -1)])),
        (
            "edits without end",
            cells(vec![cell("name", text(1), i64::MAX)]),
        ),
        ("other class", cells(vec![cell("weight_g", text(1), 1)])),
        (
            "not a number",
            cells(vec![cell("at", Value::Real(f64::NAN), 1)]),
        ),
        ("huge value", cells(vec![cell("name", text(1 << 20), 1)])),
        ("no name", cells(vec![cell("", text(1), 1)])),
        (
            "endless name",
            cells(vec![cell(&"n".repeat(300), text(1), 1)]),
        ),
    ];
    for (what, bad) in hostile {
        let hub = hub();
        let mut part = span(vec![row(), bad]);
        part.to = 2;
        part.versions.push(Version {
            number: 2,
            rows: vec![Row {
                key: vec![Value::Blob(vec![2; 16])],
                ..row()
            }],
        });
        let (stored, parked, aside) = taken(&hub.apply(Sender::Edge(STRANGER), &part).unwrap());
        assert_eq!((stored, parked, aside.len()), (1, 0, 1), "{what}");
        assert_eq!(hub.names(), ["Lali"], "{what}: the next version is there");
        assert_eq!(held::aside(&hub.conn).unwrap().len(), 1, "{what}");
        assert_eq!(hub.mark(RECORDS, STRANGER).upto, 2, "{what}");
        hub.animal(1, "own");
        hub.conn.execute("DELETE FROM animal", []).unwrap();
    }
}

#[test]
fn numbers_that_contradict_each_other_are_refused_whole() {
    let version = |number| Version {
        number,
        rows: vec![row()],
    };
    let shapes = [
        (1, vec![version(2)]),
        (1, vec![version(0)]),
        (1, vec![version(-1)]),
        (2, vec![version(2), version(1)]),
        (2, vec![version(1), version(1)]),
        (i64::MAX, vec![version(1)]),
        (LIMIT + 1, vec![]),
    ];
    for (to, versions) in shapes {
        let hub = hub();
        let part = Span {
            to,
            versions,
            ..span(vec![])
        };
        let refused = hub.apply(Sender::Edge(STRANGER), &part);
        assert!(
            matches!(refused, Err(Error::Refused(Refused::Disorder))),
            "{part:?}: {refused:?}"
        );
        assert_eq!(hub.mark(RECORDS, STRANGER), Mark::default());
    }
}

#[test]
fn what_sqlite_refuses_leaves_nothing_and_blocks_nothing() {
    let (edge, hub, other) = (Farm::new(), Farm::new(), Farm::new());
    hub.register(edge.site);
    // A fault of a later build: a check that a legal row of an older one breaks half-way.
    hub.conn.execute_batch("CREATE TRIGGER broken BEFORE UPDATE ON animal WHEN NEW.weight_g < 0
        BEGIN SELECT raise(ABORT, 'no'); END; CREATE TRIGGER broken_too BEFORE INSERT ON animal WHEN NEW.weight_g < 0
        BEGIN SELECT raise(ABORT, 'no'); END").unwrap();
    edge.write(|conn| {
        edge.animal(1, "a");
        conn.execute("UPDATE animal SET weight_g = -1", []).unwrap();
    });
    edge.animal(2, "b");
    let part = edge.span(edge.site, &hub, ALL);
    let (stored, _, aside) = taken(&hub.apply(Sender::Edge(edge.site), &part).unwrap());
    assert_eq!((stored, aside.len()), (1, 1), "{aside:?}");
    assert_eq!(hub.names(), ["b"], "nothing is left of the first version");
    // It is passed on all the same, and the next replica takes it.
    let relayed = hub.span(edge.site, &other, ALL);
    other.apply(Sender::Hub(hub.site), &relayed).unwrap();
    assert_eq!(other.names(), ["a", "b"]);
    // Mended, it comes in.
    hub.conn
        .execute_batch("DROP TRIGGER broken; DROP TRIGGER broken_too")
        .unwrap();
    let (stored, _, aside) = counts(
        &hub.write(|conn| records::replay(conn, &hub.schema))
            .unwrap(),
    );
    assert_eq!((stored, aside.len()), (1, 0));
    assert_eq!(hub.names(), ["a", "b"]);
    assert!(held::aside(&hub.conn).unwrap().is_empty());
}

#[test]
fn what_a_newer_site_says_waits_for_the_migration_and_is_passed_on() {
    let (newer, mut hub, other) = (Farm::migrated(), Farm::new(), Farm::migrated());
    hub.register(newer.site);
    newer.write(|conn| {
        newer.animal(1, "a");
        conn.execute("UPDATE animal SET breed = 'Deshi'", [])
            .unwrap();
        conn.execute("INSERT INTO pen VALUES (x'01', 'east')", [])
            .unwrap();
    });
    let part = newer.span(newer.site, &hub, ALL);
    let done = hub.apply(Sender::Edge(newer.site), &part).unwrap();
    assert_eq!(taken(&done), (1, 2, vec![]));
    assert_eq!(hub.names(), ["a"]);
    let relayed = hub.span(newer.site, &other, ALL);
    other.apply(Sender::Hub(hub.site), &relayed).unwrap();
    let breeds = "SELECT breed, (SELECT name FROM pen) FROM animal";
    assert_eq!(other.rows(breeds), newer.rows(breeds));
    hub.migrate();
    let done = hub
        .write(|conn| records::replay(conn, &hub.schema))
        .unwrap();
    assert_eq!(counts(&done), (2, 0, vec![]));
    assert_eq!(hub.rows(breeds), newer.rows(breeds));
}

#[test]
fn a_restored_file_is_found_on_both_sides() {
    let (edge, hub) = (Farm::new(), Farm::new());
    hub.register(edge.site);
    edge.register(hub.site);
    let sender = Sender::Edge(edge.site);
    let push = |room| {
        let part = edge.span(edge.site, &hub, room);
        edge.write(|conn| marks::note_offer(conn, 1, part.end().unwrap()).unwrap());
        hub.apply(sender, &part)
    };
    edge.animal(1, "a");
    push(ALL).unwrap();
    let old = edge.conn.serialize("main").unwrap().to_vec();
    edge.animal(2, "b");
    push(ALL).unwrap();
    let theirs = hub.mark(RECORDS, edge.site);
    assert_eq!(
        marks::standing(&edge.conn, 1, theirs).unwrap(),
        Standing::Sound
    );

    let restored = Farm::restore(&old);
    assert_eq!(restored.site, edge.site, "a copy has the same identity");
    restored.animal(3, "other");
    assert_eq!(
        marks::standing(&restored.conn, 1, theirs).unwrap(),
        Standing::Fork
    );
    restored.animal(4, "more");
    let forged = Span {
        from: Mark {
            upto: theirs.upto,
            ..Mark::default()
        },
        ..restored.span(edge.site, &hub, ALL)
    };
    let refused = hub.apply(sender, &forged);
    assert!(
        matches!(refused, Err(Error::Refused(Refused::Fork))),
        "{refused:?}"
    );
    assert_eq!(hub.names(), ["a", "b"]);
}

#[test]
fn a_peer_from_an_old_copy_is_served_again() {
    let (edge, hub) = (Farm::new(), Farm::new());
    edge.register(hub.site);
    for upto in 1..=5_000 {
        marks::note_offer(
            &edge.conn,
            1,
            Mark {
                upto,
                ..Mark::default()
            },
        )
        .unwrap();
    }
    let at = |upto| {
        marks::standing(
            &edge.conn,
            1,
            Mark {
                upto,
                ..Mark::default()
            },
        )
        .unwrap()
    };
    assert_eq!(
        [at(0), at(3), at(4_999), at(5_001)],
        [
            Standing::Sound,
            Standing::Unproven,
            Standing::Sound,
            Standing::Fork
        ]
    );
}

#[test]
fn the_number_of_sites_is_bounded() {
    let hub = Farm::new();
    let refused = (0..=u8::MAX).find_map(|n| site::register(&hub.conn, Site([n; 16])).err());
    assert!(
        matches!(refused, Some(Error::Refused(Refused::TooManySites))),
        "{refused:?}"
    );
}

fn key_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        prop::collection::vec(any::<u8>(), 0..250).prop_map(Value::Blob),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A key read from one file and packed for another is the same key.
    #[test]
    fn keys_survive_the_way(id in prop::collection::vec(any::<u8>(), 0..250), days in prop::collection::vec(any::<i64>(), 1..6)) {
        let (edge, hub) = (Farm::new(), Farm::new());
        hub.register(edge.site);
        edge.write(|conn| for day in &days {
            conn.execute("INSERT INTO stay (animal, day, place) VALUES (?, ?, 'x') ON CONFLICT DO NOTHING", (&id, day)).unwrap();
        });
        hub.apply(Sender::Edge(edge.site), &edge.span(edge.site, &hub, ALL)).unwrap();
        let all = "SELECT * FROM stay ORDER BY 1, 2";
        prop_assert_eq!(edge.rows(all), hub.rows(all));
    }

    /// Whatever a row says, the process lives, and the mark moves.
    #[test]
    fn any_row_is_judged(
        table in "(animal|stay|pen|crsql_master|sync_mark)",
        key in prop::collection::vec(key_value(), 0..3),
        life in any::<i64>(),
        turned in any::<bool>(),
        cells in prop::collection::vec(("(name|weight_g|at|id|-1|)", key_value(), any::<i64>()), 0..3),
    ) {
        let hub = hub();
        let life = if life % 3 == 0 { life } else { life.rem_euclid(4) };
        let cells = cells.into_iter().map(|(column, value, edits)| cell(&column, value, edits)).collect();
        let part = span(vec![Row { table, key, life, turned, cells }]);
        hub.apply(Sender::Edge(STRANGER), &part).unwrap();
        prop_assert_eq!(hub.mark(RECORDS, STRANGER).upto, 1);
    }
}

/// Text that nothing packs well.
fn noise(dice: &mut Dice, bytes: usize) -> String {
    (0..bytes)
        .map(|_| char::from(u8::try_from(33 + dice.roll(90)).expect("a letter")))
        .collect()
}

/// Animals with long names, all in one transaction; how much it changes.
fn name_at_length(farm: &Farm, dice: &mut Dice, rows: std::ops::Range<u8>, bytes: usize) -> Size {
    farm.attempt(|conn| {
        for id in rows {
            farm.animal(id, &noise(dice, bytes));
        }
        Ok(records::under_way(conn, &farm.schema)?)
    })
    .expect("SQLite does it")
}

/// All that `edge` says of itself, in messages of this room, to a hub; how many versions each carried.
fn send(edge: &Farm, hub: &Farm, room: usize) -> Vec<usize> {
    hub.register(edge.site);
    let head = edge
        .attempt(|conn| Ok(records::head(conn, 0)?))
        .expect("SQLite does it");
    let (mut from, mut carried) = (Mark::default(), Vec::new());
    while from.upto < head {
        let span = edge
            .attempt(|conn| records::read(conn, &edge.schema, edge.site, from, room))
            .expect("SQLite does it");
        from = span.end().expect("it can be hashed");
        carried.push(span.versions.len());
        let message = wire::encode(&(), &[Part::Records(span)]).expect("a message carries it");
        let ((), parts) = wire::decode::<()>(&message).expect("SQLite does it");
        let [Part::Records(span)] = &parts[..] else {
            panic!("one part was sent")
        };
        let sender = Sender::Edge(edge.site);
        hub.attempt(|conn| records::apply(conn, &hub.schema, sender, span))
            .expect("SQLite does it");
    }
    assert_eq!(edge.names(), hub.names());
    carried
}

#[test]
fn a_change_as_large_as_may_be_travels_in_one_message() {
    let (edge, hub, mut dice) = (Farm::new(), Farm::new(), Dice(1));
    let size = name_at_length(&edge, &mut dice, 0..4, 256 * 1024 - 80);
    assert!(size.can_travel(), "{size:?}");
    assert!(size.bytes > AT_MOST - 1_000, "{size:?}");
    assert_eq!(send(&edge, &hub, 1_024), [1]);
    for (rows, bytes) in [(0..5, 256 * 1024 - 80), (0..1, 256 * 1024 + 1)] {
        let size = name_at_length(&Farm::new(), &mut dice, rows, bytes);
        assert!(!size.can_travel(), "{size:?}");
    }
    let same = edge.attempt(|conn| Ok(records::under_way(conn, &edge.schema)?));
    assert_eq!(same.unwrap(), Size::default(), "nothing is under way");
}

#[test]
fn large_changes_one_after_another_each_have_a_message() {
    let (edge, hub, mut dice) = (Farm::new(), Farm::new(), Dice(2));
    for row in 0..3 {
        name_at_length(&edge, &mut dice, row * 3..row * 3 + 3, 250_000);
    }
    assert_eq!(send(&edge, &hub, AT_MOST), [1, 1, 1]);
}
