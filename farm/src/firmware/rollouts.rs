//! What a person does about a rollout: begin it, pause it, let it go on, take it back; and which channel a device is on.

use farm_firmware::{Event, Label, Update, is_in_share};
use farm_model::DeviceId;
use rusqlite::{OptionalExtension, params};

use super::{FirmwareError, ImageNumber, image, round};
use crate::{
    alerts::{self, AlertKind, Subject},
    devices, sql,
    store::{Change, StoreError, Tx},
};

/// The channel of a device that was never put on another.
pub const DEFAULT_CHANNEL: &str = "stable";

/// Number of a rollout.
pub type RolloutNumber = i64;

/// Which devices a rollout is for, among those of the image's hardware and channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Batch {
    /// This share of them, in percent; at least one.
    Share(u8),
    /// These, in this order.
    Devices(Vec<DeviceId>),
}

/// Whether a rollout runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Devices are offered the image as the rules allow.
    Running,
    /// No device is offered it, and none is sent more of it.
    Paused,
    /// A person took it back.
    Withdrawn,
    /// A later one took its place.
    Over,
}

impl Phase {
    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Withdrawn => "withdrawn",
            Self::Over => "over",
        }
    }

    pub(super) fn from_key(key: &str) -> Self {
        [Self::Running, Self::Paused, Self::Withdrawn]
            .into_iter()
            .find(|p| p.key() == key)
            .unwrap_or(Self::Over)
    }
}

/// Begins to offer an image. One device goes first; see [`round`].
///
/// # Errors
/// When the image may not be offered, another rollout for the same devices is not finished, or no device fits.
pub fn offer(
    tx: &mut Tx<'_>,
    id: ImageNumber,
    batch: &Batch,
) -> Result<RolloutNumber, FirmwareError> {
    let image = image(tx.conn(), id)?.ok_or(FirmwareError::UnknownImage)?;
    if let Some(why) = image.refused {
        return Err(FirmwareError::Refused(why));
    }
    let header = image.header.ok_or(FirmwareError::UnknownImage)?;
    let (hardware, channel) = (header.hardware.as_str(), header.channel.as_str());
    make_room(tx, hardware, channel)?;
    let percent = match batch {
        Batch::Share(percent @ 1..=100) => Some(*percent),
        Batch::Share(_) => return Err(FirmwareError::NoShare),
        Batch::Devices(_) => None,
    };
    tx.conn().execute(
        "INSERT INTO firmware_rollout (image, percent, phase, started_at) VALUES (?1, ?2, 'running', ?3)",
        params![id, percent, tx.wall().0],
    )?;
    let rollout = tx.conn().last_insert_rowid();
    let fitting = fitting(tx, hardware, channel, header.version.as_str())?;
    let chosen = choose(rollout, batch, &fitting)?;
    for (position, device) in chosen.iter().enumerate() {
        add_member(tx, rollout, *device, position as i64)?;
    }
    let detail = serde_json::json!({
        "image": id,
        "version": header.version.as_str(),
        "percent": percent,
        "devices": chosen.len(),
    });
    tx.audit("firmware.offer", &rollout.to_string(), Some(&detail))?;
    tx.tell(Change::Firmware);
    Ok(rollout)
}

/// A rollout of the same devices that came to its end makes room; one that did not, refuses.
fn make_room(tx: &Tx<'_>, hardware: &str, channel: &str) -> Result<(), FirmwareError> {
    let unfinished: bool = tx.conn().query_row(
        "SELECT EXISTS (SELECT 1 FROM firmware_update u JOIN firmware_rollout r ON r.id = u.rollout
             JOIN firmware_image i ON i.id = r.image
             WHERE r.phase IN ('running', 'paused') AND i.hardware = ?1 AND i.channel = ?2
               AND (u.state IS NULL OR u.state IN ('offered', 'downloading', 'verified', 'trying')))",
        [hardware, channel],
        |row| row.get(0),
    )?;
    if unfinished {
        return Err(FirmwareError::AnotherRuns);
    }
    tx.conn().execute(
        "UPDATE firmware_rollout SET phase = 'over' WHERE phase IN ('running', 'paused') AND image IN
             (SELECT id FROM firmware_image WHERE hardware = ?1 AND channel = ?2)",
        [hardware, channel],
    )?;
    Ok(())
}

