//! The one thread that writes: runs commands, each in a savepoint, many under one durable commit.
//!
//! Invariant: a caller hears success only after the commit that holds its command returned; if that commit fails, every
//! member of the group hears the failure and nothing of the group is kept. A panic undoes and ends one command only.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{Clock, StoreError, Tx};

/// Commands under one commit at most.
const GROUP: usize = 512;
/// How long a group may gather while commands keep coming.
const GATHER: Duration = Duration::from_millis(20);

/// Tells the caller how its command ended, once the group's end is known.
type Resolve = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A command, given its transaction or the reason why there is none. Returns whether its savepoint is to be kept.
type Run = Box<dyn FnOnce(Result<&mut Tx<'_>, StoreError>) -> (bool, Resolve) + Send>;

/// A command that waits for its turn.
pub(crate) struct Job(Run);

impl Job {
    /// A job that runs `command`, and where its result will arrive.
    pub(crate) fn new<T, E>(
        command: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, E>>)
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (tell, result) = oneshot::channel();
        let run: Run = Box::new(move |tx| {
            let outcome = match tx {
                Ok(tx) => catch_unwind(AssertUnwindSafe(|| command(tx)))
                    .unwrap_or_else(|_| Err(StoreError::Panicked.into())),
                Err(error) => Err(error.into()),
            };
            let keep = outcome.is_ok();
            let resolve: Resolve = Box::new(move |commit| {
                // A caller that no longer waits has lost interest; its command counts all the same.
                let _ =
                    tell.send(outcome.and_then(|value| commit.map(|()| value).map_err(E::from)));
            });
            (keep, resolve)
        });
        (Self(run), result)
    }
}

/// The writer's side of the store.
pub(crate) struct Writer {
    conn: Connection,
    clock: Clock,
    commits: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn new(conn: Connection, clock: Clock, commits: Arc<AtomicU64>) -> Self {
        Self {
            conn,
            clock,
            commits,
        }
    }

    /// Runs until every sender is gone, then closes the file in order.
    pub(crate) fn run(self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            self.group(first, &mut jobs);
        }
        let checkpoint = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the last checkpoint failed; the next start will do it");
        }
    }

    fn group(&self, first: Job, jobs: &mut mpsc::Receiver<Job>) {
        let started = Instant::now();
        if let Err(error) = self.conn.execute_batch("BEGIN IMMEDIATE") {
            let (_, resolve) = (first.0)(Err(error.into()));
            resolve(Ok(()));
            return;
        }
        let (mut members, mut broken) = (Vec::new(), None);
        let mut next = Some(first);
        while let Some(job) = next.take() {
            let (resolve, end) = self.member(job);
            members.push(resolve);
            broken = end.err();
            if broken.is_none() && members.len() < GROUP && started.elapsed() < GATHER {
                next = jobs.try_recv().ok();
            }
        }
        let end = match broken {
            Some(error) => Err(error),
            None => self.conn.execute_batch("COMMIT").map_err(StoreError::from),
        };
        if let Err(error) = &end {
            tracing::error!(%error, members = members.len(), "a group of commands was not committed");
            if !self.conn.is_autocommit()
                && let Err(error) = self.conn.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "rolling back failed");
            }
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        for resolve in members {
            resolve(end.clone());
        }
    }

    /// Runs one command; an error is one of the whole group.
    fn member(&self, job: Job) -> (Resolve, Result<(), StoreError>) {
        if let Err(error) = self.conn.execute_batch("SAVEPOINT command") {
            let error = StoreError::from(error);
            let (_, resolve) = (job.0)(Err(error.clone()));
            return (resolve, Err(error));
        }
        let mut tx = Tx::new(&self.conn, (self.clock)());
        let (keep, resolve) = (job.0)(Ok(&mut tx));
        if self.conn.is_autocommit() {
            // SQLite itself gave up the whole transaction, as it does on a full disk.
            return (resolve, Err(StoreError::Undone));
        }
        let end = if keep {
            "RELEASE command"
        } else {
            "ROLLBACK TO command; RELEASE command"
        };
        (resolve, self.conn.execute_batch(end).map_err(Into::into))
    }
}
