//! Farms that come as a file: received piece by piece, looked at, and only then a farm of the hub.
//!
//! Invariant: until the file has become a farm it lies beside the others under a name that no farm has, and nothing else knows of it;
//! whatever goes wrong before leaves neither farm nor file.

use std::{
    collections::HashMap,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use farm::{FileError, OpenError, StoreError as FarmStoreError, adopt, backup};
use hub_accounts::{Account, AccountId, FarmId, Name, farms};
use hub_store::{Micros, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{Farms, options, remove_file};

/// Imports under way at once: each may fill a disk's queue.
const AT_ONCE: usize = 2;
/// For how long it can be read what became of one.
const KEPT_S: i64 = 3600;
/// How many of them: the oldest that is done is forgotten for a new one. Those that are looked at are [`AT_ONCE`] at most.
const KEPT: usize = 64;
/// Bytes of the disk that are left to the farms that are there.
const LEFT_FREE: u64 = 512_000_000;
/// Beginning of the name of a file that is no farm yet.
const PART: &str = "import-";

/// How an import stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It is looked at.
    Checking,
    /// It is this farm.
    Taken(String),
    /// It is not, and nothing was changed.
    Refused(Refusal),
}

/// Why a file is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It is something else.
    NotAFarm,
    /// A newer program wrote it.
    Newer,
    /// It is damaged.
    Damaged,
    /// It is larger than is taken.
    TooLarge,
    /// There is no room for it.
    NoRoom,
    /// It did not arrive whole.
    CutShort,
    /// The hub's own trouble.
    Trouble,
}

impl From<&OpenError> for Refusal {
    fn from(error: &OpenError) -> Self {
        match error {
            OpenError::NotAFarm { .. } | OpenError::Strange { .. } => Self::NotAFarm,
            OpenError::Newer { .. } => Self::Newer,
            OpenError::Store(FarmStoreError::File(FileError::Full)) => Self::NoRoom,
            OpenError::Store(
                FarmStoreError::File(FileError::Corrupt(_)) | FarmStoreError::Unreadable { .. },
            )
            | OpenError::Migration(_)
            | OpenError::Replication(_) => Self::Damaged,
            OpenError::Store(_) | OpenError::Extension(_) => Self::Trouble,
        }
    }
}

/// The imports that somebody may ask about.
pub(super) struct Imports {
    places: Arc<Semaphore>,
    known: Mutex<HashMap<Uuid, Known>>,
}

struct Known {
    by: AccountId,
    since: Micros,
    standing: Standing,
}

impl Default for Imports {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            known: Mutex::default(),
        }
    }
}

impl Imports {
    fn known(&self) -> MutexGuard<'_, HashMap<Uuid, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: Uuid, by: AccountId, since: Micros, standing: Standing) {
        let mut known = self.known();
        known.retain(|_, import| since.seconds_since(import.since) < KEPT_S);
        if known.len() >= KEPT && !known.contains_key(&id) {
            let is_done = |import: &Known| import.standing != Standing::Checking;
            let done = known.iter().filter(|(_, import)| is_done(import));
            let oldest = done
                .min_by_key(|(_, import)| import.since)
                .map(|(id, _)| *id);
            oldest.map(|id| known.remove(&id));
        }
        let import = Known {
            by,
            since,
            standing,
        };
        known.insert(id, import);
    }
}

/// A file that is being received; dropped, it leaves nothing.
pub(crate) struct Part {
    path: PathBuf,
    file: File,
    id: Uuid,
    bytes: u64,
    most: u64,
    begin: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl Part {
    /// Takes the next piece. Blocks.
    ///
    /// # Errors
    /// When the file cannot become a farm, as far as can be seen by now.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let wanted = adopt::MAGIC.len() - self.begin.len();
        self.begin.extend(piece.iter().take(wanted));
        if !adopt::MAGIC.starts_with(&self.begin) {
            return Err(Refusal::NotAFarm);
        }
        self.bytes += piece.len() as u64;
        if self.bytes > self.most {
            return Err(Refusal::TooLarge);
        }
        if !has_room(&self.path, piece.len() as u64) {
            return Err(Refusal::NoRoom);
        }
        self.file.write_all(piece).map_err(|error| {
            tracing::error!(%error, path = %self.path.display(), "a farm's file cannot be received");
            Refusal::Trouble
        })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It has another name by now, or is nobody's: the next start removes what stays.
        let _ = remove_file(&self.path);
    }
}

