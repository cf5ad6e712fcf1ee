//! `sync.*`: what replication costs on the line and on disk, and how fast it merges.
//!
//! The day is that of 1,200 cows: 3,600 milkings and 150 events, written by the farm's own commands, and 50 sensors every five minutes.
//! Bytes are those of TCP both ways, with the TLS connection in which they went. Peers are the same rows as JSON in gzip, and a plain table.

mod herd;
mod line;
mod month;
mod place;
mod storage;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use farm::Farm;
use rusqlite::Connection;
use tokio::runtime::Runtime;

use self::{
    herd::{COWS, Herd, TIMES},
    line::{Made, Push},
    place::{File, milk, register, sample},
};
use crate::figure::{Figure, note, scratch};

const MILKINGS: i64 = COWS * TIMES;
const EVENTS: i64 = 150;
const SAMPLES: i64 = 50 * 288;
const NEW_RECORDS: i64 = 500;
const DAYS: i64 = 30;
const FACTS: i64 = 200_000;
const RECORD_ROWS: i64 = 20_000;
/// Rows of one transaction while records are made: as many as a farm writes at once.
const PER_VERSION: i64 = 10;

/// `sync.wire*` and `sync.storage`.
pub(crate) fn wire() -> anyhow::Result<Vec<Figure>> {
    let runtime = Runtime::new()?;
    let send = |edge: &Farm, hub: &Farm| runtime.block_on(line::push(edge, hub, Made::Tls));
    let folder = scratch()?;
    let path = folder.path().join("edge.db");
    let mut herd = Herd::open(&path)?;
    let hub = herd::empty(&folder.path().join("hub.db"))?;
    send(&herd.farm, &hub)?;
    let idle = send(&herd.farm, &hub)?;
    herd.milk_all_day(1)?;
    let milkings = send(&herd.farm, &hub)?;
    herd.live_a_day(EVENTS)?;
    let words = send(&herd.farm, &hub)?;
    ensure!(
        visits(&hub)? == COWS + MILKINGS && visits(&herd.farm)? == COWS + MILKINGS,
        "the hub does not hold the day"
    );
    drop((herd, hub));
    let json = zipped(
        &Connection::open(&path)?,
        &format!("visit ORDER BY rowid DESC LIMIT {MILKINGS}"),
        MILKINGS,
    )?;

    let [records, samples] = [
        sized(&runtime, "animal", NEW_RECORDS, &|file| {
            register(file, NEW_RECORDS, 1)
        })?,
        sized(&runtime, "sample", SAMPLES, &|file| sample(file, SAMPLES))?,
    ];
    let day = milkings.bytes + words.bytes + samples.0.bytes;
    let stored = storage::measure(&path)?;
    note(format_args!(
        "sync.storage: {:.0} bytes a milking told, {:.0} plain, {:.0} in all with what pages read",
        stored.told, stored.plain, stored.file
    ));
    Ok(vec![
        Figure::new("sync.wire", per(milkings.bytes, MILKINGS), "bytes/milking")
            .goal(16.0)
            .peer("JSON, gzip", json),
        Figure::new(
            "sync.wire.record",
            per(records.0.bytes, NEW_RECORDS),
            "bytes/record",
        )
        .goal(35.0)
        .peer("JSON, gzip", records.1),
        Figure::new(
            "sync.wire.sample",
            per(samples.0.bytes, SAMPLES),
            "bytes/sample",
        )
        .goal(3.0)
        .peer("JSON, gzip", samples.1),
        Figure::new("sync.wire.day", per(day, 1_024), "KiB").goal(200.0),
        Figure::new("sync.wire.idle", per(idle.bytes, 1_000), "kB/visit").goal(2.5),
        Figure::new(
            "sync.storage",
            stored.told / stored.plain,
            "of a plain table",
        )
        .goal(1.5),
    ])
}

