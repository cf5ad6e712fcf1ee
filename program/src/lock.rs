//! One process at a time has a data folder: an advisory lock on a file in it.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

/// Why the data folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{dir} is in use by a running {program}: stop it first (sudo systemctl stop {program})"
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Whose it is.
        program: &'static str,
    },
    /// The folder or the lock's file can't be made.
    #[error("cannot make {path}: check that this user may write the folder")]
    Io {
        /// What could not be made.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Whether a program runs on its data folder, or the command line has it for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runs {
    /// It runs.
    Yes,
    /// It does not.
    No,
}

impl Runs {
    /// Whether `program` runs on the folder `dir`.
    pub fn on(dir: &Path, program: &str) -> Self {
        if is_taken(dir, program) {
            Self::Yes
        } else {
            Self::No
        }
    }
}

/// The right to write a data folder; given back when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct DataLock(
    #[expect(dead_code, reason = "holding the file open is what holds the lock")] File,
);

impl DataLock {
    /// Takes the folder `dir` for `program`, making it when there is none.
    ///
    /// # Errors
    /// When another process has it or it can't be written.
    pub fn take(dir: &Path, program: &'static str) -> Result<Self, LockError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { path, source }
        };
        std::fs::create_dir_all(dir).map_err(io(dir))?;
        let path = file_of(dir, program);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LockError::InUse {
                dir: dir.to_owned(),
                program,
            }),
            Err(TryLockError::Error(source)) => Err(LockError::Io { path, source }),
        }
    }
}

/// Whether a running `program` has the folder `dir`. Makes nothing: whoever only looks may be another user than the one whose
/// files these must be.
pub fn is_taken(dir: &Path, program: &str) -> bool {
    File::open(file_of(dir, program))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn file_of(dir: &Path, program: &str) -> PathBuf {
    dir.join(program).with_extension("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_taken(dir.path(), "edge-node"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let first = DataLock::take(dir.path(), "edge-node").unwrap();
        assert!(is_taken(dir.path(), "edge-node"));
        assert!(matches!(
            DataLock::take(dir.path(), "edge-node"),
            Err(LockError::InUse { .. })
        ));
        drop(first);
        DataLock::take(dir.path(), "edge-node").unwrap();
    }
}
