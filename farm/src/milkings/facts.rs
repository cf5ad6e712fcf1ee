//! The facts of milkings: how what was said of a visit is stored, and read again.
//!
//! A milking is told as columns of small numbers, because millions are kept for good and each travels to other places: an animal and
//! a stall's meter are numbers of the site's own, spelt out beside their first use. What the columns do not fit is JSON ([`stored`]).
//! Invariants: a fact never changes; facts count in one order wherever they are read, whatever way they came.

use std::collections::HashMap;

use farm_model::{
    AnimalId, ClockQuality, Destination, DeviceId, Identity, Milli, SessionKey, Stall, Stamp,
    UnixMillis, Visit, VisitId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use sync::Site;
use uuid::Uuid;

use super::{bits_of, findings_of, stored};
use crate::{
    sql,
    store::{FactId, Log, StoreError, Tx, bounds},
};

/// What meters call their visits is remembered for this many milkings.
const TOLD_KEPT: i64 = 200_000;

/// What a fact says of a visit. A kind this program does not know is left out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fact")]
pub(super) enum Fact {
    /// It happened.
    Recorded {
        /// As it was told, after the holds that this site knew.
        #[serde(with = "stored")]
        visit: Box<Visit>,
    },
    /// It was this animal's.
    Assigned {
        animal: AnimalId,
        /// Where the milk went, given that animal's holds at the time.
        destination: Destination,
    },
    /// Its figures are these.
    Corrected {
        yield_ml: i64,
        destination: Destination,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It did not happen.
    Voided {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// An assignment, correction or voiding was a mistake.
    Undone {
        /// Which; stored as of the fact's own site unless `of_site` says another.
        of: FactId,
    },
}

impl Fact {
    fn code(&self) -> i64 {
        match self {
            Self::Recorded { .. } => 0,
            Self::Assigned { .. } => 1,
            Self::Corrected { .. } => 2,
            Self::Voided { .. } => 3,
            Self::Undone { .. } => 4,
        }
    }
}

/// A fact with its identity.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: FactId,
    pub(super) at: i64,
    pub(super) actor: String,
    pub(super) fact: Fact,
    site: [u8; 16],
}

/// This site's numbers for animals with their tags, and for stalls with their meters; what a rollback could make untrue is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    who: HashMap<(AnimalId, Option<String>), i64>,
    places: HashMap<(Option<u16>, Option<DeviceId>), i64>,
}

/// A number, and what it stands for where that must be spelt out.
struct Handle<T> {
    n: i64,
    first_use: Option<T>,
}

impl<T> Handle<T> {
    const NOBODY: Self = Self {
        n: 0,
        first_use: None,
    };
}

/// The identity of a visit that is known by the fact that told it.
pub(super) fn identity(site: Site, seq: i64) -> VisitId {
    VisitId::derive("fact", &format!("{site} {seq}"))
}

/// Appends a later word about a visit.
pub(super) fn append(tx: &mut Tx<'_>, visit: VisitId, fact: &Fact) -> Result<FactId, StoreError> {
    let (mut fact, mut of_site) = (fact.clone(), None);
    if let Fact::Undone { of } = &mut fact {
        of_site = sql::foreign_site(tx.conn(), of.site)?;
        of.site = 0;
    }
    let id = tx.next_fact(Log::Milking);
    let now = to_tenth(tx.now());
    tx.conn()
        .prepare_cached(
            "INSERT INTO milking (site, seq, kind, visit, at, clock, boot, boot_at, actor, body, of_site)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            id.site,
            id.seq,
            fact.code(),
            visit.as_bytes(),
            now.wall.0,
            now.clock as u8,
            now.boot,
            boot_at(&now),
            tx.actor().to_string(),
            sql::to_json(&fact),
            of_site,
        ])?;
    speaks_of(tx.conn(), visit, id)?;
    Ok(id)
}

/// Appends that a visit happened. One that a meter measured is known by this fact from now on, whatever the meter calls it: an identity
/// that need not travel. Its times are kept to a tenth of a second: meters are read once a second.
pub(super) fn append_recorded(tx: &mut Tx<'_>, visit: &mut Visit) -> Result<FactId, StoreError> {
    let id = tx.next_fact(Log::Milking);
    let mut given = Some(visit.id);
    if visit.meter.is_some() {
        remember_told(tx.conn(), visit.id, id.seq)?;
        visit.id = identity(tx.memory.site, id.seq);
        given = None;
        (visit.start, visit.end) = (to_tenth(visit.start), to_tenth(visit.end));
    }
    let now = to_tenth(tx.now());
    if fits(visit, &now) {
        append_columns(tx, id, given, visit)?;
    } else {
        let body = Fact::Recorded {
            visit: Box::new(visit.clone()),
        };
        tx.conn()
            .prepare_cached(
                "INSERT INTO milking (site, seq, kind, visit, at, clock, boot, boot_at, actor, body)
                 VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                id.site,
                id.seq,
                given.as_ref().map(VisitId::as_bytes),
                now.wall.0,
                now.clock as u8,
                now.boot,
                boot_at(&now),
                tx.actor().to_string(),
                sql::to_json(&body),
            ])?;
    }
    speaks_of(tx.conn(), visit.id, id)?;
    Ok(id)
}

