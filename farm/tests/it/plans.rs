//! The hot paths never look at every row: each statement that they really run is collected from SQLite, and SQLite's own
//! plan of it says so.

use std::{cell::RefCell, collections::BTreeSet};

use farm::{
    StoreError, Tx,
    alerts::{self, AlertKind, Subject},
    animals::{self, HerdFilter, HerdSort, SortOrder},
    audit, events, holds, inbox,
    milkings::{self, VisitFilter, VisitSort},
    production,
    readings::{self, Resolution},
    retention::{self, Budget},
    watch,
};
use farm_model::{
    AnimalId, Body, Destination, DeviceId, Milli, Observation, Quantity, Stamp, VisitId,
};
use rusqlite::{
    Connection,
    trace::{TraceEvent, TraceEventCodes},
};

use crate::support::{DAY, Fixture, NOW, date, session, visit};

/// Tables that grow for as long as the farm lives.
const GROWING: [&str; 9] = [
    "visit",
    "milking",
    "reading",
    "rollup",
    "animal_day",
    "herd_day",
    "animal_event",
    "alert",
    "audit",
];

thread_local! {
    static RUN: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

fn note(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(statement, _) = event {
        RUN.with_borrow_mut(|run| run.insert(statement.sql().into_owned()));
    }
}

/// From now on each statement that runs on `conn` in this thread is noted.
fn listen(conn: &Connection) {
    RUN.take();
    conn.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note));
}

/// What ran since, without what opens and closes transactions.
fn ran(conn: &Connection) -> BTreeSet<String> {
    conn.trace_v2(TraceEventCodes::empty(), None);
    let mut run = RUN.take();
    run.retain(|sql| {
        ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"]
            .iter()
            .any(|verb| sql.trim_start().starts_with(verb))
    });
    run
}

/// The steps of the plan of `sql` that walk through a table that grows.
fn walks(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let values = vec![rusqlite::types::Value::Null; statement.parameter_count()];
    let plan = statement
        .query_map(rusqlite::params_from_iter(values), |row| row.get(3))
        .unwrap();
    plan.map(Result::unwrap)
        .filter(|step: &String| is_walk(step, sql))
        .collect()
}

fn is_walk(step: &str, sql: &str) -> bool {
    let mut words = step.split_whitespace();
    let (Some("SCAN"), Some(name)) = (words.next(), words.next()) else {
        return false;
    };
    // A walk along an index in the order that is asked for, which a limit ends, is none through all; nor is one along an
    // index of those few rows alone that are still open, or that settled a conflict.
    let few = ["alert_open", "audit_kept_tag"];
    let ends = step.contains("USING") && sql.contains("LIMIT")
        || few.iter().any(|index| step.contains(index));
    !ends
        && GROWING
            .iter()
            .any(|table| *table == name || is_alias(sql, table, name))
}

/// Whether `sql` calls `table` by `name`.
fn is_alias(sql: &str, table: &str, name: &str) -> bool {
    let words: Vec<&str> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty() && *word != "AS")
        .collect();
    words.windows(2).any(|pair| pair == [table, name])
}

/// Panics with each statement of `run` that walks.
fn check(conn: &Connection, run: &BTreeSet<String>, among: &[&str]) {
    for table in among {
        let seen = run
            .iter()
            .any(|sql| sql.split_whitespace().any(|word| word == *table));
        assert!(
            seen,
            "nothing was asked of {table}: what is checked here?\n{run:#?}"
        );
    }
    for sql in run {
        let walks = walks(conn, sql);
        assert!(walks.is_empty(), "{sql}\n{walks:#?}");
    }
}

fn device() -> DeviceId {
    DeviceId::from_bytes([7; 16])
}

fn measured(at: Stamp) -> Observation {
    Observation {
        device: device(),
        at,
        body: Body::measured(Quantity::Temperature, Milli(4_000)),
        raw: Vec::new(),
        key: Some(at.wall.0.to_string()),
    }
}

