//! The handle: opens the file, hands commands to its writer and queries to its readers.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;
use sqlite_store::{Keeper, Limits, file};

use crate::{Clock, Micros, OpenError, Schema, StoreError, Tx, schema};

const LIMITS: Limits = Limits {
    readers: 4,
    queue: 1024,
};

/// Looks at the hub's database in the file `path` without writing to it: SQLite's own check of every page. Blocks.
///
/// # Errors
/// When it is something else, or damaged.
pub fn check(path: &Path) -> Result<(), OpenError> {
    schema::look(path)?;
    let Some(conn) = file::look(path)? else {
        return Ok(());
    };
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(OpenError::Damaged {
            path: path.to_owned(),
            verdict,
        })
    }
}

/// The hub's database; cheap to clone. The last handle waits for the writer to close the file.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Clock,
    file: sqlite_store::Store<Moments>,
}

impl Store {
    /// Opens the file at `path`, making it and its folder when there is none, and brings its tables up to date.
    ///
    /// # Errors
    /// When it is of a newer program or of something else, or the disk fails.
    pub fn open(path: &Path, schemas: &[Schema], clock: Clock) -> Result<Self, OpenError> {
        schema::look(path)?;
        file::make(path)?;
        let pragmas = "PRAGMA foreign_keys = ON";
        let mut conn = file::connect(path, schema::APPLICATION_ID, pragmas)?;
        schema::migrate(&mut conn, path, schemas)?;
        let moments = Moments(Arc::clone(&clock));
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                clock,
                file: sqlite_store::Store::start("hub-writer", path, conn, moments, LIMITS)?,
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
        self.inner.file.write((), command).await
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
        self.inner.file.write_blocking((), command)
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
        let now = self.now();
        let query = move |conn: &Connection| query(&mut Tx::new(conn, now));
        self.inner.file.read(query).await
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
        let now = self.now();
        self.inner
            .file
            .read_blocking(|conn| query(&mut Tx::new(conn, now)))
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
        self.inner.file.commits()
    }

    /// Commands that wait for the writer now.
    pub fn waiting(&self) -> usize {
        self.inner.file.waiting()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

/// Gives each command its moment; the hub's writer remembers nothing between commands.
struct Moments(Clock);

impl Keeper for Moments {
    type Order = ();
    type Tx<'a> = Tx<'a>;
    type Error = StoreError;
    type Mark = ();

    fn begin<'a>(&'a mut self, conn: &'a Connection, (): ()) -> Tx<'a> {
        Tx::new(conn, (self.0)())
    }

    fn mark(&self) {}

    fn undo(&mut self, (): ()) {}
}
