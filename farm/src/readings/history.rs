//! A series over time: as it was measured, or summed per minute, hour or day.

use std::collections::BTreeMap;

use farm_model::{DeviceId, Milli, Quality, Quantity, UnixMillis};
use rusqlite::{Connection, params};

use super::{PERIODS_MS, find_series};
use crate::{samples, store::StoreError};

/// How finely a history is told.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Each reading.
    Raw,
    /// Minimum, mean and maximum of each minute.
    Minute,
    /// Of each hour.
    Hour,
    /// Of each day (UTC).
    Day,
}

impl Resolution {
    fn period_ms(self) -> Option<i64> {
        match self {
            Self::Raw => None,
            Self::Minute => Some(PERIODS_MS[0]),
            Self::Hour => Some(PERIODS_MS[1]),
            Self::Day => Some(PERIODS_MS[2]),
        }
    }
}

/// The finest resolution that tells `span_ms` milliseconds in no more points than a screen can show.
pub fn resolution_for(span_ms: i64) -> Resolution {
    const HOUR: i64 = 3_600_000;
    match span_ms {
        ms if ms <= 3 * HOUR => Resolution::Raw,
        ms if ms <= 24 * HOUR => Resolution::Minute,
        ms if ms <= 45 * 24 * HOUR => Resolution::Hour,
        _ => Resolution::Day,
    }
}

/// One point of a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Point {
    /// The moment of the reading, or the beginning of the period.
    pub at: UnixMillis,
    /// The value, or the mean of the good ones; `None` when there is none to show.
    pub value: Option<Milli>,
    /// Smallest good value of the period.
    pub min: Option<Milli>,
    /// Largest good value of the period.
    pub max: Option<Milli>,
    /// Good values in it.
    pub n: i64,
    /// Values that were flagged or missing.
    pub bad: i64,
}

/// Smallest, mean and largest good value over a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Summary {
    /// Good values.
    pub n: i64,
    /// Values that were flagged or missing.
    pub bad: i64,
    /// Smallest.
    pub min: Option<Milli>,
    /// Mean.
    pub mean: Option<Milli>,
    /// Largest.
    pub max: Option<Milli>,
}

/// The history of a series in `from..to`, oldest first; empty when the series is not known.
///
/// What was measured at another place is known by five minutes at best: a point for each, beside the readings that were taken here.
///
/// # Errors
/// When the database fails.
pub fn history(
    conn: &Connection,
    device: DeviceId,
    quantity: Quantity,
    from: UnixMillis,
    to: UnixMillis,
    resolution: Resolution,
) -> Result<Vec<Point>, StoreError> {
    let Some(series) = find_series(conn, device, quantity)? else {
        return Ok(Vec::new());
    };
    match resolution.period_ms() {
        None => raw(conn, series, from, to),
        Some(period) => summed(conn, series, from, to, period),
    }
}

/// Whether [`history`] would have more than `most` points: to be asked before whoever may name any range is answered.
///
/// # Errors
/// When the database fails.
pub fn is_longer_than(
    conn: &Connection,
    device: DeviceId,
    quantity: Quantity,
    from: UnixMillis,
    to: UnixMillis,
    resolution: Resolution,
    most: usize,
) -> Result<bool, StoreError> {
    let Some(series) = find_series(conn, device, quantity)? else {
        return Ok(false);
    };
    // What is still in the log makes no more than its own number of points.
    let points: i64 = match resolution.period_ms() {
        None => conn
            .prepare_cached(
                "SELECT count(*) FROM (
                    SELECT 1 FROM reading WHERE series = ?1 AND at >= ?2 AND at < ?3
                    UNION ALL
                    SELECT 1 FROM reading_log WHERE series = ?1 AND at >= ?2 AND at < ?3
                    LIMIT ?4)",
            )?
            .query_row(params![series, from.0, to.0, most as i64 + 1], |row| {
                row.get(0)
            })?,
        Some(period) => conn
            .prepare_cached(
                "SELECT count(*) FROM (
                    SELECT 1 FROM rollup WHERE series = ?1 AND period = ?2 AND at >= ?3 AND at < ?4 LIMIT ?5)",
            )?
            .query_row(
                params![series, period, from.0, to.0, most as i64 + 1],
                |row| row.get(0),
            )?,
    };
    let period = resolution.period_ms().unwrap_or(0);
    let told = samples::count_points(conn, series, from.0, to.0, period, most as i64 + 1)?;
    Ok(points.saturating_add(told) > most as i64)
}

