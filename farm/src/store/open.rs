//! Opening the file: its version is looked at before anything is written; then cr-sqlite, migrations, boot number, next facts.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use farm_model::{Clock as _, UnixMillis};
use rusqlite::{Connection, OptionalExtension};
use rusqlite_migration::{M, Migrations};
use sqlite_store::file;
use tokio::sync::watch;

use super::{
    EventLog, OpenError, Options, Shared, StoreError, replicated,
    tx::{Actor, Log, Memory, Tx},
    writer::Writer,
};
use crate::{
    clock::{FarmClock, LastSeen},
    live::Live,
    replica, samples,
};

/// `khmr` in ASCII: says that a SQLite file is a farm.
const APPLICATION_ID: i64 = 0x6b68_6d72;

/// Migrations only grow: a landed one is never edited.
const VERSIONS: &[&str] = &[
    include_str!("../schema/v1.sql"),
    include_str!("../schema/v2.sql"),
    include_str!("../schema/v3.sql"),
    include_str!("../schema/v4.sql"),
    include_str!("../schema/v5.sql"),
    include_str!("../schema/v6.sql"),
    include_str!("../schema/v7.sql"),
    include_str!("../schema/v8.sql"),
    include_str!("../schema/v9.sql"),
    include_str!("../schema/v10.sql"),
    include_str!("../schema/v11.sql"),
    include_str!("../schema/v12.sql"),
    include_str!("../schema/v13.sql"),
    include_str!("../schema/v14.sql"),
    include_str!("../schema/v15.sql"),
    include_str!("../schema/v16.sql"),
];

static MIGRATIONS: LazyLock<Migrations<'static>> =
    LazyLock::new(|| Migrations::new(VERSIONS.iter().map(|sql| M::up(sql)).collect()));

/// An opened file, and what its writer starts with.
pub(super) fn open(path: &Path, options: &Options) -> Result<(Connection, Writer), OpenError> {
    look(path)?;
    file::make(path)?;
    let mut conn = connect(path)?;
    if replicated::is_copy(&conn)? {
        replicated::forsake(&mut conn)?;
        crsqlite::finalize(&conn)?;
        drop(conn);
        conn = connect(path)?;
    }
    MIGRATIONS
        .to_latest(&mut conn)
        .map_err(|e| OpenError::Migration(Box::new(e)))?;
    let schema = replicated::describe(&conn)?;
    replicated::prepare(&mut conn, &schema)?;
    let (boot, last_seen) = start(&mut conn, options.clock.now().wall)?;
    let mut memory = Memory::load(&conn)?;
    let live = Live::load(&conn)?;
    let shared = Arc::new(Shared {
        path: path.to_owned(),
        clock: Arc::new(FarmClock::new(Arc::clone(&options.clock), boot, last_seen)),
        boot,
        events: Arc::new(EventLog::new(rand::random())),
        live,
        schema: Arc::new(schema),
        replicated: watch::Sender::new(0),
    });
    catch_up(&mut conn, &mut memory, &shared)?;
    let writer = Writer {
        memory,
        shared,
        after: Vec::new(),
        saved_clock: last_seen.wall.0,
        version: 0,
    };
    Ok((conn, writer))
}

/// What a start has left to do before anybody writes. Once after each migration, what came from newer sites is tried again, and what
/// follows from it is built anew; else what was taken from others just before the plug was pulled is followed up.
fn catch_up(conn: &mut Connection, memory: &mut Memory, shared: &Shared) -> Result<(), StoreError> {
    let (clock, mut after) = (&*shared.clock, Vec::new());
    let group = conn.transaction()?;
    let replayed: i64 = group.query_row("SELECT replayed FROM local", [], |row| row.get(0))?;
    let is_new = replayed != known_version();
    let found_room = is_new && replicated::replay(&group, &shared.schema)?;
    let mut tx = Tx {
        conn: &group,
        memory,
        after: &mut after,
        clock,
        live: &shared.live,
        now: clock.now(),
        actor: Actor::System,
    };
    if found_room {
        replica::rebuild(&mut tx)?;
    } else {
        if is_new {
            // Newer sites may have told of what this program did not know yet.
            samples::forget(&tx)?;
        }
        samples::reckon(&mut tx)?;
    }
    if is_new {
        group.execute("UPDATE local SET replayed = ?1", [known_version()])?;
    }
    group.commit()?;
    shared.publish(after);
    Ok(())
}

/// A connection that may write: with cr-sqlite, without which no record can be changed.
fn connect(path: &Path) -> Result<Connection, OpenError> {
    let conn = file::connect(
        path,
        APPLICATION_ID,
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA recursive_triggers = OFF;
         PRAGMA wal_autocheckpoint = 1000;
         PRAGMA cache_size = -4096;",
    )?;
    crsqlite::load(&conn)?;
    Ok(conn)
}

/// The schema version that this program writes.
pub(crate) fn known_version() -> i64 {
    VERSIONS.len() as i64
}

/// The tables of this schema version, without rows and without what replication adds.
pub(crate) fn made(version: usize) -> Result<Connection, OpenError> {
    let mut conn = Connection::open_in_memory()?;
    MIGRATIONS
        .to_version(&mut conn, version)
        .map_err(|e| OpenError::Migration(Box::new(e)))?;
    Ok(conn)
}

/// Refuses a file of a newer version or of something else, without writing to it.
pub(crate) fn look(path: &Path) -> Result<(), OpenError> {
    let Some(conn) = file::look(path)? else {
        return Ok(());
    };
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if file::is_foreign(&conn, APPLICATION_ID)? {
        return Err(OpenError::NotAFarm {
            path: path.to_owned(),
        });
    }
    if found > known_version() {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known: known_version(),
        });
    }
    Ok(())
}

/// Counts this boot and finds what the file has seen of time.
fn start(conn: &mut Connection, now: UnixMillis) -> Result<(u32, LastSeen), StoreError> {
    let tx = conn.transaction()?;
    let seen: Option<i64> = tx
        .query_row("SELECT last_wall FROM local", [], |row| row.get(0))
        .optional()?;
    if seen.is_none() {
        tx.execute(
            "INSERT INTO local (one, boot, last_wall, created_at) VALUES (1, 0, ?1, ?1)",
            [now.0],
        )?;
    }
    let (boot, ran): (i64, i64) = tx.query_row(
        "UPDATE local SET boot = boot + 1 RETURNING boot, ran",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let newest = Log::DATED.map(|log| {
        let table = log.table();
        format!("SELECT (SELECT at FROM {table} WHERE site = 0 ORDER BY seq DESC LIMIT 1) AS at")
    });
    let newest_fact: Option<i64> = tx.query_row(
        &format!("SELECT max(at) FROM ({})", newest.join(" UNION ALL ")),
        [],
        |row| row.get(0),
    )?;
    tx.commit()?;
    let last = LastSeen {
        wall: UnixMillis(seen.unwrap_or(0).max(newest_fact.unwrap_or(0))),
        ran,
    };
    Ok((u32::try_from(boot).unwrap_or(u32::MAX), last))
}