fn has_room(path: &Path, more: u64) -> bool {
    backup::free_bytes(path).is_ok_and(|free| free > more + LEFT_FREE)
}

impl Farms {
    /// Begins to receive a file of at most `most` bytes; nothing when others are received.
    pub(crate) fn receive(&self, most: u64) -> Option<Result<Part, Refusal>> {
        let place = Arc::clone(&self.inner.imports.places);
        let place = place.try_acquire_owned().ok()?;
        let id = Uuid::now_v7();
        let path = self.inner.dir.join(format!("{PART}{id}"));
        let file = make(&path).map_err(|error| {
            tracing::error!(%error, path = %path.display(), "a farm's file cannot be received");
            Refusal::Trouble
        });
        Some(file.map(|file| Part {
            path,
            file,
            id,
            bytes: 0,
            most,
            begin: Vec::new(),
            _place: place,
        }))
    }

    /// Looks at the file that was received and makes a farm of it, which takes its time; under the identity that is given back one may
    /// ask how it stands.
    pub(crate) fn import(&self, part: Part, owner: Account, name: Name) -> Uuid {
        let (id, by, now) = (part.id, owner.id, self.inner.store.now());
        self.inner.imports.note(id, by, now, Standing::Checking);
        let farms = self.clone();
        tokio::spawn(async move {
            let standing = match farms.take_in(part, owner, name).await {
                Ok(farm) => Standing::Taken(farm.slug),
                Err(why) => Standing::Refused(why),
            };
            let now = farms.inner.store.now();
            farms.inner.imports.note(id, by, now, standing);
        });
        id
    }

    /// How somebody's import stands; nothing when there was none of theirs, or it is long ago.
    pub(crate) fn standing(&self, id: Uuid, by: AccountId) -> Option<Standing> {
        let known = self.inner.imports.known();
        let import = known.get(&id).filter(|import| import.by == by);
        import.map(|import| import.standing.clone())
    }

    async fn take_in(
        &self,
        part: Part,
        owner: Account,
        name: Name,
    ) -> Result<farms::Farm, Refusal> {
        let looked = tokio::task::spawn_blocking(move || {
            let sound = adopt::adopt(&part.path, options());
            (part, sound)
        });
        let (part, sound) = looked.await.map_err(|_| Refusal::Trouble)?;
        sound.map_err(|error| {
            tracing::info!(error = %error, "a file was not taken in as a farm");
            Refusal::from(&error)
        })?;
        self.settle(&part.path, owner, name).await.map_err(|error| {
            tracing::error!(%error, "a farm's file was not taken in");
            Refusal::Trouble
        })
    }

    /// Gives the file its place, and the farm its line in the database; the file goes first, so that no farm is ever without one.
    async fn settle(
        &self,
        part: &Path,
        owner: Account,
        name: Name,
    ) -> Result<farms::Farm, SettleError> {
        let id = FarmId::new();
        let path = self.path(id);
        std::fs::rename(part, &path)?;
        File::open(&self.inner.dir)?.sync_all()?;
        let made = self
            .inner
            .store
            .write(move |tx| farms::import(tx, &owner, &name, id))
            .await;
        if made.is_err() {
            remove_file(&path)?;
        }
        Ok(made?)
    }
}

/// Why a farm has no place.
#[derive(Debug, thiserror::Error)]
enum SettleError {
    #[error("its file cannot be moved")]
    Move(#[from] std::io::Error),
    #[error(transparent)]
    Farm(#[from] farms::FarmError),
}

impl From<StoreError> for SettleError {
    fn from(error: StoreError) -> Self {
        Self::Farm(error.into())
    }
}

fn make(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Removes what a hub that was killed had received.
pub(super) fn remove_parts(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PART)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!(%error, path = %entry.path().display(), "a file that is no farm cannot be removed");
        }
    }
}
