//! What nodes say about themselves and about updates.

use farm_firmware::{Ended, Event, Header, Label, Update, is_in_share};
use farm_model::DeviceId;
use firmware_protocol::{ImageId, UpdateState};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    FirmwareError, RolloutNumber, image,
    rollouts::{Phase, add_member},
    round::{follow, members, put},
};
use crate::store::{Change, StoreError, Tx};

/// Something that a node said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It greets: its hardware and the firmware that it runs.
    Greets {
        /// What it runs on.
        hardware: String,
        /// The firmware that it runs.
        version: String,
    },
    /// It tells how far an update is.
    Reports {
        /// Of which image.
        image: ImageId,
        /// How far.
        state: UpdateState,
        /// Bytes from the start that it has.
        have: u32,
    },
    /// It asks for bytes of an image.
    Asks {
        /// Of which image.
        image: ImageId,
        /// From which byte on.
        offset: u32,
    },
}

/// What follows on it.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// It may have what it asks for, of this image.
    Feed(Header),
    /// It may not have it now: the rollout is paused. It will ask again.
    Later,
    /// Nobody offers it that: it shall forget it.
    Withdraw,
}

/// Whether `heard` changes what is stored, so that it is worth a transaction. A node that asks for chunk after chunk writes once
/// in twenty parts of an image, not each time.
///
/// # Errors
/// When the database fails.
pub fn is_news(conn: &Connection, device: DeviceId, heard: &Heard) -> Result<bool, StoreError> {
    let Heard::Asks { image, offset } = heard else {
        return Ok(true);
    };
    let Some(member) = member_of(conn, device, *image)? else {
        return Ok(false);
    };
    let part = (member.header.size / 20).max(1);
    Ok(match member.update {
        Some(Update::Downloading { have }) => have.abs_diff(*offset) >= part,
        Some(update) => update.next(Event::Asks { offset: *offset }).is_ok(),
        None => false,
    })
}

/// What is to be answered to a node that asks for bytes.
///
/// # Errors
/// When the database fails.
pub fn answer(conn: &Connection, device: DeviceId, image: ImageId) -> Result<Answer, StoreError> {
    Ok(match member_of(conn, device, image)? {
        Some(Member {
            phase: Phase::Running,
            update: Some(update),
            header,
            ..
        }) if update.ended().is_none() => Answer::Feed(header),
        Some(Member {
            phase: Phase::Paused,
            ..
        }) => Answer::Later,
        _ => Answer::Withdraw,
    })
}

