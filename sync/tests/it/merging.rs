//! A farm of several edges and a hub, at random: edits everywhere, parts lost, doubled, out of order, torn off by a crash, and
//! sites that start again. Then the line is sound, and all must be the same.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sync::{
    Outcome, Sender,
    exchange::{self, Speak},
    facts,
    marks::{self, Mark, RECORDS, Standing},
    records, site,
    store::Want,
    wire,
};

use crate::{dice::Dice, farm::Farm};

/// `SYNC_SEEDS=1000` looks longer; a failure names its seed.
const SEEDS: u64 = 24;
const STEPS: usize = 250;
const TABLES: [&str; 3] = [
    "SELECT * FROM animal ORDER BY id",
    "SELECT * FROM stay ORDER BY animal, day",
    "SELECT id, seq, animal, yield_ml FROM milking JOIN sync_site ON ordinal = site ORDER BY id, seq",
];

/// A part on its way to a site, as bytes; the hub is site 0.
#[derive(Clone)]
struct Letter {
    from: usize,
    to: usize,
    message: Vec<u8>,
}

struct World {
    dice: Dice,
    sites: Vec<Farm>,
    line: Vec<Letter>,
    milked: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let sites: Vec<_> = (0..3 + dice.roll(3)).map(|_| Farm::new()).collect();
        for edge in &sites[1..] {
            sites[0].register(edge.site);
            edge.register(sites[0].site);
        }
        Self {
            dice,
            sites,
            line: Vec::new(),
            milked: 0,
        }
    }

    fn step(&mut self) {
        let at = self.dice.roll(self.sites.len());
        match self.dice.roll(10) {
            0..=3 => self.sites[at].edit_records(&mut self.dice),
            4 => {
                self.sites[at].milk(1, self.dice.small(20_000));
                self.milked += 1;
            }
            5..=6 => self.send(at),
            7..=8 => self.receive(),
            _ => {
                self.sites[at] = Farm::restore(
                    &self.sites[at]
                        .conn
                        .serialize("main")
                        .expect("a file has bytes"),
                );
            }
        }
    }

    /// An edge offers its own to the hub, or the hub offers what it holds of everyone to an edge.
    fn send(&mut self, at: usize) {
        let to = if at == 0 {
            1 + self.dice.roll(self.sites.len() - 1)
        } else {
            0
        };
        let room = 1 + self.dice.roll(200);
        let (sender, receiver) = (&self.sites[at], &self.sites[to]);
        let speak = if at == 0 {
            Speak::ForAll
        } else {
            Speak::ForItself
        };
        let want = Want {
            peer: receiver.site,
            speak,
            have: exchange::holdings(&receiver.conn).expect("SQLite does it"),
            skip: Vec::new(),
            room,
        };
        let gathered = sender
            .write(|conn| exchange::gather(conn, &sender.schema, &want))
            .expect("no file is a copy");
        assert!(!gathered.more || !gathered.parts.is_empty());
        for part in gathered.parts {
            let message = wire::encode(&(), &[part]).expect("it is small");
            self.line.push(Letter {
                from: at,
                to,
                message,
            });
        }
    }

    /// Something on the line arrives, in any order: once, twice, never, or just before the power goes.
    fn receive(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let n = self.dice.roll(self.line.len());
        match self.dice.roll(7) {
            0 => drop(self.line.swap_remove(n)),
            1 => self.deliver(&self.line[n].clone()),
            3 => {
                let torn = &self.line[n].message;
                let at = self.dice.roll(torn.len());
                assert!(wire::decode::<()>(&torn[..at]).is_err());
            }
            2 => {
                let letter = self.line[n].clone();
                let site = &self.sites[letter.to];
                site.conn
                    .execute_batch("BEGIN IMMEDIATE")
                    .expect("SQLite does it");
                self.take(&letter);
                site.conn.execute_batch("ROLLBACK").expect("SQLite does it");
            }
            _ => {
                let letter = self.line.swap_remove(n);
                self.deliver(&letter);
            }
        }
    }

    fn deliver(&self, letter: &Letter) {
        let site = &self.sites[letter.to];
        let before = marks_of(site);
        let done = site.write(|_| self.take(letter));
        if let Outcome::Taken(tally) = &done {
            assert!(tally.parked == 0 && tally.aside.is_empty(), "{done:?}");
        }
        let moved = marks_of(site);
        assert!(
            before
                .iter()
                .zip(&moved)
                .all(|(a, b)| a.0 <= b.0 && a.1 <= b.1),
            "marks only grow"
        );
    }

    fn take(&self, letter: &Letter) -> Outcome {
        let (from, to) = (&self.sites[letter.from], &self.sites[letter.to]);
        let sender = if letter.from == 0 {
            Sender::Hub(from.site)
        } else {
            Sender::Edge(from.site)
        };
        let ((), parts) = wire::decode(&letter.message).expect("it is whole");
        let taken = exchange::take(&to.conn, &to.schema, sender, &parts).expect("SQLite does it");
        taken
            .into_iter()
            .next()
            .expect("one part")
            .expect("a sound part is taken")
    }

    /// A sound line: everyone sends until nobody has news. Bounded, as each round moves a mark.
    fn settle(&mut self) {
        for letter in std::mem::take(&mut self.line) {
            self.deliver(&letter);
        }
        for _ in 0..10_000 {
            for at in (1..self.sites.len()).chain(std::iter::repeat_n(0, 4 * self.sites.len())) {
                self.send(at);
            }
            if self.line.is_empty() {
                // The hub picks an edge at random: only marks tell that all were served.
                if self.sites[1..].iter().all(|edge| self.holds_all(edge)) {
                    return;
                }
                continue;
            }
            for letter in std::mem::take(&mut self.line) {
                self.deliver(&letter);
            }
        }
        panic!("the sites never came to rest");
    }

    fn holds_all(&self, edge: &Farm) -> bool {
        let hub = &self.sites[0];
        self.sites
            .iter()
            .filter(|of| of.site != edge.site)
            .all(|of| {
                let ordinal = site::ordinal(&hub.conn, of.site)
                    .expect("SQLite does it")
                    .expect("registered");
                edge.mark(RECORDS, of.site).upto
                    == records::head(&hub.conn, ordinal).expect("SQLite does it")
            })
    }

    fn check(&self) {
        for sql in TABLES {
            let hub = self.sites[0].rows(sql);
            for edge in &self.sites[1..] {
                assert_eq!(edge.rows(sql), hub, "{sql}");
            }
        }
        assert_eq!(
            self.sites[0].rows(TABLES[2]).len(),
            self.milked,
            "every fact, once"
        );
        for edge in &self.sites[1..] {
            let theirs = self.sites[0].mark("milking", edge.site);
            let standing = facts::standing(&edge.conn, &edge.schema, "milking", theirs);
            assert_eq!(standing.expect("SQLite does it"), Standing::Sound);
        }
    }
}

fn marks_of(site: &Farm) -> Vec<(i64, i64)> {
    (1..8)
        .map(|ordinal| {
            let at = |stream| -> Mark {
                marks::have(&site.conn, stream, ordinal).expect("SQLite does it")
            };
            (at(RECORDS).upto, at("milking").upto)
        })
        .collect()
}

#[test]
fn all_sites_end_the_same() {
    let seeds = std::env::var("SYNC_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.settle();
            world.check();
        }));
        assert!(lived.is_ok(), "seed {seed}: the failure stands above");
    }
}
