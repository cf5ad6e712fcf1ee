//! What other sites told of their sensors: newest values, and sums for the charts.
//!
//! It is taken in apart from the exchange that brought it, some facts in each transaction: a year of history must not hold up the writer.
//! A mark for each site says how far that is done; it moves in the transaction that does it.

use std::collections::{BTreeMap, HashMap};

use farm_model::{DeviceId, Flaw, Milli, Quality, Quantity, Tag, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SLOT_MS,
    body::{Body, Sample, Spelt},
};
use crate::{
    live::{LiveValue, Origin},
    readings, sql,
    store::{After, StoreError, Tx},
};

/// Facts that are taken in in one transaction at most.
const AT_ONCE: i64 = 128;
/// Series that one site may have.
const MAX_SERIES: i64 = 1 << 16;
/// Spans that sums are kept of, in milliseconds: an hour, a day. Shorter ones are read from the facts.
const PERIODS_MS: [i64; 2] = [3_600_000, 86_400_000];

/// Takes in some of the facts that came from other sites; returns whether there are more.
///
/// # Errors
/// When the database fails; then nothing was taken in.
pub fn follow(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let mut sites = tx.conn().prepare_cached(
        "SELECT ordinal, coalesce(upto, 0), coalesce(own, 0) FROM sync_site LEFT JOIN sample_mark ON site = ordinal
         WHERE ordinal > 0 ORDER BY ordinal",
    )?;
    let sites: Vec<Mark> = sites
        .query_map([], |row| {
            Ok(Mark {
                site: row.get(0)?,
                upto: row.get(1)?,
                own: row.get(2)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let mut left = AT_ONCE;
    let mut taking = Taking::default();
    for mark in sites {
        left -= taking.facts_of(tx, &mark, left)?;
    }
    taking.keep(tx)?;
    Ok(left == 0)
}

/// Forgets all that follows from the facts of other sites.
pub(crate) fn forget(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.conn().execute_batch(
        "DELETE FROM sampled;
         DELETE FROM sample_series WHERE site > 0;
         UPDATE sample_mark SET upto = 0;",
    )?;
    Ok(())
}

/// Takes in all that is there, in this one transaction.
pub(crate) fn reckon(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    while follow(tx)? {}
    Ok(())
}

/// How far a site's facts are taken in.
struct Mark {
    site: i64,
    upto: i64,
    /// Up to here this file measured itself: its own readings say it.
    own: i64,
}

/// What a series did in a span: how many good values, their least, greatest and sum, and how many readings were doubtful.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) n: i64,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
    pub(crate) sum: i64,
    pub(crate) bad: i64,
}

impl Sum {
    fn add(&mut self, sample: &Sample) {
        self.bad = self.bad.saturating_add(sample.bad);
        if let Some(good) = &sample.good {
            self.n = self.n.saturating_add(good.count);
            self.min = Some(self.min.map_or(good.min, |min| min.min(good.min)));
            self.max = Some(self.max.map_or(good.max, |max| max.max(good.max)));
            self.sum = self.sum.saturating_add(good.sum);
        }
    }
}

/// Whose series it is.
#[derive(Clone, Copy)]
struct Series {
    device: DeviceId,
    quantity: Option<i64>,
}

/// Facts on their way into sums.
#[derive(Default)]
struct Taking {
    known: HashMap<(i64, i64), Option<Series>>,
    sums: HashMap<(i64, i64, i64), Sum>,
    newest: HashMap<(DeviceId, Quantity), LiveValue>,
}

impl Taking {
    /// Takes at most so many facts of a site, and says how many.
    fn facts_of(&mut self, tx: &mut Tx<'_>, mark: &Mark, most: i64) -> Result<i64, StoreError> {
        let mut facts = tx.conn().prepare_cached(
            "SELECT seq, slot, body FROM sample WHERE site = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?;
        let facts: Vec<(i64, i64, Option<Vec<u8>>)> = facts
            .query_map([mark.site, mark.upto, most], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let Some(upto) = facts.last().map(|(seq, ..)| *seq) else {
            return Ok(0);
        };
        for (seq, slot, body) in &facts {
            // A body that this program cannot read is a newer site's.
            let Some(body) = body.as_deref().and_then(Body::read) else {
                continue;
            };
            for spelt in &body.spelt {
                self.spell(tx, mark.site, *seq, spelt)?;
            }
            for sample in &body.samples {
                self.take(tx, mark, *seq, *slot, sample)?;
            }
        }
        tx.conn()
            .prepare_cached(
                "INSERT INTO sample_mark (site, upto) VALUES (?1, ?2) ON CONFLICT (site) DO UPDATE SET upto = excluded.upto",
            )?
            .execute([mark.site, upto])?;
        Ok(facts.len() as i64)
    }

    fn spell(&mut self, tx: &Tx<'_>, site: i64, seq: i64, spelt: &Spelt) -> Result<(), StoreError> {
        if spelt.n > MAX_SERIES {
            return Ok(());
        }
        self.known.remove(&(site, spelt.n));
        tx.conn()
            .prepare_cached(
                "INSERT INTO sample_series (site, n, device, quantity, spelt) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            )?
            .execute(params![site, spelt.n, spelt.device, spelt.quantity, seq])?;
        Ok(())
    }

    fn take(
        &mut self,
        tx: &mut Tx<'_>,
        mark: &Mark,
        seq: i64,
        slot: i64,
        sample: &Sample,
    ) -> Result<(), StoreError> {
        let Some(series) = self.series(tx.conn(), mark.site, sample.n)? else {
            return Ok(());
        };
        let Some(from) = slot.checked_mul(SLOT_MS) else {
            return Ok(());
        };
        let at = from.saturating_add(i64::from(sample.second) * 1_000);
        keep_newest(tx.conn(), mark.site, at, sample)?;
        let Some(quantity) = series.quantity.and_then(Quantity::from_code) else {
            return Ok(());
        };
        self.see(tx.conn(), series.device, quantity, at, sample)?;
        if seq > mark.own {
            let id = readings::series(tx, series.device, quantity)?;
            for period in PERIODS_MS {
                let bucket = from.div_euclid(period).saturating_mul(period);
                self.sums
                    .entry((id, period, bucket))
                    .or_default()
                    .add(sample);
            }
        }
        Ok(())
    }

    fn series(
        &mut self,
        conn: &Connection,
        site: i64,
        n: i64,
    ) -> Result<Option<Series>, StoreError> {
        if let Some(known) = self.known.get(&(site, n)) {
            return Ok(*known);
        }
        let found = conn
            .prepare_cached(
                "SELECT device, quantity FROM sample_series WHERE site = ?1 AND n = ?2",
            )?
            .query_row([site, n], |row| {
                Ok(Series {
                    device: sql::id(row, 0)?,
                    quantity: row.get(1)?,
                })
            })
            .optional()?;
        self.known.insert((site, n), found);
        Ok(found)
    }

    /// Takes note of a newest value, if it is one.
    fn see(
        &mut self,
        conn: &Connection,
        device: DeviceId,
        quantity: Quantity,
        at: i64,
        sample: &Sample,
    ) -> Result<(), StoreError> {
        let Some(last) = Last::of(sample) else {
            return Ok(());
        };
        let at = UnixMillis(at);
        let known = self.newest.get(&(device, quantity));
        if known.is_some_and(|known| known.at > at) {
            return Ok(());
        }
        let place = match known {
            Some(known) => known.place,
            None => readings::place(conn, device)?,
        };
        let value = LiveValue {
            device,
            quantity,
            place,
            value: last.value.map(Milli),
            quality: last.quality,
            flaw: last.flaw,
            at,
            origin: Origin::Elsewhere,
        };
        self.newest.insert((device, quantity), value);
        Ok(())
    }

    /// Keeps the sums; newest values follow the commit.
    fn keep(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let mut upsert = tx.conn().prepare_cached(
            "INSERT INTO sampled (series, period, at, n, min, max, sum, bad) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (series, period, at) DO UPDATE SET
                n = n + excluded.n,
                min = coalesce(min(min, excluded.min), min, excluded.min),
                max = coalesce(max(max, excluded.max), max, excluded.max),
                sum = iif(typeof(sum + excluded.sum) = 'integer', sum + excluded.sum, sum),
                bad = bad + excluded.bad",
        )?;
        let mut ordered: Vec<_> = self.sums.into_iter().collect();
        ordered.sort_unstable_by_key(|(key, _)| *key);
        for ((series, period, at), s) in ordered {
            upsert.execute(params![series, period, at, s.n, s.min, s.max, s.sum, s.bad])?;
        }
        tx.after
            .extend(self.newest.into_values().map(After::Newest));
        Ok(())
    }
}

/// The newest reading of a sample.
struct Last {
    value: Option<i64>,
    quality: Quality,
    flaw: Option<Flaw>,
}

impl Last {
    /// Nothing when it only tells that the device was heard.
    fn of(sample: &Sample) -> Option<Self> {
        match (&sample.last, &sample.good) {
            // A value is none exactly when it is missing.
            (Some(last), _) => Some(Self {
                value: last.value.filter(|_| last.quality != Quality::Missing),
                quality: match last.value {
                    None => Quality::Missing,
                    Some(_) => last.quality,
                },
                flaw: last.flaw,
            }),
            (None, Some(good)) => Some(Self {
                value: Some(good.last),
                quality: Quality::Good,
                flaw: None,
            }),
            (None, None) => None,
        }
    }
}

/// Keeps the newest reading of a series of another site. Its facts come in their order, so of equal moments the later one counts.
fn keep_newest(conn: &Connection, site: i64, at: i64, sample: &Sample) -> Result<(), StoreError> {
    let last = Last::of(sample);
    conn.prepare_cached(
        "UPDATE sample_series SET at = ?3, value = ?4, quality = ?5, flaw = ?6, tag = coalesce(?7, tag)
         WHERE site = ?1 AND n = ?2 AND coalesce(at <= ?3, TRUE)",
    )?
    .execute(params![
        site,
        sample.n,
        at,
        last.as_ref().and_then(|last| last.value),
        last.as_ref().map(|last| last.quality as u8),
        last.as_ref().and_then(|last| last.flaw).map(|flaw| flaw as u8),
        sample.tag,
    ])?;
    Ok(())
}

/// The newest value of each series that other sites told of.
pub(crate) fn newest(conn: &Connection) -> Result<Vec<LiveValue>, StoreError> {
    let mut statement = conn.prepare(
        "SELECT s.device, s.quantity, d.place, s.value, s.quality, s.flaw, s.at
         FROM sample_series s LEFT JOIN device d ON d.id = s.device
         WHERE s.site > 0 AND s.quality IS NOT NULL ORDER BY s.at",
    )?;
    let rows = statement.query_map([], |row| {
        let Some(quantity) = row.get::<_, Option<i64>>(1)?.and_then(Quantity::from_code) else {
            return Ok(None);
        };
        Ok(Some(LiveValue {
            device: sql::id(row, 0)?,
            quantity,
            place: sql::id_opt(row, 2)?,
            value: row.get::<_, Option<i64>>(3)?.map(Milli),
            quality: Quality::from_code(row.get(4)?),
            flaw: row.get::<_, Option<i64>>(5)?.and_then(Flaw::from_code),
            at: UnixMillis(row.get(6)?),
            origin: Origin::Elsewhere,
        }))
    })?;
    Ok(sql::known(rows)?)
}

/// What a device that told no value did at another place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HeardElsewhere {
    /// When it was heard last.
    pub(crate) at: UnixMillis,
    /// The tag that it read last.
    pub(crate) tag: Option<Tag>,
}

/// What devices that tell no value did at other places.
pub(crate) fn heard_elsewhere(
    conn: &Connection,
) -> Result<HashMap<DeviceId, HeardElsewhere>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT device, at, tag FROM sample_series WHERE site > 0 AND quantity IS NULL AND at IS NOT NULL ORDER BY at",
    )?;
    let rows = statement.query_map([], |row| {
        let heard = HeardElsewhere {
            at: UnixMillis(row.get(1)?),
            tag: sql::tag_opt(row, 2)?,
        };
        Ok((sql::id(row, 0)?, heard))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sums of a series in `from..to`, oldest first, with the beginning of each: of hours or days as they are kept, of five minutes for
/// any shorter period.
pub(crate) fn points(
    conn: &Connection,
    series: i64,
    from: i64,
    to: i64,
    period: i64,
) -> Result<Vec<(i64, Sum)>, StoreError> {
    if period < PERIODS_MS[0] {
        return fine_points(conn, series, from, to);
    }
    let mut statement = conn.prepare_cached(
        "SELECT at, n, min, max, sum, bad FROM sampled WHERE series = ?1 AND period = ?2 AND at >= ?3 AND at < ?4 ORDER BY at",
    )?;
    let first = from.div_euclid(period).saturating_mul(period);
    let rows = statement.query_map([series, period, first, to], |row| {
        let sum = Sum {
            n: row.get(1)?,
            min: row.get(2)?,
            max: row.get(3)?,
            sum: row.get(4)?,
            bad: row.get(5)?,
        };
        Ok((row.get(0)?, sum))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn fine_points(
    conn: &Connection,
    series: i64,
    from: i64,
    to: i64,
) -> Result<Vec<(i64, Sum)>, StoreError> {
    let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
    let mut facts = conn.prepare_cached(
        "SELECT slot, body FROM sample WHERE site = ?1 AND slot >= ?2 AND slot < ?3 AND seq > ?4",
    )?;
    let (first, end) = slots(from, to);
    for (site, n, own) in told_by(conn, series)? {
        let mut rows = facts.query([site, first, end, own])?;
        while let Some(row) = rows.next()? {
            let body: Option<Vec<u8>> = row.get(1)?;
            let body = body.as_deref().and_then(Body::read).unwrap_or_default();
            let at = row.get::<_, i64>(0)?.saturating_mul(SLOT_MS);
            for sample in body.samples.iter().filter(|sample| sample.n == n) {
                sums.entry(at).or_default().add(sample);
            }
        }
    }
    Ok(sums.into_iter().collect())
}

/// How many [`points`] there may be at most; no more than `most` are counted for each site.
pub(crate) fn count_points(
    conn: &Connection,
    series: i64,
    from: i64,
    to: i64,
    period: i64,
    most: i64,
) -> Result<i64, StoreError> {
    if period >= PERIODS_MS[0] {
        return Ok(conn
            .prepare_cached(
                "SELECT count(*) FROM (
                    SELECT 1 FROM sampled WHERE series = ?1 AND period = ?2 AND at >= ?3 AND at < ?4 LIMIT ?5)",
            )?
            .query_row([series, period, from, to, most], |row| row.get(0))?);
    }
    let (first, end) = slots(from, to);
    let mut count = conn.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM sample WHERE site = ?1 AND slot >= ?2 AND slot < ?3 LIMIT ?4)",
    )?;
    let mut points = 0;
    for (site, ..) in told_by(conn, series)? {
        points += count.query_row([site, first, end, most], |row| row.get::<_, i64>(0))?;
    }
    Ok(points)
}

/// The slots that touch `from..to`, the last not included.
fn slots(from: i64, to: i64) -> (i64, i64) {
    let end = to.saturating_sub(1).div_euclid(SLOT_MS) + 1;
    (from.div_euclid(SLOT_MS), end)
}

/// Other sites that told of a series: their number for it, and up to which fact it was this file that measured.
fn told_by(conn: &Connection, series: i64) -> Result<Vec<(i64, i64, i64)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT t.site, t.n, coalesce(m.own, 0) FROM series s
         JOIN sample_series t ON t.device = s.device AND t.quantity = s.quantity AND t.site > 0
         LEFT JOIN sample_mark m ON m.site = t.site WHERE s.id = ?1",
    )?;
    let rows = statement.query_map([series], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
