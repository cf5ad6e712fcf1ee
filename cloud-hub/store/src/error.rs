//! What can go wrong with the database itself, and what to do about it.

use std::path::PathBuf;

use sqlite_store::FileError;

/// A command or query could not be carried out because of the database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Something about the file.
    #[error(transparent)]
    File(#[from] FileError),
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
}

impl StoreError {
    /// Whether the same command may succeed later without anything being repaired.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::File(error) if error.is_transient())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::File(error.into())
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
    /// Its pages are not as SQLite writes them.
    #[error("{path} is damaged ({verdict})")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        verdict: String,
    },
    /// Something about the file itself.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::File(error.into())
    }
}
