//! What the tests here do with a farm: migrate it, copy it, hand parts from one to another.

use rusqlite::{Connection, params};
use sync::{Replicated, Sender, Site, facts, marks, marks::RECORDS, records, site};

use crate::{dice::Dice, farm::Farm};

const V2: &str = "
SELECT crsql_begin_alter('animal');
ALTER TABLE animal ADD COLUMN breed TEXT;
SELECT crsql_commit_alter('animal');
CREATE TABLE pen (id BLOB PRIMARY KEY NOT NULL, name TEXT) STRICT;
ALTER TABLE milking ADD COLUMN fat_ppm INTEGER;
CREATE TABLE event (site INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    PRIMARY KEY (site, seq)) STRICT, WITHOUT ROWID;
";

impl Farm {
    pub(crate) fn migrated() -> Self {
        let mut farm = Self::new();
        farm.migrate();
        farm
    }

    pub(crate) fn migrate(&mut self) {
        self.write(|conn| conn.execute_batch(V2).expect("SQLite does it"));
        self.describe_migrated();
    }

    fn describe_migrated(&mut self) {
        self.schema = Replicated::of(
            &self.conn,
            &["animal", "stay", "pen"],
            &[("milking", 2), ("event", 1)],
        )
        .expect("SQLite does it");
        self.schema.prepare(&self.conn).expect("SQLite does it");
    }

    /// Runs in a transaction, which ends as the closure says.
    pub(crate) fn write<T>(&self, act: impl FnOnce(&Connection) -> T) -> T {
        self.conn
            .execute_batch("BEGIN IMMEDIATE")
            .expect("SQLite does it");
        let done = act(&self.conn);
        self.conn.execute_batch("COMMIT").expect("SQLite does it");
        done
    }

    pub(crate) fn apply(
        &self,
        sender: Sender,
        span: &records::Span,
    ) -> Result<sync::Outcome, sync::Error> {
        self.attempt(|conn| records::apply(conn, &self.schema, sender, span))
    }

    pub(crate) fn append(
        &self,
        sender: Sender,
        run: &facts::Run,
    ) -> Result<sync::Outcome, sync::Error> {
        self.attempt(|conn| facts::apply(conn, &self.schema, sender, run))
    }

    pub(crate) fn register(&self, other: Site) {
        site::register(&self.conn, other).expect("SQLite does it");
    }

    pub(crate) fn mark(&self, stream: &str, of: Site) -> marks::Mark {
        match site::ordinal(&self.conn, of).expect("SQLite does it") {
            Some(ordinal) => marks::have(&self.conn, stream, ordinal).expect("SQLite does it"),
            None => marks::Mark::default(),
        }
    }

    /// What a receiver lacks of a site's records.
    pub(crate) fn span(&self, of: Site, receiver: &Self, room: usize) -> records::Span {
        records::read(
            &self.conn,
            &self.schema,
            of,
            receiver.mark(RECORDS, of),
            room,
        )
        .expect("SQLite does it")
    }

    pub(crate) fn run(&self, log: &str, of: Site, receiver: &Self, room: usize) -> facts::Run {
        facts::read(
            &self.conn,
            &self.schema,
            log,
            of,
            receiver.mark(log, of),
            room,
        )
        .expect("SQLite does it")
    }

    /// One to three edits in one version, on few rows, so that sites meet.
    pub(crate) fn edit_records(&self, dice: &mut Dice) {
        self.write(|conn| {
            for _ in 0..=dice.roll(3) {
                let (id, n) = ([u8::try_from(dice.roll(4)).expect("a die is small"); 16], dice.small(3));
                let done = match dice.roll(6) {
                    0..=1 => conn.execute(
                        "INSERT INTO animal (id, name) VALUES (?, ?) ON CONFLICT DO UPDATE SET name = excluded.name",
                        params![id, format!("n{n}")],
                    ),
                    2 => conn.execute("UPDATE animal SET weight_g = ? WHERE id = ?", params![n, id]),
                    3 => conn.execute("DELETE FROM animal WHERE id = ?", params![id]),
                    4 => conn.execute(
                        "INSERT INTO stay (animal, day, place) VALUES (?, ?, 'p') ON CONFLICT DO UPDATE SET live = 1 - live",
                        params![id, n],
                    ),
                    _ => conn.execute("DELETE FROM stay WHERE animal = ? AND day = ?", params![id, n]),
                };
                done.expect("an edit is legal");
            }
        });
    }

    /// The same file in another connection, as after a restart.
    pub(crate) fn start_again(self) -> Self {
        let mut farm = Self::restore(&self.conn.serialize("main").expect("a file has bytes"));
        farm.describe_migrated();
        farm
    }

    /// A copy of a file, as a backup gives it back.
    pub(crate) fn restore(image: &[u8]) -> Self {
        let mut conn = Connection::open_in_memory().expect("SQLite does it");
        conn.deserialize_read_exact("main", image, image.len(), false)
            .expect("SQLite does it");
        crsqlite::load(&conn).expect("SQLite does it");
        let schema =
            Replicated::of(&conn, &["animal", "stay"], &[("milking", 2)]).expect("SQLite does it");
        let site = site::own(&conn).expect("SQLite does it");
        Self { conn, schema, site }
    }
}
