//! The newest of everything, read once at the start.

use std::collections::HashMap;

use farm_model::{DeviceId, Flaw, Milli, PlaceId, Quality, Quantity, Tag, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::{
    live::{LiveValue, Origin},
    samples, sql,
    store::StoreError,
};

/// One look per series: `CROSS` keeps SQLite from walking through every reading instead.
pub(super) const NEWEST: &str = "SELECT s.device, s.quantity, d.place, r.value, r.quality, r.flaw, r.at
    FROM series s
    CROSS JOIN reading r ON r.series = s.id
        AND (r.at, r.seq) = (SELECT at, seq FROM reading WHERE series = s.id ORDER BY at DESC, seq DESC LIMIT 1)
    LEFT JOIN device d ON d.id = s.device";

/// The newest value of each series, wherever it is. Where a series was measured here and elsewhere, the newer one counts.
pub(crate) fn newest(conn: &Connection) -> Result<Vec<LiveValue>, StoreError> {
    let mut values = HashMap::new();
    let mut keep = |sql: &str| -> Result<(), StoreError> {
        let mut statement = conn.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Some(value) = live_value(row)? else {
                continue;
            };
            let slot = values
                .entry((value.device, value.quantity))
                .or_insert(value);
            if value.at >= slot.at {
                *slot = value;
            }
        }
        Ok(())
    };
    keep(NEWEST)?;
    keep(
        "SELECT s.device, s.quantity, d.place, r.value, r.quality, r.flaw, r.at
         FROM reading_log r
         JOIN series s ON s.id = r.series
         LEFT JOIN device d ON d.id = s.device
         ORDER BY r.seq",
    )?;
    for value in samples::newest(conn)? {
        let slot = values
            .entry((value.device, value.quantity))
            .or_insert(value);
        if value.at > slot.at {
            *slot = value;
        }
    }
    Ok(values.into_values().collect())
}

fn live_value(row: &Row<'_>) -> Result<Option<LiveValue>, StoreError> {
    let Some(quantity) = Quantity::from_code(row.get(1)?) else {
        return Ok(None);
    };
    Ok(Some(LiveValue {
        device: DeviceId::from_bytes(row.get(0)?),
        quantity,
        place: row.get::<_, Option<[u8; 16]>>(2)?.map(PlaceId::from_bytes),
        value: row.get::<_, Option<i64>>(3)?.map(Milli),
        quality: Quality::from_code(row.get(4)?),
        flaw: row.get::<_, Option<i64>>(5)?.and_then(Flaw::from_code),
        at: UnixMillis(row.get(6)?),
        origin: Origin::Here,
    }))
}

/// The tag that a reader read last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastTag {
    /// The reader.
    pub device: DeviceId,
    /// What it read.
    pub tag: Tag,
    /// When.
    pub at: UnixMillis,
}

/// The tag that `device` read last, if it has ever read one.
///
/// # Errors
/// When the database fails.
pub fn last_tag(conn: &Connection, device: DeviceId) -> Result<Option<LastTag>, StoreError> {
    let row = conn
        .prepare_cached("SELECT device, last_tag, last_tag_at FROM device_state WHERE device = ?1 AND last_tag IS NOT NULL")?
        .query_row([device.as_bytes()], tag_row)
        .optional()?
        .flatten();
    let elsewhere = samples::heard_elsewhere(conn)?.remove(&device);
    let elsewhere = elsewhere.and_then(|heard| {
        Some(LastTag {
            device,
            tag: heard.tag?,
            at: heard.at,
        })
    });
    Ok([row, elsewhere]
        .into_iter()
        .flatten()
        .max_by_key(|last| last.at))
}

/// What every reader read last, newest first.
///
/// # Errors
/// When the database fails.
pub fn last_tags(conn: &Connection) -> Result<Vec<LastTag>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT device, last_tag, last_tag_at FROM device_state WHERE last_tag IS NOT NULL ORDER BY last_tag_at DESC",
    )?;
    let rows = statement.query_map([], tag_row)?;
    Ok(sql::known(rows)?)
}

fn tag_row(row: &Row<'_>) -> rusqlite::Result<Option<LastTag>> {
    let tag: String = row.get(1)?;
    let (device, at) = (DeviceId::from_bytes(row.get(0)?), UnixMillis(row.get(2)?));
    Ok(tag.parse().ok().map(|tag| LastTag { device, tag, at }))
}
