//! What is replicated: record tables and facts logs with the classes of their columns.
//!
//! The names are the owner's; classes are read from the file itself, so that they are never written down twice. Preparing
//! a file makes the tables of this crate and hands the record tables to cr-sqlite.

use std::{collections::BTreeMap, ops::RangeInclusive};

use rusqlite::Connection;

use crate::{Value, records, site};

/// The tables of this crate, in each replica.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sync_site (
    ordinal INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS sync_mark (
    stream TEXT NOT NULL,
    site INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (stream, site)
) STRICT, WITHOUT ROWID;
-- Up to where our own changes were ever offered to a peer, noted before they leave. The same versions read again may hold less,
-- so one number can have several hashes, and any of them may be the one that arrived.
CREATE TABLE IF NOT EXISTS sync_offered (
    peer INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (peer, upto, hash)
) STRICT, WITHOUT ROWID;
-- How often the whole farm was seeded anew; no row is never.
CREATE TABLE IF NOT EXISTS sync_epoch (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
) STRICT;
-- Received, passed on, and not in its table: `reason` is NULL while only a migration is awaited.
CREATE TABLE IF NOT EXISTS sync_held (
    stream TEXT NOT NULL,
    site INTEGER NOT NULL,
    number INTEGER NOT NULL,
    n INTEGER NOT NULL,
    reason TEXT,
    body BLOB NOT NULL,
    PRIMARY KEY (stream, site, number, n)
) STRICT, WITHOUT ROWID;
";

/// A column's class; in a STRICT table nothing else can stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Whole numbers.
    Integer,
    /// Fractions.
    Real,
    /// Text.
    Text,
    /// Bytes.
    Blob,
}

/// A column, as the file declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// What stands in it.
    pub class: Class,
    /// Whether it may be empty.
    pub nullable: bool,
    /// The least and the greatest whole number; of text and bytes, how many bytes.
    pub bounds: (i64, i64),
}

impl Column {
    const UNBOUND: (i64, i64) = (i64::MIN, i64::MAX);

    /// Whether this value lies within the column's bounds.
    pub fn holds(self, value: &Value) -> bool {
        let (least, most) = self.bounds;
        let within = |number: i64| (least..=most).contains(&number);
        match value {
            Value::Null | Value::Real(_) => true,
            Value::Integer(number) => within(*number),
            Value::Text(_) | Value::Blob(_) => i64::try_from(value.weight()).is_ok_and(within),
        }
    }

    /// Whether a value of this class may stand in the column.
    pub fn takes(self, value: &Value) -> bool {
        match value {
            Value::Null => self.nullable,
            Value::Integer(_) => self.class == Class::Integer,
            Value::Real(x) => self.class == Class::Real && !x.is_nan(),
            Value::Text(_) => self.class == Class::Text,
            Value::Blob(_) => self.class == Class::Blob,
        }
    }
}

/// A record table: a key and columns that merge one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The primary key's columns, in its order.
    pub key: Vec<(String, Column)>,
    /// All others, by name.
    pub columns: BTreeMap<String, Column>,
}

/// A log of facts: `site` and `seq` are its key, and these are the other columns in the order of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// What goes first when the line is slow: smaller is sooner.
    pub urgency: u8,
    /// Names and columns.
    pub columns: Vec<(String, Column)>,
}

/// All that is replicated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replicated {
    /// Record tables by name.
    pub tables: BTreeMap<String, Table>,
    /// Facts logs by name.
    pub logs: BTreeMap<String, Log>,
}

