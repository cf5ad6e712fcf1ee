//! A site that tells what cannot be: it is set aside with its reason, and what honest sites tell goes on.

use farm::{
    StoreError,
    animals::{self, AnimalForm},
    events::{self, EventBody, NewEvent},
    milkings::{self, Correction},
    replica,
};
use farm_model::{AnimalId, AnimalStatus, Clock as _, Destination, VisitId};
use sync::{
    Outcome, Sender, Site, Tally, Value,
    exchange::Speak,
    facts::Run,
    marks::Mark,
    records::{Cell, Row, Span, Version},
    schema::Class,
    wire::Part,
};

use super::several::{Place, gather, join, try_deliver};
use crate::support::{HOUR, name, session, visit};

/// Values of each class at the ends of their ranges and past them.
fn hostile(class: Class) -> Vec<Value> {
    match class {
        Class::Integer => [i64::MIN, i64::MIN + 1, -1, 0, 256, 1 << 32, 1 << 53, i64::MAX]
            .map(Value::Integer)
            .to_vec(),
        Class::Real => [f64::MIN, -0.0, f64::INFINITY].map(Value::Real).to_vec(),
        Class::Text => [
            "",
            "{",
            "staff:",
            "\u{0}",
            r#"{"kind":"calving","lactation":255}"#,
            r#"{"kind":"treatment","medicine":"x","milk_hold_h":4294967295,"meat_hold_h":4294967295}"#,
            r#"{"kind":"void","of":{"site":9223372036854775807,"seq":-9223372036854775808}}"#,
            r#"{"fact":"corrected","yield_ml":9223372036854775807,"destination":"tank"}"#,
            r#"{"fact":"corrected","yield_ml":-9223372036854775808,"destination":"tank"}"#,
            r#"{"fact":"recorded","visit":{"start":[9223372036854775807,3,0,18446744073709551615],"end":[-9223372036854775808,3,0,0],
                "day":9223372036854775807,"no":255,"ml":-9223372036854775808,"to":9}}"#,
        ]
        .map(|text| Value::Text(text.to_owned()))
        .to_vec(),
        Class::Blob => [0, 3, 15, 16, 17, 4_096]
            .map(|len| Value::Blob(vec![7; len]))
            .to_vec(),
    }
}

/// Sites that nobody has heard of before, and a hub for as many of them as it admits.
struct Strangers<'a> {
    edge: &'a Place,
    cow: AnimalId,
    hub: Place,
    count: u64,
}

impl<'a> Strangers<'a> {
    const AT_A_HUB: u64 = 200;

    fn of(edge: &'a Place, cow: AnimalId) -> Self {
        let hub = Place::new();
        join(edge, &hub);
        Self {
            edge,
            cow,
            hub,
            count: 0,
        }
    }

    fn next(&mut self) -> Site {
        if self.count == Self::AT_A_HUB {
            self.end();
            *self = Self::of(self.edge, self.cow);
        }
        self.count += 1;
        let mut site = [0xee; 16];
        site[..8].copy_from_slice(&self.count.to_be_bytes());
        Site(site)
    }

    fn end(&self) {
        honest_milk_counts(self.edge, &self.hub, self.cow);
    }
}

/// What becomes of a part that `of` tells: it is always taken, whatever of it is set aside.
fn told(hub: &Place, of: Site, part: Part) -> Tally {
    let what = format!("{part:?}");
    let turned = try_deliver(hub, Sender::Edge(of), vec![part]);
    let mut verdicts = turned
        .unwrap_or_else(|fault| panic!("{fault:?} by {what}"))
        .verdicts;
    match verdicts.pop().map(|verdict| verdict.outcome) {
        Some(Ok(Outcome::Taken(tally))) => tally,
        other => panic!("{other:?} of {what}"),
    }
}

fn cow(place: &Place) -> AnimalId {
    let form = AnimalForm::new(name("101"), AnimalStatus::Lactating);
    place
        .write(move |tx| animals::register(tx, &form, None, None))
        .unwrap()
}

fn milk(place: &Place, key: &'static str, cow: AnimalId, yield_ml: i64) -> VisitId {
    let at = place.farm.clock().now();
    let mut milked = visit(key, Some(cow), session("2026-11-20", 1), yield_ml, at);
    milked.conductivity = Some(farm_model::Milli(5_600));
    place
        .write(move |tx| milkings::record(tx, milked))
        .unwrap()
        .visit()
}

