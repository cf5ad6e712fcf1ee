//! What people and programs are shown: rollouts with how far each device is, and what runs where.

use farm_firmware::{Header, Milking, Rules, Update, Wait};
use farm_model::{Device, DeviceId, Stamp, UnixMillis};
use rusqlite::Connection;

use super::{
    DEFAULT_CHANNEL, ImageNumber, Phase, RolloutNumber, image,
    round::{Stored, members, waits_for},
};
use crate::{devices, sql, store::StoreError};

/// A rollout.
#[derive(Clone, PartialEq, Debug)]
pub struct Rollout {
    /// Its number.
    pub id: RolloutNumber,
    /// Its image.
    pub image: ImageNumber,
    /// What the image says of itself.
    pub header: Header,
    /// The share of all devices that fit; none when they were named.
    pub percent: Option<u8>,
    /// Whether it runs.
    pub phase: Phase,
    /// The device whose end paused it.
    pub stopped_by: Option<DeviceId>,
    /// When it began.
    pub started: UnixMillis,
    /// Its devices in the order in which they are offered the image.
    pub devices: Vec<Progress>,
    /// Why no other device is offered the image now, if it runs.
    pub wait: Option<Wait>,
}

/// How far a device of a rollout is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress {
    /// Which.
    pub device: DeviceId,
    /// How far; none before it is offered anything.
    pub update: Option<Update>,
    /// Since when.
    pub changed: UnixMillis,
}

/// What a device runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Running {
    /// The device.
    pub device: Device,
    /// What it runs on, as it said.
    pub hardware: Option<String>,
    /// The firmware that it runs, as it said.
    pub version: Option<String>,
    /// When it last said so.
    pub greeted: Option<UnixMillis>,
    /// The channel that it is on.
    pub channel: String,
}

/// Every rollout, newest first.
///
/// # Errors
/// When the database fails.
pub fn rollouts(
    conn: &Connection,
    rules: &Rules,
    milking: Milking,
    now: Stamp,
) -> Result<Vec<Rollout>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, image, percent, phase, stopped_by, started_at FROM firmware_rollout ORDER BY id DESC LIMIT 50",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            row.get(2)?,
            row.get::<_, String>(3)?,
            sql::id_opt(row, 4)?,
            row.get(5)?,
        ))
    })?;
    let mut rollouts = Vec::new();
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let (id, number, percent, phase, stopped_by, started) = row;
        let Some(header) = image(conn, number)?.and_then(|i| i.header) else {
            continue;
        };
        let phase = Phase::from_key(&phase);
        let stored: Vec<Stored> = members(conn, id)?.into_iter().map(|(_, s)| s).collect();
        let judged: Vec<_> = stored.iter().map(|s| s.member(now)).collect();
        let running = phase == Phase::Running;
        rollouts.push(Rollout {
            id,
            image: number,
            header,
            percent,
            phase,
            stopped_by,
            started: UnixMillis(started),
            devices: stored.iter().map(progress).collect(),
            wait: running
                .then(|| waits_for(&judged, rules, milking))
                .flatten(),
        });
    }
    Ok(rollouts)
}

fn progress(stored: &Stored) -> Progress {
    Progress {
        device: stored.device,
        update: stored.update,
        changed: stored.since.wall,
    }
}

/// What runs on each device that has said so or was put on a channel, by name.
///
/// # Errors
/// When the database fails.
pub fn running(conn: &Connection) -> Result<Vec<Running>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT device, hardware, version, greeted_at, channel FROM device_firmware",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((
            sql::id::<DeviceId>(row, 0)?,
            row.get(1)?,
            row.get(2)?,
            row.get::<_, Option<i64>>(3)?,
            row.get::<_, Option<String>>(4)?,
        ))
    })?;
    let mut running = Vec::new();
    for row in rows {
        let (device, hardware, version, greeted, channel) = row?;
        if let Some(device) = devices::get(conn, device)? {
            running.push(Running {
                device,
                hardware,
                version,
                greeted: greeted.map(UnixMillis),
                channel: channel.unwrap_or_else(|| DEFAULT_CHANNEL.to_owned()),
            });
        }
    }
    running.sort_by(|a, b| a.device.slug.cmp(&b.device.slug));
    Ok(running)
}
