//! What the farm's writer does besides commands: remembers, writes down the time, tells what a commit brought.
//!
//! Invariant: events and calls leave after the commit that holds what they tell; what a rollback makes untrue is told nobody.

use std::sync::Arc;

use farm_model::{Clock as _, Stamp};
use rusqlite::Connection;
use sqlite_store::{FileError, Keeper, Room, checkpoint};
use sync::records;

use super::{
    Shared, StoreError,
    tx::{Actor, After, Memory, Numbers, Tx},
};

/// How often the newest wall time is written, for the next start.
const SAVE_CLOCK_MS: i64 = 60_000;

/// Bytes of record changes after which a group is committed: it travels whole, also over a slow line.
const FULL_BYTES: usize = 64 * 1024;

/// The farm's side of its writer.
pub(crate) struct Writer {
    pub(crate) memory: Memory,
    pub(crate) shared: Arc<Shared>,
    /// What follows the commit of the group that is open.
    pub(crate) after: Vec<After>,
    pub(crate) saved_clock: i64,
    /// Of the records, as of the last commit.
    pub(crate) version: i64,
}

/// Where a command began.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    next: Numbers,
    after: usize,
    saved_clock: i64,
}

impl Keeper for Writer {
    type Order = Actor;
    type Tx<'a> = Tx<'a>;
    type Error = StoreError;
    type Mark = Mark;

    fn begin<'a>(&'a mut self, conn: &'a Connection, actor: Actor) -> Tx<'a> {
        let clock = &*self.shared.clock;
        Tx {
            conn,
            memory: &mut self.memory,
            after: &mut self.after,
            clock,
            live: &self.shared.live,
            now: clock.now(),
            actor,
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            next: self.memory.next,
            after: self.after.len(),
            saved_clock: self.saved_clock,
        }
    }

    fn undo(&mut self, to: Mark) {
        self.memory.forget(to.next);
        self.after.truncate(to.after);
        self.saved_clock = to.saved_clock;
    }

    fn judge(&mut self, conn: &Connection) -> Result<Room, FileError> {
        let size = records::under_way(conn, &self.shared.schema)?;
        if !size.can_travel() {
            return Err(FileError::TooMuch);
        }
        Ok(if size.bytes > FULL_BYTES {
            Room::Full
        } else {
            Room::Left
        })
    }

    fn committing(&mut self, conn: &Connection) -> Result<(), FileError> {
        let now = self.shared.clock.now();
        if (now.wall.0 - self.saved_clock).abs() >= SAVE_CLOCK_MS {
            self.save_clock(conn, now)?;
            self.saved_clock = now.wall.0;
        }
        Ok(())
    }

    fn committed(&mut self, conn: &Connection, began: Mark) {
        if self.wrote_replicated(conn, began.next) {
            self.shared.replicated.send_modify(|commits| *commits += 1);
        }
        self.shared.publish(std::mem::take(&mut self.after));
    }

    fn close(&mut self, conn: &Connection) {
        if let Err(error) = self.save_clock(conn, self.shared.clock.now()) {
            tracing::warn!(%error, "how long this run lasted is not written down to the last minute");
        }
        checkpoint(conn);
        conn.flush_prepared_statement_cache();
        if let Err(error) = crsqlite::finalize(conn) {
            tracing::warn!(%error, "cr-sqlite did not let go of the file");
        }
    }
}

impl Writer {
    /// Whether the group just committed has appended a fact, changed a record, or taken something from another site.
    fn wrote_replicated(&mut self, conn: &Connection, before: Numbers) -> bool {
        let version = conn
            .prepare_cached("SELECT crsql_db_version()")
            .and_then(|mut read| read.query_row([], |row| row.get(0)));
        let version: i64 = version.unwrap_or_else(|error| {
            tracing::error!(%error, "the version of the records cannot be read");
            self.version
        });
        let moved = version != std::mem::replace(&mut self.version, version);
        moved
            || before.facts != self.memory.next.facts
            || self.after.iter().any(|item| matches!(item, After::Took))
    }

    fn save_clock(&self, conn: &Connection, now: Stamp) -> rusqlite::Result<()> {
        let moment = self.shared.clock.moment(now);
        conn.prepare_cached(
            "UPDATE local SET last_wall = ?1, trusted_wall = max(trusted_wall, ?2), ran = max(ran, ?3)",
        )?
        .execute([now.wall.0, moment.wall.unwrap_or(0), moment.ran])?;
        Ok(())
    }
}
