//! The files of farms: one SQLite replica each, opened when asked for, closed when idle, a bounded number at once.
//!
//! An appliance that waits for news holds no file open ([`slot`]): what ends its wait is a commit, and nobody commits to a file that is closed.
//! Invariant: a file is never open twice. It is closed only when nobody holds a handle any more, and opened again only
//! after that, because the farm's writer numbers facts in memory.

mod host;
mod import;
mod slot;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use farm::{Farm, OpenError, upkeep};
use farm_model::{Clock, ClockQuality, SystemClock};
use farm_web::{App, Base, HostLinks, Mount, Mounted, NoHardware, StoreIngest, mounted};
use hub_accounts::{FarmId, claims, sessions::Lifetimes};
use hub_store::{FileError, Micros, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::host::AtTheHub;
pub(crate) use self::{
    host::part_of,
    import::{Part, Refusal, Standing},
    slot::Slot,
};

/// Connections that read one farm.
const READERS: usize = 2;
/// How long whoever still works with a farm may take before its file is kept open after all.
const LETTING_GO: Duration = Duration::from_secs(5);
/// The same when another farm waits for its place, and a third one may be quicker.
const MAKING_ROOM: Duration = Duration::from_millis(500);
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
    simulated: Option<Arc<dyn Clock>>,
    places: Arc<Semaphore>,
    slots: Mutex<HashMap<FarmId, Arc<Slot>>>,
    imports: import::Imports,
    closing: CancellationToken,
}

impl std::fmt::Debug for Farms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Farms")
            .field("dir", &self.inner.dir)
            .finish_non_exhaustive()
    }
}

impl Farms {
    /// Farms whose files are in `dir`; `most` are open at once, and those unused for `idle_s` are closed. They live in the hub's time, or in
    /// the `simulated` one of a demonstration.
    pub fn new(
        dir: &Path,
        store: Store,
        lives: Lifetimes,
        most: usize,
        idle_s: i64,
        simulated: Option<Arc<dyn Clock>>,
    ) -> Self {
        import::remove_parts(dir);
        Self {
            inner: Arc::new(Inner {
                dir: dir.to_owned(),
                store,
                lives,
                idle_s,
                simulated,
                places: Arc::new(Semaphore::new(most)),
                slots: Mutex::default(),
                imports: import::Imports::default(),
                closing: CancellationToken::new(),
            }),
        }
    }

    /// Where this farm is open, or not.
    pub(crate) fn slot(&self, id: FarmId) -> Arc<Slot> {
        Arc::clone(self.slots().entry(id).or_default())
    }

    /// The farm of this identity, opened when it is not.
    pub(crate) async fn open(&self, id: FarmId) -> Result<Arc<OpenFarm>, FarmFileError> {
        // In a task of its own: a caller that goes away in the middle must not leave a file that is open and unknown.
        let farms = self.clone();
        let opened = tokio::spawn(async move { farms.open_whole(id).await });
        opened
            .await
            .map_err(|_| StoreError::from(FileError::Panicked))?
    }

    async fn open_whole(&self, id: FarmId) -> Result<Arc<OpenFarm>, FarmFileError> {
        let slot = self.slot(id);
        let mut place = slot.open.lock().await;
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
        let (path, simulated) = (self.path(id), self.inner.simulated.clone());
        let clock = simulated.clone();
        let farm = tokio::task::spawn_blocking(move || open_file(&path, clock))
            .await
            .map_err(|_| StoreError::from(FileError::Panicked))??;
        let host = Arc::new(AtTheHub::new(
            self.inner.store.clone(),
            self.inner.lives,
            id,
            heard,
            simulated,
        ));
        let open = Arc::new(OpenFarm {
            pages: pages(&farm, &found.slug, Arc::clone(&host)),
            farm,
            slug: found.slug,
            host,
            used: AtomicI64::new(now),
            _place: permit,
        });
        slot.follow(&open.farm);
        *place = Some(Arc::clone(&open));
        Ok(open)
    }

    /// The farm, if its file is open already.
    pub(crate) async fn opened(&self, id: FarmId) -> Option<Arc<OpenFarm>> {
        let slot = self.slots().get(&id).cloned()?;
        let open = slot.open.lock().await;
        open.clone()
    }

    /// Has open pages of an account look at once whether they may stay open.
    pub(crate) async fn revoke(&self, id: FarmId, account: &str) {
        if let Some(open) = self.opened(id).await {
            open.pages.revoke(account);
        }
    }

    /// Closes farms that were not used for long; how many are open still.
    pub async fn sweep(&self) -> usize {
        let before = self.inner.store.now().plus_seconds(-self.inner.idle_s).0;
        for (_, slot) in self.idle(before) {
            self.close(&slot, LETTING_GO).await;
        }
        self.slots()
            .values()
            .filter(|slot| slot.open.try_lock().is_ok_and(|open| open.is_some()))
            .count()
    }

