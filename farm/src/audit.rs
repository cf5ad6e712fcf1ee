//! Who did what, and when: appended by every command that a person gives.

use farm_model::{ClockQuality, StaffId, UnixMillis};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::Value;

use crate::{
    sql,
    store::{FactId, StoreError},
};

/// An entry.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Entry {
    /// Identity.
    pub id: FactId,
    /// When.
    pub at: UnixMillis,
    /// How well the clock was known.
    pub clock: ClockQuality,
    /// Who: `staff:` and an identity, `token:` and a name, `system`, `command-line`.
    pub actor: String,
    /// What: `animal.edit`.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// Figures.
    pub detail: Option<Value>,
}

/// The members of staff that a stretch of a site's log speaks of: those who acted, and those who were let go.
pub(crate) fn of_whom(
    conn: &Connection,
    site: i64,
    from: i64,
    to: i64,
) -> Result<Vec<StaffId>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT substr(actor, 7) FROM audit WHERE site = ?1 AND seq > ?2 AND seq <= ?3 AND actor LIKE 'staff:%'
         UNION SELECT subject FROM audit WHERE site = ?1 AND seq > ?2 AND seq <= ?3 AND action = 'staff.deactivate'",
    )?;
    let rows = statement.query_map(params![site, from, to], |row| {
        Ok(sql::text(row, 0)?.parse().ok())
    })?;
    Ok(sql::known(rows)?)
}

/// This site's entries before number `before`, newest first.
///
/// # Errors
/// When the database fails.
pub fn list(
    conn: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT site, seq, at, clock, actor, action, subject, detail FROM audit
         WHERE site = 0 AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![before.unwrap_or(i64::MAX), limit as i64], |row| {
        Ok(Entry {
            id: FactId {
                site: row.get(0)?,
                seq: row.get(1)?,
            },
            at: UnixMillis(row.get(2)?),
            clock: ClockQuality::from_code(row.get(3)?),
            actor: sql::text(row, 4)?,
            action: sql::text(row, 5)?,
            subject: sql::text(row, 6)?,
            detail: serde_json::from_str(&sql::text(row, 7)?).ok(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
