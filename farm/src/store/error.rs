//! What can go wrong with the file itself, and what to do about it.

use std::{path::PathBuf, sync::Arc};

use rusqlite::ErrorCode;

/// A command or query could not be carried out because of the database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No room for another page.
    #[error("the disk is full: free some space or lower the retention, then try again")]
    Full,
    /// Another process holds the file.
    #[error("the database is locked by another process: stop the other process, then try again")]
    Locked,
    /// The file is not a sound database.
    #[error("the database file is damaged: stop, keep the file, and restore the newest backup")]
    Corrupt(#[source] Arc<rusqlite::Error>),
    /// Reading or writing the file failed.
    #[error("reading or writing the database failed: check the disk and its cable, then try again")]
    Io(#[source] Arc<rusqlite::Error>),
    /// The file may not be written.
    #[error("the database may not be written: check the owner and permissions of its folder")]
    ReadOnly,
    /// SQLite refused a statement; this is a defect of the program.
    #[error("the database refused a statement")]
    Sql(#[source] Arc<rusqlite::Error>),
    /// A stored value is not what its column should hold.
    #[error("a stored {what} cannot be read: {value}")]
    Unreadable {
        /// What it should have been.
        what: &'static str,
        /// What it is.
        value: String,
    },
    /// What other sites sent, or hold, does not fit this file.
    #[error("the farm's file does not fit what other places hold of it")]
    Replication(#[source] Arc<sync::Error>),
    /// SQLite undid a whole group of commands because one of them met a full or failing disk.
    #[error("another command met a full or failing disk and the group was undone: try again")]
    Undone,
    /// The command panicked; nothing of it was kept.
    #[error("the command failed unexpectedly and changed nothing")]
    Panicked,
    /// The farm is closed or closing.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// A stored value that is no `what`.
    pub(crate) fn unreadable(what: &'static str, value: &impl ToString) -> Self {
        Self::Unreadable {
            what,
            value: value.to_string(),
        }
    }

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

/// The file could not be opened as a farm.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer program.
    #[error(
        "{path} was written by a newer version (schema {found}, this program knows {known}): install that version or a \
         newer one; the file was not touched"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest schema version of this program.
        known: i64,
    },
    /// A database, but not of a farm.
    #[error("{path} is a database of something else: choose another path")]
    NotAFarm {
        /// The file.
        path: PathBuf,
    },
    /// It calls itself a farm, and has something that no farm's file has, or lacks something.
    #[error(
        "{path} is not as a farm's file is made: look at {name}; take a copy that this program has made"
    )]
    Strange {
        /// The file.
        path: PathBuf,
        /// The first part of it that is not as it should be.
        name: String,
    },
    /// A migration failed; the file is as it was.
    #[error("bringing the database up to date failed, and the file is as it was")]
    Migration(#[source] Box<rusqlite_migration::Error>),
    /// The folder could not be made.
    #[error("the folder of {path} cannot be made: check the path and its permissions")]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The extension that records need is not at work.
    #[error(transparent)]
    Extension(#[from] crsqlite::LoadError),
    /// The tables could not be made ready for replication; the file is as it was.
    #[error("making the database ready for other places failed, and the file is as it was")]
    Replication(#[source] Box<sync::schema::SchemaError>),
    /// A thread could not be started.
    #[error("the writer thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// Something about the file itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sync::Error> for StoreError {
    fn from(error: sync::Error) -> Self {
        match error {
            sync::Error::Store(error) => error.into(),
            other => Self::Replication(Arc::new(other)),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Lets `?` turn a database error into a command's own error, which has a variant `Store(StoreError)`.
macro_rules! store_error {
    ($($name:ty),+ $(,)?) => {$(
        impl From<rusqlite::Error> for $name {
            fn from(error: rusqlite::Error) -> Self {
                Self::Store(error.into())
            }
        }
    )+};
}
pub(crate) use store_error;