    /// Does for open files what an appliance does for its own, once a day each: readings that came with an appliance's file are put into their
    /// order, and go when their time has come. What fails is tried again the next day.
    pub(crate) async fn look_after_files(&self) {
        let (now, slots) = (self.inner.store.now(), self.slots().clone());
        for (id, slot) in slots {
            let open = slot.open.lock().await.clone();
            if let Some(open) = open
                && slot.is_due(now)
                && let Err(error) = look_after(&open.farm).await
            {
                tracing::error!(farm = %id, %error, "a farm's file could not be looked after");
            }
        }
    }

    /// Removes the file of a farm that left.
    pub(crate) async fn remove(&self, id: FarmId) -> Result<(), FarmFileError> {
        let slot = self.slots().get(&id).cloned().unwrap_or_default();
        self.close(&slot, LETTING_GO).await;
        let place = slot.open.lock().await;
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
            self.close(&slot, LETTING_GO).await;
        }
    }

    /// How many appliances wait for news.
    pub fn waiting(&self) -> usize {
        self.slots().values().map(|slot| slot.waiting()).sum()
    }

    /// Answers all of them at once, and every later one: the hub is about to end.
    pub fn end_waits(&self) {
        self.inner.closing.cancel();
    }

    /// Resolves when the hub is about to end.
    pub(crate) async fn ending(&self) {
        self.inner.closing.cancelled().await;
    }

    /// Bytes that are free where the farms' files are.
    pub(crate) fn free_bytes(&self) -> std::io::Result<u64> {
        std::fs::create_dir_all(&self.inner.dir)?;
        farm::backup::free_bytes(&self.inner.dir)
    }

    fn path(&self, id: FarmId) -> PathBuf {
        self.inner.dir.join(format!("{id}.db"))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<FarmId, Arc<Slot>>> {
        self.inner
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more open farm; the one that was unused for longest gives way.
    async fn place(&self) -> Result<OwnedSemaphorePermit, FarmFileError> {
        let free = || Arc::clone(&self.inner.places).try_acquire_owned().ok();
        let made = async {
            loop {
                if let Some(permit) = free() {
                    return permit;
                }
                for (_, slot) in self.idle(i64::MAX) {
                    self.close(&slot, MAKING_ROOM).await;
                    if let Some(permit) = free() {
                        return permit;
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let made = tokio::time::timeout(PATIENCE, made).await;
        made.map_err(|_| FarmFileError::Busy)
    }

    /// Farms that nobody works with or looks at and that were last used before then, the one unused for longest first.
    fn idle(&self, before: i64) -> Vec<(i64, Arc<Slot>)> {
        let slots = self.slots();
        let mut idle: Vec<_> = slots
            .values()
            .filter_map(|slot| {
                let held = slot.open.try_lock().ok()?;
                let open = held
                    .as_ref()
                    .filter(|open| Arc::strong_count(open) == 1 && open.pages.streams() == 0)?;
                let used = open.used.load(Ordering::Relaxed);
                (used < before).then(|| (used, Arc::clone(slot)))
            })
            .collect();
        drop(slots);
        idle.sort_by_key(|(used, _)| *used);
        idle
    }

    /// Closes a farm, unless somebody works with it. To the end, even when the caller goes away meanwhile.
    async fn close(&self, slot: &Arc<Slot>, patience: Duration) {
        let slot = Arc::clone(slot);
        let closed = tokio::spawn(async move {
            let mut place = slot.open.lock().await;
            let Some(open) = place.take() else { return };
            *place = match Arc::try_unwrap(open) {
                Err(shared) => Some(shared),
                Ok(open) => let_go(open, patience).await.map(Arc::new),
            };
        });
        if closed.await.is_err() {
            tracing::error!("a farm was not closed in order");
        }
    }
}

/// Waits until nobody else holds the farm, then closes its file; gives it back when that takes too long.
async fn let_go(open: OpenFarm, patience: Duration) -> Option<OpenFarm> {
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
    if tokio::time::timeout(patience, looked).await.is_ok() {
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

async fn look_after(farm: &Farm) -> Result<(), farm::StoreError> {
    upkeep::compact(farm).await?;
    upkeep::keep_budget(farm).await?;
    Ok(())
}

fn open_file(path: &Path, simulated: Option<Arc<dyn Clock>>) -> Result<Farm, OpenError> {
    let mut options = options();
    if let Some(clock) = simulated {
        options.clock = clock;
    }
    Farm::open(path, options)
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

pub(crate) fn files_in(dir: &Path) -> Vec<FarmId> {
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
