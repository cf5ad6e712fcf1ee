//! What can go wrong with the file, and what to do about it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::ErrorCode;

/// A command or query could not be carried out because of the file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FileError {
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
    /// SQLite undid a whole group of commands because one of them met a full or failing disk.
    #[error("another command met a full or failing disk and the group was undone: try again")]
    Undone,
    /// The command did more than one commit may hold; nothing of it was kept.
    #[error(
        "this changes too much at once, and nothing was changed: do it in several smaller steps"
    )]
    TooMuch,
    /// The command panicked; nothing of it was kept.
    #[error("the command failed unexpectedly and changed nothing")]
    Panicked,
    /// The store is closed or closing.
    #[error("the database is closed")]
    Closed,
    /// The file or its folder could not be made.
    #[error("{path} cannot be made: check that this user may write the folder")]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The thread that writes could not be started.
    #[error("the writer thread cannot be started")]
    Thread(#[source] Arc<std::io::Error>),
}

impl FileError {
    /// What goes wrong with the file at `path` outside of SQLite.
    pub fn folder(path: &Path, source: std::io::Error) -> Self {
        Self::Folder {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    /// Whether the same command may succeed later without anything being repaired.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full | Self::Locked | Self::Io(_) | Self::Undone)
    }
}

impl From<rusqlite::Error> for FileError {
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
