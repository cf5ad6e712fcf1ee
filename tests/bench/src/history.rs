//! Farms with a long past, made quickly: one day is written through the farm's own commands, and copied in SQL to every
//! other day, with dates and figures moved. Indexes are set aside meanwhile.
//!
//! A made farm is kept in the build folder under a name that holds a hash of the schema and of this file, and used again.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use farm::{
    Actor, Farm, StoreError, Tx,
    animals::{self, AnimalForm},
    devices::{self, DeviceForm},
    events::{self, EventBody, NewEvent, Pregnancy},
    milkings::{self, VisitFilter, VisitSort},
    places::{self, PlaceForm},
    plan, readings,
    text::{Name, Slug},
};
use farm_model::{
    AnimalId, AnimalStatus, Body, ClockQuality, Destination, DeviceId, DeviceKind, Identity, Link,
    Milli, Observation, PlaceKind, Quantity, Rfid, SessionKey, Stall, Stamp, Tag, UnixMillis,
    Visit, VisitId, hex, place::PlaceDetails,
};
use jiff::{ToSpan, civil::Date};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::{
    figure::{cache, note, scratch},
    site::open_farm,
};

/// The present of these farms: 2026-11-20, noon in Dhaka.
pub(crate) const NOW_MS: i64 = 1_795_154_400_000;
pub(crate) const DAY_MS: i64 = 86_400_000;
const TODAY: Date = Date::constant(2026, 11, 20);

pub(crate) const COWS: i64 = 1_200;
const YEARS_DAYS: i64 = 3 * 365;
/// Local hours at which the sessions of a day begin.
const SESSIONS: [i8; 3] = [4, 11, 18];
/// Days from one calving to the next, and how many of them she is milked.
const CYCLE_DAYS: i64 = 400;
const MILKED_DAYS: i64 = 340;

/// 1,200 cows and three years of three milkings a day.
pub(crate) fn milked() -> anyhow::Result<PathBuf> {
    kept("milked", |path| {
        let farm = open_farm(path, NOW_MS)?;
        let cows = farm.write_blocking(Actor::CommandLine, herd)?;
        farm.write_blocking(Actor::CommandLine, sensors_of_a_week)?;
        farm.write_blocking(Actor::System, move |tx| first_day(tx, &cows))?;
        compact(&farm)?;
        drop(farm);
        copy_milkings(path)?;
        check_milkings(path)
    })
}

/// 50 sensors that told a value every five minutes of a year.
pub(crate) fn sensed() -> anyhow::Result<PathBuf> {
    kept("sensed", |path| {
        let farm = open_farm(path, NOW_MS)?;
        farm.write_blocking(Actor::CommandLine, |tx| {
            let ids = (0..50)
                .map(|n| sensor(tx, n))
                .collect::<anyhow::Result<Vec<_>>>()?;
            tell(tx, &ids, NOW_MS - 365 * DAY_MS, 288)
        })?;
        compact(&farm)?;
        drop(farm);
        copy_readings(path)
    })
}

/// The farm called `name`, made by `make` when there is none of this schema.
fn kept(name: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    let dir = scratch()?;
    let empty = dir.path().join("empty.db");
    drop(open_farm(&empty, NOW_MS)?);
    let schema: String = Connection::open(&empty)?.query_row(
        "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)",
        [],
        |row| row.get(0),
    )?;
    let mut hash = Sha256::new();
    hash.update(schema);
    hash.update(include_str!("history.rs"));
    let tag = hex::encode(&hash.finalize()[..6]);
    let path = cache()?.join(format!("{name}-{tag}.db"));
    if !path.exists() {
        let started = std::time::Instant::now();
        let new = dir.path().join("new.db");
        make(&new)?;
        std::fs::rename(&new, &path)?;
        note(format_args!(
            "the farm {name} was made in {:.1} s, {} MB",
            started.elapsed().as_secs_f64(),
            path.metadata()?.len() / 1_000_000
        ));
    }
    Ok(path)
}

fn compact(farm: &Farm) -> Result<(), StoreError> {
    while farm.write_blocking(Actor::System, |tx| readings::compact(tx, 4_000))? == 4_000 {}
    Ok(())
}

/// The herd with its places, sessions and three years of events; cow `n` calved `n * 7 % 400` days ago.
fn herd(tx: &mut Tx<'_>) -> anyhow::Result<Vec<AnimalId>> {
    let sessions: Vec<_> = SESSIONS
        .iter()
        .zip(["সকাল", "দুপুর", "বিকাল"])
        .map(|(hour, name)| {
            let time = |hour| jiff::civil::time(hour, 0, 0, 0);
            Ok((Name::new(name)?, time(*hour), time(*hour + 5)))
        })
        .collect::<anyhow::Result<_>>()?;
    plan::save(tx, &sessions)?;
    for (kind, count) in [(PlaceKind::Stall, 8), (PlaceKind::Tank, 2)] {
        for n in 1..=count {
            let form = PlaceForm {
                kind,
                slug: Slug::new(&n.to_string())?,
                name: Name::new(&format!("{} {n}", kind.key()))?,
                details: PlaceDetails::default(),
            };
            places::add(tx, &form)?;
        }
    }
    (0..COWS).map(|n| cow(tx, n)).collect()
}