/// Why a table cannot be replicated. All of these are faults of the program, found by its first test.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// SQLite refused.
    #[error("the tables could not be read or handed to cr-sqlite")]
    Store(#[from] rusqlite::Error),
    /// The name is taken or is none.
    #[error("{table} is not the name of a table that can be replicated")]
    Name {
        /// The table.
        table: String,
    },
    /// A column has a type of its own.
    #[error("{table}.{column} is {found}: use INTEGER, REAL, TEXT or BLOB")]
    Type {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its declared type.
        found: String,
    },
    /// Bounds are given to a column that is not there.
    #[error("{table}.{column} has bounds and is no column")]
    Bounds {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The key is not what it must be.
    #[error("{table} needs {need} as its primary key")]
    Key {
        /// The table.
        table: String,
        /// What is needed.
        need: &'static str,
    },
}

impl Replicated {
    /// Reads the description of these record tables, and of these logs with their urgency.
    ///
    /// # Errors
    /// When a table is missing or is not shaped as its kind must be.
    pub fn of(
        conn: &Connection,
        tables: &[&str],
        logs: &[(&str, u8)],
    ) -> Result<Self, SchemaError> {
        let mut described = Self::default();
        for &name in tables {
            let mut table = Table {
                key: Vec::new(),
                columns: BTreeMap::new(),
            };
            for declared in declared(conn, name)? {
                if declared.key {
                    table.key.push((declared.name, declared.column));
                } else {
                    table.columns.insert(declared.name, declared.column);
                }
            }
            if table.key.is_empty() || table.key.iter().any(|(_, column)| column.nullable) {
                return Err(SchemaError::Key {
                    table: name.to_owned(),
                    need: "columns that are NOT NULL",
                });
            }
            described.tables.insert(name.to_owned(), table);
        }
        for &(name, urgency) in logs {
            let (key, columns): (Vec<_>, Vec<_>) = declared(conn, name)?
                .into_iter()
                .partition(|found| found.key);
            if !key
                .iter()
                .map(|found| found.name.as_str())
                .eq(["site", "seq"])
            {
                return Err(SchemaError::Key {
                    table: name.to_owned(),
                    need: "(site, seq)",
                });
            }
            let columns = columns
                .into_iter()
                .map(|found| (found.name, found.column))
                .collect();
            described
                .logs
                .insert(name.to_owned(), Log { urgency, columns });
        }
        Ok(described)
    }

    /// Gives a column bounds, as [`Column::bounds`]: what comes with a value outside of them is set aside. Whatever this program itself
    /// writes must lie within, or others would never take it.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn bound(
        &mut self,
        table: &str,
        column: &str,
        range: &RangeInclusive<i64>,
    ) -> Result<(), SchemaError> {
        let named = |(name, _): &&mut (String, Column)| name == column;
        let found = match (self.tables.get_mut(table), self.logs.get_mut(table)) {
            (Some(table), _) => {
                let key = table.key.iter_mut().find(named).map(|(_, found)| found);
                key.or_else(|| table.columns.get_mut(column))
            }
            (None, Some(log)) => log.columns.iter_mut().find(named).map(|(_, found)| found),
            (None, None) => None,
        };
        let found = found.ok_or_else(|| SchemaError::Bounds {
            table: table.to_owned(),
            column: column.to_owned(),
        })?;
        found.bounds = (*range.start(), *range.end());
        Ok(())
    }

    /// Makes a file ready, at each start: the tables of this crate, its own site, and record tables in
    /// the care of cr-sqlite. The extension must be loaded, and the caller in a transaction.
    ///
    /// # Errors
    /// When SQLite or the extension refuses.
    pub fn prepare(&self, conn: &Connection) -> Result<(), SchemaError> {
        conn.execute_batch(TABLES)?;
        records::keep_heads(conn, self.tables.keys())?;
        for table in self.tables.keys() {
            conn.query_row("SELECT crsql_as_crr(?)", [table], |_| Ok(()))?;
        }
        conn.execute(
            "INSERT INTO sync_site (ordinal, id) VALUES (0, ?) ON CONFLICT DO NOTHING",
            [site::own(conn)?.0],
        )?;
        Ok(())
    }
}

struct Declared {
    name: String,
    key: bool,
    column: Column,
}

/// The columns of a table; those of the primary key in its order, as cr-sqlite packs them.
fn declared(conn: &Connection, table: &str) -> Result<Vec<Declared>, SchemaError> {
    let name_is_plain = table
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !name_is_plain || table.starts_with("sync_") || table.starts_with("crsql_") {
        return Err(SchemaError::Name {
            table: table.to_owned(),
        });
    }
    let mut read = conn
        .prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info(?) ORDER BY pk, cid")?;
    let mut rows = read.query([table])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let class = match declared.as_str() {
            "INTEGER" | "INT" => Class::Integer,
            "REAL" => Class::Real,
            "TEXT" => Class::Text,
            "BLOB" => Class::Blob,
            _ => {
                return Err(SchemaError::Type {
                    table: table.to_owned(),
                    column: name,
                    found: declared,
                });
            }
        };
        columns.push(Declared {
            name,
            key: row.get::<_, i64>(3)? > 0,
            column: Column {
                class,
                nullable: !row.get::<_, bool>(2)?,
                bounds: Column::UNBOUND,
            },
        });
    }
    if columns.is_empty() {
        return Err(SchemaError::Name {
            table: table.to_owned(),
        });
    }
    Ok(columns)
}
