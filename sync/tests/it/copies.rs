//! A copy of a file becomes a site of its own.

use sync::{
    Error, Sender, copies,
    exchange::{self, Speak},
    site,
    store::{Delivery, Turn, Want},
};

use crate::farm::Farm;

const TABLES: [&str; 2] = [
    "SELECT * FROM animal ORDER BY id",
    "SELECT id, seq, animal, yield_ml FROM milking JOIN sync_site ON ordinal = site ORDER BY id, seq",
];

fn image(farm: &Farm) -> Vec<u8> {
    farm.conn
        .serialize("main")
        .expect("a file has bytes")
        .to_vec()
}

/// From one to the other, all that is lacking.
fn hand(from: &Farm, to: &Farm, speak: Speak) -> Result<(), Error> {
    let want = Want {
        peer: to.site,
        speak,
        have: exchange::holdings(&to.conn)?,
        skip: Vec::new(),
        room: 1 << 20,
    };
    let give = Turn {
        give: Some(want),
        ..Turn::default()
    };
    let parts = from
        .write(|conn| exchange::turn(conn, &from.schema, &give))?
        .gathered
        .parts;
    let sender = match speak {
        Speak::ForItself => Sender::Edge(from.site),
        Speak::ForAll => Sender::Hub(from.site),
    };
    let take = Turn {
        take: Some(Delivery { sender, parts }),
        ..Turn::default()
    };
    let taken = to.write(|conn| exchange::turn(conn, &to.schema, &take))?;
    assert!(
        taken.verdicts.iter().all(|verdict| verdict.outcome.is_ok()),
        "{taken:?}"
    );
    Ok(())
}

#[test]
fn a_copy_that_is_renewed_lives_beside_the_original() {
    let (hub, edge) = (Farm::new(), Farm::new());
    edge.animal(1, "before");
    edge.milk(1, 10);
    edge.milk(1, 20);
    hand(&edge, &hub, Speak::ForItself).unwrap();
    let backup = image(&edge);
    edge.animal(2, "after the backup");
    edge.milk(2, 30);
    hand(&edge, &hub, Speak::ForItself).unwrap();

    let copy = Farm::restore(&backup);
    let refused = hand(&copy, &hub, Speak::ForItself);
    assert!(matches!(refused, Err(Error::Copied)), "{refused:?}");
    let copy = Farm::restore(&backup);
    let former = copy
        .write(|conn| copies::forsake(conn, &copy.schema))
        .unwrap();
    let copy = Farm::restore(&image(&copy));
    copy.schema.prepare(&copy.conn).unwrap();
    let old = edge.site;
    assert_eq!(site::ordinal(&copy.conn, old).unwrap(), Some(former));
    assert_eq!(site::all(&copy.conn).unwrap(), [copy.site, hub.site, old]);
    assert_ne!(copy.site, old);

    copy.animal(1, "by the copy");
    copy.animal(3, "by the copy");
    copy.milk(3, 40);
    edge.animal(2, "by the original");
    edge.milk(4, 50);
    for _ in 0..2 {
        for site in [&edge, &copy] {
            hand(site, &hub, Speak::ForItself).unwrap();
            hand(&hub, site, Speak::ForAll).unwrap();
        }
    }
    for sql in TABLES {
        assert_eq!(edge.rows(sql), hub.rows(sql));
        assert_eq!(copy.rows(sql), hub.rows(sql));
    }
    assert_eq!(
        hub.names(),
        ["by the copy", "by the original", "by the copy"]
    );
    assert_eq!(hub.rows(TABLES[1]).len(), 5, "every fact, once");
}

/// A hub whose file was put back and renewed, or another hub that was given a copy, holds what was once sent to its original.
#[test]
fn who_sent_to_the_original_goes_on_with_the_copy() {
    let (hub, edge) = (Farm::new(), Farm::new());
    edge.animal(1, "before");
    edge.milk(1, 10);
    hand(&edge, &hub, Speak::ForItself).unwrap();
    let backup = image(&hub);
    edge.animal(2, "after the backup");
    hand(&edge, &hub, Speak::ForItself).unwrap();

    let copy = Farm::restore(&backup);
    copy.write(|conn| copies::forsake(conn, &copy.schema))
        .unwrap();
    let copy = Farm::restore(&image(&copy));
    copy.schema.prepare(&copy.conn).unwrap();
    copy.animal(3, "by the copy");
    edge.animal(4, "by the edge");
    hand(&edge, &copy, Speak::ForItself).unwrap();
    hand(&copy, &edge, Speak::ForAll).unwrap();
    for sql in TABLES {
        assert_eq!(edge.rows(sql), copy.rows(sql));
    }

    // An edge that was put back is found by the copy as it is by the original.
    let old = image(&edge);
    edge.animal(5, "known to the copy alone");
    hand(&edge, &copy, Speak::ForItself).unwrap();
    let refused = hand(&Farm::restore(&old), &copy, Speak::ForItself);
    assert!(matches!(refused, Err(Error::Copied)), "{refused:?}");
}
