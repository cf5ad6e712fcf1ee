//! Copies of the farm's file, made while it is in use, and a look at whether a file is sound.
//!
//! Invariant: a copy has its final name only when it is whole and on disk, and it never takes the room that the farm itself
//! needs to write: one that fails leaves nothing behind.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use sqlite_store::file;

use crate::{
    retention,
    store::{OpenError, StoreError, known_version},
};

/// Beginning and end of a daily copy's name; the local date stands between.
const DAILY: (&str, &str) = ("farm-", ".db");
/// End of the name of a copy that is being made.
const PART: &str = ".part";
/// The schema version from which on a file has an identity among others.
const REPLICATED: i64 = 11;
/// The schema version from which on it may hold a hub's key.
const LINKED: i64 = 12;
/// Bytes that a copy leaves free.
const LEFT_FREE: u64 = 64_000_000;

/// Why a copy could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy could not be written.
    #[error("the copy {path} cannot be written: check the folder and the room on its disk")]
    Write {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It would fill the disk.
    #[error(
        "there is no room for the copy {path}: it needs {needed_mb} MB and {free_mb} MB are free; free some space, keep fewer \
         copies (data.copies), or copy to another disk"
    )]
    NoRoom {
        /// The copy.
        path: PathBuf,
        /// What it needs, with what it leaves free.
        needed_mb: u64,
        /// What there is.
        free_mb: u64,
    },
    /// There is something at that place.
    #[error("{0} exists already: choose another name, or remove it first")]
    Exists(PathBuf),
}

/// What a look at a file found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sound {
    /// Its schema version.
    pub version: i64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Copies the farm in the file `from` to the new file `to`, while others read and write it. Blocks.
///
/// # Errors
/// When the database can't be read, `to` exists or can't be written; then there is no file `to`.
pub fn copy(from: &Path, to: &Path) -> Result<u64, CopyError> {
    if to.exists() {
        return Err(CopyError::Exists(to.to_owned()));
    }
    let write = |source| CopyError::Write {
        path: to.to_owned(),
        source,
    };
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(write)?;
    }
    let part = beside(to, PART);
    remove_part(&part).map_err(write)?;
    let conn = read_only(from)?;
    let used = retention::size(&conn)?.used;
    let free = free_bytes(folder_of(to)).map_err(write)?;
    if free < used + LEFT_FREE {
        return Err(CopyError::NoRoom {
            path: to.to_owned(),
            needed_mb: (used + LEFT_FREE).div_ceil(1_000_000),
            free_mb: free / 1_000_000,
        });
    }
    let bytes = copy_whole(&conn, &part, to, write);
    if bytes.is_err() {
        // What went wrong is told; that its remains cannot be removed either would hide it.
        let _ = remove_part(&part);
    }
    bytes
}

/// Makes the copy under the name `part`, and renames it when it is on disk.
fn copy_whole(
    conn: &Connection,
    part: &Path,
    to: &Path,
    write: impl Fn(std::io::Error) -> CopyError,
) -> Result<u64, CopyError> {
    file::own_alone(part).map_err(&write)?;
    conn.execute("VACUUM INTO ?1", [part.to_string_lossy()])
        .map_err(StoreError::from)?;
    mark_copy(part).map_err(StoreError::from)?;
    let file = File::open(part).map_err(&write)?;
    file.sync_all().map_err(&write)?;
    fs::rename(part, to).map_err(&write)?;
    sync_folder(to).map_err(&write)?;
    Ok(file.metadata().map_err(&write)?.len())
}

/// Says in the copy that it is one: opened, it goes on under an identity of its own, because its original does so under the old one. What the
/// original signs with is of no use to it, and is left out: whoever finds a copy cannot speak for the appliance at its hub.
///
/// # Errors
/// When the file cannot be written, or is none of a farm.
pub fn mark_copy(part: &Path) -> rusqlite::Result<()> {
    let copy = Connection::open(part)?;
    // The key is to be in no free page and no journal either.
    copy.execute_batch("PRAGMA secure_delete = ON; PRAGMA journal_mode = MEMORY")?;
    let version: i64 = copy.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version >= REPLICATED {
        copy.execute("UPDATE local SET is_copy = 1", [])?;
    }
    if version >= LINKED {
        copy.execute("DELETE FROM hub_link", [])?;
    }
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Removes what a copy left that did not become whole, with SQLite's own file beside it.
fn remove_part(part: &Path) -> std::io::Result<()> {
    for path in [part.to_owned(), beside(part, "-journal")] {
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Bytes that are free on the disk of this file or folder.
///
/// # Errors
/// When the disk cannot be asked.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// Makes the copy of the local date `date` in `folder` unless it is there, and removes all but the newest `keep`.
/// Returns the copy, if one was made. Blocks.
///
/// # Errors
/// As [`copy`]. Old copies are removed only after the new one is whole.
pub fn daily(
    from: &Path,
    folder: &Path,
    date: jiff::civil::Date,
    keep: usize,
) -> Result<Option<PathBuf>, CopyError> {
    let to = folder.join(format!("{}{date}{}", DAILY.0, DAILY.1));
    if to.exists() {
        return Ok(None);
    }
    let write = |source| CopyError::Write {
        path: folder.to_owned(),
        source,
    };
    // The power went while one was made.
    for part in named(folder, PART).map_err(write)? {
        remove_part(&part).map_err(write)?;
    }
    copy(from, &to)?;
    let mut copies = copies(folder).map_err(write)?;
    copies.truncate(copies.len().saturating_sub(keep.max(1)));
    for old in copies {
        fs::remove_file(&old).map_err(|source| CopyError::Write {
            path: old.clone(),
            source,
        })?;
    }
    Ok(Some(to))
}

/// The daily copies in `folder`, oldest first; none when there is no such folder.
///
/// # Errors
/// When the folder can't be read.
pub fn copies(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    named(folder, DAILY.1)
}

/// The files in `folder` that begin as a daily copy and end so.
fn named(folder: &Path, end: &str) -> std::io::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut copies = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(DAILY.0) && name.ends_with(end) {
            copies.push(path);
        }
    }
    copies.sort();
    Ok(copies)
}

/// Looks at the farm in the file `path`, without writing to it: version, and SQLite's own check of every page. Blocks.
///
/// # Errors
/// When it is no farm, of a newer version, or damaged.
pub fn check(path: &Path) -> Result<Sound, OpenError> {
    crate::store::look(path)?;
    let conn = read_only(path)?;
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::unreadable("page", &verdict).into());
    }
    let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    debug_assert!(version <= known_version());
    Ok(Sound {
        version,
        bytes: path.metadata().map_or(0, |m| m.len()),
    })
}

fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(Duration::from_secs(10))?;
    Ok(conn)
}

/// A new name is on disk when its folder is.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
