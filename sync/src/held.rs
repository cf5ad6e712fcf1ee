//! What was received and is not in its table: it waits for a migration, or could not be taken, with the reason.
//!
//! It counts as held: the mark passes over it, it is handed on to others, who judge for themselves, and it is tried
//! again after each migration. What one site can make us keep is bounded.

use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Refused};

/// Rows and facts of one stream that are kept aside at most; past that the stream waits until this program is newer.
pub const KEPT_PER_STREAM: i64 = 100_000;

/// A version or fact that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its number in the stream.
    pub number: i64,
    /// Why, for the people who look after the farm.
    pub reason: String,
}

/// All that is set aside with a reason: stream, site's ordinal, number, reason.
///
/// # Errors
/// When the file fails.
pub fn aside(conn: &Connection) -> rusqlite::Result<Vec<(String, i64, Aside)>> {
    conn.prepare_cached(
        "SELECT DISTINCT stream, site, number, reason FROM sync_held WHERE reason IS NOT NULL
         ORDER BY stream, site, number",
    )?
    .query_map([], |row| {
        let aside = Aside {
            number: row.get(2)?,
            reason: row.get(3)?,
        };
        Ok((row.get(0)?, row.get(1)?, aside))
    })?
    .collect()
}

/// The shelf of one stream of one site.
pub(crate) struct Shelf<'a> {
    conn: &'a Connection,
    stream: &'a str,
    ordinal: i64,
    kept: i64,
}

impl<'a> Shelf<'a> {
    pub(crate) fn open(
        conn: &'a Connection,
        stream: &'a str,
        ordinal: i64,
    ) -> rusqlite::Result<Self> {
        let kept = conn
            .prepare_cached("SELECT count(*) FROM sync_held WHERE stream = ? AND site = ?")?
            .query_row((stream, ordinal), |row| row.get(0))?;
        Ok(Self {
            conn,
            stream,
            ordinal,
            kept,
        })
    }

    /// Keeps the parts of one version or fact; `reason` when they cannot be taken, `None` when they wait for a migration.
    pub(crate) fn put(
        &mut self,
        number: i64,
        reason: Option<&str>,
        parts: &[impl Serialize],
    ) -> Result<(), Error> {
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO sync_held (stream, site, number, n, reason, body) VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        let first: i64 = self
            .conn
            .prepare_cached(
                "SELECT coalesce(max(n), -1) + 1 FROM sync_held WHERE stream = ? AND site = ? AND number = ?",
            )?
            .query_row((self.stream, self.ordinal, number), |row| row.get(0))?;
        for (n, part) in (first..).zip(parts) {
            self.kept += 1;
            if self.kept > KEPT_PER_STREAM {
                return Err(Refused::HeldFull.into());
            }
            let body = postcard::to_stdvec(part).map_err(|_| Error::Damaged {
                what: "a change that is to be set aside",
            })?;
            insert.execute((self.stream, self.ordinal, number, n, reason, body))?;
        }
        Ok(())
    }

    /// What is kept with numbers in `(from, to]`, in order.
    pub(crate) fn between<T: DeserializeOwned>(
        &self,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, T)>, Error> {
        let mut read = self.conn.prepare_cached(
            "SELECT number, body FROM sync_held
             WHERE stream = ? AND site = ? AND number > ? AND number <= ? ORDER BY number, n",
        )?;
        let mut rows = read.query((self.stream, self.ordinal, from, to))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let part = postcard::from_bytes(row.get_ref(1)?.as_blob().unwrap_or_default())
                .map_err(|_| Error::Damaged {
                    what: "a change that was set aside",
                })?;
            found.push((row.get(0)?, part));
        }
        Ok(found)
    }

    /// Takes one number off the shelf.
    pub(crate) fn clear(&mut self, number: i64) -> rusqlite::Result<()> {
        let cleared = self
            .conn
            .prepare_cached("DELETE FROM sync_held WHERE stream = ? AND site = ? AND number = ?")?
            .execute((self.stream, self.ordinal, number))?;
        self.kept -= i64::try_from(cleared).unwrap_or(self.kept);
        Ok(())
    }
}

/// Each stream and site with something on its shelf.
pub(crate) fn shelves(conn: &Connection) -> rusqlite::Result<Vec<(String, i64)>> {
    conn.prepare_cached("SELECT DISTINCT stream, site FROM sync_held ORDER BY stream, site")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Whether SQLite refused the data itself, rather than failed: only then is trying again of no use.
pub(crate) fn is_about_data(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch, Unknown};
    matches!(
        error.sqlite_error_code(),
        Some(ConstraintViolation | TypeMismatch | TooBig | Unknown)
    )
}
