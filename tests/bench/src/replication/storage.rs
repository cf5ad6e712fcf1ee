//! `sync.storage`: bytes on disk of a milking that is told to other places, over those of a plain table's row with the same content.
//!
//! Told: the log of facts, which of them speak of a visit, what the site's numbers stand for, and the marks of replication. Plain: a rowid table
//! with the visit's columns spelt out. Pages and rules read a visit from a table with indexes in either case; that is not counted.

use std::path::Path;

use rusqlite::Connection;

/// The tables that a milking costs because it is replicated.
const TOLD: &str =
    "name IN ('milking', 'milking_of', 'milking_who', 'milking_place') OR name LIKE 'sync_%'";

/// Bytes per milking.
pub(super) struct Stored {
    pub(super) told: f64,
    pub(super) plain: f64,
    /// The whole file's, with projections and their indexes.
    pub(super) file: f64,
}

/// Measures a farm's file that nobody has open any more.
pub(super) fn measure(path: &Path) -> anyhow::Result<Stored> {
    let conn = Connection::open(path)?;
    conn.execute_batch(
        "CREATE TABLE plain (id INTEGER PRIMARY KEY, animal BLOB, tag TEXT, start INTEGER, ended INTEGER, day INTEGER, session INTEGER,
            stall INTEGER, meter BLOB, yield_ml INTEGER, avg_flow INTEGER, peak_flow INTEGER, conductivity INTEGER, fat INTEGER,
            snf INTEGER, destination INTEGER, findings INTEGER, clock INTEGER, staff BLOB, actor TEXT) STRICT;
         INSERT INTO plain SELECT NULL, v.animal, v.tag, v.start, v.ended, v.day, v.session, v.stall, v.meter, v.yield_ml, v.avg_flow,
            v.peak_flow, v.conductivity, v.fat, v.snf, v.destination, v.findings, v.clock, v.staff, m.actor
         FROM visit v JOIN milking m USING (site, seq) ORDER BY seq;",
    )?;
    let size = |which: &str| {
        let sql = format!("SELECT sum(pgsize) FROM dbstat WHERE {which}");
        conn.query_row(&sql, [], |row| row.get::<_, f64>(0))
    };
    let rows: f64 = conn.query_row("SELECT count(*) FROM plain", [], |row| row.get(0))?;
    Ok(Stored {
        told: size(TOLD)? / rows,
        plain: size("name = 'plain'")? / rows,
        file: size("name <> 'plain'")? / rows,
    })
}