fn append_columns(
    tx: &mut Tx<'_>,
    id: FactId,
    given: Option<VisitId>,
    visit: &Visit,
) -> Result<(), StoreError> {
    let who = who(tx, &visit.identity)?;
    let place = place(tx, visit)?;
    let (animal, tag) = who.first_use.unzip();
    let (stall, meter) = place.first_use.unzip();
    let now = to_tenth(tx.now());
    tx.conn()
        .prepare_cached(
            "INSERT INTO milking (site, seq, kind, visit, at, clock, boot, boot_at, actor, ended_ago, lasted, start_shift, end_shift,
                day, session, who, animal, tag, place, stall, meter, staff, yield_ml, avg_flow, peak_flow, conductivity, fat, snf,
                destination, findings)
             VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
                ?24, ?25, ?26, ?27, ?28, ?29)",
        )?
        .execute(params![
            id.site,
            id.seq,
            given.as_ref().map(VisitId::as_bytes),
            now.wall.0,
            now.clock as u8,
            now.boot,
            boot_at(&now),
            tx.actor().to_string(),
            now.wall.since(visit.end.wall),
            visit.end.wall.since(visit.start.wall),
            boot_at(&visit.start) - boot_at(&now),
            boot_at(&visit.end) - boot_at(&now),
            sql::day_number(visit.session.date),
            visit.session.number,
            who.n,
            animal.as_ref().map(AnimalId::as_bytes),
            tag.flatten(),
            place.n,
            stall.flatten(),
            meter.flatten().as_ref().map(DeviceId::as_bytes),
            visit.recorded_by.as_ref().map(farm_model::StaffId::as_bytes),
            visit.yield_ml,
            visit.avg_flow_ml_min,
            visit.peak_flow_ml_min,
            visit.conductivity.map(|m| m.0),
            visit.fat.map(|m| m.0),
            visit.snf.map(|m| m.0),
            visit.destination as u8,
            bits_of(&visit.findings),
        ])?;
    Ok(())
}

/// Whether the columns say all that there is to say: one boot, one quality of the clock, and at most one tag.
fn fits(visit: &Visit, now: &Stamp) -> bool {
    let same = |at: &Stamp| {
        at.boot == now.boot
            && at.clock == now.clock
            && bounds::TIME.contains(&at.wall.0)
            && i64::try_from(at.mono).is_ok_and(|mono| bounds::MONO.contains(&mono))
    };
    same(&visit.start)
        && same(&visit.end)
        && matches!(visit.identity, Identity::Animal { .. } | Identity::None)
}

/// The stamp at the beginning of its tenth of a second.
fn to_tenth(stamp: Stamp) -> Stamp {
    let over = stamp.wall.0.rem_euclid(100);
    Stamp {
        wall: stamp.wall.plus(-over),
        mono: stamp.mono.saturating_sub(over as u64),
        ..stamp
    }
}

/// When the boot was, by this stamp.
fn boot_at(stamp: &Stamp) -> i64 {
    stamp.wall.0.wrapping_sub(stamp.mono as i64)
}

fn who(
    tx: &mut Tx<'_>,
    identity: &Identity,
) -> Result<Handle<(AnimalId, Option<String>)>, StoreError> {
    let Identity::Animal { animal, tag } = identity else {
        return Ok(Handle::NOBODY);
    };
    let key = (*animal, tag.as_ref().map(ToString::to_string));
    if let Some(&n) = tx.memory.handles.who.get(&key) {
        return Ok(Handle { n, first_use: None });
    }
    let known: Option<i64> = tx
        .conn()
        .prepare_cached("SELECT n FROM milking_who WHERE site = 0 AND animal = ?1 AND tag IS ?2")?
        .query_row(params![animal.as_bytes(), key.1], |row| row.get(0))
        .optional()?;
    let n = match known {
        Some(n) => n,
        None => tx
            .conn()
            .prepare_cached(
                "INSERT INTO milking_who (site, n, animal, tag)
                 VALUES (0, (SELECT coalesce(max(n), 0) + 1 FROM milking_who WHERE site = 0), ?1, ?2) RETURNING n",
            )?
            .query_row(params![animal.as_bytes(), key.1], |row| row.get(0))?,
    };
    tx.memory.handles.who.insert(key.clone(), n);
    let first_use = known.is_none().then_some(key);
    Ok(Handle { n, first_use })
}

