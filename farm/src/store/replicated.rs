//! What of the farm is replicated, and how its file is made ready for it.
//!
//! Records are tables in the care of cr-sqlite; each of their cells merges by itself. Facts are logs that are numbered without a hole
//! per site. Everything else is this appliance's own: sessions, credentials, queues, raw readings, and whatever follows from facts.

use rusqlite::Connection;
use sync::{Replicated, copies, facts, records};

use super::{OpenError, StoreError, bounds};
use crate::samples;

/// Record tables.
const RECORDS: &[&str] = &[
    "alert",
    "animal",
    "animal_tag",
    "device",
    "place",
    "session_plan",
    "setting",
    "staff",
];

/// Facts logs, with what goes first when the line is slow; records go with 1.
const LOGS: &[(&str, u8)] = &[
    ("animal_event", 2),
    ("milking", 3),
    ("audit", 4),
    ("sample", 5),
];

/// Projections that name the site of a fact.
const PROJECTIONS: &[&str] = &[
    "visit",
    "hold",
    "milking_of",
    "milking_who",
    "milking_place",
    "sample_series",
];

/// Rows that are moved into a record table in one transaction: about 2,000 cells.
const MOVED_AT_ONCE: i64 = 150;

/// The description of what is replicated, read from a file of this program's schema.
pub(super) fn describe(conn: &Connection) -> Result<Replicated, OpenError> {
    let mut schema = Replicated::of(conn, RECORDS, LOGS).map_err(replication)?;
    bounds::declare(&mut schema).map_err(replication)?;
    Ok(schema)
}

/// Hands the tables to cr-sqlite and moves records into them that a migration has set aside.
pub(super) fn prepare(conn: &mut Connection, schema: &Replicated) -> Result<(), OpenError> {
    let tx = conn.transaction()?;
    schema.prepare(&tx).map_err(replication)?;
    tx.commit()?;
    for table in RECORDS {
        move_records(conn, table)?;
    }
    Ok(())
}

/// Tries again what came from newer sites; says whether something of it was found room for.
pub(super) fn replay(conn: &Connection, schema: &Replicated) -> Result<bool, StoreError> {
    let outcomes = [records::replay(conn, schema)?, facts::replay(conn, schema)?];
    Ok(outcomes.iter().any(|tally| tally.stored > 0))
}

fn replication(error: sync::schema::SchemaError) -> OpenError {
    OpenError::Replication(Box::new(error))
}

/// Moves rows from where version 11 has set them aside, a few in each transaction; it goes on where it was interrupted.
fn move_records(conn: &mut Connection, table: &str) -> Result<(), StoreError> {
    let is_there: bool = conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)",
        [format!("moved_{table}")],
        |row| row.get(0),
    )?;
    if !is_there {
        return Ok(());
    }
    loop {
        let tx = conn.transaction()?;
        let upto: Option<i64> = tx.query_row(
            &format!("SELECT max(rowid) FROM (SELECT rowid FROM moved_{table} ORDER BY rowid LIMIT {MOVED_AT_ONCE})"),
            [],
            |row| row.get(0),
        )?;
        let Some(upto) = upto else {
            tx.execute_batch(&format!("DROP TABLE moved_{table}"))?;
            tx.commit()?;
            return Ok(());
        };
        tx.execute_batch(&format!(
            "INSERT INTO {table} SELECT * FROM moved_{table} WHERE rowid <= {upto};
             DELETE FROM moved_{table} WHERE rowid <= {upto};"
        ))?;
        tx.commit()?;
    }
}

/// Whether the file is a copy that has not been opened since it was made.
pub(super) fn is_copy(conn: &Connection) -> rusqlite::Result<bool> {
    let knows_copies: bool = conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info('local') WHERE name = 'is_copy')",
        [],
        |row| row.get(0),
    )?;
    // The file may be one that the power went from before it was ever opened whole: then nothing is said of it yet.
    let sql = "SELECT coalesce(max(is_copy), 0) FROM local";
    Ok(knows_copies && conn.query_row(sql, [], |row| row.get(0))?)
}

/// Makes what this file has said the word of another site, so that it can go on under an identity of its own: that is given when the
/// extension is loaded the next time, into a new connection.
///
/// What a copy says from here on is not what its original says under the same numbers; under one identity the two would
/// contradict each other for ever.
pub(super) fn forsake(conn: &mut Connection) -> Result<(), OpenError> {
    // The copy may be of an older program, which did not replicate all of these yet.
    let there = |name: &&str| {
        conn.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)",
            [name],
            |row| row.get::<_, bool>(0),
        )
    };
    let mut tables = Vec::new();
    for table in RECORDS {
        if there(table)? {
            tables.push(*table);
        }
    }
    let mut logs = Vec::new();
    for log in LOGS {
        if there(&log.0)? {
            logs.push(*log);
        }
    }
    let mut projections = Vec::new();
    for table in PROJECTIONS {
        if there(table)? {
            projections.push(*table);
        }
    }
    let tells_samples = there(&"sample")?;
    let schema = Replicated::of(conn, &tables, &logs).map_err(replication)?;
    let tx = conn.transaction()?;
    let former = copies::forsake(&tx, &schema).map_err(StoreError::from)?;
    for table in projections {
        tx.execute(
            &format!("UPDATE {table} SET site = ?1 WHERE site = 0"),
            [former],
        )?;
    }
    if tells_samples {
        samples::disown(&tx, former)?;
    }
    tx.execute("UPDATE local SET is_copy = 0", [])?;
    tx.commit()?;
    Ok(())
}
