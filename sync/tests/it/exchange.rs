//! Both sides of an exchange: order, room, refusals, copies.

use sync::{
    Error, Outcome, Refused, Sender, Site, Tally,
    exchange::{self, Speak},
    marks::RECORDS,
    site,
    store::{Delivery, Turn, Want},
    wire::{Part, Stream},
};

use crate::farm::Farm;

const ALL: usize = 1 << 20;

fn pair() -> (Farm, Farm) {
    let (edge, hub) = (Farm::migrated(), Farm::migrated());
    hub.register(edge.site);
    edge.register(hub.site);
    (edge, hub)
}

fn gather(edge: &Farm, hub: &Farm, room: usize) -> Result<exchange::Gathered, Error> {
    let want = Want {
        peer: hub.site,
        speak: Speak::ForItself,
        have: exchange::holdings(&hub.conn)?,
        skip: Vec::new(),
        room,
    };
    edge.write(|conn| exchange::gather(conn, &edge.schema, &want))
}

fn streams(parts: &[Part]) -> Vec<&str> {
    parts
        .iter()
        .map(|part| match part {
            Part::Records(_) => RECORDS,
            Part::Facts(run) => &run.log,
        })
        .collect()
}

#[test]
fn what_is_urgent_goes_first() {
    let (edge, hub) = pair();
    edge.milk(1, 10);
    edge.animal(1, "a");
    edge.conn
        .execute("INSERT INTO event VALUES (0, 1, 'heat')", [])
        .unwrap();
    let all = gather(&edge, &hub, ALL).unwrap();
    assert_eq!(streams(&all.parts), [RECORDS, "event", "milking"]);
    assert!(!all.more);
    let little = gather(&edge, &hub, 1).unwrap();
    assert_eq!(streams(&little.parts), [RECORDS]);
    assert!(little.more);
}

#[test]
fn a_refused_part_holds_up_only_its_own_stream() {
    let (edge, hub) = pair();
    edge.milk(1, 10);
    edge.animal(1, "a");
    let mut parts = gather(&edge, &hub, ALL).unwrap().parts;
    if let Part::Records(span) = &mut parts[0] {
        span.site = Site([9; 16]);
    }
    let sender = Sender::Edge(edge.site);
    let taken = hub
        .write(|conn| exchange::take(conn, &hub.schema, sender, &parts))
        .unwrap();
    assert_eq!(taken[0], Err(Refused::NotTheSenders));
    assert!(matches!(
        taken[1],
        Ok(Outcome::Taken(Tally { stored: 1, .. }))
    ));
    assert!(hub.names().is_empty());
}

#[test]
fn a_copied_file_gathers_nothing() {
    let (edge, hub) = pair();
    edge.animal(1, "a");
    let old = edge.conn.serialize("main").unwrap().to_vec();
    let parts = gather(&edge, &hub, ALL).unwrap().parts;
    hub.write(|conn| exchange::take(conn, &hub.schema, Sender::Edge(edge.site), &parts))
        .unwrap();
    assert!(gather(&edge, &hub, ALL).unwrap().parts.is_empty());
    let copy = Farm::restore(&old);
    copy.animal(2, "b");
    let refused = gather(&copy, &hub, ALL);
    assert!(matches!(refused, Err(Error::Copied)), "{refused:?}");
}

#[test]
fn a_turn_takes_then_gathers_and_says_who_we_are() {
    let (edge, hub) = (Farm::migrated(), Farm::migrated());
    edge.animal(1, "a");
    hub.animal(2, "b");
    let asked = Turn {
        epoch: Some(0),
        take: None,
        give: Some(Want {
            peer: hub.site,
            speak: Speak::ForItself,
            have: Vec::new(),
            skip: Vec::new(),
            room: ALL,
        }),
    };
    let turned = edge
        .write(|conn| exchange::turn(conn, &edge.schema, &asked))
        .unwrap();
    assert_eq!((turned.me.site, turned.heads.len()), (edge.site, 1));
    let answered = Turn {
        epoch: Some(0),
        take: Some(Delivery {
            sender: Sender::Edge(edge.site),
            parts: turned.gathered.parts,
        }),
        give: Some(Want {
            peer: edge.site,
            speak: Speak::ForAll,
            have: turned.holdings,
            skip: Vec::new(),
            room: ALL,
        }),
    };
    let done = hub
        .write(|conn| exchange::turn(conn, &hub.schema, &answered))
        .unwrap();
    assert!(matches!(done.verdicts[0].outcome, Ok(Outcome::Taken(_))));
    assert_eq!(
        done.gathered.parts.len(),
        1,
        "its own come from the edge alone"
    );
    assert_eq!(hub.names(), ["a", "b"]);

    let stranger = Turn {
        epoch: Some(1),
        ..answered
    };
    let refused = exchange::turn(&hub.conn, &hub.schema, &stranger);
    assert!(
        matches!(refused, Err(Error::Epoch { ours: 0 })),
        "{refused:?}"
    );
    site::set_epoch(&hub.conn, 1).unwrap();
    assert_eq!(site::epoch(&hub.conn).unwrap(), 1);
}

