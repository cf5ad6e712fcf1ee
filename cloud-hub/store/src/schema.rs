//! How tables grow: each part of the hub brings its own versions, and they only grow.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sqlite_store::file;

use crate::OpenError;

/// `khmh` in ASCII: says that a SQLite file is a hub's.
pub(crate) const APPLICATION_ID: i64 = 0x6b68_6d68;

/// The tables of one part of the hub and how they grew. A version that was ever released is never edited.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Name of the part.
    pub name: &'static str,
    /// What brings it from one version to the next, oldest first.
    pub versions: &'static [&'static str],
}

/// Refuses a file of something else, before anything is written to it.
pub(crate) fn look(path: &Path) -> Result<(), OpenError> {
    match file::look(path)? {
        Some(conn) if file::is_foreign(&conn, APPLICATION_ID)? => Err(OpenError::NotAHub {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Brings every part to its newest version, all or none of them.
pub(crate) fn migrate(
    conn: &mut Connection,
    path: &Path,
    schemas: &[Schema],
) -> Result<(), OpenError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (part TEXT PRIMARY KEY, version BIGINT NOT NULL)",
    )?;
    let found: Vec<(String, i64)> = tx
        .prepare("SELECT part, version FROM schema_version")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (part, version) in found {
        let schema = schemas.iter().find(|s| s.name == part);
        let known = schema.map_or(0, |s| s.versions.len() as i64);
        if version > known {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                part,
                found: version,
                known,
            });
        }
    }
    for schema in schemas {
        grow(&tx, schema)?;
    }
    tx.commit()?;
    Ok(())
}

fn grow(conn: &Connection, schema: &Schema) -> rusqlite::Result<()> {
    let at: Option<i64> = conn
        .query_row(
            "SELECT version FROM schema_version WHERE part = ?1",
            [schema.name],
            |row| row.get(0),
        )
        .optional()?;
    let at = usize::try_from(at.unwrap_or(0)).unwrap_or_default();
    for sql in &schema.versions[at..] {
        conn.execute_batch(sql)?;
    }
    conn.execute(
        "INSERT INTO schema_version (part, version) VALUES (?1, ?2)
         ON CONFLICT (part) DO UPDATE SET version = excluded.version",
        (schema.name, schema.versions.len() as i64),
    )?;
    Ok(())
}
