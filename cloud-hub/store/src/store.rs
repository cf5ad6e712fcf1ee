//! The handle: opens the file, hands commands to the writer and queries to the readers.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::{
    Clock, Micros, OpenError, Schema, StoreError, Tx,
    readers::Readers,
    schema,
    writer::{Job, Writer},
};

/// Connections that read.
const READERS: usize = 4;
/// Commands that may wait for the writer; those beyond wait to be let in.
const QUEUE: usize = 1024;

/// The hub's database; cheap to clone. The last handle waits for the writer to close the file.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Clock,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    commits: Arc<AtomicU64>,
}

impl Store {
    /// Opens the file at `path`, making it and its folder when there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// When it is of a newer program or of something else, or the disk fails.
    pub fn open(path: &Path, schemas: &[Schema], clock: Clock) -> Result<Self, OpenError> {
        let folder = |source| OpenError::Folder {
            path: path.to_owned(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(folder)?;
        }
        own_alone(path).map_err(folder)?;
        let mut conn = Connection::open(path)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.set_prepared_statement_cache_capacity(256);
        schema::look(&conn, path)?;
        conn.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA journal_size_limit = 16777216;",
        )?;
        schema::migrate(&mut conn, path, schemas)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(conn, Arc::clone(&clock), Arc::clone(&commits));
        let writer = thread::Builder::new()
            .name("hub-writer".into())
            .spawn(move || writer.run(queue))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                readers: Readers::new(path, READERS),
                clock,
                jobs: Some(jobs),
                writer: Mutex::new(Some(writer)),
                commits,
            }),
        })
    }

    /// Runs `command` in a transaction and resolves when it is durable, or undone. Waits while the writer's queue is full.
    ///
    /// # Errors
    /// What the command returns; or a [`StoreError`] when it panicked or its group could not be committed.
    pub async fn write<T, E>(
        &self,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = Job::new(command);
        self.jobs()
            .send(job)
            .await
            .map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// [`Store::write`] for threads outside the async runtime; panics inside it.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E>(
        &self,
        command: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = Job::new(command);
        self.jobs()
            .blocking_send(job)
            .map_err(|_| StoreError::Closed)?;
        result.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// Runs `query` on a connection that only reads, in one consistent snapshot.
    ///
    /// # Errors
    /// What the query returns; or a [`StoreError`] when it panicked or no connection could be had.
    pub async fn read<T, E>(
        &self,
        query: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.readers.read(self.now(), query).await
    }

    /// [`Store::read`] for threads outside the async runtime.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T, E>(
        &self,
        query: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        self.inner.readers.read_blocking(self.now(), query)
    }

    /// The moment, by the store's clock.
    pub fn now(&self) -> Micros {
        (self.inner.clock)()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Groups committed, or failed, since the start.
    pub fn commits(&self) -> u64 {
        self.inner.commits.load(Ordering::Relaxed)
    }

    /// Commands that wait for the writer now.
    pub fn waiting(&self) -> usize {
        let jobs = self.jobs();
        jobs.max_capacity() - jobs.capacity()
    }

    fn jobs(&self) -> &mpsc::Sender<Job> {
        self.inner
            .jobs
            .as_ref()
            .expect("taken only when the last handle is dropped")
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        let writer = self
            .writer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer
            && writer.thread().id() != thread::current().id()
            && writer.join().is_err()
        {
            tracing::error!("the writer thread had panicked");
        }
    }
}

/// Secrets stand in the file: nobody but its owner may read it. SQLite gives its other files the same mode.
fn own_alone(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
