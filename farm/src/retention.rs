//! The disk never fills: raw readings go by age and by size, oldest first; milkings, events, audit and what other places are told of
//! sensors never go: that is some 100 KB a day for fifty of them. Of sums, those per minute go, for want of room. Those per hour and day
//! stay, of a site's own sensors and of those elsewhere (`sampled` has no others).
//!
//! Invariant: age is counted by a trusted clock, or from the latest moment that one has shown. A clock that jumps ahead makes
//! nothing old; what must go for want of room goes by size, which needs no clock.

use farm_model::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    holds,
    readings::PERIODS_MS,
    store::{StoreError, Tx},
};

const DAY_MS: i64 = 86_400_000;

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Age in milliseconds, by a trusted clock, after which a raw reading goes.
    pub raw_ms: i64,
    /// Size of the file in bytes above which the oldest raw readings go, whatever their age.
    pub bytes: u64,
}

/// How large the file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Size {
    /// Bytes of the file.
    pub file: u64,
    /// Bytes of it that are in use.
    pub used: u64,
}

/// What one step of [`enforce`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// Readings and sums that went.
    pub deleted: usize,
    /// Whether there is more to do.
    pub more: bool,
}

/// How large the file is.
///
/// # Errors
/// When the database fails.
pub fn size(conn: &Connection) -> Result<Size, StoreError> {
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (page, pages, free) = (
        pragma("page_size")?,
        pragma("page_count")?,
        pragma("freelist_count")?,
    );
    Ok(Size {
        file: (page * pages) as u64,
        used: (page * (pages - free)) as u64,
    })
}

/// One step towards the budget: at most a day of each series, so that the writer is not held up. Call it again while
/// there is more.
///
/// Over the size, raw readings go a day at a time, then sums per minute; facts stay.
///
/// # Errors
/// When the database fails.
pub fn enforce(tx: &mut Tx<'_>, budget: Budget) -> Result<Step, StoreError> {
    let conn = tx.conn();
    let mut deleted = 0;
    let by_age = holds::certain(conn, &tx.now())?.plus(-budget.raw_ms);
    if let Some(oldest) = oldest_raw(conn)?
        && oldest < by_age
    {
        deleted += delete_raw(conn, UnixMillis(by_age.0.min(oldest.0 + DAY_MS)))?;
    } else if size(conn)?.used > budget.bytes {
        deleted += match oldest_raw(conn)? {
            Some(oldest) => delete_raw(conn, oldest.plus(DAY_MS))?,
            None => delete_minutes(conn)?,
        };
    }
    if deleted > 0 {
        conn.execute_batch("PRAGMA incremental_vacuum(2000)")?;
    }
    let more = deleted > 0
        && (oldest_raw(conn)?.is_some_and(|at| at < by_age) || size(conn)?.used > budget.bytes);
    Ok(Step { deleted, more })
}

/// The oldest raw reading, a look per series.
fn oldest_raw(conn: &Connection) -> Result<Option<UnixMillis>, StoreError> {
    let oldest: Option<i64> = conn
        .prepare_cached("SELECT min(at) FROM (SELECT (SELECT min(at) FROM reading WHERE series = s.id) AS at FROM series s)")?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(oldest.map(UnixMillis))
}

fn delete_raw(conn: &Connection, before: UnixMillis) -> Result<usize, StoreError> {
    let mut deleted = 0;
    let mut each = conn.prepare_cached("SELECT id FROM series")?;
    let series: Vec<i64> = each
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut delete = conn.prepare_cached("DELETE FROM reading WHERE series = ?1 AND at < ?2")?;
    for id in series {
        deleted += delete.execute(params![id, before.0])?;
    }
    Ok(deleted)
}

/// The oldest thirty days of sums per minute.
fn delete_minutes(conn: &Connection) -> Result<usize, StoreError> {
    let minute = PERIODS_MS[0];
    let oldest: Option<i64> = conn.query_row(
        "SELECT min(at) FROM (SELECT (SELECT min(at) FROM rollup WHERE series = s.id AND period = ?1) AS at FROM series s)",
        [minute],
        |row| row.get(0),
    )?;
    let Some(oldest) = oldest else { return Ok(0) };
    Ok(conn.execute(
        "DELETE FROM rollup WHERE period = ?1 AND at < ?2 AND series IN (SELECT id FROM series)",
        params![minute, oldest + 30 * DAY_MS],
    )?)
}