/// Facts of each log as an honest site tells them.
fn facts() -> (Place, AnimalId, Vec<Run>) {
    let place = Place::new();
    let cow = cow(&place);
    let milked = milk(&place, "sample", cow, 1_000);
    let correction = Correction {
        yield_ml: 1_100,
        destination: Destination::Tank,
        reason: None,
    };
    place
        .write(move |tx| milkings::correct(tx, milked, &correction))
        .unwrap();
    let treatment = EventBody::Treatment {
        medicine: "penicillin".into(),
        dose: String::new(),
        reason: String::new(),
        milk_hold_h: 1,
        meat_hold_h: 1,
    };
    for body in [treatment, EventBody::calving(2)] {
        place
            .write(move |tx| events::record(tx, &NewEvent::now(cow, body)))
            .unwrap();
    }
    let parts = gather(&place, &Place::new(), Speak::ForItself, 1 << 20);
    let mut runs: Vec<Run> = parts
        .into_iter()
        .filter_map(|part| match part {
            Part::Facts(run) => Some(run),
            Part::Records(_) => None,
        })
        .collect();
    runs.push(Run {
        log: "sample".to_owned(),
        site: place.site,
        from: Mark::default(),
        columns: vec!["slot".to_owned(), "body".to_owned()],
        rows: vec![vec![Value::Integer(5_983_800), Value::Blob(vec![1, 0, 0])]],
    });
    (place, cow, runs)
}

