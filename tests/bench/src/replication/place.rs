//! A file with tables of the farm's shape, and a day's, a month's or a herd's rows of noise in it: the same in each run.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, params};
use sync::{
    Replicated, Store, exchange,
    store::{Fault, Turn, Turned},
};
use tokio::sync::watch;

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE animal (id BLOB PRIMARY KEY NOT NULL, breed TEXT, born INTEGER, dam BLOB, number TEXT, note TEXT, sex TEXT, status TEXT, weight_g INTEGER) STRICT;
CREATE TABLE milking (site INTEGER NOT NULL, seq INTEGER NOT NULL, animal INTEGER, stall INTEGER, at INTEGER, duration_s INTEGER, yield_ml INTEGER,
    peak_ml_min INTEGER, conductivity_us INTEGER, fat_ppm INTEGER, snf_ppm INTEGER, clock INTEGER, PRIMARY KEY (site, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE sample (site INTEGER NOT NULL, seq INTEGER NOT NULL, series INTEGER, at INTEGER, value INTEGER, PRIMARY KEY (site, seq)) STRICT, WITHOUT ROWID;
";

/// A farm's file.
#[derive(Clone)]
pub(crate) struct File {
    inner: Arc<Mutex<Inner>>,
    committed: Arc<watch::Sender<u64>>,
}

struct Inner {
    conn: Connection,
    schema: Replicated,
}

impl File {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let conn = Connection::open(path)?;
        crsqlite::load(&conn)?;
        conn.execute_batch(SCHEMA)?;
        let schema = Replicated::of(&conn, &["animal"], &[("milking", 2), ("sample", 3)])?;
        schema.prepare(&conn)?;
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner { conn, schema })),
            committed: Arc::new(watch::Sender::new(0)),
        })
    }

    /// One turn, on this thread; on disk when it is done.
    pub(crate) fn turn_now(&self, turn: &Turn) -> Result<Turned, Fault> {
        let inner = self.inner();
        let tx = inner
            .conn
            .unchecked_transaction()
            .map_err(sync::Error::from)?;
        let turned = exchange::turn(&tx, &inner.schema, turn)?;
        tx.commit().map_err(sync::Error::from)?;
        drop(inner);
        if !turned.verdicts.is_empty() {
            self.committed.send_modify(|n| *n += 1);
        }
        Ok(turned)
    }

    /// Asks it something.
    pub(crate) fn ask<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        ask(&self.inner().conn)
    }

    /// Fills it: what is written meanwhile need not outlive a power cut.
    pub(crate) fn fill(
        &self,
        fill: impl FnOnce(&Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        self.ask(|conn| conn.pragma_update(None, "synchronous", "OFF"))?;
        fill(self)?;
        self.ask(|conn| {
            conn.pragma_update(None, "synchronous", "FULL")?;
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let inner = self.inner();
        let tx = inner.conn.unchecked_transaction()?;
        write(&tx)?;
        tx.commit()?;
        self.committed.send_modify(|n| *n += 1);
        Ok(())
    }
}

impl Store for File {
    async fn turn(&self, turn: Turn) -> Result<Turned, Fault> {
        let file = self.clone();
        let turned = tokio::task::spawn_blocking(move || file.turn_now(&turn)).await;
        turned.map_err(|error| Fault::Failed(Box::new(error)))?
    }

    fn committed(&self) -> u64 {
        *self.committed.borrow()
    }

    async fn news(&self, seen: u64) {
        let mut committed = self.committed.subscribe();
        // The sender is ours.
        let _ = committed.wait_for(|n| *n > seen).await;
    }
}

/// Noise that is the same in each run (SplitMix64).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// From 0 up to it.
    pub(crate) fn below(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 1).cast_signed() % sides
    }

    /// Around `mean`, as meters give it.
    pub(crate) fn about(&mut self, mean: i64, spread: i64) -> i64 {
        mean - spread + self.below(spread) + self.below(spread)
    }
}

/// Milkings, as meters tell them.
pub(crate) fn milk(file: &File, count: i64) -> rusqlite::Result<()> {
    let (mut noise, mut at) = (Noise(1), 17_600_000_000_i64);
    file.write(|conn| {
        let mut insert =
            conn.prepare("INSERT INTO milking VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)")?;
        for seq in 1..=count {
            at += 20 + noise.below(60);
            insert.execute(params![
                seq,
                noise.below(1_200),
                seq % 24,
                at,
                noise.about(380, 60),
                noise.about(960, 200) * 10,
                noise.about(36, 12) * 100,
                noise.about(560, 30) * 10,
                noise.about(410, 30) * 100,
                noise.about(860, 20) * 100,
            ])?;
        }
        Ok(())
    })
}

/// Samples of 50 sensors, one each in turn.
pub(crate) fn sample(file: &File, count: i64) -> rusqlite::Result<()> {
    let (mut noise, mut values) = (Noise(2), BTreeMap::new());
    file.write(|conn| {
        let mut insert = conn.prepare("INSERT INTO sample VALUES (0, ?, ?, ?, ?)")?;
        for seq in 1..=count {
            let value = values.entry(seq % 50).or_insert(38_500_i64);
            *value += 100 * (noise.below(3) - 1);
            insert.execute(params![seq, seq % 50, seq / 50 * 300, *value])?;
        }
        Ok(())
    })
}

/// New animals; so many of one transaction are one version.
pub(crate) fn register(file: &File, count: i64, per_version: i64) -> rusqlite::Result<()> {
    let (mut noise, mut ms) = (Noise(3), 1_760_000_000_000_i64);
    for first in (0..count).step_by(usize::try_from(per_version).unwrap_or(1)) {
        file.write(|conn| {
            let mut insert = conn.prepare_cached(
                "INSERT INTO animal VALUES (?, ?, ?, NULL, ?, NULL, 'f', 'milking', ?)",
            )?;
            for n in first..count.min(first + per_version) {
                ms += noise.below(60_000);
                let mut id = ms.to_be_bytes()[2..].to_vec();
                id.extend(noise.below(i64::MAX).to_be_bytes());
                id.extend(n.to_be_bytes()[6..].iter());
                let breed = ["Deshi", "Sahiwal", "Friesian"][usize::try_from(n % 3).unwrap_or(0)];
                insert.execute(params![
                    id,
                    breed,
                    ms,
                    format!("{}", 1_000 + n),
                    noise.about(400, 60) * 1_000
                ])?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
