//! Connections that only read: a bounded pool, each query on a thread that may block, in one snapshot.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::{Micros, StoreError, Tx};

/// A pool of read-only connections.
#[derive(Clone)]
pub(crate) struct Readers {
    inner: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    size: usize,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: &Path, size: usize) -> Self {
        Self {
            inner: Arc::new(Pool {
                path: path.to_owned(),
                size,
                idle: Mutex::default(),
                permits: Arc::new(Semaphore::new(size)),
            }),
        }
    }

    pub(crate) async fn read<T, E>(
        &self,
        now: Micros,
        query: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.inner.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let pool = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = pool.read_blocking(now, query);
            drop(permit);
            result
        })
        .await
        .unwrap_or_else(|_| Err(StoreError::Panicked.into()))
    }

    pub(crate) fn read_blocking<T, E>(
        &self,
        now: Micros,
        query: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let idle = self.idle().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.inner.connect().map_err(StoreError::from)?,
        };
        conn.execute_batch("BEGIN").map_err(StoreError::from)?;
        let result = catch_unwind(AssertUnwindSafe(|| query(&mut Tx::new(&conn, now))))
            .unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        // A connection whose transaction does not end is dropped, not reused.
        if conn.execute_batch("COMMIT").is_ok() {
            let mut idle = self.idle();
            if idle.len() < self.inner.size {
                idle.push(conn);
            }
        }
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn connect(&self) -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.set_prepared_statement_cache_capacity(64);
        conn.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")?;
        Ok(conn)
    }
}
