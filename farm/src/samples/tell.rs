//! From readings to facts: spans are added up while they last, and told when they are over.
//!
//! Adding up happens where readings are moved from their log in the order of series and time, so a reading costs a comparison, and a
//! span of a series one statement for each time that readings are moved.

use farm_model::{DeviceId, DeviceKind, Flaw, Quality};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    HOUR, SLOT_MS,
    body::{Body, Doubtful, Sample, Spelt, Sums},
    span,
};
use crate::store::{Log, StoreError, Tx};

/// Samples of one fact at most.
const IN_ONE: usize = 512;
/// Spans that are told in one transaction at most.
const AT_ONCE: i64 = 2_048;

/// A reading that is added up.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) seq: i64,
    pub(crate) series: i64,
    pub(crate) at: i64,
    pub(crate) value: Option<i64>,
    pub(crate) quality: Quality,
    pub(crate) flaw: Option<i64>,
}

/// Readings that are being moved, by series and span.
pub(crate) struct Waiting {
    /// Readings before this one are another identity's to tell.
    from: i64,
    spans: Vec<Open>,
    of: Option<Told>,
}

/// How a series is told.
#[derive(Clone, Copy)]
struct Told {
    series: i64,
    n: i64,
    slots: i64,
}

/// A span that is not told yet.
struct Open {
    slot: i64,
    n: i64,
    until: i64,
    count: i64,
    min: Option<i64>,
    max: Option<i64>,
    sum: i64,
    bad: i64,
    good: Option<i64>,
    at: i64,
    value: Option<i64>,
    quality: Quality,
    flaw: Option<i64>,
    tag: Option<String>,
}

impl Waiting {
    pub(crate) fn new(tx: &Tx<'_>) -> Result<Self, StoreError> {
        let from = tx
            .conn()
            .prepare_cached("SELECT samples_from FROM local")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(Self {
            from: from.unwrap_or(0),
            spans: Vec::new(),
            of: None,
        })
    }

    /// Adds a reading; they come in the order of series and time.
    pub(crate) fn add(&mut self, tx: &mut Tx<'_>, reading: &Reading) -> Result<(), StoreError> {
        if reading.seq < self.from {
            return Ok(());
        }
        let told = match self.of.filter(|told| told.series == reading.series) {
            Some(told) => told,
            None => *self.of.insert(told_as(tx, reading.series)?),
        };
        let slot = slot_of(reading.at, told.slots);
        let is_same = |open: &&mut Open| (open.n, open.slot) == (told.n, slot);
        match self.spans.last_mut().filter(is_same) {
            Some(open) => open.add(reading),
            None => {
                let mut open = Open::new(told.n, slot, told.slots);
                open.add(reading);
                self.spans.push(open);
            }
        }
        Ok(())
    }

    /// Keeps what was added.
    pub(crate) fn keep(self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.spans.iter().try_for_each(|open| open.keep(tx))
    }
}

/// The beginning of the span that a moment is in.
fn slot_of(at: i64, slots: i64) -> i64 {
    at.div_euclid(SLOT_MS * slots) * slots
}

impl Open {
    fn new(n: i64, slot: i64, slots: i64) -> Self {
        Self {
            slot,
            n,
            until: slot + slots,
            count: 0,
            min: None,
            max: None,
            sum: 0,
            bad: 0,
            good: None,
            at: i64::MIN,
            value: None,
            quality: Quality::Good,
            flaw: None,
            tag: None,
        }
    }

    fn add(&mut self, reading: &Reading) {
        match (reading.value, reading.quality) {
            (Some(value), Quality::Good) => {
                self.count += 1;
                self.min = Some(self.min.map_or(value, |min| min.min(value)));
                self.max = Some(self.max.map_or(value, |max| max.max(value)));
                self.sum = self.sum.saturating_add(value);
                self.good = Some(value);
            }
            _ => self.bad += 1,
        }
        if reading.at >= self.at {
            (self.at, self.value) = (reading.at, reading.value);
            (self.quality, self.flaw) = (reading.quality, reading.flaw);
        }
    }

