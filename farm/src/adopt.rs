//! Taking in a farm's file that came from elsewhere: a copy that somebody kept, brought by whoever says that it is one.
//!
//! Invariants: nothing of the file runs before its shape is known to be a farm's, because a schema can hold statements of its own;
//! the file is a copy from then on, so it goes on under an identity of its own; what proves devices, programs and people of another
//! appliance is not taken over.

use std::{collections::BTreeSet, fs::File, io::Read as _, path::Path};

use rusqlite::{Connection, OpenFlags};
use sqlite_store::FileError;

use crate::{
    backup::{self, Sound},
    store::{self, Farm, OpenError, Options, StoreError},
};

/// How every SQLite file begins.
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What another appliance's devices, programs and people prove themselves with, and its way to its hub.
const SECRETS: &[&str] = &[
    "api_token",
    "device_certificate",
    "device_credential",
    "hub_link",
    "join_key",
    "join_request",
    "login_attempt",
    "login_session",
];

/// Tables that SQLite makes for itself, as it makes them.
const SQLITES_OWN: &[&str] = &[
    "CREATE TABLE sqlite_sequence(name,seq)",
    "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
];

/// Makes the file at `path` a farm of this program's version, with an identity of its own. Blocks. What fails may leave the file
/// changed: give it a copy that nobody else needs.
///
/// # Errors
/// When it is no farm's file, of a newer version, damaged, or of a shape that no farm's file has.
pub fn adopt(path: &Path, options: Options) -> Result<Sound, OpenError> {
    if !begins_as_database(path)? {
        return Err(OpenError::NotAFarm {
            path: path.to_owned(),
        });
    }
    store::look(path)?;
    check_shape(path)?;
    let sound = backup::check(path)?;
    forget_secrets(path)?;
    backup::mark_copy(path).map_err(StoreError::from)?;
    // Opening it gives it its identity and brings it up to date; closing it leaves one file.
    drop(Farm::open(path, options)?);
    let conn = Connection::open(path)?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    conn.close().map_err(|(_, error)| error)?;
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| FileError::folder(path, source))?;
    Ok(sound)
}

fn begins_as_database(path: &Path) -> Result<bool, OpenError> {
    let mut begin = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    match read {
        Ok(()) => Ok(begin == *MAGIC),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(source) => Err(FileError::folder(path, source).into()),
    }
}

/// What a file consists of: each table, index, trigger and view with its statement.
type Shape = BTreeSet<(String, String)>;

/// Refuses a file with anything that this program would not have made, in this version or in the file's own.
fn check_shape(path: &Path) -> Result<(), OpenError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.execute_batch("PRAGMA trusted_schema = OFF")?;
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(0);
    if version == 0 {
        return Err(OpenError::NotAFarm {
            path: path.to_owned(),
        });
    }
    let found = shape(&conn)?;
    let made = store::made(version)?;
    let made = shape(&made)?;
    let strange = |name: &str| OpenError::Strange {
        path: path.to_owned(),
        name: name.to_owned(),
    };
    // Version 11 moves rows out of these while a file is opened.
    let lasting = |name: &str| !name.starts_with("moved_");
    if let Some((name, _)) = made
        .iter()
        .find(|(name, _)| lasting(name) && !found.iter().any(|(n, _)| n == name))
    {
        return Err(strange(name));
    }
    let unknown: Vec<_> = found.difference(&made).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let whole = whole_shape(path)?;
    match unknown.into_iter().find(|part| !whole.contains(*part)) {
        Some((name, _)) => Err(strange(name)),
        None => Ok(()),
    }
}

fn shape(conn: &Connection) -> Result<Shape, StoreError> {
    let mut statement =
        conn.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let parts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut shape = parts.collect::<Result<Shape, _>>()?;
    // By their statements and not by their names: a hostile hand may call anything so.
    shape.retain(|(_, sql)| !SQLITES_OWN.contains(&sql.as_str()));
    Ok(shape)
}

/// The shape of a farm's file that this program just made, with all that replication adds.
fn whole_shape(beside: &Path) -> Result<Shape, OpenError> {
    let mut name = beside.as_os_str().to_owned();
    name.push(".shape");
    let path = std::path::PathBuf::from(name);
    let made = Farm::open(&path, Options::default()).map(drop);
    let found = made.and_then(|()| {
        let conn = Connection::open(&path)?;
        Ok(shape(&conn)?)
    });
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        // It is empty, and its name is of nobody's: what stays of it harms nothing.
        let _ = std::fs::remove_file(name);
    }
    found
}

fn forget_secrets(path: &Path) -> Result<(), OpenError> {
    let conn = Connection::open(path)?;
    conn.execute_batch("PRAGMA secure_delete = ON")?;
    for table in SECRETS {
        let there: bool = conn.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)",
            [table],
            |row| row.get(0),
        )?;
        if there {
            conn.execute(&format!("DELETE FROM {table}"), [])?;
        }
    }
    Ok(())
}
