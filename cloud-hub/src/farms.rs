//! The files of farms: one SQLite replica each, opened when asked for, closed when idle, a bounded number at once.
//!
//! Invariant: a file is never open twice. It is closed only when nobody holds a handle any more, and opened again only
//! after that, because the farm's writer numbers facts in memory.

mod host;
mod import;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use farm::{Farm, OpenError};
use farm_model::{ClockQuality, SystemClock};
use farm_web::{App, Base, HostLinks, Mount, Mounted, NoHardware, StoreIngest, mounted};
use hub_accounts::{FarmId, claims, sessions::Lifetimes};
use hub_store::{FileError, Micros, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::host::AtTheHub;
pub(crate) use self::{
    host::part_of,
    import::{Part, Refusal, Standing},
};

/// Connections that read one farm.
const READERS: usize = 2;
/// How long whoever still works with a farm may take before its file is kept open after all.
const LETTING_GO: Duration = Duration::from_secs(5);
/// How often one looks whether they are done.
const LOOK: Duration = Duration::from_millis(20);
/// How long to wait for a place when as many farms are open as may be.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a farm's file is not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FarmFileError {
    /// The farm left the hub.
    #[error("this farm was deleted at the hub")]
    Gone,
    /// As many farms are open as may be, and all are in use.
    #[error("too many farms are in use at this moment: try again in a minute")]
    Busy,
    /// The file cannot be opened.
    #[error("the farm's file cannot be opened")]
    Open(#[from] OpenError),
    /// It cannot be removed.
    #[error("the farm's file cannot be removed: see to the data folder")]
    Remove(#[source] std::io::Error),
    /// The hub's database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A farm that is open, with its pages.
pub(crate) struct OpenFarm {
    pub(crate) farm: Farm,
    pub(crate) pages: Mounted,
    slug: String,
    host: Arc<AtTheHub>,
    used: AtomicI64,
    _place: OwnedSemaphorePermit,
}

impl OpenFarm {
    /// A machine of the farm was heard now; pages say so from then on.
    pub(crate) fn was_heard(&self, now: Micros) {
        self.host.was_heard(now);
    }
}

/// Empty, or the open farm. Whoever opens or closes holds the lock.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<OpenFarm>>>>;

/// All farms of the hub; cheap to clone.
#[derive(Clone)]
pub struct Farms {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    store: Store,
    lives: Lifetimes,
    idle_s: i64,
    places: Arc<Semaphore>,
    slots: Mutex<HashMap<FarmId, Slot>>,
    imports: import::Imports,
}

impl std::fmt::Debug for Farms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Farms")
            .field("dir", &self.inner.dir)
            .finish_non_exhaustive()
    }
}

impl Farms {
    /// Farms whose files are in `dir`; `most` are open at once, and those unused for `idle_s` are closed.
    pub fn new(dir: &Path, store: Store, lives: Lifetimes, most: usize, idle_s: i64) -> Self {
        import::remove_parts(dir);
        Self {
            inner: Arc::new(Inner {
                dir: dir.to_owned(),
                store,
                lives,
                idle_s,
                places: Arc::new(Semaphore::new(most)),
                slots: Mutex::default(),
                imports: import::Imports::default(),
            }),
        }
    }

    /// The farm of this identity, opened when it is not.
    pub(crate) async fn open(&self, id: FarmId) -> Result<Arc<OpenFarm>, FarmFileError> {
        let slot = Arc::clone(self.slots().entry(id).or_default());
        let mut place = slot.lock().await;
        let now = self.inner.store.now().0;
        if let Some(open) = &*place {
            open.used.store(now, Ordering::Relaxed);
            return Ok(Arc::clone(open));
        }
        let found = self
            .inner
            .store
            .read(move |tx| {
                let farm = hub_accounts::farms::get(tx, id)?;
                Ok::<_, StoreError>((farm, claims::last_heard(tx, id)?))
            })
            .await?;
        let (Some(found), heard) = found else {
            return Err(FarmFileError::Gone);
        };
        let permit = self.place().await?;
        let path = self.path(id);
        let farm = tokio::task::spawn_blocking(move || open_file(&path))
            .await
            .map_err(|_| StoreError::from(FileError::Panicked))??;
        let host = Arc::new(AtTheHub::new(
            self.inner.store.clone(),
            self.inner.lives,
            id,
            heard,
        ));
        let open = Arc::new(OpenFarm {
            pages: pages(&farm, &found.slug, Arc::clone(&host)),
            farm,
            slug: found.slug,
            host,
            used: AtomicI64::new(now),
            _place: permit,
        });
        *place = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Has open pages of an account look at once whether they may stay open.
    pub(crate) async fn revoke(&self, id: FarmId, account: &str) {
        let slot = self.slots().get(&id).cloned();
        if let Some(slot) = slot
            && let Some(open) = &*slot.lock().await
        {
            open.pages.revoke(account);
        }
    }

    /// Closes farms that were not used for long; how many are open still.
    pub async fn sweep(&self) -> usize {
        let before = self.inner.store.now().plus_seconds(-self.inner.idle_s).0;
        for (_, slot) in self.idle(before) {
            self.close(&slot).await;
        }
        self.slots()
            .values()
            .filter(|slot| slot.try_lock().is_ok_and(|open| open.is_some()))
            .count()
    }

    /// Removes the file of a farm that left.
    pub(crate) async fn remove(&self, id: FarmId) -> Result<(), FarmFileError> {
        let slot = self.slots().get(&id).cloned().unwrap_or_default();
        self.close(&slot).await;
        let place = slot.lock().await;
        if place.is_some() {
            return Err(FarmFileError::Busy);
        }
        let path = self.path(id);
        let removed = tokio::task::spawn_blocking(move || remove_file(&path)).await;
        removed
            .map_err(|_| StoreError::from(FileError::Panicked))?
            .map_err(FarmFileError::Remove)?;
        self.slots().remove(&id);
        Ok(())
    }

    /// Identities of the files in the folder.
    pub(crate) async fn files(&self) -> Vec<FarmId> {
        let dir = self.inner.dir.clone();
        let files = tokio::task::spawn_blocking(move || files_in(&dir)).await;
        files.unwrap_or_default()
    }

    /// Closes every farm, as far as nobody works with it.
    pub(crate) async fn close_all(&self) {
        for (_, slot) in self.idle(i64::MAX) {
            self.close(&slot).await;
        }
    }

    fn path(&self, id: FarmId) -> PathBuf {
        self.inner.dir.join(format!("{id}.db"))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<FarmId, Slot>> {
        self.inner
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more open farm; the one that was unused for longest gives way.
    async fn place(&self) -> Result<OwnedSemaphorePermit, FarmFileError> {
        if let Ok(permit) = Arc::clone(&self.inner.places).try_acquire_owned() {
            return Ok(permit);
        }
        if let Some((_, slot)) = self.idle(i64::MAX).into_iter().next() {
            self.close(&slot).await;
        }
        let permit = Arc::clone(&self.inner.places).acquire_owned();
        match tokio::time::timeout(PATIENCE, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(FarmFileError::Busy),
        }
    }

    /// Farms that nobody works with and that were last used before then, the one unused for longest first.
    fn idle(&self, before: i64) -> Vec<(i64, Slot)> {
        let slots = self.slots();
        let mut idle: Vec<_> = slots
            .values()
            .filter_map(|slot| {
                let held = slot.try_lock().ok()?;
                let open = held.as_ref().filter(|open| Arc::strong_count(open) == 1)?;
                let used = open.used.load(Ordering::Relaxed);
                (used < before).then(|| (used, Arc::clone(slot)))
            })
            .collect();
        drop(slots);
        idle.sort_by_key(|(used, _)| *used);
        idle
    }

    /// Closes a farm, unless somebody works with it.
    async fn close(&self, slot: &Slot) {
        let mut place = slot.lock().await;
        let Some(open) = place.take() else { return };
        match Arc::try_unwrap(open) {
            Err(shared) => *place = Some(shared),
            Ok(open) => *place = let_go(open).await.map(Arc::new),
        }
    }
}

/// Waits until nobody else holds the farm, then closes its file; gives it back when that takes too long.
async fn let_go(open: OpenFarm) -> Option<OpenFarm> {
    let OpenFarm {
        farm,
        pages: drawn,
        slug,
        host,
        used,
        _place,
    } = open;
    drop(drawn);
    let looked = async {
        while farm.handles() > 1 {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(LETTING_GO, looked).await.is_ok() {
        // The last handle waits for the writer to close the file.
        if tokio::task::spawn_blocking(move || drop(farm))
            .await
            .is_err()
        {
            tracing::error!("a farm's file was not closed in order");
        }
        return None;
    }
    tracing::warn!(path = %farm.path().display(), "a farm that nobody asks for is still in use; it stays open");
    Some(OpenFarm {
        pages: pages(&farm, &slug, Arc::clone(&host)),
        farm,
        slug,
        host,
        used,
        _place,
    })
}

fn open_file(path: &Path) -> Result<Farm, OpenError> {
    Farm::open(path, options())
}

/// How the hub opens a farm's file.
fn options() -> farm::Options {
    farm::Options {
        clock: Arc::new(SystemClock::new(0, ClockQuality::Synced)),
        readers: READERS,
        ..farm::Options::default()
    }
}

fn pages(farm: &Farm, slug: &str, host: Arc<AtTheHub>) -> Mounted {
    let app = App {
        farm: farm.clone(),
        hardware: Arc::new(NoHardware),
        ingest: Arc::new(StoreIngest(farm.clone())),
        options: farm_web::Options {
            cookies: farm_web::Cookies::HttpsOnly,
            version: env!("CARGO_PKG_VERSION"),
            ..farm_web::Options::default()
        },
    };
    let base =
        Base::new(&format!("/farms/{slug}")).expect("a slug is made of what a base may hold");
    let links = HostLinks {
        farms: "/".to_owned(),
        account: "/account".to_owned(),
        log_out: "/logout".to_owned(),
        preferences: "/preferences".to_owned(),
    };
    mounted(app, Mount { base, host, links })
}

fn remove_file(path: &Path) -> std::io::Result<()> {
    for end in ["-wal", "-shm", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn files_in(dir: &Path) -> Vec<FarmId> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_suffix(".db")?
                .parse()
                .ok()
        })
        .collect()
}