#[test]
fn a_stream_that_a_peer_cannot_take_is_left_out_and_holds_up_nothing() {
    let (edge, hub) = pair();
    edge.animal(1, "a");
    edge.milk(1, 10);
    let want = Want {
        peer: hub.site,
        speak: Speak::ForItself,
        have: Vec::new(),
        skip: vec![Stream {
            site: edge.site,
            name: RECORDS.to_owned(),
        }],
        room: 1,
    };
    let gathered = edge
        .write(|conn| exchange::gather(conn, &edge.schema, &want))
        .unwrap();
    assert_eq!(streams(&gathered.parts), ["milking"]);
    assert!(
        !gathered.more,
        "what is left out is no reason to come again"
    );
}

#[test]
fn a_hub_that_lost_its_newest_receives_them_again() {
    let (edge, hub) = pair();
    let push = |hub: &Farm| {
        let parts = gather(&edge, hub, ALL).unwrap().parts;
        let sender = Sender::Edge(edge.site);
        let taken = hub
            .write(|conn| exchange::take(conn, &hub.schema, sender, &parts))
            .unwrap();
        assert!(
            taken
                .iter()
                .all(|part| matches!(part, Ok(Outcome::Taken(_)))),
            "{taken:?}"
        );
    };
    edge.animal(1, "a");
    edge.milk(1, 10);
    push(&hub);
    let backup = hub.conn.serialize("main").unwrap().to_vec();
    edge.animal(2, "b");
    edge.milk(1, 20);
    push(&hub);
    let restored = Farm::restore(&backup);
    edge.animal(3, "c");
    push(&restored);
    assert_eq!(restored.names(), edge.names());
    assert_eq!(
        restored.rows("SELECT seq, yield_ml FROM milking"),
        edge.rows("SELECT seq, yield_ml FROM milking")
    );
}

#[test]
fn a_command_that_was_undone_gives_no_number_away() {
    let (edge, hub) = pair();
    let pull = |edge: &Farm| {
        let parts = gather(edge, &hub, ALL).unwrap().parts;
        let sender = Sender::Edge(edge.site);
        hub.write(|conn| exchange::take(conn, &hub.schema, sender, &parts))
            .unwrap();
    };
    let undone = |edge: &Farm, then: &dyn Fn()| {
        edge.write(|conn| {
            conn.execute_batch("SAVEPOINT command").unwrap();
            edge.animal(9, "undone");
            conn.execute_batch("ROLLBACK TO command; RELEASE command")
                .unwrap();
            then();
        });
    };
    edge.animal(1, "a");
    undone(&edge, &|| edge.milk(1, 10));
    pull(&edge);
    // The connection ends, and with it what it remembers.
    let edge = edge.start_again();
    edge.animal(2, "b");
    pull(&edge);
    assert_eq!(hub.names(), ["a", "b"]);
    // A change in the same transaction, after the one that was undone; offered before the restart, or after it.
    undone(&edge, &|| edge.animal(3, "c"));
    pull(&edge);
    assert_eq!(hub.names(), ["a", "b", "c"]);
    let edge = edge.start_again();
    edge.animal(4, "d");
    pull(&edge);
    undone(&edge, &|| edge.animal(5, "e"));
    let edge = edge.start_again();
    pull(&edge);
    edge.animal(6, "f");
    pull(&edge);
    assert_eq!(hub.names(), ["a", "b", "c", "d", "e", "f"]);
}
