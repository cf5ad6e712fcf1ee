//! What can go wrong with the database itself, and what to do about it.

use std::{path::PathBuf, sync::Arc};

use rusqlite::ErrorCode;

/// A command or query could not be carried out because of the database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No room for another page.
    #[error("the disk is full: free some space, then try again")]
    Full,
    /// Another process holds the file.
    #[error("the database is locked by another process: stop the other process, then try again")]
    Locked,
    /// The file is not a sound database.
    #[error("the database is damaged: stop, keep the file, and restore the newest backup")]
    Corrupt(#[source] Arc<rusqlite::Error>),
    /// Reading or writing failed.
    #[error("reading or writing the database failed: check the disk, then try again")]
    Io(#[source] Arc<rusqlite::Error>),
    /// The file may not be written.
    #[error("the database may not be written: check the owner and permissions of its folder")]
    ReadOnly,
    /// The database refused a statement; this is a defect of the program.
    #[error("the database refused a statement")]
    Sql(#[source] Arc<rusqlite::Error>),
    /// A statement has other parameters than it is given; this is a defect of the program.
    #[error("a statement was given {given} values and has other parameters: {sql}")]
    Parameters {
        /// The statement.
        sql: &'static str,
        /// How many values came with it.
        given: usize,
    },
    /// A stored value is not what its column should hold.
    #[error("column {column} of an answer cannot be read: {sql}")]
    Unreadable {
        /// The statement.
        sql: &'static str,
        /// Which column of its answer, from 0.
        column: usize,
    },
    /// The database undid a whole group of commands because one of them met a full or failing disk.
    #[error("another command met a full or failing disk and the group was undone: try again")]
    Undone,
    /// The command panicked; nothing of it was kept.
    #[error("the command failed unexpectedly and changed nothing")]
    Panicked,
    /// The store is closed or closing.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same command may succeed later without anything being repaired.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full | Self::Locked | Self::Io(_) | Self::Undone)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt(Arc::new(error))
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Io(Arc::new(error)),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly,
            _ => Self::Sql(Arc::new(error)),
        }
    }
}

/// The database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer program.
    #[error(
        "{path} was written by a newer version ({part} is at {found}, this program knows {known}): install that version \
         or a newer one; nothing was changed"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Which part of the hub.
        part: String,
        /// Its version in the file.
        found: i64,
        /// The newest version that this program knows; 0 when it does not know the part.
        known: i64,
    },
    /// A database of something else.
    #[error("{path} is a database of something else: choose another data folder")]
    NotAHub {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder could not be made.
    #[error("{path} cannot be made: check that this user may write the folder")]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("the writer thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// Something about the database itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