type Place = (Option<u16>, Option<DeviceId>);

fn place(tx: &mut Tx<'_>, visit: &Visit) -> Result<Handle<Place>, StoreError> {
    let key = (visit.stall.map(|s| s.0), visit.meter);
    if key == (None, None) {
        return Ok(Handle::NOBODY);
    }
    if let Some(&n) = tx.memory.handles.places.get(&key) {
        return Ok(Handle { n, first_use: None });
    }
    let meter = key.1.as_ref().map(DeviceId::as_bytes);
    let known: Option<i64> = tx
        .conn()
        .prepare_cached(
            "SELECT n FROM milking_place WHERE site = 0 AND stall IS ?1 AND meter IS ?2",
        )?
        .query_row(params![key.0, meter], |row| row.get(0))
        .optional()?;
    let n = match known {
        Some(n) => n,
        None => tx
            .conn()
            .prepare_cached(
                "INSERT INTO milking_place (site, n, stall, meter)
                 VALUES (0, (SELECT coalesce(max(n), 0) + 1 FROM milking_place WHERE site = 0), ?1, ?2) RETURNING n",
            )?
            .query_row(params![key.0, meter], |row| row.get(0))?,
    };
    tx.memory.handles.places.insert(key, n);
    let first_use = known.is_none().then_some(key);
    Ok(Handle { n, first_use })
}

/// Notes that a fact speaks of a visit.
fn speaks_of(conn: &Connection, visit: VisitId, fact: FactId) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO milking_of (visit, site, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?
    .execute(params![visit.as_bytes(), fact.site, fact.seq])?;
    Ok(())
}

/// Keeps what a meter calls a visit; the oldest are forgotten now and then.
fn remember_told(conn: &Connection, told: VisitId, seq: i64) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO milking_told (told, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?
    .execute(params![told.as_bytes(), seq])?;
    if seq % 4_096 == 0 {
        conn.prepare_cached("DELETE FROM milking_told WHERE seq < ?1")?
            .execute([seq - TOLD_KEPT])?;
    }
    Ok(())
}

/// The visit that is known by this identity, or that a meter has called so.
pub(super) fn known(tx: &Tx<'_>, id: VisitId) -> Result<Option<VisitId>, StoreError> {
    let is_known = tx
        .conn()
        .prepare_cached("SELECT 1 FROM visit WHERE id = ?1")?
        .exists([id.as_bytes()])?;
    if is_known {
        return Ok(Some(id));
    }
    let seq: Option<i64> = tx
        .conn()
        .prepare_cached("SELECT seq FROM milking_told WHERE told = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(seq.map(|seq| identity(tx.memory.site, seq)))
}

const COLUMNS: &str = "m.site, m.seq, m.kind, m.at, m.actor, m.body, s.id,
    CASE WHEN m.of_site IS NULL THEN m.site ELSE coalesce((SELECT ordinal FROM sync_site WHERE id = m.of_site), -1) END,
    m.clock, m.boot, m.boot_at, m.ended_ago, m.lasted, m.start_shift, m.end_shift, m.day, m.session, w.animal, w.tag, p.stall,
    p.meter, m.staff, m.yield_ml, m.avg_flow, m.peak_flow, m.conductivity, m.fat, m.snf, m.destination, m.findings";

/// Every fact of a visit, in the order in which they count.
pub(super) fn facts_of(conn: &Connection, visit: VisitId) -> Result<Vec<Kept>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM milking_of o
         JOIN milking m ON m.site = o.site AND m.seq = o.seq
         JOIN sync_site s ON s.ordinal = m.site
         LEFT JOIN milking_who w ON w.site = m.site AND w.n = m.who
         LEFT JOIN milking_place p ON p.site = m.site AND p.n = m.place
         WHERE o.visit = ?1 ORDER BY o.site, o.seq"
    ))?;
    let rows = statement.query_map([visit.as_bytes()], |row| read(row, visit))?;
    Ok(in_order(sql::known(rows)?))
}

/// Puts facts, each site's in its own order, into the one order in which they count everywhere: by the clocks, but never against
/// a site's own order, even where its clock stepped back.
fn in_order(facts: Vec<Kept>) -> Vec<Kept> {
    let mut latest: HashMap<i64, i64> = HashMap::new();
    let mut timed: Vec<(i64, Kept)> = facts
        .into_iter()
        .map(|kept| {
            let at = latest.entry(kept.id.site).or_insert(kept.at);
            *at = kept.at.max(*at);
            (*at, kept)
        })
        .collect();
    timed.sort_by_key(|(at, k)| (k.fact.code() != 0, *at, k.site, k.id.seq));
    timed.into_iter().map(|(_, kept)| kept).collect()
}

