//! The cr-sqlite extension: embedded in the program, loaded from sealed memory, made ready for one farm's file.
//!
//! No file has to be installed beside the program, and nobody can put another library in its place: the bytes were checked when
//! the program was built, and the memory that they are loaded from can no longer be written to.
//!
//! Invariant: this is the only crate of what is installed that calls into C by itself, and it gives SQL no way to load anything else.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, LoadExtensionGuard};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// The embedded library's version, 17.0.0, as it writes it into each file.
pub const VERSION: i64 = 170_000;

static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/crsqlite.so"));

/// The library's bytes in sealed memory, shared by all connections of the process: loading from one place maps it once.
static SEALED: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Why the extension is not at work.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system gave no sealed memory.
    #[error(
        "the system gives no sealed memory to load cr-sqlite from: a kernel since 3.17 with memfd_create is needed"
    )]
    Memory(#[source] io::Error),
    /// SQLite did not take it.
    #[error("SQLite could not load cr-sqlite")]
    Load(#[source] rusqlite::Error),
    /// Another build answered.
    #[error(
        "cr-sqlite {found} answered where {VERSION} was loaded: load no other one into this connection"
    )]
    Version {
        /// What it says.
        found: i64,
    },
    /// The file could not be made ready.
    #[error("the file could not be made ready for cr-sqlite")]
    Prepare(#[source] rusqlite::Error),
}

/// Loads the extension into a connection, once; every connection that writes to a replicated table needs it.
///
/// # Errors
/// When the library cannot be loaded, or the file cannot be made ready.
pub fn load(conn: &Connection) -> Result<(), LoadError> {
    let path = sealed_path().map_err(LoadError::Memory)?;
    // What it makes in a new file it makes in several steps, and it takes no file in which the power has left only some of them.
    let whole = conn.unchecked_transaction().map_err(LoadError::Prepare)?;
    load_library(conn, &path).map_err(LoadError::Load)?;
    whole.commit().map_err(LoadError::Prepare)?;
    let found = conn
        .query_row(
            "SELECT value FROM crsql_master WHERE key = 'crsqlite_version'",
            [],
            |row| row.get(0),
        )
        .map_err(LoadError::Load)?;
    if found != VERSION {
        return Err(LoadError::Version { found });
    }
    // Without it two sites that made the same edit each keep themselves as its author, and a third may never learn of it.
    conn.query_row(
        "SELECT crsql_config_set('merge-equal-values', 1)",
        [],
        |_| Ok(()),
    )
    .map_err(LoadError::Prepare)
}

/// Lets go of what the extension holds; without it a closed connection keeps its files open.
///
/// # Errors
/// When SQLite fails.
pub fn finalize(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("SELECT crsql_finalize()", [], |_| Ok(()))
}

#[expect(
    unsafe_code,
    reason = "loading a C library cannot be proven safe by the compiler"
)]
fn load_library(conn: &Connection, path: &str) -> rusqlite::Result<()> {
    // SAFETY: while the guard lives only this function uses the connection, and no SQL runs.
    let _guard = unsafe { LoadExtensionGuard::new(conn)? };
    // SAFETY: the bytes at `path` are those whose hash the build has checked, sealed against change, and the entry point is theirs.
    unsafe { conn.load_extension(path, Some("sqlite3_crsqlite_init")) }
}

fn sealed_path() -> io::Result<String> {
    let mut sealed = SEALED.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = match sealed.take() {
        Some(memory) => memory,
        None => seal()?,
    };
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    *sealed = Some(memory);
    Ok(path)
}

fn seal() -> io::Result<OwnedFd> {
    let memory = memfd_create("crsqlite", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(memory);
    file.write_all(LIBRARY)?;
    let memory = OwnedFd::from(file);
    fcntl_add_seals(
        &memory,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(memory)
}
