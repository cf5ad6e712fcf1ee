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

use crate::FileError;

/// Commands under one commit at most.
const GROUP: usize = 512;
/// How long a group may gather while commands keep coming.
const GATHER: Duration = Duration::from_millis(20);

/// Whose file it is: what its commands work with, and what the writer does besides them.
///
/// What it remembers between commands goes back with a command, or a group, that is undone.
pub trait Keeper: Send + 'static {
    /// What comes with each command, such as who gave it.
    type Order: Send + 'static;
    /// What a command works with.
    type Tx<'a>;
    /// What a command says when the file fails it.
    type Error: From<FileError>;
    /// How far the keeper's memory had come when a command began.
    type Mark: Copy;

    /// What the next command works with.
    fn begin<'a>(&'a mut self, conn: &'a Connection, order: Self::Order) -> Self::Tx<'a>;

    /// How far memory has come.
    fn mark(&self) -> Self::Mark;

    /// Forgets what was learnt since: the file has undone it.
    fn undo(&mut self, to: Self::Mark);

    /// Judges what a command did that is to be kept.
    ///
    /// # Errors
    /// When it did more than one commit may hold: it alone is undone.
    fn judge(&mut self, _conn: &Connection) -> Result<Room, FileError> {
        Ok(Room::Left)
    }

    /// The last word in a group's transaction, before it is committed.
    ///
    /// # Errors
    /// When the file fails; the group is then undone.
    fn committing(&mut self, _conn: &Connection) -> Result<(), FileError> {
        Ok(())
    }

    /// A group that began at the mark is on disk; its callers have not heard yet.
    fn committed(&mut self, _conn: &Connection, _began: Self::Mark) {}

    /// No command will come any more.
    fn close(&mut self, conn: &Connection) {
        checkpoint(conn);
    }
}

/// Whether a group takes more commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Left,
    /// It is to be committed as it is.
    Full,
}

/// Moves what is in the log into the file.
pub fn checkpoint(conn: &Connection) {
    if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the last checkpoint failed; the next start will do it");
    }
}

/// Tells the caller how its command ended, once the group's end is known.
type Resolve = Box<dyn FnOnce(Result<(), FileError>) + Send>;

/// A command, given its transaction or the reason why there is none. Returns whether its savepoint is to be kept.
type Run<K> =
    Box<dyn FnOnce(Result<&mut <K as Keeper>::Tx<'_>, FileError>) -> (bool, Resolve) + Send>;

/// A command that waits for its turn, and what came with it.
pub(crate) struct Job<K: Keeper> {
    order: K::Order,
    run: Run<K>,
}

impl<K: Keeper> Job<K> {
    /// A job that runs `command`, and where its result will arrive.
    pub(crate) fn new<T, E>(
        order: K::Order,
        command: impl FnOnce(&mut K::Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, E>>)
    where
        T: Send + 'static,
        E: From<K::Error> + Send + 'static,
    {
        let failed = |error: FileError| E::from(error.into());
        let (tell, result) = oneshot::channel();
        let run: Run<K> = Box::new(move |tx| {
            let outcome = match tx {
                Ok(tx) => catch_unwind(AssertUnwindSafe(|| command(tx)))
                    .unwrap_or_else(|_| Err(failed(FileError::Panicked))),
                Err(error) => Err(failed(error)),
            };
            let keep = outcome.is_ok();
            let resolve: Resolve = Box::new(move |commit| {
                // A caller that no longer waits has lost interest; its command counts all the same.
                let _ = tell.send(outcome.and_then(|value| commit.map(|()| value).map_err(failed)));
            });
            (keep, resolve)
        });
        (Self { order, run }, result)
    }

    /// Ends a command that could not even begin.
    fn refuse(self, error: FileError) -> Resolve {
        (self.run)(Err(error)).1
    }
}

/// A command that has run.
struct Member {
    resolve: Resolve,
    /// Whether what it did may be kept.
    judged: Result<(), FileError>,
    /// Whether its group goes on; an error is one of the whole group.
    group: Result<Room, FileError>,
}

/// The writer's side of the store.
pub(crate) struct Writer<K> {
    conn: Connection,
    keeper: K,
    commits: Arc<AtomicU64>,
}

impl<K: Keeper> Writer<K> {
    pub(crate) fn new(conn: Connection, keeper: K, commits: Arc<AtomicU64>) -> Self {
        Self {
            conn,
            keeper,
            commits,
        }
    }

    /// Runs until every sender is gone, then closes the file in order.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job<K>>) {
        while let Some(first) = jobs.blocking_recv() {
            self.group(first, &mut jobs);
        }
        self.keeper.close(&self.conn);
    }

    fn group(&mut self, first: Job<K>, jobs: &mut mpsc::Receiver<Job<K>>) {
        let started = Instant::now();
        let began = self.keeper.mark();
        if let Err(error) = self.conn.execute_batch("BEGIN IMMEDIATE") {
            first.refuse(error.into())(Ok(()));
            return;
        }
        let (mut members, mut end) = (Vec::new(), Ok(()));
        let mut next = Some(first);
        while let Some(job) = next.take() {
            let member = self.member(job);
            members.push((member.resolve, member.judged));
            match member.group {
                Ok(Room::Left) if members.len() < GROUP && started.elapsed() < GATHER => {
                    next = jobs.try_recv().ok();
                }
                group => end = group.map(drop),
            }
        }
        let end = end.and_then(|()| self.commit());
        self.commits.fetch_add(1, Ordering::Relaxed);
        match &end {
            Ok(()) => self.keeper.committed(&self.conn, began),
            Err(error) => {
                tracing::error!(%error, members = members.len(), "a group of commands was not committed");
                self.roll_back(began);
            }
        }
        for (resolve, judged) in members {
            resolve(judged.and(end.clone()));
        }
    }

    /// Runs one command.
    fn member(&mut self, job: Job<K>) -> Member {
        let before = self.keeper.mark();
        if let Err(error) = self.conn.execute_batch("SAVEPOINT command") {
            let error = FileError::from(error);
            return Member {
                resolve: job.refuse(error.clone()),
                judged: Ok(()),
                group: Err(error),
            };
        }
        let (keep, resolve) = {
            let mut tx = self.keeper.begin(&self.conn, job.order);
            (job.run)(Ok(&mut tx))
        };
        if self.conn.is_autocommit() {
            // SQLite itself gave up the whole transaction, as it does on a full disk.
            return Member {
                resolve,
                judged: Ok(()),
                group: Err(FileError::Undone),
            };
        }
        let (judged, room) = match keep.then(|| self.keeper.judge(&self.conn)) {
            None => (Ok(()), None),
            Some(Ok(room)) => (Ok(()), Some(room)),
            Some(Err(error)) => (Err(error), None),
        };
        let end = if room.is_some() {
            "RELEASE command"
        } else {
            self.keeper.undo(before);
            "ROLLBACK TO command; RELEASE command"
        };
        let ended = self.conn.execute_batch(end).map_err(FileError::from);
        Member {
            resolve,
            judged,
            group: ended.map(|()| room.unwrap_or(Room::Left)),
        }
    }

    fn commit(&mut self) -> Result<(), FileError> {
        self.keeper.committing(&self.conn)?;
        Ok(self.conn.execute_batch("COMMIT")?)
    }

    fn roll_back(&mut self, began: K::Mark) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "rolling back failed");
        }
        self.keeper.undo(began);
    }
}