fn cow(tx: &mut Tx<'_>, n: i64) -> anyhow::Result<AnimalId> {
    let mut form = AnimalForm::new(Name::new(&(101 + n).to_string())?, AnimalStatus::Heifer);
    form.name = Some(Name::new(["লালী", "ধলী", "কাজলী", "চাঁদনী"][n as usize % 4])?);
    form.breed = Some(Name::new(
        ["Sahiwal", "Holstein", "Red Chittagong"][n as usize % 3],
    )?);
    form.group = Some(Name::new(["A", "B", "C", "D"][n as usize % 4])?);
    form.birth_date = Some(TODAY - (2_500 + n % 900).days());
    let tag = Tag::Rfid(Rfid::new(50, 1_000 + n as u64)?);
    let id = animals::register(tx, &form, Some(&tag), None)?;
    let in_milk = days_in_milk(n);
    for lactation in (0..3).rev() {
        let calved = in_milk + lactation * CYCLE_DAYS;
        let life = [
            (0, EventBody::calving(3 - lactation as u8)),
            (20, treatment()),
            (60, EventBody::Heat),
            (
                81,
                EventBody::Insemination {
                    sire: "BD-104".into(),
                },
            ),
            (
                120,
                EventBody::PregnancyCheck {
                    result: Pregnancy::Pregnant,
                },
            ),
            (MILKED_DAYS, EventBody::DryOff),
        ];
        for (day, body) in life {
            if calved >= day {
                let date = TODAY - (calved - day).days();
                events::record(tx, &NewEvent::on(id, date, body))?;
            }
        }
    }
    Ok(id)
}

fn days_in_milk(n: i64) -> i64 {
    n * 7 % CYCLE_DAYS
}

fn treatment() -> EventBody {
    EventBody::Treatment {
        medicine: "amoxicillin".into(),
        dose: "20 ml".into(),
        reason: "mastitis".into(),
        milk_hold_h: 72,
        meat_hold_h: 240,
    }
}

fn sensors_of_a_week(tx: &mut Tx<'_>) -> anyhow::Result<()> {
    let ids = (0..12)
        .map(|n| sensor(tx, n))
        .collect::<anyhow::Result<Vec<_>>>()?;
    tell(tx, &ids, NOW_MS - 7 * DAY_MS, 7 * 288)
}

fn sensor(tx: &mut Tx<'_>, n: i64) -> anyhow::Result<DeviceId> {
    let slug = Slug::new(&format!("room-{n}"))?;
    let place = places::ensure(tx, PlaceKind::Room, &slug)?;
    let form = DeviceForm {
        name: Name::new(slug.as_str())?,
        slug,
        kind: DeviceKind::Sensor,
        link: Link::Mqtt { client: None },
        place: Some(place),
        expect_every_s: Some(300),
    };
    Ok(devices::add(tx, &form)?)
}

/// A temperature of each device every five minutes, `count` times.
fn tell(tx: &mut Tx<'_>, devices: &[DeviceId], from: i64, count: i64) -> anyhow::Result<()> {
    let from = from - from % DAY_MS;
    for tick in 0..count {
        let at = stamp(from + tick * 300_000);
        let all: Vec<_> = devices
            .iter()
            .zip(0..)
            .map(|(device, n)| Observation {
                device: *device,
                at,
                body: Body::measured(
                    Quantity::Temperature,
                    Milli(20_000 + n * 100 + tick * 37 % 8_000),
                ),
                raw: Vec::new(),
                key: None,
            })
            .collect();
        readings::ingest(tx, &all)?;
    }
    Ok(())
}

fn stamp(wall: i64) -> Stamp {
    Stamp {
        wall: UnixMillis(wall),
        clock: ClockQuality::Synced,
        boot: 1,
        mono: 0,
    }
}