    fn keep(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        tx.conn()
            .prepare_cached(
                "INSERT INTO sample_open (slot, n, until, count, min, max, sum, bad, good, at, value, quality, flaw, tag)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
                 ON CONFLICT (slot, n) DO UPDATE SET
                    count = count + excluded.count,
                    min = coalesce(min(min, excluded.min), min, excluded.min),
                    max = coalesce(max(max, excluded.max), max, excluded.max),
                    sum = iif(typeof(sum + excluded.sum) = 'integer', sum + excluded.sum, sum),
                    bad = bad + excluded.bad,
                    good = iif(excluded.at >= at, coalesce(excluded.good, good), coalesce(good, excluded.good)),
                    value = iif(excluded.at >= at, excluded.value, value),
                    quality = iif(excluded.at >= at, excluded.quality, quality),
                    flaw = iif(excluded.at >= at, excluded.flaw, flaw),
                    tag = iif(excluded.at >= at, coalesce(excluded.tag, tag), tag),
                    at = max(at, excluded.at)",
            )?
            .execute(params![
                self.slot,
                self.n,
                self.until,
                self.count,
                self.min,
                self.max,
                self.sum,
                self.bad,
                self.good,
                self.at,
                self.value,
                self.quality as u8,
                self.flaw,
                self.tag,
            ])?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            slot: row.get(0)?,
            n: row.get(1)?,
            until: row.get(2)?,
            count: row.get(3)?,
            min: row.get(4)?,
            max: row.get(5)?,
            sum: row.get(6)?,
            bad: row.get(7)?,
            good: row.get(8)?,
            at: row.get(9)?,
            value: row.get(10)?,
            quality: Quality::from_code(row.get(11)?),
            flaw: row.get(12)?,
            tag: row.get(13)?,
        })
    }

    fn sample(self) -> Sample {
        let sums = match (self.min, self.max, self.good) {
            (Some(min), Some(max), Some(last)) => Some(Sums {
                count: self.count,
                min,
                max,
                sum: self.sum,
                last,
            }),
            _ => None,
        };
        let good = sums.filter(Sums::fits);
        // What cannot be said is told as what it is: readings that nobody can believe.
        let unsaid = if good.is_none() { self.count } else { 0 };
        let second = (self.at - self.slot * SLOT_MS).div_euclid(1_000);
        let is_good = self.quality == Quality::Good && good.is_some();
        let is_told = self.bad + self.count > 0;
        Sample {
            n: self.n,
            second: u16::try_from(second).unwrap_or(0),
            good,
            bad: self.bad + unsaid,
            last: (is_told && !is_good).then(|| Doubtful {
                // A value that is told as doubtful is not good.
                quality: match self.quality {
                    Quality::Good => Quality::Bad,
                    doubtful => doubtful,
                },
                flaw: self.flaw.and_then(Flaw::from_code),
                value: self.value,
            }),
            tag: self.tag,
        }
    }
}

