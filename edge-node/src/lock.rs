//! One process at a time writes a farm's data: an advisory lock on a file beside the database.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

/// Why the data folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{0} is in use by a running edge-node: stop it first (sudo systemctl stop edge-node)")]
    InUse(PathBuf),
    /// The folder or the lock's file can't be made.
    #[error("cannot make {path}: check that this user may write the folder")]
    Io {
        /// What could not be made.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The right to write a data folder; given back when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct DataLock(
    #[expect(dead_code, reason = "holding the file open is what holds the lock")] File,
);

impl DataLock {
    /// Takes the folder `dir`, making it when there is none.
    ///
    /// # Errors
    /// When another process has it or it can't be written.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { path, source }
        };
        std::fs::create_dir_all(dir).map_err(io(dir))?;
        let path = dir.join("edge-node.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LockError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(LockError::Io { path, source }),
        }
    }
}

/// Whether an appliance that runs has the folder `dir`. Makes nothing: whoever only looks may be another user than the one
/// whose files these must be.
pub(crate) fn is_taken(dir: &Path) -> bool {
    File::open(dir.join("edge-node.lock"))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_taken(dir.path()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let first = DataLock::take(dir.path()).unwrap();
        assert!(is_taken(dir.path()));
        assert!(matches!(
            DataLock::take(dir.path()),
            Err(LockError::InUse(_))
        ));
        drop(first);
        DataLock::take(dir.path()).unwrap();
    }
}