/// The day before the history: each cow once in each session, dry ones too, as the pattern of all other days.
fn first_day(tx: &mut Tx<'_>, cows: &[AnimalId]) -> anyhow::Result<()> {
    let date = TODAY - (YEARS_DAYS + 1).days();
    for (hour, number) in SESSIONS.iter().zip(1..) {
        let begins = date
            .at(*hour, 0, 0, 0)
            .in_tz("Asia/Dhaka")?
            .timestamp()
            .as_millisecond();
        for (turn, cow) in cows.iter().enumerate() {
            let start = begins + (turn / 8) as i64 * 100_000;
            milkings::record(
                tx,
                Visit {
                    id: VisitId::derive("bench", &format!("{number}/{turn}")),
                    start: stamp(start),
                    end: stamp(start + 300_000),
                    session: SessionKey { date, number },
                    stall: Some(Stall(turn as u16 % 8 + 1)),
                    identity: Identity::Animal {
                        animal: *cow,
                        tag: Some(Tag::Rfid(Rfid::new(50, 1_000 + turn as u64)?)),
                    },
                    yield_ml: 5_000 + turn as i64 % 5_000,
                    avg_flow_ml_min: Some(1_800),
                    peak_flow_ml_min: Some(2_600),
                    conductivity: Some(Milli(5_100)),
                    fat: Some(Milli(4_200)),
                    snf: Some(Milli(8_700)),
                    destination: Destination::Tank,
                    findings: Vec::new(),
                    meter: None,
                    recorded_by: None,
                },
            )?;
        }
    }
    Ok(())
}

/// A connection for bulk work on a closed farm: nothing is durable until it is done, and it is done alone.
fn bulk(path: &Path) -> anyhow::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA cache_size = -500000; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(conn)
}

/// Takes the indexes of `tables` away; the statements that make them again.
fn set_indexes_aside(conn: &Connection, tables: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut statement = conn.prepare(
        "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
    )?;
    let all = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(String, String, String)>, _>>()?;
    let mut again = Vec::new();
    for (name, table, sql) in all {
        if tables.contains(&table.as_str()) {
            conn.execute_batch(&format!("DROP INDEX {name}"))?;
            again.push(sql);
        }
    }
    Ok(again)
}

fn copy_milkings(path: &Path) -> anyhow::Result<()> {
    let conn = bulk(path)?;
    let again = set_indexes_aside(&conn, &["visit"])?;
    conn.execute_batch(&format!(
        "BEGIN;
         CREATE TEMP TABLE pattern AS
            SELECT row_number() OVER (ORDER BY v.session, v.n) AS k, v.*, m.boot, m.boot_at, m.actor, m.who, m.place,
                   {CYCLE_DAYS} * 4 - {YEARS_DAYS} - 1
                   + (row_number() OVER (PARTITION BY v.session ORDER BY v.n) - 1) * 7 % {CYCLE_DAYS} AS cycle
            FROM visit v JOIN milking m ON m.site = v.site AND m.seq = v.seq ORDER BY k;
         CREATE INDEX temp.pattern_k ON pattern (k);
         CREATE TEMP TABLE days AS WITH RECURSIVE day (d) AS (SELECT 1 UNION ALL SELECT d + 1 FROM day WHERE d <= {YEARS_DAYS})
            SELECT d FROM day;
         CREATE TEMP TABLE base AS SELECT max(seq) AS seq FROM milking;

         INSERT INTO visit (id, site, seq, animal, start, ended, day, session, stall, yield_ml, avg_flow, peak_flow,
            conductivity, fat, snf, destination, findings, tag, clock, meter, staff, voided)
         SELECT randomblob(16), 0, base.seq + (d - 1) * 10000 + p.k, p.animal, p.start + d * {DAY_MS}, p.ended + d * {DAY_MS},
            p.day + d, p.session, p.stall,
            CAST(p.yield_ml * (0.9 + 0.2 * abs(random() % 1000) / 1000.0) * CASE
                WHEN (p.cycle + d) % {CYCLE_DAYS} < 50 THEN 0.7 + 0.006 * ((p.cycle + d) % {CYCLE_DAYS})
                ELSE 1.09 - 0.0018 * ((p.cycle + d) % {CYCLE_DAYS}) END AS INTEGER),
            p.avg_flow, p.peak_flow, p.conductivity, p.fat, p.snf, p.destination, p.findings, p.tag, p.clock, p.meter, p.staff, 0
         FROM days CROSS JOIN base CROSS JOIN pattern p
         WHERE (p.cycle + d) % {CYCLE_DAYS} < {MILKED_DAYS} AND p.start + d * {DAY_MS} < {NOW_MS};

         INSERT INTO milking (site, seq, kind, visit, at, clock, boot, boot_at, actor, ended_ago, lasted, start_shift, end_shift,
            day, session, who, place, staff, yield_ml, avg_flow, peak_flow, conductivity, fat, snf, destination, findings)
         SELECT 0, v.seq, 0, v.id, v.ended, v.clock, p.boot, p.boot_at, p.actor, 0, v.ended - v.start, 0, 0,
            v.day, v.session, p.who, p.place, v.staff, v.yield_ml, v.avg_flow, v.peak_flow, v.conductivity, v.fat, v.snf,
            v.destination, v.findings
         FROM base CROSS JOIN visit v CROSS JOIN pattern p
         WHERE v.seq > base.seq AND p.k = (v.seq - base.seq) % 10000;
         INSERT INTO milking_of (visit, site, seq) SELECT v.id, 0, v.seq FROM base CROSS JOIN visit v WHERE v.seq > base.seq ORDER BY 1;

         DELETE FROM animal_day;
         INSERT INTO animal_day (animal, day, n, yield_ml) SELECT animal, day, count(*), sum(yield_ml) FROM visit GROUP BY 1, 2;
         DELETE FROM herd_day;
         INSERT INTO herd_day (day, session, n, cows, yield_ml, tank_ml, withheld_ml, discarded_ml)
         SELECT day, session, count(*), 0, sum(yield_ml), sum(yield_ml), 0, 0 FROM visit GROUP BY 1, 2;
         INSERT INTO herd_day (day, session, n, cows, yield_ml, tank_ml, withheld_ml, discarded_ml)
         SELECT h.day, 0, sum(h.n), a.cows, sum(h.yield_ml), sum(h.tank_ml), 0, 0
         FROM herd_day h JOIN (SELECT day, count(*) AS cows FROM animal_day GROUP BY 1) a ON a.day = h.day GROUP BY 1;
         COMMIT;"
    ))?;
    for sql in again {
        conn.execute_batch(&sql)?;
    }
    Ok(())
}

