//! What devices measured: taken in as it arrives, kept in bounded time, summed for good.
//!
//! Arriving readings are appended to a log, so that a commit touches a page or two whatever the number of series;
//! [`compact`] moves them, many at a time, into the table that is ordered by series and time, and into sums per minute,
//! hour and day. Invariants: a reading is in the log or in the table, never in both; only [`Good`](farm_model::Quality::Good) values enter
//! sums; a redelivered observation is not stored again.

mod compact;
mod heat;
mod history;
mod ingest;
mod newest;
mod quarantine;
mod stalls;
#[cfg(test)]
mod tests;

use farm_model::{DeviceId, Quantity};
use rusqlite::{Connection, OptionalExtension, params};

pub use self::{
    compact::compact,
    history::{Point, Resolution, Summary, history, is_longer_than, resolution_for, summary},
    ingest::{Fate, IngestReport, attended, heard, ingest, ingest_each, is_known, noise},
    newest::{LastTag, last_tag, last_tags},
    quarantine::{Quarantined, RejectCount, quarantine, quarantined, reject_counts},
    stalls::{save_stall, stall_states},
};
pub(crate) use self::{ingest::place, newest::newest};
use crate::store::{StoreError, Tx};

/// Lengths of the periods that readings are summed over, in milliseconds: a minute, an hour, a day (UTC).
pub(crate) const PERIODS_MS: [i64; 3] = [60_000, 3_600_000, 86_400_000];

/// The number of a series, if it has ever had a value.
pub(crate) fn find_series(
    conn: &Connection,
    device: DeviceId,
    quantity: Quantity,
) -> Result<Option<i64>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT id FROM series WHERE device = ?1 AND quantity = ?2")?
        .query_row(params![device.as_bytes(), quantity as u8], |row| row.get(0))
        .optional()?)
}

/// The number of a series, made when there is none.
pub(crate) fn series(
    tx: &mut Tx<'_>,
    device: DeviceId,
    quantity: Quantity,
) -> Result<i64, StoreError> {
    if let Some(id) = tx.memory.series.get(&(device, quantity)) {
        return Ok(*id);
    }
    let id = match find_series(tx.conn(), device, quantity)? {
        Some(id) => id,
        None => {
            tx.conn()
                .prepare_cached("INSERT INTO series (device, quantity) VALUES (?1, ?2)")?
                .execute(params![device.as_bytes(), quantity as u8])?;
            tx.conn().last_insert_rowid()
        }
    };
    tx.memory.series.insert((device, quantity), id);
    Ok(id)
}

/// The number of the next reading.
pub(crate) fn next_seq(conn: &Connection) -> Result<i64, StoreError> {
    let newest: i64 = conn.query_row(
        "SELECT max((SELECT upto FROM compaction), coalesce((SELECT max(seq) FROM reading_log), 0))",
        [],
        |row| row.get(0),
    )?;
    Ok(newest + 1)
}
