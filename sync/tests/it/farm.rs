//! A small farm: two record tables and one log.

use rusqlite::{Connection, params};
use sync::{Replicated, Site, Value, site};

const V1: &str = "
CREATE TABLE animal (id BLOB PRIMARY KEY NOT NULL, name TEXT, weight_g INTEGER, at REAL) STRICT;
CREATE TABLE stay (animal BLOB NOT NULL, day INTEGER NOT NULL, place TEXT, live INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (animal, day)) STRICT;
CREATE TABLE milking (site INTEGER NOT NULL, seq INTEGER NOT NULL, animal BLOB NOT NULL, yield_ml INTEGER,
    PRIMARY KEY (site, seq)) STRICT, WITHOUT ROWID;
";

pub(crate) struct Farm {
    pub(crate) conn: Connection,
    pub(crate) schema: Replicated,
    pub(crate) site: Site,
}

impl Farm {
    pub(crate) fn new() -> Self {
        let conn = Connection::open_in_memory().expect("SQLite does it");
        crsqlite::load(&conn).expect("SQLite does it");
        conn.execute_batch(V1).expect("SQLite does it");
        let schema =
            Replicated::of(&conn, &["animal", "stay"], &[("milking", 2)]).expect("SQLite does it");
        schema.prepare(&conn).expect("SQLite does it");
        let site = site::own(&conn).expect("SQLite does it");
        Self { conn, schema, site }
    }

    pub(crate) fn attempt<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, sync::Error>,
    ) -> Result<T, sync::Error> {
        self.conn
            .execute_batch("BEGIN IMMEDIATE")
            .expect("SQLite does it");
        let done = act(&self.conn);
        self.conn
            .execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })
            .expect("SQLite does it");
        done
    }

    pub(crate) fn animal(&self, id: u8, name: &str) {
        self.conn
            .execute(
                "INSERT INTO animal (id, name, weight_g) VALUES (?, ?, 400000)
                 ON CONFLICT DO UPDATE SET name = excluded.name",
                params![[id; 16], name],
            )
            .expect("SQLite does it");
    }

    pub(crate) fn milk(&self, animal: u8, yield_ml: i64) {
        self.conn
            .execute(
                "INSERT INTO milking (site, seq, animal, yield_ml)
                 VALUES (0, (SELECT ifnull(max(seq), 0) + 1 FROM milking WHERE site = 0), ?, ?)",
                params![[animal; 16], yield_ml],
            )
            .expect("SQLite does it");
    }

    /// All of a table, in the order of its first columns.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        let mut read = self.conn.prepare(sql).expect("SQLite does it");
        let columns = read.column_count();
        read.query_map([], |row| (0..columns).map(|n| row.get(n)).collect())
            .expect("SQLite does it")
            .collect::<Result<_, _>>()
            .expect("SQLite does it")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.conn
            .prepare("SELECT name FROM animal ORDER BY id")
            .expect("SQLite does it")
            .query_map([], |row| row.get(0))
            .expect("SQLite does it")
            .collect::<Result<_, _>>()
            .expect("SQLite does it")
    }
}
