//! A copy of a file: what it was under the identity that it shares with its original becomes another site's.
//!
//! A copy that went on under that identity would say other things under the same numbers, and others would take them for known: a
//! silent, permanent loss. The recipe is that of cr-sqlite: the extension gives an identity to a file that has none.

use rusqlite::Connection;

use crate::{Error, Replicated, facts, marks, records, site};

/// Makes all that this file has said the word of another site, and says that site's ordinal. In a transaction; from its commit the
/// connection is good for nothing but being closed: a new identity is given when the extension is loaded into the next one.
///
/// What the original said and never handed on stays readable here, but nobody speaks for it any more.
///
/// # Errors
/// When the file fails, or has too many sites already; the transaction must then be rolled back.
pub fn forsake(conn: &Connection, schema: &Replicated) -> Result<i64, Error> {
    let own = site::own(conn)?;
    records::keep_heads(conn, schema.tables.keys())?;
    let versions = records::head(conn, 0)?;
    for log in schema.logs.keys() {
        let facts = facts::head(conn, schema, log, 0)?;
        facts::own_mark(conn, schema, log, facts)?;
    }
    conn.execute_batch(
        "DELETE FROM sync_offered; UPDATE sync_site SET id = zeroblob(16) WHERE ordinal = 0",
    )?;
    let former = site::register(conn, own)?;
    // The next identity takes this place.
    conn.execute_batch("DELETE FROM sync_site WHERE ordinal = 0")?;
    conn.execute("UPDATE sync_mark SET site = ?1 WHERE site = 0", [former])?;
    marks::advance(
        conn,
        marks::RECORDS,
        former,
        marks::Mark {
            upto: versions,
            ..marks::Mark::default()
        },
    )?;
    for log in schema.logs.keys() {
        conn.execute(
            &format!("UPDATE \"{log}\" SET site = ?1 WHERE site = 0"),
            [former],
        )?;
    }
    conn.execute("DELETE FROM crsql_site_id WHERE ordinal = 0", [])?;
    conn.execute("INSERT INTO crsql_site_id (site_id) VALUES (?1)", [own.0])?;
    let ordinal: i64 = conn.query_row(
        "SELECT ordinal FROM crsql_site_id WHERE site_id = ?1",
        [own.0],
        |row| row.get(0),
    )?;
    for table in schema.tables.keys() {
        conn.execute(
            &format!("UPDATE \"{table}__crsql_clock\" SET site_id = ?1 WHERE site_id = 0"),
            [ordinal],
        )?;
    }
    Ok(former)
}