/// That the copied facts say what the copied visits say, and that the days add up.
fn check_milkings(path: &Path) -> anyhow::Result<()> {
    let farm = open_farm(path, NOW_MS)?;
    farm.read_blocking(|conn| {
        let page = milkings::list(conn, &VisitFilter::default(), VisitSort::Newest, None, 50)?;
        ensure!(page.records.len() == 50, "there are no visits");
        for record in page.records {
            let words = milkings::history(conn, record.visit.id)?;
            let word = words.first().context("a visit without a fact")?;
            ensure!(
                word.yield_ml == Some(record.visit.yield_ml) && word.animal == record.visit.animal,
                "a fact and its visit differ: {word:?}, {:?}",
                record.visit
            );
        }
        let (visits, facts, days): (i64, i64, i64) = conn.query_row(
            "SELECT (SELECT count(*) FROM visit), (SELECT count(*) FROM milking), (SELECT sum(n) FROM herd_day WHERE session = 0)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(StoreError::from)?;
        ensure!(
            visits == facts && visits == days && visits > COWS * YEARS_DAYS * 2,
            "{visits} visits, {facts} facts, {days} in the days"
        );
        note(format_args!("{visits} milkings"));
        Ok(())
    })
}

fn copy_readings(path: &Path) -> anyhow::Result<()> {
    let conn = bulk(path)?;
    conn.execute_batch(&format!(
        "BEGIN;
         CREATE TEMP TABLE days AS WITH RECURSIVE day (d) AS (SELECT 1 UNION ALL SELECT d + 1 FROM day WHERE d < 364)
            SELECT d FROM day;
         CREATE TEMP TABLE sums AS SELECT * FROM rollup;
         CREATE TEMP TABLE told AS SELECT * FROM reading;
         DELETE FROM rollup;
         DELETE FROM reading;
         INSERT INTO days VALUES (0);
         CREATE INDEX temp.told_series ON told (series, at);
         CREATE INDEX temp.sums_series ON sums (series, period, at);
         CREATE TEMP TABLE sorted AS SELECT d FROM days ORDER BY d;

         INSERT INTO reading (series, at, seq, value, quality, flaw, clock, raw)
         SELECT s.id, t.at + d * {DAY_MS}, t.seq + d * 100000, t.value + d % 40 * 100, t.quality, t.flaw, t.clock, t.raw
         FROM (SELECT id FROM series ORDER BY id) s CROSS JOIN sorted CROSS JOIN told t WHERE t.series = s.id;

         INSERT INTO rollup (series, period, at, n, min, max, sum, bad)
         SELECT s.id, p.period, t.at + d * {DAY_MS}, t.n, t.min + d % 40 * 100, t.max + d % 40 * 100, t.sum + t.n * (d % 40 * 100), t.bad
         FROM (SELECT id FROM series ORDER BY id) s CROSS JOIN (SELECT DISTINCT period FROM sums ORDER BY 1) p
            CROSS JOIN sorted CROSS JOIN sums t WHERE t.series = s.id AND t.period = p.period;
         UPDATE compaction SET upto = (SELECT max(seq) FROM reading);
         COMMIT;"
    ))?;
    let readings: i64 = conn.query_row("SELECT count(*) FROM reading", [], |row| row.get(0))?;
    ensure!(readings == 50 * 288 * 365, "{readings} readings");
    note(format_args!("{readings} readings"));
    Ok(())
}
