//! What is replicated: record tables and facts logs with the classes of their columns.
//!
//! The names are the owner's; classes are read from the file itself, so that they are never written down twice. Preparing
//! a file makes the tables of this crate and hands the record tables to cr-sqlite.

use std::collections::BTreeMap;

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
}

impl Column {
    /// Whether this value may stand in the column.
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
    pub key: Vec<Column>,
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
                    table.key.push(declared.column);
                } else {
                    table.columns.insert(declared.name, declared.column);
                }
            }
            if table.key.is_empty() || table.key.iter().any(|column| column.nullable) {
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