fn read(row: &Row<'_>, visit: VisitId) -> rusqlite::Result<Option<Kept>> {
    let id = FactId {
        site: row.get(0)?,
        seq: row.get(1)?,
    };
    let (kind, body): (i64, Option<String>) = (row.get(2)?, row.get(5)?);
    let fact = match (kind, body) {
        (0, None) => Some(Fact::Recorded {
            visit: Box::new(read_columns(row, visit)?),
        }),
        (_, body) => body.and_then(|body| serde_json::from_str(&body).ok()),
    };
    let Some(mut fact) = fact else {
        return Ok(None);
    };
    match &mut fact {
        Fact::Recorded { visit: told } => told.id = visit,
        Fact::Undone { of } => of.site = row.get(7)?,
        _ => {}
    }
    Ok(Some(Kept {
        id,
        at: row.get(3)?,
        actor: row.get(4)?,
        fact,
        site: row.get(6)?,
    }))
}

/// A column that another site may have left empty.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    Ok(row.get::<_, Option<i64>>(column)?.unwrap_or(0))
}

fn read_columns(row: &Row<'_>, id: VisitId) -> rusqlite::Result<Visit> {
    let milli = |i| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(i)?.map(Milli));
    let (at, boot_at): (i64, i64) = (row.get(3)?, row.get(10)?);
    let end = at.saturating_sub(number(row, 11)?);
    let start = end.saturating_sub(number(row, 12)?);
    let (clock, boot) = (ClockQuality::from_code(row.get(8)?), row.get(9)?);
    let stamp = |wall: i64, shift: i64| Stamp {
        wall: UnixMillis(wall),
        clock,
        boot,
        mono: wall.wrapping_sub(boot_at).wrapping_sub(shift) as u64,
    };
    let identity = match sql::id_opt(row, 17)? {
        Some(animal) => Identity::Animal {
            animal,
            tag: sql::tag_opt(row, 18)?,
        },
        None => Identity::None,
    };
    Ok(Visit {
        id,
        start: stamp(start, number(row, 13)?),
        end: stamp(end, number(row, 14)?),
        session: SessionKey {
            date: sql::date_of(number(row, 15)?),
            number: u8::try_from(number(row, 16)?).unwrap_or_default(),
        },
        stall: row.get::<_, Option<u16>>(19)?.map(Stall),
        identity,
        yield_ml: number(row, 22)?,
        avg_flow_ml_min: row.get(23)?,
        peak_flow_ml_min: row.get(24)?,
        conductivity: milli(25)?,
        fat: milli(26)?,
        snf: milli(27)?,
        destination: Destination::from_code(number(row, 28)?),
        findings: findings_of(number(row, 29)?),
        meter: sql::id_opt(row, 20)?,
        recorded_by: sql::id_opt(row, 21)?,
    })
}

/// Takes note of a site's facts in a stretch of its log: what its numbers stand for, and of which visits they speak. Returns those, in
/// the order of the log.
pub(super) fn note(
    conn: &Connection,
    site: i64,
    from: i64,
    to: i64,
) -> Result<Vec<VisitId>, StoreError> {
    let stretch = params![site, from, to];
    conn.prepare_cached(
        "INSERT INTO milking_who (site, n, animal, tag) SELECT site, who, animal, tag FROM milking
         WHERE site = ?1 AND seq > ?2 AND seq <= ?3 AND who > 0 AND animal IS NOT NULL ON CONFLICT DO NOTHING",
    )?
    .execute(stretch)?;
    conn.prepare_cached(
        "INSERT INTO milking_place (site, n, stall, meter) SELECT site, place, stall, meter FROM milking
         WHERE site = ?1 AND seq > ?2 AND seq <= ?3 AND place > 0 AND (stall IS NOT NULL OR meter IS NOT NULL)
         ON CONFLICT DO NOTHING",
    )?
    .execute(stretch)?;
    let name: [u8; 16] = conn
        .prepare_cached("SELECT id FROM sync_site WHERE ordinal = ?1")?
        .query_row([site], |row| row.get(0))?;
    let mut statement = conn.prepare_cached(
        "SELECT seq, visit FROM milking WHERE site = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq",
    )?;
    let rows = statement.query_map(stretch, |row| {
        Ok((row.get(0)?, row.get::<_, Option<[u8; 16]>>(1)?))
    })?;
    let mut visits = Vec::new();
    for row in rows {
        let (seq, visit): (i64, _) = row?;
        let visit = visit.map_or_else(
            || identity(Site(name), seq),
            |id| VisitId(Uuid::from_bytes(id)),
        );
        speaks_of(conn, visit, FactId { site, seq })?;
        visits.push(visit);
    }
    Ok(visits)
}
