//! Moving readings from the log into the ordered table, into sums, and into what other places are told.

use std::collections::HashMap;

use farm_model::Quality;
use rusqlite::{Connection, params};

use super::PERIODS_MS;
use crate::{
    samples::{self, Waiting},
    store::{StoreError, Tx},
};

/// One reading of the log.
struct Logged {
    seq: i64,
    series: i64,
    at: i64,
    value: Option<i64>,
    quality: Quality,
    flaw: Option<i64>,
    clock: i64,
    raw: Option<Vec<u8>>,
}

impl Logged {
    /// As other places are to hear of it.
    fn told(&self) -> samples::Reading {
        samples::Reading {
            seq: self.seq,
            series: self.series,
            at: self.at,
            value: self.value,
            quality: self.quality,
            flaw: self.flaw,
        }
    }
}

/// A sum over a period.
#[derive(Default)]
struct Sum {
    n: i64,
    min: Option<i64>,
    max: Option<i64>,
    sum: i64,
    bad: i64,
}

impl Sum {
    fn add(&mut self, value: Option<i64>, quality: Quality) {
        match (value, quality) {
            (Some(value), Quality::Good) => {
                self.n += 1;
                self.min = Some(self.min.map_or(value, |m| m.min(value)));
                self.max = Some(self.max.map_or(value, |m| m.max(value)));
                self.sum = self.sum.saturating_add(value);
            }
            _ => self.bad += 1,
        }
    }
}

/// Moves at most `limit` of the oldest logged readings; returns how many it moved, 0 when the log is empty.
///
/// # Errors
/// When the database fails; then nothing has moved.
pub fn compact(tx: &mut Tx<'_>, limit: usize) -> Result<usize, StoreError> {
    let mut rows = logged(tx.conn(), limit)?;
    let Some(upto) = rows.last().map(|r| r.seq) else {
        return Ok(0);
    };
    // In the order of the table: neighbours share pages.
    rows.sort_unstable_by_key(|r| (r.series, r.at, r.seq));
    let mut sums: HashMap<(i64, i64, i64), Sum> = HashMap::new();
    let mut waiting = Waiting::new(tx)?;
    let mut insert = tx.conn().prepare_cached(
        "INSERT INTO reading (series, at, seq, value, quality, flaw, clock, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for row in &rows {
        insert.execute(params![
            row.series,
            row.at,
            row.seq,
            row.value,
            row.quality as u8,
            row.flaw,
            row.clock,
            row.raw
        ])?;
        for period in PERIODS_MS {
            let bucket = row.at.div_euclid(period) * period;
            sums.entry((row.series, period, bucket))
                .or_default()
                .add(row.value, row.quality);
        }
        waiting.add(tx, &row.told())?;
    }
    waiting.keep(tx)?;
    add_sums(tx.conn(), sums)?;
    tx.conn()
        .prepare_cached("DELETE FROM reading_log WHERE seq <= ?1")?
        .execute([upto])?;
    tx.conn()
        .prepare_cached("UPDATE compaction SET upto = ?1")?
        .execute([upto])?;
    Ok(rows.len())
}

fn add_sums(conn: &Connection, sums: HashMap<(i64, i64, i64), Sum>) -> Result<(), StoreError> {
    let mut upsert = conn.prepare_cached(
        "INSERT INTO rollup (series, period, at, n, min, max, sum, bad) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (series, period, at) DO UPDATE SET
            n = n + excluded.n,
            min = coalesce(min(min, excluded.min), min, excluded.min),
            max = coalesce(max(max, excluded.max), max, excluded.max),
            sum = iif(typeof(sum + excluded.sum) = 'integer', sum + excluded.sum, sum),
            bad = bad + excluded.bad",
    )?;
    let mut ordered: Vec<_> = sums.into_iter().collect();
    ordered.sort_unstable_by_key(|(key, _)| *key);
    for ((series, period, at), s) in ordered {
        upsert.execute(params![series, period, at, s.n, s.min, s.max, s.sum, s.bad])?;
    }
    Ok(())
}

fn logged(conn: &Connection, limit: usize) -> Result<Vec<Logged>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, series, at, value, quality, flaw, clock, raw FROM reading_log ORDER BY seq LIMIT ?1",
    )?;
    let rows = statement.query_map([limit as i64], |row| {
        Ok(Logged {
            seq: row.get(0)?,
            series: row.get(1)?,
            at: row.get(2)?,
            value: row.get(3)?,
            quality: Quality::from_code(row.get(4)?),
            flaw: row.get(5)?,
            clock: row.get(6)?,
            raw: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