/// The image that `device` was offered and does not have yet.
///
/// # Errors
/// When the database fails.
pub fn standing_offer(conn: &Connection, device: DeviceId) -> Result<Option<Header>, StoreError> {
    let header: Option<Vec<u8>> = conn
        .prepare_cached(
            "SELECT i.header FROM firmware_update u JOIN firmware_rollout r ON r.id = u.rollout
             JOIN firmware_image i ON i.id = r.image
             WHERE u.device = ?1 AND r.phase = 'running' AND u.state IN ('offered', 'downloading') LIMIT 1",
        )?
        .query_row([device.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(header.and_then(|bytes| Header::read(&bytes).ok()))
}

/// Takes in what a node said.
///
/// # Errors
/// When the database fails.
pub fn heard(tx: &mut Tx<'_>, device: DeviceId, heard: &Heard) -> Result<(), FirmwareError> {
    match heard {
        Heard::Greets { hardware, version } => greets(tx, device, hardware, version),
        Heard::Reports { image, state, have } => {
            let event = Event::Reports {
                state: *state,
                have: *have,
            };
            tell(tx, device, *image, event)
        }
        Heard::Asks { image, offset } => tell(tx, device, *image, Event::Asks { offset: *offset }),
    }
}

fn tell(
    tx: &mut Tx<'_>,
    device: DeviceId,
    image: ImageId,
    event: Event,
) -> Result<(), FirmwareError> {
    if let Some(member) = member_of(tx.conn(), device, image)? {
        follow(tx, member.rollout, device, event)?;
    }
    Ok(())
}

/// A device on a rollout.
struct Member {
    rollout: RolloutNumber,
    phase: Phase,
    header: Header,
    update: Option<Update>,
}

/// The newest rollout that offers, or offered, `device` an image.
fn member_of(
    conn: &Connection,
    device: DeviceId,
    image: ImageId,
) -> Result<Option<Member>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT r.id, r.phase, i.header, u.state, u.have
             FROM firmware_update u JOIN firmware_rollout r ON r.id = u.rollout
             JOIN firmware_image i ON i.id = r.image
             WHERE u.device = ?1 AND substr(i.hash, 1, 8) = ?2 ORDER BY r.id DESC LIMIT 1",
        )?
        .query_row(params![device.as_bytes(), image.0], |row| {
            let state: Option<String> = row.get(3)?;
            let have = row.get(4)?;
            Ok((
                row.get(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
                state.and_then(|key| Update::from_key(&key, have)),
            ))
        })
        .optional()?;
    Ok(found.and_then(|(rollout, phase, header, update)| {
        Some(Member {
            rollout,
            phase: Phase::from_key(&phase),
            header: Header::read(&header).ok()?,
            update,
        })
    }))
}

fn greets(
    tx: &mut Tx<'_>,
    device: DeviceId,
    hardware: &str,
    version: &str,
) -> Result<(), FirmwareError> {
    // What cannot be a label fits no image.
    let (Ok(hardware), Ok(version)) = (Label::new(hardware), Label::new(version)) else {
        return Ok(());
    };
    tx.conn()
        .prepare_cached(
            "INSERT INTO device_firmware (device, hardware, version, greeted_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device) DO UPDATE SET hardware = ?2, version = ?3, greeted_at = ?4",
        )?
        .execute(params![
            device.as_bytes(),
            hardware.as_str(),
            version.as_str(),
            tx.wall().0
        ])?;
    tx.tell(Change::Firmware);
    for (rollout, header, percent) in open_rollouts(tx, &hardware)? {
        let runs_it = header.version == version;
        let stored = members(tx.conn(), rollout)?;
        let own = stored.iter().find(|(d, _)| *d == device).map(|(_, s)| *s);
        match own {
            None if !runs_it => join(tx, rollout, device, &header, percent, stored.len())?,
            None => {}
            // Brought up to date by other means before its turn came.
            Some(member) if member.update.is_none() && runs_it => {
                put(tx, rollout, device, Update::Ended(Ended::Confirmed))?;
            }
            Some(member) if member.update == Some(Update::Ended(Ended::Confirmed)) && runs_it => {
                let ran = member.age_ms(tx.now()).max(member.ran_ms);
                tx.conn().execute(
                    "UPDATE firmware_update SET ran_ms = ?3 WHERE rollout = ?1 AND device = ?2",
                    params![rollout, device.as_bytes(), ran],
                )?;
            }
            Some(_) if !runs_it => {
                follow(tx, rollout, device, Event::RunsOther)?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A device that is heard of while a share of all is brought up to date may belong to the share.
fn join(
    tx: &mut Tx<'_>,
    rollout: RolloutNumber,
    device: DeviceId,
    header: &Header,
    percent: Option<u8>,
    position: usize,
) -> Result<(), StoreError> {
    let channel: String = tx.conn().query_row(
        "SELECT channel FROM device_firmware WHERE device = ?1",
        [device.as_bytes()],
        |row| row.get(0),
    )?;
    let within = percent.is_some_and(|percent| is_in_share(rollout, device, percent));
    if within && channel == header.channel.as_str() {
        add_member(tx, rollout, device, position as i64)?;
    }
    Ok(())
}

type Open = (RolloutNumber, Header, Option<u8>);

fn open_rollouts(tx: &Tx<'_>, hardware: &Label) -> Result<Vec<Open>, StoreError> {
    let mut statement = tx.conn().prepare_cached(
        "SELECT r.id, r.image, r.percent FROM firmware_rollout r JOIN firmware_image i ON i.id = r.image
         WHERE r.phase IN ('running', 'paused') AND i.hardware = ?1",
    )?;
    let rows: Vec<(RolloutNumber, i64, Option<u8>)> = statement
        .query_map([hardware.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut open = Vec::new();
    for (rollout, number, percent) in rows {
        if let Some(header) = image(tx.conn(), number)?.and_then(|i| i.header) {
            open.push((rollout, header, percent));
        }
    }
    Ok(open)
}
