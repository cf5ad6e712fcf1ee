//! What can go wrong with the file itself, and what to do about it.

use std::{path::PathBuf, sync::Arc};

use sqlite_store::FileError;

/// A command or query could not be carried out because of the database.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Something about the file.
    #[error(transparent)]
    File(#[from] FileError),
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
}

impl StoreError {
    /// A stored value that is no `what`.
    pub(crate) fn unreadable(what: &'static str, value: &impl ToString) -> Self {
        Self::Unreadable {
            what,
            value: value.to_string(),
        }
    }

    /// Whether it lies in what is stored or told, so that trying again is of no use.
    pub(crate) fn is_about_data(&self) -> bool {
        use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch, Unknown};
        match self {
            Self::File(FileError::Sql(error)) => matches!(
                error.sqlite_error_code(),
                // None: a value could not be read as what it should be.
                None | Some(ConstraintViolation | TypeMismatch | TooBig | Unknown)
            ),
            Self::Unreadable { .. } => true,
            Self::File(_) | Self::Replication(_) => false,
        }
    }

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
    /// The extension that records need is not at work.
    #[error(transparent)]
    Extension(#[from] crsqlite::LoadError),
    /// The tables could not be made ready for replication; the file is as it was.
    #[error("making the database ready for other places failed, and the file is as it was")]
    Replication(#[source] Box<sync::schema::SchemaError>),
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

impl From<FileError> for OpenError {
    fn from(error: FileError) -> Self {
        Self::Store(error.into())
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