/// Under which number a series is told, and by which span.
fn told_as(tx: &mut Tx<'_>, series: i64) -> Result<Told, StoreError> {
    if let Some(&(n, slots)) = tx.memory.samples.get(&series) {
        return Ok(Told { series, n, slots });
    }
    let (device, quantity): ([u8; 16], i64) = tx
        .conn()
        .prepare_cached("SELECT device, quantity FROM series WHERE id = ?1")?
        .query_row([series], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let device = DeviceId::from_bytes(device);
    let kind: Option<Option<String>> = tx
        .conn()
        .prepare_cached("SELECT kind FROM device WHERE id = ?1")?
        .query_row([device.as_bytes()], |row| row.get(0))
        .optional()?;
    let kind = kind.flatten().and_then(|key| DeviceKind::from_key(&key));
    let (n, slots) = (
        number(tx, device, Some(quantity))?,
        span(kind.unwrap_or(DeviceKind::Sensor)),
    );
    tx.memory.samples.insert(series, (n, slots));
    Ok(Told { series, n, slots })
}

/// This site's number for a series of a device, made when there is none; without a quantity, for when it was heard.
fn number(tx: &Tx<'_>, device: DeviceId, quantity: Option<i64>) -> Result<i64, StoreError> {
    let known: Option<i64> = tx
        .conn()
        .prepare_cached(
            "SELECT n FROM sample_series WHERE site = 0 AND device = ?1 AND quantity IS ?2",
        )?
        .query_row(params![device.as_bytes(), quantity], |row| row.get(0))
        .optional()?;
    if let Some(n) = known {
        return Ok(n);
    }
    Ok(tx
        .conn()
        .prepare_cached(
            "INSERT INTO sample_series (site, n, device, quantity)
             VALUES (0, (SELECT coalesce(max(n), 0) + 1 FROM sample_series WHERE site = 0), ?1, ?2) RETURNING n",
        )?
        .query_row(params![device.as_bytes(), quantity], |row| row.get(0))?)
}

/// Appends facts of the spans that are over, and of series that were never told; returns whether there are more. To be called after
/// [`crate::readings::compact`].
///
/// # Errors
/// When the database fails; then nothing is told.
pub fn tell(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    hear(tx)?;
    let now = tx.wall().0;
    // A span that begins later than now is of a clock that runs ahead, or of ours before it was set back: it does not end by itself.
    let mut over = tx.conn().prepare_cached(
        "SELECT o.slot, o.n, o.until, o.count, o.min, o.max, o.sum, o.bad, o.good, o.at, o.value, o.quality, o.flaw, o.tag
         FROM sample_open o CROSS JOIN sample_series s ON s.site = 0 AND s.n = o.n
         WHERE o.until * ?1 <= ?2 OR o.slot * ?1 > ?2 OR s.spelt IS NULL
         ORDER BY o.slot, o.n LIMIT ?3",
    )?;
    let open: Vec<Open> = over
        .query_map([SLOT_MS, now, AT_ONCE], Open::read)?
        .collect::<Result<_, _>>()?;
    let is_more = open.len() as i64 == AT_ONCE;
    let mut open = open.into_iter().peekable();
    while let Some(first) = open.next() {
        let slot = first.slot;
        let mut spans = vec![first];
        while spans.len() < IN_ONE
            && let Some(next) = open.next_if(|next| next.slot == slot)
        {
            spans.push(next);
        }
        append(tx, slot, spans)?;
    }
    Ok(is_more)
}

fn append(tx: &mut Tx<'_>, slot: i64, spans: Vec<Open>) -> Result<(), StoreError> {
    let id = tx.next_fact(Log::Sample);
    let conn = tx.conn();
    let mut body = Body::default();
    for open in spans {
        body.spelt.extend(spell(tx, open.n, id.seq)?);
        conn.prepare_cached("DELETE FROM sample_open WHERE slot = ?1 AND n = ?2")?
            .execute([slot, open.n])?;
        body.samples.push(open.sample());
    }
    conn.prepare_cached("INSERT INTO sample (site, seq, slot, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id.site, id.seq, slot, body.write()])?;
    Ok(())
}

/// What a number stands for, if no fact has said so yet; the one with this number does.
fn spell(tx: &Tx<'_>, n: i64, seq: i64) -> Result<Option<Spelt>, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached(
            "UPDATE sample_series SET spelt = ?2 WHERE site = 0 AND n = ?1 AND spelt IS NULL RETURNING device, quantity",
        )?
        .query_row([n, seq], |row| {
            Ok(Spelt {
                n,
                device: row.get(0)?,
                quantity: row.get(1)?,
            })
        })
        .optional()?)
}

/// Adds that devices were heard that told no value: readers of tags, meters, nodes that carry others.
fn hear(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let mut news = tx.conn().prepare_cached(
        "SELECT d.id, max(coalesce(s.heard_at, n.heard_at), coalesce(n.heard_at, s.heard_at)) AS heard,
            iif(s.last_tag_at > coalesce(s.told_at, 0), s.last_tag, NULL)
         FROM device d LEFT JOIN device_state s ON s.device = d.id LEFT JOIN node n ON n.device = d.id
         WHERE heard > coalesce(s.told_at, 0)",
    )?;
    let news: Vec<([u8; 16], i64, Option<String>)> = news
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (device, at, tag) in news {
        let n = number(tx, DeviceId::from_bytes(device), None)?;
        let open = Open {
            at,
            tag,
            ..Open::new(n, slot_of(at, HOUR), HOUR)
        };
        open.keep(tx)?;
        tx.conn()
            .prepare_cached(
                "INSERT INTO device_state (device, told_at) VALUES (?1, ?2)
                 ON CONFLICT (device) DO UPDATE SET told_at = excluded.told_at",
            )?
            .execute(params![device, at])?;
    }
    Ok(())
}

/// Leaves what this file has measured so far to the identity that it had until now, which may live on elsewhere and tell it.
pub(crate) fn disown(conn: &Connection, former: i64) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO sample_mark (site, upto, own) SELECT ?1, newest, newest
         FROM (SELECT coalesce(max(seq), 0) AS newest FROM sample WHERE site = ?1)",
        [former],
    )?;
    conn.execute(
        "DELETE FROM sample_series WHERE site = ?1 AND spelt IS NULL",
        [former],
    )?;
    conn.execute("DELETE FROM sample_open", [])?;
    conn.execute(
        "UPDATE local SET samples_from = ?1",
        [crate::readings::next_seq(conn)?],
    )?;
    conn.execute("UPDATE device_state SET told_at = heard_at", [])?;
    Ok(())
}
