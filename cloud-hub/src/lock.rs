//! One process at a time has a data folder: an advisory lock on a file in it.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use anyhow::{Context, bail};

/// The right to write a data folder; given back when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub(crate) struct DataLock(
    #[expect(dead_code, reason = "holding the file open is what holds the lock")] File,
);

impl DataLock {
    /// Takes the folder `dir`, making it when there is none.
    pub(crate) fn take(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("cloud-hub.lock");
        let make = || {
            std::fs::create_dir_all(dir)?;
            File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
        };
        let file = make().with_context(|| {
            format!(
                "cannot make {}: check that this user may write the folder",
                path.display()
            )
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "{} is in use by a running cloud-hub: stop it first",
                    dir.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).context("the data folder cannot be locked")
            }
        }
    }
}
