//! The real file in the simulation: SQLite with the extension, in memory.

use std::{collections::BTreeMap, fmt::Write as _};

use sync::{
    Site, exchange,
    store::{Fault, Turn, Turned},
    wire::Stream,
};

use super::Replica;
use crate::{dice::Dice, farm::Farm};

const TABLES: [&str; 3] = [
    "SELECT * FROM animal ORDER BY id",
    "SELECT * FROM stay ORDER BY animal, day",
    "SELECT id, seq, animal, yield_ml FROM milking JOIN sync_site ON ordinal = site ORDER BY id, seq",
];

impl Replica for Farm {
    fn new(_: &mut Dice) -> Self {
        Self::new()
    }

    fn copy(&self) -> Self {
        Self::restore(&self.conn.serialize("main").expect("a file has bytes"))
    }

    fn site(&self) -> Site {
        self.site
    }

    fn turn(&mut self, turn: &Turn) -> Result<Turned, Fault> {
        self.attempt(|conn| exchange::turn(conn, &self.schema, turn))
            .map_err(Fault::from)
    }

    fn edit(&mut self, dice: &mut Dice) -> Option<(i64, i64)> {
        if dice.roll(2) == 0 {
            let value = dice.small(1 << 30);
            self.milk(1, value);
            let read = "SELECT max(seq) FROM milking WHERE site = 0";
            let seq = self.conn.query_row(read, [], |row| row.get(0));
            return Some((seq.expect("SQLite does it"), value));
        }
        self.edit_records(dice);
        None
    }

    fn facts(&self) -> BTreeMap<(Site, i64), i64> {
        let read = "SELECT id, seq, yield_ml FROM milking JOIN sync_site ON ordinal = site";
        let mut read = self.conn.prepare(read).expect("SQLite does it");
        read.query_map([], |row| {
            Ok(((Site(row.get(0)?), row.get(1)?), row.get(2)?))
        })
        .expect("SQLite does it")
        .collect::<Result<_, _>>()
        .expect("SQLite does it")
    }

    fn content(&self) -> String {
        let mut all = String::new();
        for sql in TABLES {
            write!(all, "{:?}", self.rows(sql)).expect("a string takes it");
        }
        all
    }

    fn held(&self) -> BTreeMap<Stream, i64> {
        let of_others = exchange::holdings(&self.conn).expect("SQLite does it");
        let of_us = exchange::heads(&self.conn, &self.schema).expect("SQLite does it");
        let own = of_us.into_iter().map(|head| {
            let stream = Stream {
                site: self.site,
                name: head.stream,
            };
            (stream, head.upto)
        });
        of_others
            .into_iter()
            .map(|have| (have.stream, have.mark.upto))
            .chain(own)
            .collect()
    }
}
