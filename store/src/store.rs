//! The handle: hands commands to the writer and queries to the readers.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::{
    FileError, Keeper,
    readers::Readers,
    writer::{Job, Writer},
};

/// How much a store does at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that read.
    pub readers: usize,
    /// Commands that may wait for the writer; those beyond wait to be let in.
    pub queue: usize,
}

/// A file and its writer. When it is dropped, it waits for the writer to close the file.
pub struct Store<K: Keeper> {
    jobs: Option<mpsc::Sender<Job<K>>>,
    writer: Option<JoinHandle<()>>,
    readers: Readers,
    commits: Arc<AtomicU64>,
}

impl<K: Keeper> Store<K> {
    /// Starts the thread that writes the file at `path` through `conn`; it is called `thread`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        thread: &str,
        path: &Path,
        conn: Connection,
        keeper: K,
        limits: Limits,
    ) -> Result<Self, FileError> {
        let (jobs, queue) = mpsc::channel(limits.queue.max(1));
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(conn, keeper, Arc::clone(&commits));
        let writer = thread::Builder::new()
            .name(thread.to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|error| FileError::Thread(Arc::new(error)))?;
        Ok(Self {
            jobs: Some(jobs),
            writer: Some(writer),
            readers: Readers::new(path, limits.readers.max(1)),
            commits,
        })
    }

    /// Runs `command` in a transaction and resolves when it is durable, or undone. Waits while the writer's queue is full.
    ///
    /// # Errors
    /// What the command returns; or a [`FileError`] when it panicked or its group could not be committed.
    pub async fn write<T, E>(
        &self,
        order: K::Order,
        command: impl FnOnce(&mut K::Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<K::Error> + Send + 'static,
    {
        let (job, result) = Job::new(order, command);
        self.jobs().send(job).await.map_err(|_| closed::<K>())?;
        result.await.map_err(|_| closed::<K>())?
    }

    /// [`Store::write`] for threads outside the async runtime; panics inside it.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E>(
        &self,
        order: K::Order,
        command: impl FnOnce(&mut K::Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<K::Error> + Send + 'static,
    {
        let (job, result) = Job::new(order, command);
        self.jobs().blocking_send(job).map_err(|_| closed::<K>())?;
        result.blocking_recv().map_err(|_| closed::<K>())?
    }

    /// Runs `query` on a connection that only reads, in one consistent snapshot.
    ///
    /// # Errors
    /// What the query returns; or a [`FileError`] when it panicked or no connection could be had.
    pub async fn read<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<K::Error> + Send + 'static,
    {
        self.readers.read(query).await.map_err(K::Error::from)?
    }

    /// [`Store::read`] for threads outside the async runtime.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<K::Error>,
    {
        self.readers.read_blocking(query).map_err(K::Error::from)?
    }

    /// Groups committed, or failed, since the start.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Commands that wait for the writer now.
    pub fn waiting(&self) -> usize {
        let jobs = self.jobs();
        jobs.max_capacity() - jobs.capacity()
    }

    fn jobs(&self) -> &mpsc::Sender<Job<K>> {
        self.jobs
            .as_ref()
            .expect("taken only when the store is dropped")
    }
}

impl<K: Keeper> Drop for Store<K> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != thread::current().id()
            && writer.join().is_err()
        {
            tracing::error!("the writer thread had panicked");
        }
    }
}

fn closed<K: Keeper>() -> K::Error {
    FileError::Closed.into()
}
