//! Connections that only read: a bounded pool, each query on a thread that may block, in one snapshot.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{FileError, file};

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

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, FileError> {
        let permit = Arc::clone(&self.inner.permits)
            .acquire_owned()
            .await
            .map_err(|_| FileError::Closed)?;
        let pool = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = pool.read_blocking(query);
            drop(permit);
            result
        })
        .await
        .unwrap_or(Err(FileError::Panicked))
    }

    pub(crate) fn read_blocking<T>(
        &self,
        query: impl FnOnce(&Connection) -> T,
    ) -> Result<T, FileError> {
        let idle = self.idle().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => file::connect_reader(&self.inner.path)?,
        };
        conn.execute_batch("BEGIN")?;
        let result = catch_unwind(AssertUnwindSafe(|| query(&conn)));
        // A connection whose transaction does not end is dropped, not reused.
        if conn.execute_batch("COMMIT").is_ok() {
            let mut idle = self.idle();
            if idle.len() < self.inner.size {
                idle.push(conn);
            }
        }
        result.map_err(|_| FileError::Panicked)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
