//! The one thread that writes: runs commands, each in a savepoint, many under one durable commit.
//!
//! Invariant: a caller hears success only after the commit that holds its command returned; if that commit fails, every
//! member of the group hears the failure and nothing of the group is kept. A panic undoes and ends one command only.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use farm_model::{Clock as _, Stamp};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    Shared, StoreError,
    tx::{Actor, After, Memory, Numbers, Tx},
};

/// Commands under one commit at most.
const GROUP: usize = 512;
/// How long a group may gather while commands keep coming.
const GATHER: Duration = Duration::from_millis(20);
/// How often the newest wall time is written, for the next start.
const SAVE_CLOCK_MS: i64 = 60_000;

/// Tells the caller how its command ended, once the group's end is known.
type Resolve = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A command, given its transaction or the reason why there is none. Returns whether its savepoint is to be kept.
type Run = Box<dyn FnOnce(Result<&mut Tx<'_>, StoreError>) -> (bool, Resolve) + Send>;

/// A command and who gave it.
pub(crate) struct Job {
    actor: Actor,
    run: Run,
}

impl Job {
    /// A job that runs `command`, and where its result will arrive.
    pub(crate) fn new<T, E>(
        actor: Actor,
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
        (Self { actor, run }, result)
    }
}

/// The writer's side of the farm.
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) memory: Memory,
    pub(crate) shared: Arc<Shared>,
    pub(crate) saved_clock: i64,
    /// Of the records, as of the last commit.
    pub(crate) version: i64,
}

impl Writer {
    /// Runs until every sender is gone, then closes the file in order.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            self.group(first, &mut jobs);
        }
        if let Err(error) = self.save_clock(self.shared.clock.now()) {
            tracing::warn!(%error, "how long this run lasted is not written down to the last minute");
        }
        if let Err(error) = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the last checkpoint failed; the next start will do it");
        }
        self.conn.flush_prepared_statement_cache();
        if let Err(error) = crsqlite::finalize(&self.conn) {
            tracing::warn!(%error, "cr-sqlite did not let go of the file");
        }
    }

    fn group(&mut self, first: Job, jobs: &mut mpsc::Receiver<Job>) {
        let started = Instant::now();
        let before = self.memory.next;
        let mut group = Group::default();
        if let Err(error) = self.conn.execute_batch("BEGIN IMMEDIATE") {
            let (_, resolve) = (first.run)(Err(error.into()));
            resolve(Ok(()));
            return;
        }
        let mut next = Some(first);
        while let Some(job) = next.take() {
            self.member(job, &mut group);
            if group.broken.is_none() && group.members.len() < GROUP && started.elapsed() < GATHER {
                next = jobs.try_recv().ok();
            }
        }
        let end = match group.broken.take() {
            Some(error) => Err(error),
            None => self.commit(&mut group),
        };
        if let Err(error) = &end {
            tracing::error!(%error, members = group.members.len(), "a group of commands was not committed");
            if !self.conn.is_autocommit()
                && let Err(error) = self.conn.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "rolling back failed");
            }
            self.memory.forget(before);
            group.after.clear();
        }
        if end.is_ok() && self.wrote_replicated(before, &group.after) {
            self.shared.replicated.send_modify(|commits| *commits += 1);
        }
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.publish(group.after);
        for resolve in group.members {
            resolve(end.clone());
        }
    }

    fn member(&mut self, job: Job, group: &mut Group) {
        let before = self.memory.next;
        let kept = group.after.len();
        if let Err(error) = self.conn.execute_batch("SAVEPOINT command") {
            group.fail(job, error.into());
            return;
        }
        let clock = &*self.shared.clock;
        let mut tx = Tx {
            conn: &self.conn,
            memory: &mut self.memory,
            after: &mut group.after,
            clock,
            live: &self.shared.live,
            now: clock.now(),
            actor: job.actor,
        };
        let (keep, resolve) = (job.run)(Ok(&mut tx));
        group.members.push(resolve);
        if self.conn.is_autocommit() {
            // SQLite itself gave up the whole transaction, as it does on a full disk.
            group.broken = Some(StoreError::Undone);
            return;
        }
        let end = if keep {
            "RELEASE command"
        } else {
            self.memory.forget(before);
            group.after.truncate(kept);
            "ROLLBACK TO command; RELEASE command"
        };
        if let Err(error) = self.conn.execute_batch(end) {
            group.broken = Some(error.into());
        }
    }

    fn commit(&mut self, group: &mut Group) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        let wall = now.wall.0;
        let due = (wall - self.saved_clock).abs() >= SAVE_CLOCK_MS;
        if due {
            self.save_clock(now)?;
        }
        self.conn.execute_batch("COMMIT")?;
        if due {
            self.saved_clock = wall;
        }
        group.broken = None;
        Ok(())
    }

    /// Whether the group just committed has appended a fact, changed a record, or taken something from another site.
    fn wrote_replicated(&mut self, before: Numbers, after: &[After]) -> bool {
        let version = self
            .conn
            .prepare_cached("SELECT crsql_db_version()")
            .and_then(|mut read| read.query_row([], |row| row.get(0)));
        let version: i64 = version.unwrap_or_else(|error| {
            tracing::error!(%error, "the version of the records cannot be read");
            self.version
        });
        let moved = version != std::mem::replace(&mut self.version, version);
        moved
            || before.facts != self.memory.next.facts
            || after.iter().any(|item| matches!(item, After::Took))
    }

    fn save_clock(&self, now: Stamp) -> Result<(), StoreError> {
        let moment = self.shared.clock.moment(now);
        self.conn
            .prepare_cached(
                "UPDATE local SET last_wall = ?1, trusted_wall = max(trusted_wall, ?2), ran = max(ran, ?3)",
            )?
            .execute([now.wall.0, moment.wall.unwrap_or(0), moment.ran])?;
        Ok(())
    }
}

/// Commands that share a commit.
#[derive(Default)]
struct Group {
    members: Vec<Resolve>,
    after: Vec<After>,
    broken: Option<StoreError>,
}

impl Group {
    /// A job that could not even begin.
    fn fail(&mut self, job: Job, error: StoreError) {
        let (_, resolve) = (job.run)(Err(error.clone()));
        self.members.push(resolve);
        self.broken = Some(error);
    }
}
