//! A disk that loses what was not synced when the power is cut, for tests of what is kept in SQLite.
//!
//! SQLite writes to real files in a watched folder; beside them is kept what of each file, and of the folder's names, a power cut
//! cannot take: what was synced. [`Disk::cut_after`] ends the machine in the middle of some later step. From then on every write fails, so
//! that nothing more is acknowledged, and [`Disk::power_on`] gives the next life a folder with all that was synced, and of the rest whatever
//! chance kept: each sector of each write for itself, each change of a file's length, each new or deleted name.
//!
//! What is not modelled: a sector is written whole or not at all (SQLite takes disks to be so), and files that others than SQLite write
//! are taken as they are found. Nothing is truly synced, which makes a life quick.

mod image;
mod vfs;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use image::Files;

/// Chance: some number below the one given.
pub type Roll<'a> = &'a mut dyn FnMut(u64) -> u64;

/// A folder whose files lose what was not synced.
#[derive(Debug)]
pub struct Disk {
    state: Arc<State>,
}

/// What the files of a folder share.
#[derive(Debug)]
struct State {
    folder: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: Files,
    steps: u64,
    cut_at: Option<u64>,
    is_off: bool,
    lies: bool,
}

/// Whether a step came through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    /// It ended in the middle of this step, or before.
    Off,
}

impl Disk {
    /// Watches a folder from now on; what is in it is taken to be synced.
    ///
    /// # Panics
    /// When the folder cannot be read.
    pub fn new(folder: &Path) -> Self {
        let folder = folder.canonicalize().expect("the folder is there");
        let mut inner = Inner::default();
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_file() {
                inner.files.found(name(&path), &path);
            }
        }
        let state = Arc::new(State {
            folder,
            inner: Mutex::new(inner),
        });
        vfs::watch(&state);
        Self { state }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.state.folder
    }

    /// Cuts the power in the middle of the step after so many more: a write, a sync, a change of length, a deletion.
    pub fn cut_after(&self, steps: u64) {
        let mut inner = self.state.lock();
        inner.cut_at = Some(inner.steps + steps);
    }

    /// Takes a cut back that has not come yet.
    pub fn stay_on(&self) {
        self.state.lock().cut_at = None;
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    /// Whether the power was cut.
    pub fn is_off(&self) -> bool {
        self.state.lock().is_off
    }

    /// From now on the disk says that it has synced and has not: with such a one something must get lost, or the test sees nothing.
    pub fn lie(&self) {
        self.state.lock().lies = true;
    }

    /// The next life: cuts the power if it is still on, and puts what the disk has kept into another folder, which is empty.
    ///
    /// # Panics
    /// When the other folder cannot be written.
    pub fn power_on(self, roll: Roll<'_>, folder: &Path) -> Self {
        let mut inner = self.state.lock();
        inner.is_off = true;
        inner.files.survive(roll, folder);
        let next = Self::new(folder);
        next.state.lock().lies = inner.lies;
        drop(inner);
        next
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        vfs::forget(&self.state);
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts a step.
    fn step(&mut self) -> Power {
        if self.cut_at.is_some_and(|at| self.steps >= at) {
            self.is_off = true;
        }
        self.steps += 1;
        if self.is_off { Power::Off } else { Power::On }
    }
}

/// A file's name in the folder.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
