//! Devices that should have been heard and were not: one alert each, closed by the first good value.
//!
//! A person says within which time a device is heard; of one that sends by itself and of which nobody said, it is learnt
//! (see [`crate::hearing`], which judges).

use std::collections::{HashMap, HashSet};

use farm_model::{Device, DeviceId, DeviceKind, Link, Quality, Quantity, UnixMillis};
use rusqlite::{Connection, params};

use crate::{
    alerts::{self, AlertKind, Subject},
    devices,
    hearing::{Expected, Hearing, Silence, Verdict},
    live::{LiveValue, Origin},
    samples, sql,
    store::{After, StoreError, Tx},
};

/// Seconds between the levels that a node sends of a tank, whose temperatures come twice as often.
const LEVEL_EVERY_S: u32 = 600;
/// A quantity that lags this much behind its device was given up long ago: a day.
const GIVEN_UP_MS: i64 = 86_400_000;

/// Raises an alert for each device that should have been heard and was not, and clears those that are heard again.
///
/// # Errors
/// When the database fails.
pub fn silence(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let open: HashSet<Subject> = alerts::open_subjects(tx.conn(), AlertKind::Silent)?;
    let all = devices::list(tx.conn())?;
    let carriers = devices::carriers(all.iter());
    let elsewhere = heard_elsewhere(tx)?;
    for device in all {
        let subject = Subject::Device(device.id);
        let is_fresh = |at: &UnixMillis| tx.wall().since(*at) <= samples::patience_ms(device.kind);
        if elsewhere.get(&device.id).is_some_and(is_fresh) {
            // Its own appliance says when it is silent.
            tx.live.hearing().rest(device.id);
            continue;
        }
        let is_open = open.contains(&subject);
        let Some(every_s) = expected_s(tx, &device)? else {
            tx.live.hearing().rest(device.id);
            if is_open {
                alerts::clear(tx, AlertKind::Silent, subject)?;
            }
            continue;
        };
        let expected = Expected {
            every_s,
            each: own_rhythms(&device, every_s),
            is_carrier: carriers.contains(&device.slug),
        };
        let now = tx.now().mono;
        let verdict = tx.live.hearing().judge(device.id, &expected, now);
        match verdict {
            // Somebody has closed it: they know.
            Verdict::Silent(silence) if silence.is_known && !is_open => {}
            Verdict::Silent(silence) => raise(tx, &device, &silence)?,
            Verdict::Heard if is_open => {
                alerts::clear(tx, AlertKind::Silent, subject)?;
            }
            Verdict::Heard | Verdict::Wait => {}
        }
    }
    Ok(())
}

/// Devices that were heard elsewhere after they were here, and when.
fn heard_elsewhere(tx: &Tx<'_>) -> Result<HashMap<DeviceId, UnixMillis>, StoreError> {
    let words = samples::heard_elsewhere(tx.conn())?;
    let mut latest: HashMap<DeviceId, (UnixMillis, Origin)> = words
        .into_iter()
        .map(|(device, word)| (device, (word.at, Origin::Elsewhere)))
        .collect();
    for value in tx.live.values() {
        let known = latest
            .entry(value.device)
            .or_insert((value.at, value.origin));
        if value.at > known.0 {
            *known = (value.at, value.origin);
        }
    }
    let elsewhere = latest.into_iter();
    Ok(elsewhere
        .filter(|(_, (_, origin))| *origin == Origin::Elsewhere)
        .map(|(device, (at, _))| (device, at))
        .collect())
}

/// Seconds within which a device is expected: as a person said, else as was learnt.
fn expected_s(tx: &Tx<'_>, device: &Device) -> Result<Option<u32>, StoreError> {
    if !device.enabled {
        return Ok(None);
    }
    if device.expect_every_s.is_some() || !sends_by_itself(device) {
        return Ok(device.expected_s());
    }
    let mut hearing = tx.live.hearing();
    if let Some(every_s) = hearing.learn(device.id) {
        tx.conn()
            .prepare_cached(
                "INSERT INTO device_state (device, every_s) VALUES (?1, ?2)
                 ON CONFLICT (device) DO UPDATE SET every_s = excluded.every_s",
            )?
            .execute(params![device.id.as_bytes(), every_s])?;
    }
    Ok(hearing.learnt_s(device.id))
}

/// Whether it speaks without being asked, and not only when a cow comes by.
fn sends_by_itself(device: &Device) -> bool {
    matches!(
        device.link,
        Link::Mqtt { .. }
            | Link::ChirpStack { .. }
            | Link::Zigbee { .. }
            | Link::Node { .. }
            | Link::Input { .. }
            | Link::Http
    ) && !matches!(device.kind, DeviceKind::RfidReader | DeviceKind::MilkMeter)
}

/// Seconds within which each quantity alone is expected. A node on MQTT sends each of a place's quantities by itself, so one
/// can stop while another goes on; drivers read all that a device has at once.
fn own_rhythms(device: &Device, every_s: u32) -> Vec<(Quantity, u32)> {
    if device.place.is_none() || !matches!(device.link, Link::Mqtt { .. }) {
        return Vec::new();
    }
    vec![
        (Quantity::Temperature, every_s),
        (Quantity::Humidity, every_s),
        (Quantity::Level, every_s.max(LEVEL_EVERY_S)),
    ]
}

fn raise(tx: &mut Tx<'_>, device: &Device, silence: &Silence) -> Result<(), StoreError> {
    let detail = serde_json::json!({
        "device": device.name,
        "slug": device.slug,
        "last": silence.last,
        "quantity": silence.quantity.map(Quantity::key),
        "noisy": silence.is_noisy,
        "there": silence.is_there,
    });
    alerts::raise(tx, AlertKind::Silent, Subject::Device(device.id), &detail)?;
    tx.after.push(After::Missed(device.id));
    Ok(())
}

/// What earlier runs knew of the devices.
pub(crate) fn recall(
    conn: &Connection,
    newest: &HashMap<(DeviceId, Quantity), LiveValue>,
) -> Result<Hearing, StoreError> {
    let mut hearing = Hearing::default();
    let mut last: HashMap<DeviceId, UnixMillis> = HashMap::new();
    let is_heard = |v: &&LiveValue| v.quality != Quality::Missing && v.origin == Origin::Here;
    let heard = || newest.values().filter(is_heard);
    for value in heard() {
        let at = last.entry(value.device).or_insert(value.at);
        *at = value.at.max(*at);
    }
    for (device, at) in &last {
        hearing.recall(*device, Some(*at), None);
    }
    for value in heard().filter(|v| last[&v.device].since(v.at) < GIVEN_UP_MS) {
        hearing.recall_quantity(value.device, value.quantity);
    }
    let mut statement = conn.prepare("SELECT device, heard_at, every_s FROM device_state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let heard_at: Option<i64> = row.get(1)?;
        hearing.recall(sql::id(row, 0)?, heard_at.map(UnixMillis), row.get(2)?);
    }
    Ok(hearing)
}
