//! How much one transaction changes. A version travels whole or not at all, so what no message could carry must not be committed.
//!
//! A keeper of a file asks [`under_way`] before it commits, and undoes what is too large: that is the last moment at which somebody can be told.

use rusqlite::Connection;

use super::check::VALUE_BYTES;
use crate::Replicated;

/// Bytes that a version weighs at most. A message carries any such version, whatever stands in it: it takes twice as much.
pub const AT_MOST: usize = 1024 * 1024;

/// What a transaction has changed of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Bytes of all keys and values.
    pub bytes: usize,
    /// Bytes of the largest value.
    pub largest: usize,
}

impl Size {
    /// Whether a message can carry it, and others take its values.
    pub fn can_travel(self) -> bool {
        self.bytes <= AT_MOST && self.largest <= VALUE_BYTES
    }
}

/// What the transaction that is open has changed of our own records.
///
/// # Errors
/// When the file fails.
pub fn under_way(conn: &Connection, schema: &Replicated) -> rusqlite::Result<Size> {
    // A look at the indexes of the extension's own tables: its view takes a hundred times as long to say that there is nothing.
    let touched: Vec<String> = schema
        .tables
        .keys()
        .map(|table| {
            format!(
                "EXISTS (SELECT 1 FROM \"{table}__crsql_clock\" WHERE site_id = 0 AND db_version > v)"
            )
        })
        .collect();
    let sql = format!(
        "SELECT {} FROM (SELECT crsql_db_version() AS v)",
        touched.join(" OR ")
    );
    if touched.is_empty() || !conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))? {
        return Ok(Size::default());
    }
    conn.prepare_cached(
        r#"SELECT sum(bytes), max(largest) FROM (
            SELECT 8 + length(pk) + sum(4 + bytes) AS bytes, max(bytes) AS largest FROM (
                SELECT "table", pk,
                    CASE typeof(val) WHEN 'text' THEN length(CAST(val AS BLOB)) WHEN 'blob' THEN length(val) ELSE 8 END AS bytes
                FROM crsql_changes WHERE site_id = crsql_site_id() AND db_version > crsql_db_version())
            GROUP BY "table", pk)"#,
    )?
    .query_row([], |row| {
        let bytes = |n: Option<i64>| usize::try_from(n.unwrap_or(0)).unwrap_or(usize::MAX);
        Ok(Size {
            bytes: bytes(row.get(0)?),
            largest: bytes(row.get(1)?),
        })
    })
}
