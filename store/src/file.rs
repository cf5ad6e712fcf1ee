//! The file before its writer starts: made for its owner alone, told from a file of something else, connected to.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, ffi::SQLITE_READONLY_ROLLBACK};

use crate::FileError;

/// How long a statement waits for another process to let go of the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the file and its folder when there is none.
///
/// # Errors
/// When one of them cannot be made.
pub fn make(path: &Path) -> Result<(), FileError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| own_alone(path))
        .map_err(|source| FileError::folder(path, source))
}

/// Secrets stand in the file: nobody but its owner may read it. SQLite gives its other files the same mode.
///
/// # Errors
/// When the file cannot be made, or is another user's.
pub fn own_alone(path: &Path) -> io::Result<()> {
    let file = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// A connection that can only look; none while the file is empty or missing. One in which the power went in the middle of a first change
/// has that undone, as by whoever opens it.
///
/// # Errors
/// When the file cannot be read.
pub fn look(path: &Path) -> Result<Option<Connection>, FileError> {
    if !path.metadata().is_ok_and(|m| m.len() > 0) {
        return Ok(None);
    }
    let open = |flags| {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(PATIENCE)?;
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok::<_, rusqlite::Error>(conn)
    };
    let looked = open(OpenFlags::SQLITE_OPEN_READ_ONLY);
    if let Err(rusqlite::Error::SqliteFailure(error, _)) = &looked
        && error.extended_code == SQLITE_READONLY_ROLLBACK
    {
        return Ok(Some(open(OpenFlags::SQLITE_OPEN_READ_WRITE)?));
    }
    Ok(Some(looked?))
}

/// Whether somebody else's tables are in the file: it does not say that it is of `application`.
///
/// # Errors
/// When the file cannot be read.
pub fn is_foreign(conn: &Connection, application: i64) -> Result<bool, FileError> {
    let found: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(found != application && tables > 0)
}

/// The connection that writes; the file is marked as one of `application`. `pragmas` are the owner's own, set before a first page is
/// written.
///
/// # Errors
/// When the file cannot be opened or written.
pub fn connect(path: &Path, application: i64, pragmas: &str) -> Result<Connection, FileError> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(PATIENCE)?;
    conn.set_prepared_statement_cache_capacity(256);
    conn.execute_batch(pragmas)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    conn.pragma_update(None, "application_id", application)?;
    Ok(conn)
}

/// A connection that only reads: it may touch the shared memory of the log, no page.
pub(crate) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(PATIENCE)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")?;
    Ok(conn)
}