/// A farm with a little of all that is asked for, and a cow of it.
fn farm() -> (Fixture, AnimalId) {
    let f = Fixture::new();
    let cow = f.cow("1");
    let at = f.now();
    for (key, of) in [("known", Some(cow)), ("unknown", None)] {
        f.write(move |tx| {
            milkings::record(tx, visit(key, of, session("2026-11-20", 1), 9_000, at))
        })
        .unwrap();
    }
    f.write(move |tx| {
        readings::ingest(tx, &[measured(at)])?;
        readings::compact(tx, 10)
    })
    .unwrap();
    (f, cow)
}

#[test]
fn what_pages_ask_uses_indexes() {
    let (f, cow) = farm();
    let (now, today) = (f.now(), date("2026-11-20"));
    let pages = |conn: &Connection| -> Result<(), StoreError> {
        animals::herd(
            conn,
            &HerdFilter::default(),
            (HerdSort::Number, SortOrder::Up),
            today,
            &now,
        )?;
        animals::animal_page(conn, cow, today, &now)?;
        animals::daily_yields(conn, cow, date("2026-10-01"), today)?;
        animals::last_milked(conn, cow)?;
        events::of_animal(conn, cow)?;
        holds::standing(conn, &now)?;
        milkings::of_animal(conn, cow, 20)?;
        let of_days = VisitFilter {
            from: Some(date("2026-11-01")),
            to: Some(today),
            ..VisitFilter::default()
        };
        let kept_out = VisitFilter {
            destination: Some(Destination::Withheld),
            ..VisitFilter::default()
        };
        for filter in [VisitFilter::default(), of_days, kept_out] {
            milkings::list(conn, &filter, VisitSort::Newest, None, 50)?;
        }
        milkings::history(conn, VisitId::derive("test", "known"))?;
        milkings::sessions(conn, None, 10)?;
        production::summary(conn, today)?;
        production::sessions_of(conn, today)?;
        inbox::inbox(conn)?;
        alerts::count_open(conn)?;
        alerts::history(conn, None, 50)?;
        audit::list(conn, None, 50)?;
        for resolution in [Resolution::Raw, Resolution::Minute, Resolution::Day] {
            readings::history(
                conn,
                device(),
                Quantity::Temperature,
                NOW.plus(-DAY),
                NOW,
                resolution,
            )?;
        }
        Ok(())
    };
    f.read(|conn| {
        listen(conn);
        pages(conn)?;
        check(conn, &ran(conn), &GROWING);
        Ok(())
    });
}

#[test]
fn what_a_milking_and_a_reading_cost_does_not_grow() {
    let (f, cow) = farm();
    let at = f.now();
    f.write(move |tx| {
        let hot = |tx: &mut Tx<'_>| -> Result<(), milkings::MilkError> {
            milkings::record(
                tx,
                visit("next", Some(cow), session("2026-11-20", 2), 8_000, at),
            )?;
            readings::ingest(
                tx,
                &[measured(Stamp {
                    wall: NOW.plus(1),
                    ..at
                })],
            )?;
            readings::compact(tx, 10)?;
            alerts::raise(
                tx,
                AlertKind::Silent,
                Subject::Device(device()),
                &serde_json::Value::Null,
            )?;
            watch::values(tx, &[])?;
            retention::enforce(
                tx,
                Budget {
                    raw_ms: DAY,
                    bytes: u64::MAX,
                },
            )?;
            Ok(())
        };
        listen(tx.conn());
        hot(tx)?;
        let run = ran(tx.conn());
        check(tx.conn(), &run, &["visit", "milking", "reading", "alert"]);
        Ok::<_, milkings::MilkError>(())
    })
    .unwrap();
}

#[test]
fn a_walk_is_seen_under_any_name() {
    let (f, _) = farm();
    f.read(|conn| {
        for sql in [
            "SELECT * FROM visit",
            "SELECT count(*) FROM visit AS v JOIN animal a ON a.id = v.animal",
            "SELECT * FROM alert x WHERE raised_at + 1 > ?1",
        ] {
            assert_eq!(walks(conn, sql).len(), 1, "{sql}");
        }
        let by_key = "SELECT * FROM visit v WHERE v.id = ?1";
        assert_eq!(walks(conn, by_key), Vec::<String>::new());
        Ok(())
    });
}
