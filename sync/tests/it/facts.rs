//! Facts: appended once, in order, and never from two histories.

use sync::{
    Error, Outcome, Refused, Sender, Tally, Value,
    facts::{self, Run},
    held,
    marks::{Mark, Standing},
};

use crate::farm::Farm;

const ALL: usize = usize::MAX;
const MILK: &str = "SELECT seq, animal, yield_ml FROM milking ORDER BY site, seq";

fn pair() -> (Farm, Farm) {
    let (edge, hub) = (Farm::new(), Farm::new());
    hub.register(edge.site);
    (edge, hub)
}

#[test]
fn facts_arrive_once_in_runs_of_any_size() {
    let (edge, hub) = pair();
    for n in 1..=100 {
        edge.milk(1, n);
    }
    let sender = Sender::Edge(edge.site);
    for room in [0, 40, 1_000, ALL] {
        let run = edge.run("milking", edge.site, &hub, room);
        assert!(!run.rows.is_empty());
        assert!(matches!(
            hub.append(sender, &run).unwrap(),
            Outcome::Taken(_)
        ));
        assert_eq!(hub.append(sender, &run).unwrap(), Outcome::Known);
    }
    assert_eq!(hub.rows(MILK), edge.rows(MILK));
    let mark = hub.mark("milking", edge.site);
    assert_eq!(
        mark,
        facts::own_mark(&edge.conn, &edge.schema, "milking", 100).unwrap()
    );
    let ahead = Run {
        from: Mark { upto: 200, ..mark },
        rows: vec![vec![Value::Blob(vec![1]), Value::Null]],
        ..edge.run("milking", edge.site, &Farm::new(), ALL)
    };
    assert_eq!(
        hub.append(sender, &ahead).unwrap(),
        Outcome::OutOfStep { have: 100 }
    );
}

#[test]
fn a_restored_file_that_counts_on_is_found() {
    let (edge, hub) = pair();
    edge.milk(1, 10);
    let old = edge.conn.serialize("main").unwrap().to_vec();
    edge.milk(1, 20);
    let sender = Sender::Edge(edge.site);
    hub.append(sender, &edge.run("milking", edge.site, &hub, ALL))
        .unwrap();
    let theirs = hub.mark("milking", edge.site);

    let copy = Farm::restore(&old);
    let standing = || facts::standing(&copy.conn, &copy.schema, "milking", theirs).unwrap();
    assert_eq!(
        standing(),
        Standing::Fork,
        "the hub holds more than this file ever had"
    );
    copy.milk(2, 99);
    assert_eq!(standing(), Standing::Fork, "the same number, another fact");
    copy.milk(2, 100);
    let mut run = copy.run("milking", edge.site, &Farm::new(), ALL);
    run.from = facts::own_mark(&copy.conn, &copy.schema, "milking", 2).unwrap();
    run.rows.drain(..2);
    let refused = hub.append(sender, &run);
    assert!(
        matches!(refused, Err(Error::Refused(Refused::Fork))),
        "{refused:?}"
    );
    assert_eq!(hub.rows(MILK), edge.rows(MILK));
    assert_eq!(
        facts::standing(&edge.conn, &edge.schema, "milking", theirs).unwrap(),
        Standing::Sound
    );
}

#[test]
fn facts_of_a_newer_site_wait_and_are_passed_on() {
    let (newer, mut hub, other) = (Farm::migrated(), Farm::new(), Farm::migrated());
    hub.register(newer.site);
    newer.milk(1, 10);
    newer.milk(1, 20);
    newer
        .conn
        .execute("UPDATE milking SET fat_ppm = 40000 WHERE seq = 2", [])
        .unwrap();
    newer.milk(1, 30);
    newer
        .conn
        .execute("INSERT INTO event VALUES (0, 1, 'heat')", [])
        .unwrap();
    for log in ["milking", "event"] {
        hub.append(
            Sender::Edge(newer.site),
            &newer.run(log, newer.site, &hub, ALL),
        )
        .unwrap();
    }
    assert_eq!(
        hub.rows("SELECT seq FROM milking").len(),
        2,
        "an empty new column holds nothing up"
    );
    for log in ["milking", "event"] {
        while hub.mark(log, newer.site).upto > other.mark(log, newer.site).upto {
            let run = hub.run(log, newer.site, &other, ALL);
            other.append(Sender::Hub(hub.site), &run).unwrap();
        }
    }
    let all =
        "SELECT seq, animal, yield_ml, fat_ppm, (SELECT kind FROM event) FROM milking ORDER BY seq";
    assert_eq!(other.rows(all), newer.rows(all));
    hub.migrate();
    hub.write(|conn| facts::replay(conn, &hub.schema)).unwrap();
    assert_eq!(hub.rows(all), newer.rows(all));
    assert!(hub.rows("SELECT 1 FROM sync_held").is_empty());
}

#[test]
fn a_fact_that_does_not_fit_is_set_aside_and_blocks_nothing() {
    let (edge, hub) = pair();
    edge.milk(1, 10);
    edge.milk(1, 20);
    let mut run = edge.run("milking", edge.site, &hub, ALL);
    run.rows[0][1] = Value::Text("much".to_owned());
    let done = hub.append(Sender::Edge(edge.site), &run).unwrap();
    assert!(
        matches!(&done, Outcome::Taken(Tally { stored: 1, aside, .. }) if aside[0].number == 1),
        "{done:?}"
    );
    assert_eq!(held::aside(&hub.conn).unwrap().len(), 1);
    assert_eq!(hub.mark("milking", edge.site).upto, 2);
}

#[test]
fn malformed_runs_are_refused_whole() {
    let (edge, hub) = pair();
    edge.milk(1, 10);
    let sound = edge.run("milking", edge.site, &hub, ALL);
    let mut short = sound.clone();
    short.rows[0].pop();
    let mut twice = sound.clone();
    twice.columns[1] = twice.columns[0].clone();
    let nameless = Run {
        log: String::new(),
        ..sound.clone()
    };
    let mut endless = sound;
    endless.from.upto = i64::MAX;
    for bad in [short, twice, nameless, endless] {
        let refused = hub.append(Sender::Edge(edge.site), &bad);
        assert!(
            matches!(refused, Err(Error::Refused(Refused::Disorder))),
            "{bad:?}: {refused:?}"
        );
    }
}