/// Milk that an honest site gives of this cow on the day of which all the others spoke arrives and counts.
fn honest_milk_counts(edge: &Place, hub: &Place, cow: AnimalId) {
    edge.clock.pass(HOUR);
    let milked = milk(edge, "honest", cow, 8_000);
    join(edge, hub);
    let (here, day, visits): (i64, i64, i64) = hub
        .farm
        .read_blocking(move |conn| {
            let day = "SELECT v.yield_ml, d.yield_ml, (SELECT sum(o.yield_ml) FROM visit o WHERE o.animal = v.animal AND o.day = v.day
                    AND o.voided = 0)
                 FROM visit v JOIN animal_day d USING (animal, day) WHERE v.animal = ?1 AND v.yield_ml = 8000";
            Ok::<_, StoreError>(conn.query_row(day, [cow.as_bytes()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?)
        })
        .unwrap();
    assert_eq!((here, day), (8_000, visits), "{milked}");
    let before = hub.content();
    hub.write(replica::rebuild).unwrap();
    assert_eq!(hub.content(), before, "built anew it is something else");
}

#[test]
fn a_poisoned_fact_of_any_log_holds_up_nothing() {
    let (edge, cow, runs) = facts();
    let schema = edge.farm.replicated();
    let logs: Vec<&String> = schema.logs.keys().collect();
    let mut strangers = Strangers::of(&edge, cow);
    for log in logs {
        let mut of_log = runs.iter().filter(|run| run.log == *log).peekable();
        assert!(of_log.peek().is_some(), "no fact of {log}");
        for run in of_log {
            for (n, name) in run.columns.iter().enumerate() {
                let all = &schema.logs[log].columns;
                let (_, column) = all.iter().find(|(known, _)| known == name).unwrap();
                for value in hostile(column.class) {
                    let site = strangers.next();
                    let mut poisoned = Run {
                        site,
                        ..run.clone()
                    };
                    for row in &mut poisoned.rows {
                        row[n] = value.clone();
                    }
                    let tally = told(&strangers.hub, site, Part::Facts(poisoned));
                    let aside = if column.holds(&value) {
                        0
                    } else {
                        run.rows.len()
                    };
                    assert_eq!(
                        tally.aside.len(),
                        aside,
                        "{log}.{name} = {value:?}: {tally:?}"
                    );
                }
            }
        }
    }
    strangers.end();
}

#[test]
fn what_was_found_to_stop_everything_is_set_aside_with_its_reason() {
    let (edge, cow, runs) = facts();
    let mut strangers = Strangers::of(&edge, cow);
    for (log, column, value) in [
        ("animal_event", "animal", Value::Blob(vec![1, 2, 3])),
        ("milking", "yield_ml", Value::Integer(i64::MAX)),
        ("milking", "yield_ml", Value::Integer(i64::MIN)),
    ] {
        let site = strangers.next();
        let run = runs.iter().find(|run| run.log == log).unwrap();
        let n = run.columns.iter().position(|name| name == column).unwrap();
        let mut poisoned = Run {
            site,
            ..run.clone()
        };
        poisoned.rows.truncate(1);
        poisoned.rows[0][n] = value;
        let tally = told(&strangers.hub, site, Part::Facts(poisoned));
        let reasons: Vec<&str> = tally.aside.iter().map(|one| one.reason.as_str()).collect();
        assert_eq!(reasons, [format!("a value of {column} is out of bounds")]);
    }
    strangers.end();
}

#[test]
fn a_poisoned_record_of_any_table_holds_up_nothing() {
    let (edge, cow, _) = facts();
    let schema = edge.farm.replicated();
    let mut strangers = Strangers::of(&edge, cow);
    for (table, described) in &schema.tables {
        let key = |len| vec![Value::Blob(vec![0xab; len])];
        let mut cells = vec![(key(3), None, 1), (key(0), None, 1)];
        for (name, column) in &described.columns {
            for value in hostile(column.class) {
                let aside = usize::from(!column.holds(&value));
                cells.push((key(16), Some((name.clone(), value)), aside));
            }
        }
        for (key, cell, aside) in cells {
            let site = strangers.next();
            let cells = cell.into_iter().map(|(column, value)| Cell {
                column,
                value,
                edits: 1,
            });
            let row = Row {
                table: table.clone(),
                key,
                life: 1,
                turned: true,
                cells: cells.collect(),
            };
            let what = format!("{row:?}");
            let span = Span {
                site,
                from: Mark::default(),
                to: 1,
                versions: vec![Version {
                    number: 1,
                    rows: vec![row],
                }],
            };
            let tally = told(&strangers.hub, site, Part::Records(span));
            assert_eq!(tally.aside.len(), aside, "{what}: {tally:?}");
        }
    }
    strangers.end();
}

#[test]
fn a_fact_that_following_trips_over_is_set_aside_alone() {
    let (edge, cow, _) = facts();
    let hub = Place::new();
    join(&edge, &hub);
    hub.write(|tx| {
        let trap = "CREATE TRIGGER trap BEFORE INSERT ON visit WHEN new.yield_ml = 6666
                    BEGIN SELECT RAISE(ABORT, 'nobody knows why'); END";
        Ok::<_, StoreError>(tx.conn().execute_batch(trap)?)
    })
    .unwrap();
    for (key, yield_ml) in [("before", 5_000), ("tripped", 6_666), ("after", 7_000)] {
        edge.clock.pass(HOUR);
        milk(&edge, key, cow, yield_ml);
    }
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 20);
    let turned = try_deliver(&hub, Sender::Edge(edge.site), parts).unwrap();
    let aside: Vec<_> = turned
        .verdicts
        .into_iter()
        .flat_map(|verdict| match verdict.outcome {
            Ok(Outcome::Taken(tally)) => tally.aside,
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(aside[0].reason.contains("nobody knows why"), "{aside:?}");
    let figures = |place: &Place| -> Vec<i64> {
        let figures = |conn: &rusqlite::Connection| {
            let mut read = conn.prepare("SELECT yield_ml FROM visit ORDER BY start")?;
            let rows = read.query_map([], |row| row.get(0))?;
            Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
        };
        place.farm.read_blocking(figures).unwrap()
    };
    assert_eq!(figures(&hub), [1_100, 5_000, 7_000]);
    honest_milk_counts(&edge, &hub, cow);

    // It is handed on as it was told.
    let third = Place::new();
    join(&third, &hub);
    assert_eq!(figures(&third), [1_100, 5_000, 6_666, 7_000, 8_000]);
}

#[test]
fn every_column_in_which_something_may_be_out_of_bounds_has_bounds() {
    let place = Place::new();
    let schema = place.farm.replicated();
    let keys = schema.tables.values().flat_map(|table| &table.key);
    let columns = schema.tables.values().flat_map(|table| &table.columns);
    let logs = schema.logs.values().flat_map(|log| &log.columns);
    let all = keys
        .chain(logs)
        .map(|(name, column)| (name, column))
        .chain(columns);
    for (name, column) in all {
        let may_be_odd = matches!(column.class, Class::Integer | Class::Blob);
        let is_unbound = column.bounds == (i64::MIN, i64::MAX);
        assert!(!(may_be_odd && is_unbound), "{name}");
    }
}
