//! `sync.wire*`: bytes of a farm's day on the line, HTTP and all but TLS. `sync.merge.*`: rows a second from one file to the other over
//! loopback, acknowledged when they are on disk.
//!
//! The day is that of 1,200 cows: 3,600 milkings, 150 new records, 50 sensors every five minutes. The peer is the same as JSON, plain and
//! in zstd.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, params};
use sync::{
    Farms, Replicated, Site, Store, exchange,
    farms::{Holder, Visit},
    keys::{PublicKey, SecretKey},
    marks::RECORDS,
    peer::{ClockHint, Manner},
    site,
    store::{Fault, Turn, Turned},
    wire::{Claim, Refusal, Stream, Welcome},
};
use sync_http::{
    agent::{Agent, Keeper},
    client::Client,
    endpoint,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::figure::{Figure, note};

const MILKINGS: i64 = 3_600;
const NEW_RECORDS: i64 = 150;
const SAMPLES: i64 = 50 * 288;
const FACTS: i64 = 200_000;
const RECORD_ROWS: i64 = 20_000;
/// Rows of one transaction while records are made: as many as a farm writes at once.
const PER_VERSION: i64 = 10;
const DEADLINE: Duration = Duration::from_secs(300);

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
struct File {
    inner: Arc<Mutex<Inner>>,
    committed: Arc<watch::Sender<u64>>,
}

struct Inner {
    conn: Connection,
    schema: Replicated,
}

impl File {
    fn open(path: &Path) -> anyhow::Result<Self> {
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

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn site(&self) -> rusqlite::Result<Site> {
        site::own(&self.inner().conn)
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

    /// Up to where it holds a stream of another.
    fn holds(&self, stream: &Stream) -> i64 {
        let held = exchange::holdings(&self.inner().conn).unwrap_or_default();
        let held: BTreeMap<_, _> = held
            .into_iter()
            .map(|have| (have.stream, have.mark.upto))
            .collect();
        held.get(stream).copied().unwrap_or_default()
    }

    async fn comes_to_hold(&self, stream: &Stream, upto: i64) -> anyhow::Result<()> {
        let mut committed = self.committed.subscribe();
        let wait = async {
            while self.holds(stream) < upto {
                committed.changed().await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(DEADLINE, wait)
            .await
            .context("the hub did not receive it in time")?
    }
}

impl Store for File {
    async fn turn(&self, turn: Turn) -> Result<Turned, Fault> {
        let file = self.clone();
        let turned = tokio::task::spawn_blocking(move || {
            let inner = file.inner();
            let tx = inner
                .conn
                .unchecked_transaction()
                .map_err(sync::Error::from)?;
            let turned = exchange::turn(&tx, &inner.schema, &turn)?;
            tx.commit().map_err(sync::Error::from)?;
            Ok::<_, sync::Error>(turned)
        });
        let turned = turned
            .await
            .map_err(|error| Fault::Failed(Box::new(error)))??;
        if !turned.verdicts.is_empty() {
            self.committed.send_modify(|n| *n += 1);
        }
        Ok(turned)
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

#[derive(Clone)]
struct Hub {
    file: File,
    key: PublicKey,
    site: Site,
}

impl Farms for Hub {
    type Farm = ();
    type Store = File;

    async fn holder(&self, key: PublicKey) -> Result<Option<Holder<()>>, Refusal> {
        Ok((key == self.key).then_some(Holder {
            farm: (),
            site: self.site,
            revoked: false,
            rotate: false,
        }))
    }

    async fn open(&self, (): &()) -> Result<File, Refusal> {
        Ok(self.file.clone())
    }

    async fn enrol(&self, _: PublicKey, _: Claim) -> Result<Welcome, Refusal> {
        Err(Refusal::Code)
    }

    async fn rotate(&self, _: PublicKey, _: PublicKey) -> Result<(), Refusal> {
        Err(Refusal::UnknownKey)
    }

    async fn heard(&self, (): &(), _: Visit) {}
}

struct NoKeeper;

impl Keeper for NoKeeper {
    async fn keep(&self, _: &SecretKey) -> io::Result<()> {
        Ok(())
    }

    fn clock(&self, _: ClockHint) {}
}

/// What one push took.
struct Push {
    bytes: u64,
    took: Duration,
}

/// Pushes all that an appliance has to a hub of its own, through a counter of bytes.
async fn push(edge: &File, stream: &str, upto: i64) -> anyhow::Result<Push> {
    let folder = tempfile::tempdir()?;
    let key = SecretKey::generate()?;
    let hub = Hub {
        file: File::open(&folder.path().join("hub.db"))?,
        key: key.public(),
        site: edge.site()?,
    };
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let behind = socket.local_addr()?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let served = axum::serve(socket, endpoint::router(hub.clone()));
    tokio::spawn(stop.clone().run_until_cancelled_owned(served.into_future()));
    let counter = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", counter.local_addr()?);
    let counted = Arc::new(AtomicU64::new(0));
    let counting = tokio::spawn(count(counter, behind, counted.clone(), stop.clone()));

    let client = Client::new(&address.parse()?, &[])?;
    let manner = Manner::default();
    let (agent, handle) = Agent::new(edge.clone(), NoKeeper, client, key, manner, 1);
    let ended = CancellationToken::new();
    let began = Instant::now();
    let running = tokio::spawn(agent.run(ended.clone()));
    let stream = Stream {
        site: edge.site()?,
        name: stream.to_owned(),
    };
    hub.file.comes_to_hold(&stream, upto).await?;
    let took = began.elapsed();
    let mut status = handle.status();
    status
        .wait_for(|status| status.current && status.waiting == 0)
        .await?;
    ended.cancel();
    running.await?;
    drop(handle);
    stop.cancel();
    counting.await??;
    let bytes = counted.load(Ordering::Relaxed);
    ensure!(bytes > 0, "nothing went over the line");
    Ok(Push { bytes, took })
}

async fn count(
    counter: TcpListener,
    behind: std::net::SocketAddr,
    counted: Arc<AtomicU64>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut lines = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(counter.accept()).await {
        let (mut near, _) = accepted?;
        let mut far = TcpStream::connect(behind).await?;
        let counted = counted.clone();
        lines.spawn(async move {
            let passed = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            if let Ok((up, down)) = passed {
                counted.fetch_add(up + down, Ordering::Relaxed);
            }
        });
    }
    while lines.join_next().await.is_some() {}
    Ok(())
}

/// Noise that is the same in each run (SplitMix64).
struct Noise(u64);

impl Noise {
    fn below(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 1).cast_signed() % sides
    }

    /// Around `mean`, as meters give it.
    fn about(&mut self, mean: i64, spread: i64) -> i64 {
        mean - spread + self.below(spread) + self.below(spread)
    }
}

fn milk(file: &File, count: i64) -> rusqlite::Result<()> {
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

fn sample(file: &File, count: i64) -> rusqlite::Result<()> {
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

/// New animals; so many of one transaction are one version. Says how many versions.
fn register(file: &File, count: i64, per_version: i64) -> rusqlite::Result<i64> {
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
    Ok(count / per_version)
}

/// What the same rows take as JSON: plain, and in zstd.
fn as_json(file: &File, table: &str) -> anyhow::Result<(usize, usize)> {
    let inner = file.inner();
    let columns: Vec<String> = inner
        .conn
        .prepare("SELECT name FROM pragma_table_info(?)")?
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let fields: Vec<String> = columns
        .iter()
        .map(|column| {
            format!("'{column}', iif(typeof({column}) = 'blob', hex({column}), {column})")
        })
        .collect();
    let sql = format!(
        "SELECT json_group_array(json_object({})) FROM {table}",
        fields.join(", ")
    );
    let json: String = inner.conn.query_row(&sql, [], |row| row.get(0))?;
    let zipped = zstd::bulk::compress(json.as_bytes(), 3)?;
    Ok((json.len(), zipped.len()))
}

fn scratch() -> anyhow::Result<(tempfile::TempDir, File)> {
    let folder = tempfile::tempdir()?;
    let file = File::open(&folder.path().join("edge.db"))?;
    Ok((folder, file))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows and bytes are far below 2^53"
)]
fn per(bytes: u64, rows: i64) -> f64 {
    bytes as f64 / rows as f64
}

/// `sync.wire*`.
pub(crate) fn wire() -> anyhow::Result<Vec<Figure>> {
    let runtime = Runtime::new()?;
    let sized = |name,
                 table: &str,
                 stream: &str,
                 rows: i64,
                 goal,
                 fill: &dyn Fn(&File) -> rusqlite::Result<i64>| {
        let (_folder, file) = scratch()?;
        let upto = fill(&file)?;
        let pushed = runtime.block_on(push(&file, stream, upto))?;
        let (plain, zipped) = as_json(&file, table)?;
        let (plain, zipped) = (per(plain as u64, rows), per(zipped as u64, rows));
        note(format_args!(
            "{name}: as JSON {plain:.0} bytes a row, {zipped:.0} in zstd"
        ));
        let bytes = per(pushed.bytes, rows);
        anyhow::Ok(
            Figure::new(name, bytes, "bytes a row")
                .goal(goal)
                .peer("JSON in zstd", zipped),
        )
    };
    let milkings = sized("sync.wire", "milking", "milking", MILKINGS, 16.0, &|file| {
        milk(file, MILKINGS).map(|()| MILKINGS)
    })?;
    let records = sized("sync.wire.record", "animal", RECORDS, 500, 35.0, &|file| {
        register(file, 500, 1)
    })?;
    let samples = sized(
        "sync.wire.sample",
        "sample",
        "sample",
        SAMPLES,
        3.0,
        &|file| sample(file, SAMPLES).map(|()| SAMPLES),
    )?;
    let (_folder, file) = scratch()?;
    milk(&file, MILKINGS)?;
    register(&file, NEW_RECORDS, 1)?;
    sample(&file, SAMPLES)?;
    let day = runtime.block_on(push(&file, "sample", SAMPLES))?;
    let (_folder, empty) = scratch()?;
    let idle = runtime.block_on(push(&empty, RECORDS, 0))?;
    Ok(vec![
        milkings,
        records,
        samples,
        Figure::new("sync.wire.day", per(day.bytes, 1_024), "KiB").goal(200.0),
        Figure::new("sync.wire.idle", per(idle.bytes, 1_000), "kB").goal(2.5),
    ])
}

/// `sync.merge.facts` and `sync.merge.records`.
pub(crate) fn merge() -> anyhow::Result<Vec<Figure>> {
    let runtime = Runtime::new()?;
    let rate = |name, stream: &str, rows: i64, upto: i64, file: &File, goal| {
        let pushed = runtime.block_on(push(file, stream, upto))?;
        let a_second = per(rows.unsigned_abs(), 1) / pushed.took.as_secs_f64();
        anyhow::Ok(Figure::new(name, a_second, "rows/s").goal(goal))
    };
    let (_folder, file) = scratch()?;
    milk(&file, FACTS)?;
    let facts = rate("sync.merge.facts", "milking", FACTS, FACTS, &file, 50_000.0)?;
    let (_folder, file) = scratch()?;
    let upto = register(&file, RECORD_ROWS, PER_VERSION)?;
    let records = rate(
        "sync.merge.records",
        RECORDS,
        RECORD_ROWS,
        upto,
        &file,
        5_000.0,
    )?;
    Ok(vec![facts, records])
}