/// What a series did in `from..to`.
///
/// # Errors
/// When the database fails.
pub fn summary(
    conn: &Connection,
    device: DeviceId,
    quantity: Quantity,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Summary, StoreError> {
    let points = history(
        conn,
        device,
        quantity,
        from,
        to,
        resolution_for(to.since(from)).max(Resolution::Minute),
    )?;
    let n: i64 = points.iter().map(|p| p.n).sum();
    let total: i128 = points
        .iter()
        .filter_map(|p| Some(i128::from(p.value?.0) * i128::from(p.n)))
        .sum();
    Ok(Summary {
        n,
        bad: points.iter().map(|p| p.bad).sum(),
        min: points.iter().filter_map(|p| p.min).min(),
        mean: (n > 0).then(|| Milli((total / i128::from(n)) as i64)),
        max: points.iter().filter_map(|p| p.max).max(),
    })
}

fn raw(
    conn: &Connection,
    series: i64,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Vec<Point>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT at, value, quality, seq FROM reading WHERE series = ?1 AND at >= ?2 AND at < ?3
         UNION ALL
         SELECT at, value, quality, seq FROM reading_log WHERE series = ?1 AND at >= ?2 AND at < ?3
         ORDER BY 1, 4",
    )?;
    let rows = statement.query_map(params![series, from.0, to.0], |row| {
        let good = Quality::from_code(row.get(2)?) == Quality::Good;
        let value = row.get::<_, Option<i64>>(1)?.map(Milli).filter(|_| good);
        Ok(Point {
            at: UnixMillis(row.get(0)?),
            value,
            min: value,
            max: value,
            n: i64::from(good),
            bad: i64::from(!good),
        })
    })?;
    let mut points: Vec<Point> = rows.collect::<Result<_, _>>()?;
    let mut elsewhere = BTreeMap::new();
    add_told(conn, &mut elsewhere, series, from, to, 0)?;
    if !elsewhere.is_empty() {
        points.extend(into_points(elsewhere));
        points.sort_by_key(|point| point.at);
    }
    Ok(points)
}

/// Adds what other sites told.
fn add_told(
    conn: &Connection,
    buckets: &mut BTreeMap<i64, Bucket>,
    series: i64,
    from: UnixMillis,
    to: UnixMillis,
    period: i64,
) -> Result<(), StoreError> {
    for (at, told) in samples::points(conn, series, from.0, to.0, period)? {
        let bucket = buckets.entry(at).or_default();
        bucket.n += told.n;
        bucket.min = bucket.min.into_iter().chain(told.min).min();
        bucket.max = bucket.max.into_iter().chain(told.max).max();
        bucket.sum = bucket.sum.saturating_add(told.sum);
        bucket.bad += told.bad;
    }
    Ok(())
}

fn into_points(buckets: BTreeMap<i64, Bucket>) -> Vec<Point> {
    let points = buckets.into_iter();
    points
        .map(|(at, bucket)| bucket.point(UnixMillis(at)))
        .collect()
}

/// Sums that are kept, together with what still is in the log and what other sites told.
fn summed(
    conn: &Connection,
    series: i64,
    from: UnixMillis,
    to: UnixMillis,
    period: i64,
) -> Result<Vec<Point>, StoreError> {
    let first = from.0.div_euclid(period).saturating_mul(period);
    let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
    let mut kept = conn.prepare_cached(
        "SELECT at, n, min, max, sum, bad FROM rollup WHERE series = ?1 AND period = ?2 AND at >= ?3 AND at < ?4",
    )?;
    let mut rows = kept.query(params![series, period, first, to.0])?;
    while let Some(row) = rows.next()? {
        let bucket = Bucket {
            n: row.get(1)?,
            min: row.get(2)?,
            max: row.get(3)?,
            sum: row.get(4)?,
            bad: row.get(5)?,
        };
        buckets.insert(row.get(0)?, bucket);
    }
    let mut logged = conn.prepare_cached(
        "SELECT at, value, quality FROM reading_log WHERE series = ?1 AND at >= ?2 AND at < ?3",
    )?;
    let mut rows = logged.query(params![series, first, to.0])?;
    while let Some(row) = rows.next()? {
        let at: i64 = row.get(0)?;
        let good = Quality::from_code(row.get(2)?) == Quality::Good;
        buckets
            .entry(at.div_euclid(period) * period)
            .or_default()
            .add(row.get::<_, Option<i64>>(1)?.filter(|_| good));
    }
    add_told(conn, &mut buckets, series, from, to, period)?;
    Ok(into_points(buckets))
}

#[derive(Default)]
struct Bucket {
    n: i64,
    min: Option<i64>,
    max: Option<i64>,
    sum: i64,
    bad: i64,
}

impl Bucket {
    fn add(&mut self, good: Option<i64>) {
        let Some(value) = good else {
            self.bad += 1;
            return;
        };
        self.n += 1;
        self.min = Some(self.min.map_or(value, |m| m.min(value)));
        self.max = Some(self.max.map_or(value, |m| m.max(value)));
        self.sum = self.sum.saturating_add(value);
    }

    fn point(self, at: UnixMillis) -> Point {
        Point {
            at,
            value: (self.n > 0).then(|| Milli(self.sum / self.n)),
            min: self.min.map(Milli),
            max: self.max.map(Milli),
            n: self.n,
            bad: self.bad,
        }
    }
}