/// Devices that need the image, as far as they said what they are.
fn fitting(
    tx: &Tx<'_>,
    hardware: &str,
    channel: &str,
    version: &str,
) -> Result<Vec<DeviceId>, StoreError> {
    let mut statement = tx.conn().prepare_cached(
        "SELECT device FROM device_firmware
         WHERE hardware = ?1 AND channel = ?2 AND version <> ?3 ORDER BY greeted_at DESC, device",
    )?;
    let rows = statement.query_map([hardware, channel, version], |row| sql::id(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn choose(
    rollout: RolloutNumber,
    batch: &Batch,
    fitting: &[DeviceId],
) -> Result<Vec<DeviceId>, FirmwareError> {
    let chosen: Vec<DeviceId> = match batch {
        Batch::Devices(named) => {
            if let Some(other) = named.iter().find(|d| !fitting.contains(d)) {
                return Err(FirmwareError::DoesNotFit(*other));
            }
            let mut seen = Vec::new();
            for device in named {
                if !seen.contains(device) {
                    seen.push(*device);
                }
            }
            seen
        }
        Batch::Share(percent) => {
            let within = |d: &&DeviceId| is_in_share(rollout, **d, *percent);
            let share: Vec<_> = fitting.iter().filter(within).copied().collect();
            if share.is_empty() {
                fitting.first().copied().into_iter().collect()
            } else {
                share
            }
        }
    };
    if chosen.is_empty() {
        return Err(FirmwareError::NobodyFits);
    }
    Ok(chosen)
}

pub(super) fn add_member(
    tx: &Tx<'_>,
    rollout: RolloutNumber,
    device: DeviceId,
    position: i64,
) -> Result<(), StoreError> {
    let now = tx.now();
    tx.conn()
        .prepare_cached(
            "INSERT INTO firmware_update (rollout, device, position, changed_at, boot, mono)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            rollout,
            device.as_bytes(),
            position,
            now.wall.0,
            now.boot,
            now.mono as i64
        ])?;
    Ok(())
}

/// Stops offering, and sending more to those that are at it; what a node has begun to try it brings to an end.
///
/// # Errors
/// When it does not run.
pub fn pause(tx: &mut Tx<'_>, rollout: RolloutNumber) -> Result<(), FirmwareError> {
    change_phase(tx, rollout, &[Phase::Running], Phase::Paused)?;
    tx.audit("firmware.pause", &rollout.to_string(), None)?;
    Ok(())
}

/// Goes on with a paused rollout. Devices that did badly have been seen, and stop it no more.
///
/// # Errors
/// When it is not paused.
pub fn resume(tx: &mut Tx<'_>, rollout: RolloutNumber) -> Result<(), FirmwareError> {
    clear_alert(tx, rollout)?;
    change_phase(tx, rollout, &[Phase::Paused], Phase::Running)?;
    tx.conn().execute(
        "UPDATE firmware_update SET settled = 1 WHERE rollout = ?1
           AND state IN ('rolled_back', 'refused', 'flash_failed', 'silent')",
        [rollout],
    )?;
    tx.conn().execute(
        "UPDATE firmware_rollout SET stopped_by = NULL, stopped_why = NULL WHERE id = ?1",
        [rollout],
    )?;
    tx.audit("firmware.resume", &rollout.to_string(), None)?;
    Ok(())
}

/// Takes a rollout back: devices that have not begun to try the image forget it.
///
/// # Errors
/// When it is over.
pub fn withdraw(tx: &mut Tx<'_>, rollout: RolloutNumber) -> Result<(), FirmwareError> {
    clear_alert(tx, rollout)?;
    change_phase(
        tx,
        rollout,
        &[Phase::Running, Phase::Paused],
        Phase::Withdrawn,
    )?;
    for (device, member) in round::members(tx.conn(), rollout)? {
        let next = match member.update {
            Some(update) => update.next(Event::Withdraw).unwrap_or(update),
            None => Update::Ended(farm_firmware::Ended::Withdrawn),
        };
        if member.update != Some(next) {
            round::put(tx, rollout, device, next)?;
        }
    }
    tx.audit("firmware.withdraw", &rollout.to_string(), None)?;
    Ok(())
}

fn change_phase(
    tx: &mut Tx<'_>,
    rollout: RolloutNumber,
    from: &[Phase],
    to: Phase,
) -> Result<(), FirmwareError> {
    let phase: Option<String> = tx
        .conn()
        .query_row(
            "SELECT phase FROM firmware_rollout WHERE id = ?1",
            [rollout],
            |row| row.get(0),
        )
        .optional()?;
    let known = phase.map(|key| Phase::from_key(&key));
    if !known.is_some_and(|phase| from.contains(&phase)) {
        return Err(FirmwareError::UnknownRollout);
    }
    tx.conn().execute(
        "UPDATE firmware_rollout SET phase = ?2 WHERE id = ?1",
        params![rollout, to.key()],
    )?;
    tx.tell(Change::Firmware);
    Ok(())
}

fn clear_alert(tx: &mut Tx<'_>, rollout: RolloutNumber) -> Result<(), StoreError> {
    let stopped: Option<[u8; 16]> = tx
        .conn()
        .query_row(
            "SELECT stopped_by FROM firmware_rollout WHERE id = ?1",
            [rollout],
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    if let Some(device) = stopped {
        let subject = Subject::Device(DeviceId::from_bytes(device));
        alerts::clear(tx, AlertKind::Firmware, subject)?;
    }
    Ok(())
}

/// Puts a device on a channel: it is offered images of that channel only.
///
/// # Errors
/// When there is no such device.
pub fn set_channel(
    tx: &mut Tx<'_>,
    device: DeviceId,
    channel: &Label,
) -> Result<(), FirmwareError> {
    devices::get(tx.conn(), device)?.ok_or(FirmwareError::UnknownDevice)?;
    tx.conn().execute(
        "INSERT INTO device_firmware (device, channel) VALUES (?1, ?2)
         ON CONFLICT (device) DO UPDATE SET channel = ?2",
        params![device.as_bytes(), channel.as_str()],
    )?;
    let detail = serde_json::json!({ "channel": channel.as_str() });
    tx.audit("firmware.channel", &device.to_string(), Some(&detail))?;
    tx.tell(Change::Firmware);
    Ok(())
}
