//! `edge.ingest`: observations made durable per second, by one writer, in commits of the size that the pipeline makes.
//!
//! What is committed is also compacted in the same time, as the appliance does every 20 s, or the rate could not be kept up.
//! The peer is plain SQLite with the same settings and commits, and a bare table without key, sums or newest values.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use farm::{Actor, Farm, Options, StoreError, readings};
use farm_model::{Body, ClockQuality, DeviceId, Milli, Observation, Quantity, Stamp, UnixMillis};
use rusqlite::{Connection, params};

use crate::figure::{Figure, note, scratch};

/// Observations in one commit: a pipeline under load gathers up to 4,000 while the commit before is written.
const COMMIT: usize = 4_000;
/// Commits between two compactions.
const ROUND: usize = 10;
const LASTS: Duration = Duration::from_secs(12);
const ORIGIN: i64 = 1_795_140_000_000;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let dir = scratch()?;
    let (ours, bare) = ours(&dir.path().join("farm.db"))?;
    note(format_args!(
        "edge.ingest: {ours:.0}/s with compaction, {bare:.0}/s while only committing"
    ));
    let peer = peer(&dir.path().join("peer.db"))?;
    Ok(vec![
        Figure::new("edge.ingest", ours, "observations/s")
            .goal(20_000.0)
            .peer("SQLite, bare table", peer),
    ])
}

/// Observations per second with compaction, and without.
fn ours(path: &Path) -> anyhow::Result<(f64, f64)> {
    let farm = Farm::open(path, Options::default())?;
    let mut source = Source::new();
    let (mut stored, mut committing, mut all) = (0, Duration::ZERO, Duration::ZERO);
    while all < LASTS {
        let batches: Vec<_> = (0..ROUND).map(|_| source.batch()).collect();
        let started = Instant::now();
        for batch in batches {
            stored += farm
                .write_blocking(Actor::System, move |tx| readings::ingest(tx, &batch))?
                .stored;
        }
        committing += started.elapsed();
        while farm.write_blocking(Actor::System, |tx| readings::compact(tx, COMMIT))? == COMMIT {}
        all += started.elapsed();
    }
    let kept: i64 = farm.read_blocking(|conn| {
        conn.query_row("SELECT count(*) FROM reading", [], |row| row.get(0))
            .map_err(StoreError::from)
    })?;
    anyhow::ensure!(
        kept == stored as i64,
        "{stored} were stored, {kept} are there"
    );
    let per = |time: Duration| stored as f64 / time.as_secs_f64();
    Ok((per(all), per(committing)))
}

fn peer(path: &Path) -> anyhow::Result<f64> {
    let mut conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000;
         PRAGMA journal_size_limit = 16777216; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;
         CREATE TABLE observation (device BLOB, quantity INTEGER, at INTEGER, value INTEGER, quality INTEGER, flaw INTEGER,
            clock INTEGER, raw BLOB);",
    )?;
    let mut source = Source::new();
    let (mut stored, mut spent) = (0, Duration::ZERO);
    while spent < LASTS / 2 {
        let batch = source.batch();
        let started = Instant::now();
        let tx = conn.transaction()?;
        let mut insert =
            tx.prepare_cached("INSERT INTO observation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
        for o in &batch {
            let Body::Measured {
                quantity,
                value,
                quality,
                flaw,
            } = &o.body
            else {
                continue;
            };
            stored += insert.execute(params![
                o.device.as_bytes(),
                *quantity as u8,
                o.at.wall.0,
                value.map(|v| v.0),
                *quality as u8,
                flaw.map(|f| f as u8),
                o.at.clock as u8,
                o.raw,
            ])?;
        }
        drop(insert);
        tx.commit()?;
        spent += started.elapsed();
    }
    Ok(stored as f64 / spent.as_secs_f64())
}

/// A farm of eight meters with five values each and 24 sensors with two, each told once a second.
struct Source {
    series: Vec<(DeviceId, Quantity, i64)>,
    told: usize,
}

impl Source {
    fn new() -> Self {
        use Quantity::*;
        let meter = [MilkFlow, VisitYield, MilkTotal, VisitCount, Conductivity];
        let meters = (0..8).map(|_| &meter[..]);
        let sensors = (0..24).map(|_| &[Temperature, Humidity][..]);
        let series = meters
            .chain(sensors)
            .flat_map(|quantities| {
                let device = DeviceId::new();
                quantities.iter().map(move |q| (device, *q, 5_000))
            })
            .collect();
        Self { series, told: 0 }
    }

    fn batch(&mut self) -> Vec<Observation> {
        (0..COMMIT).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Observation {
        let (device, quantity, base) = self.series[self.told % self.series.len()];
        let second = (self.told / self.series.len()) as i64;
        self.told += 1;
        let value = base + second % 997;
        Observation {
            device,
            at: Stamp {
                wall: UnixMillis(ORIGIN + second * 1000),
                clock: ClockQuality::Synced,
                boot: 1,
                mono: second as u64 * 1000,
            },
            body: Body::measured(quantity, Milli(value)),
            raw: (value as u32).to_be_bytes().to_vec(),
            key: None,
        }
    }
}
