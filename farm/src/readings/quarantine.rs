//! Bytes that made no sense: counted by reason for good, kept in bounded number for a person to see.

use farm_model::UnixMillis;
use rusqlite::{Connection, params};

use crate::store::{Change, StoreError, Tx};

/// Rows kept.
const ROWS: i64 = 2_000;
/// Counts kept one by one; sources beyond are counted together, because a topic is whatever a client makes it.
const COUNTS: i64 = 2_000;
/// Under which name those beyond are counted.
const OTHERS: &str = "others";
/// Longest evidence kept, in bytes.
const MAX_BYTES: usize = 1_024;

/// Something that was rejected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// When.
    pub at: UnixMillis,
    /// Where it came from: a device's slug, a port, a topic.
    pub source: String,
    /// Why; a short key.
    pub reason: String,
    /// The bytes, at most 1,024 of them.
    pub raw: Vec<u8>,
}

/// How often something was rejected.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct RejectCount {
    /// Where it came from.
    pub source: String,
    /// Why.
    pub reason: String,
    /// How often.
    pub n: i64,
    /// When last.
    pub last_at: UnixMillis,
}

/// Counts a reject and keeps its bytes.
///
/// # Errors
/// When the database fails.
pub fn quarantine(
    tx: &mut Tx<'_>,
    source: &str,
    reason: &str,
    raw: &[u8],
) -> Result<(), StoreError> {
    let now = tx.wall().0;
    tx.conn()
        .prepare_cached("INSERT INTO quarantine (at, source, reason, raw) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            now,
            source,
            reason,
            &raw[..raw.len().min(MAX_BYTES)]
        ])?;
    let newest = tx.conn().last_insert_rowid();
    if newest % 64 == 0 {
        tx.conn()
            .prepare_cached("DELETE FROM quarantine WHERE id <= ?1")?
            .execute([newest - ROWS])?;
    }
    count(tx.conn(), source, reason, now)?;
    tx.tell(Change::Quarantine {
        source: source.to_owned(),
    });
    Ok(())
}

fn count(conn: &Connection, source: &str, reason: &str, now: i64) -> Result<(), StoreError> {
    let known = conn
        .prepare_cached(
            "UPDATE reject_count SET n = n + 1, last_at = ?3 WHERE source = ?1 AND reason = ?2",
        )?
        .execute(params![source, reason, now])?;
    if known > 0 {
        return Ok(());
    }
    let counts: i64 = conn
        .prepare_cached("SELECT count(*) FROM reject_count")?
        .query_row([], |row| row.get(0))?;
    let source = if counts < COUNTS { source } else { OTHERS };
    conn.prepare_cached(
        "INSERT INTO reject_count (source, reason, n, last_at) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (source, reason) DO UPDATE SET n = n + 1, last_at = excluded.last_at",
    )?
    .execute(params![source, reason, now])?;
    Ok(())
}

/// The newest rejects, of one source or of all, newest first.
///
/// # Errors
/// When the database fails.
pub fn quarantined(
    conn: &Connection,
    source: Option<&str>,
    limit: usize,
) -> Result<Vec<Quarantined>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT at, source, reason, raw FROM quarantine WHERE ?1 IS NULL OR source = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![source, limit as i64], |row| {
        Ok(Quarantined {
            at: UnixMillis(row.get(0)?),
            source: row.get(1)?,
            reason: row.get(2)?,
            raw: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Every count, most frequent first.
///
/// # Errors
/// When the database fails.
pub fn reject_counts(conn: &Connection) -> Result<Vec<RejectCount>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT source, reason, n, last_at FROM reject_count ORDER BY n DESC, source, reason",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(RejectCount {
            source: row.get(0)?,
            reason: row.get(1)?,
            n: row.get(2)?,
            last_at: UnixMillis(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
