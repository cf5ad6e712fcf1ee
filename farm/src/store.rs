//! A farm's file in the care of a `sqlite_store::Store`, what is newest in memory, and what happened, told afterwards.
//!
//! [`Farm`] is the handle that everything else holds. Invariants: one thread writes; a command is answered only when it
//! is on disk; a file of a newer version is not touched; nothing here blocks the async runtime.

pub(crate) mod bounds;
mod error;
mod events;
mod open;
mod replicated;
mod tx;
mod writer;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use farm_model::{Clock, SystemClock};
use rusqlite::Connection;
use sqlite_store::{Limits, Store};
use tokio::sync::watch;

use self::writer::Writer;
pub(crate) use self::{
    error::store_error,
    open::{known_version, look, made},
    tx::{After, Log},
};
pub use self::{
    error::{OpenError, StoreError},
    events::{Change, Event, EventLog, Follower, Resume},
    tx::{Actor, FactId, NotAFactId, Tx},
};
use crate::{clock::FarmClock, live::Live};

/// How a farm's file is opened.
#[derive(Clone)]
pub struct Options {
    /// The machine's clock.
    pub clock: Arc<dyn Clock>,
    /// Connections that read.
    pub readers: usize,
    /// Commands that may wait for the writer; those beyond wait to be let in.
    pub queue: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::new(0, farm_model::ClockQuality::Unknown)),
            readers: 4,
            queue: 1024,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("readers", &self.readers)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// What the writer and the handles share.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) clock: Arc<FarmClock>,
    pub(crate) boot: u32,
    pub(crate) events: Arc<EventLog>,
    pub(crate) live: Live,
    pub(crate) schema: Arc<sync::Replicated>,
    /// Counts commits of something that is replicated.
    pub(crate) replicated: watch::Sender<u64>,
}

impl Shared {
    /// After a commit: newest values first, then events, then calls.
    fn publish(&self, after: Vec<After>) {
        if after.is_empty() {
            return;
        }
        let now = self.clock.now().wall;
        let mut changes = Vec::new();
        let mut calls = Vec::new();
        for item in after {
            match item {
                After::Tell(change) => changes.push(change),
                After::Newest(value) => {
                    if self.live.put(value, now) {
                        changes.push(value.change());
                    }
                }
                After::Heard(device, quantity, word) => {
                    self.live.hearing().hear(device, quantity, word);
                }
                After::Attended(device, at) => self.live.hearing().attend(device, at),
                After::Missed(device) => self.live.hearing().missed(device),
                After::Call(call) => calls.push(call),
                After::Took => {}
            }
        }
        self.events.publish(now, changes);
        for call in calls {
            if catch_unwind(AssertUnwindSafe(call)).is_err() {
                tracing::error!("what was to follow a commit panicked");
            }
        }
    }
}

/// A farm: cheap to clone, closed when the last clone is dropped.
#[derive(Clone)]
pub struct Farm {
    inner: Arc<Inner>,
}

struct Inner {
    file: Store<Writer>,
    shared: Arc<Shared>,
}

impl Farm {
    /// Opens the farm in the file at `path`, making it and its folder when there is none.
    ///
    /// # Errors
    /// When the file is of a newer version (it is then left untouched), is no farm, or cannot be used.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "options are built for one call"
    )]
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let (conn, writer) = open::open(path, &options)?;
        let shared = Arc::clone(&writer.shared);
        let limits = Limits {
            readers: options.readers,
            queue: options.queue,
        };
        let file = Store::start("farm-writer", path, conn, writer, limits)?;
        Ok(Self {
            inner: Arc::new(Inner { file, shared }),
        })
    }

    /// Runs `command` in a transaction and resolves when it is durable, or undone. Waits while the writer's queue is full.
    ///
    /// # Errors
    /// What the command returns; or a [`StoreError`] when it panicked or its group could not be committed.
    pub async fn write<T, E>(
        &self,
        actor: Actor,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.file.write(actor, command).await
    }

    /// [`Farm::write`] for threads outside the async runtime; panics inside it.
    ///
    /// # Errors
    /// As [`Farm::write`].
    pub fn write_blocking<T, E>(
        &self,
        actor: Actor,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.file.write_blocking(actor, command)
    }

    /// Runs `query` on a read-only connection, in one consistent snapshot.
    ///
    /// # Errors
    /// What the query returns; or a [`StoreError`] when it panicked or no connection could be had.
    pub async fn read<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.file.read(query).await
    }

    /// [`Farm::read`] for threads outside the async runtime.
    ///
    /// # Errors
    /// As [`Farm::read`].
    pub fn read_blocking<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        self.inner.file.read_blocking(query)
    }

    /// The newest values and the parlour, in memory.
    pub fn live(&self) -> &Live {
        &self.inner.shared.live
    }

    /// The log of changes.
    pub fn events(&self) -> &Arc<EventLog> {
        &self.inner.shared.events
    }

    /// The clock that everything on the farm should use.
    pub fn clock(&self) -> &Arc<FarmClock> {
        &self.inner.shared.clock
    }

    /// How many times this file has been opened, this time included.
    pub fn boot(&self) -> u32 {
        self.inner.shared.boot
    }

    /// What of the farm is replicated.
    pub fn replicated(&self) -> Arc<sync::Replicated> {
        Arc::clone(&self.inner.shared.schema)
    }

    /// Commits of something that is replicated, since the start.
    pub(crate) fn replicated_commits(&self) -> u64 {
        *self.inner.shared.replicated.borrow()
    }

    /// Counts commits of something that is replicated; ends when the file is closed, and does not keep it open.
    pub fn watch_replicated(&self) -> watch::Receiver<u64> {
        self.inner.shared.replicated.subscribe()
    }

    /// Waits until there were more than `seen` such commits.
    pub(crate) async fn wait_for_replicated(&self, seen: u64) {
        let mut commits = self.inner.shared.replicated.subscribe();
        commits
            .wait_for(|commits| *commits > seen)
            .await
            .expect("this handle keeps the sender");
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.inner.shared.path
    }

    /// Groups committed, or failed, since the start.
    pub fn commits(&self) -> u64 {
        self.inner.file.commits()
    }

    /// Handles of this farm that there are, this one included: whoever holds the only one may close the file by dropping it.
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    /// Commands that wait for the writer now.
    pub fn waiting(&self) -> usize {
        self.inner.file.waiting()
    }
}

impl std::fmt::Debug for Farm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Farm")
            .field("path", &self.inner.shared.path)
            .field("boot", &self.inner.shared.boot)
            .finish_non_exhaustive()
    }
}