/// `sync.month`.
pub(crate) fn month() -> anyhow::Result<Vec<Figure>> {
    let folder = scratch()?;
    let [edge, hub] = ["edge.db", "hub.db"].map(|name| File::open(&folder.path().join(name)));
    let (edge, hub) = (edge?, hub?);
    edge.fill(|file| {
        milk(file, DAYS * MILKINGS)?;
        register(file, DAYS * EVENTS, 1)?;
        sample(file, DAYS * SAMPLES)
    })?;
    hub.ask(|conn| conn.pragma_update(None, "synchronous", "OFF"))?;
    let month = month::catch_up(&edge, &hub)?;
    let content = |file: &File| {
        file.ask(|conn| {
            conn.query_row(
                "SELECT (SELECT sum(yield_ml) FROM milking), (SELECT sum(value) FROM sample), (SELECT sum(weight_g) FROM animal)",
                [],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
            )
        })
    };
    ensure!(
        content(&edge)? == content(&hub)?,
        "the hub holds another month"
    );
    let bytes_ms = month.bytes_ms();
    note(format_args!(
        "sync.month: {} KiB up and {} KiB down in {} exchanges, {} s; the bytes alone {} s",
        month.up / 1_024,
        month.down / 1_024,
        month.exchanges,
        month.took_ms / 1_000,
        bytes_ms / 1_000
    ));
    let ratio = month.took_ms as f64 / bytes_ms as f64;
    Ok(vec![
        Figure::new("sync.month", ratio, "of what its bytes take").goal(1.5),
    ])
}

/// `sync.merge.*`.
pub(crate) fn merge() -> anyhow::Result<Vec<Figure>> {
    let runtime = Runtime::new()?;
    let rate = |name, rows: i64, goal, fill: &dyn Fn(&File) -> rusqlite::Result<()>| {
        let pushed = pushed(&runtime, Made::Plain, fill)?.1;
        let a_second = rows as f64 / pushed.took.as_secs_f64();
        anyhow::Ok(Figure::new(name, a_second, "rows/s").goal(goal))
    };
    Ok(vec![
        rate("sync.merge.facts", FACTS, 50_000.0, &|file| {
            milk(file, FACTS)
        })?,
        rate("sync.merge.records", RECORD_ROWS, 5_000.0, &|file| {
            register(file, RECORD_ROWS, PER_VERSION)
        })?,
    ])
}

/// A push of a table's rows, and what they take as JSON in gzip.
fn sized(
    runtime: &Runtime,
    table: &str,
    rows: i64,
    fill: &dyn Fn(&File) -> rusqlite::Result<()>,
) -> anyhow::Result<(Push, f64)> {
    let (file, pushed) = pushed(runtime, Made::Tls, fill)?;
    let peer = file.ask(|conn| Ok(zipped(conn, table, rows)))??;
    Ok((pushed, peer))
}

/// A file with these rows, and their push to an empty one.
fn pushed(
    runtime: &Runtime,
    made: Made,
    fill: &dyn Fn(&File) -> rusqlite::Result<()>,
) -> anyhow::Result<(File, Push)> {
    let folder = scratch()?;
    let file = File::open(&folder.path().join("edge.db"))?;
    file.fill(fill)?;
    let hub = File::open(&folder.path().join("hub.db"))?;
    let pushed = runtime.block_on(line::push(&file, &hub, made))?;
    Ok((file, pushed))
}

/// Bytes per row of these rows, as JSON in gzip.
fn zipped(conn: &Connection, from: &str, rows: i64) -> anyhow::Result<f64> {
    let columns = conn.prepare(&format!("SELECT * FROM {from}"))?;
    let fields: Vec<String> = columns
        .column_names()
        .iter()
        .map(|column| {
            format!("'{column}', iif(typeof({column}) = 'blob', hex({column}), {column})")
        })
        .collect();
    let sql = format!(
        "SELECT json_group_array(json_object({})) FROM (SELECT * FROM {from})",
        fields.join(", ")
    );
    let json: String = conn.query_row(&sql, [], |row| row.get(0))?;
    let mut gzip = Command::new("gzip")
        .arg("-9c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = gzip.stdin.take().context("its input is piped")?;
    let told = std::thread::spawn(move || input.write_all(json.as_bytes()));
    let output = gzip.wait_with_output()?;
    told.join()
        .map_err(|_| anyhow::anyhow!("gzip was not told"))??;
    Ok(per(output.stdout.len() as u64, rows))
}

fn visits(farm: &Farm) -> anyhow::Result<i64> {
    Ok(farm.read_blocking(|conn| {
        Ok::<_, farm::StoreError>(
            conn.query_row("SELECT count(*) FROM visit", [], |row| row.get(0))?,
        )
    })?)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows and bytes are far below 2^53"
)]
fn per(bytes: u64, rows: i64) -> f64 {
    bytes as f64 / rows as f64
}
