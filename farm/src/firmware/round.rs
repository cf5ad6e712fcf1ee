//! One round: what to send to which node now, and whether a rollout must stop.
//!
//! Ages are counted by the clock that never jumps, anew after each start of the appliance: a wall clock that is set must not end
//! a trial.

use farm_firmware::{Ended, Event, Header, Member, Milking, Rules, Update, Wait, decide};
use farm_model::{
    DeviceId, Stamp,
    live::{Parlour, Phase as StallPhase},
};
use rusqlite::{Connection, params};

use super::{FirmwareError, RolloutNumber, image};
use crate::{
    alerts::{self, AlertKind, Subject},
    devices, plan, settings, sql,
    store::{Change, StoreError, Tx},
};

/// Something to tell a node.
#[derive(Clone, PartialEq, Debug)]
pub struct Outgoing {
    /// Which.
    pub device: DeviceId,
    /// What.
    pub order: Order,
}

/// What a node is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// There is this image for it.
    Offer(Header),
}

/// Whether a session is open by the farm's plan, or a stall is busy.
///
/// # Errors
/// When the database fails.
pub fn is_milking(conn: &Connection, parlour: &Parlour, now: Stamp) -> Result<Milking, StoreError> {
    let busy = parlour.stalls.iter().any(|s| s.phase != StallPhase::Empty);
    let tz = settings::load(conn)?.tz();
    let open = plan::load(conn)?.schedule(tz).open_at(now).is_some();
    Ok(if busy || open {
        Milking::Yes
    } else {
        Milking::No
    })
}

/// Whether there is anything for [`round`] to do.
///
/// # Errors
/// When the database fails.
pub fn is_any_running(conn: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM firmware_rollout WHERE phase = 'running')";
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Goes once over every rollout that runs.
///
/// # Errors
/// When the database fails.
pub fn round(
    tx: &mut Tx<'_>,
    rules: &Rules,
    milking: Milking,
) -> Result<Vec<Outgoing>, FirmwareError> {
    let mut statement = tx.conn().prepare_cached(
        "SELECT id, image FROM firmware_rollout WHERE phase = 'running' ORDER BY id",
    )?;
    let running: Vec<(RolloutNumber, i64)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut outgoing = Vec::new();
    for (rollout, number) in running {
        let Some(header) = image(tx.conn(), number)?.and_then(|i| i.header) else {
            continue;
        };
        let members: Vec<Member> = members(tx.conn(), rollout)?
            .into_iter()
            .map(|(_, stored)| stored.member(tx.now()))
            .collect();
        let decision = decide(&members, rules, milking);
        for device in decision.trial_over {
            follow(tx, rollout, device, Event::TrialOver)?;
        }
        if let Some((device, ended)) = decision.pause {
            stop(tx, rollout, device, ended, &header)?;
        }
        for device in decision.offer {
            put(tx, rollout, device, Update::Offered)?;
            let order = Order::Offer(header.clone());
            outgoing.push(Outgoing { device, order });
        }
    }
    Ok(outgoing)
}

/// Why no other node of a rollout is offered its image now.
pub(super) fn waits_for(members: &[Member], rules: &Rules, milking: Milking) -> Option<Wait> {
    decide(members, rules, milking).wait
}

/// Pauses a rollout because a node did badly, and says so.
fn stop(
    tx: &mut Tx<'_>,
    rollout: RolloutNumber,
    device: DeviceId,
    ended: Ended,
    header: &Header,
) -> Result<(), StoreError> {
    let why = Update::Ended(ended).key();
    tx.conn().execute(
        "UPDATE firmware_rollout SET phase = 'paused', stopped_by = ?2, stopped_why = ?3 WHERE id = ?1",
        params![rollout, device.as_bytes(), why],
    )?;
    let name = devices::get(tx.conn(), device)?.map(|d| d.name);
    let detail =
        serde_json::json!({ "device": name, "version": header.version.as_str(), "why": why });
    alerts::raise(tx, AlertKind::Firmware, Subject::Device(device), &detail)?;
    tx.audit("firmware.stopped", &rollout.to_string(), Some(&detail))?;
    tx.tell(Change::Firmware);
    Ok(())
}

/// A member as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) device: DeviceId,
    pub(super) update: Option<Update>,
    pub(super) since: Stamp,
    pub(super) ran_ms: i64,
    pub(super) settled: bool,
}

impl Stored {
    pub(super) fn member(&self, now: Stamp) -> Member {
        Member {
            device: self.device,
            update: self.update,
            age_ms: self.age_ms(now),
            ran_ms: self.ran_ms,
            settled: self.settled,
        }
    }

    pub(super) fn age_ms(&self, now: Stamp) -> i64 {
        let age = match self.since.boot == now.boot {
            true => now.mono.saturating_sub(self.since.mono),
            false => now.mono,
        };
        i64::try_from(age).unwrap_or(i64::MAX)
    }
}

/// The members of a rollout in their order.
pub(super) fn members(
    conn: &Connection,
    rollout: RolloutNumber,
) -> Result<Vec<(DeviceId, Stored)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT device, state, have, changed_at, boot, mono, ran_ms, settled FROM firmware_update
         WHERE rollout = ?1 ORDER BY position, device",
    )?;
    let rows = statement.query_map([rollout], |row| {
        let state: Option<String> = row.get(1)?;
        let have = row.get(2)?;
        let stored = Stored {
            device: sql::id(row, 0)?,
            update: state.and_then(|key| Update::from_key(&key, have)),
            since: Stamp {
                wall: farm_model::UnixMillis(row.get(3)?),
                boot: row.get(4)?,
                mono: row.get::<_, i64>(5)? as u64,
                ..Stamp::default()
            },
            ran_ms: row.get(6)?,
            settled: row.get(7)?,
        };
        Ok((stored.device, stored))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What follows on `event` for one member; an event that cannot follow changes nothing.
pub(super) fn follow(
    tx: &mut Tx<'_>,
    rollout: RolloutNumber,
    device: DeviceId,
    event: Event,
) -> Result<Option<Update>, StoreError> {
    let found = members(tx.conn(), rollout)?
        .into_iter()
        .find(|(d, _)| *d == device);
    let Some(before) = found.and_then(|(_, stored)| stored.update) else {
        return Ok(None);
    };
    match before.next(event) {
        Ok(next) if next == before => {}
        Ok(next) => put(tx, rollout, device, next)?,
        Err(error) => {
            tracing::debug!(%device, %error, "a node's word about its update came late");
            return Ok(Some(before));
        }
    }
    Ok(before.next(event).ok())
}

/// Stores how far a member is, from now on.
pub(super) fn put(
    tx: &mut Tx<'_>,
    rollout: RolloutNumber,
    device: DeviceId,
    update: Update,
) -> Result<(), StoreError> {
    let now = tx.now();
    tx.conn()
        .prepare_cached(
            "UPDATE firmware_update SET state = ?3, have = ?4, changed_at = ?5, boot = ?6, mono = ?7
             WHERE rollout = ?1 AND device = ?2",
        )?
        .execute(params![
            rollout,
            device.as_bytes(),
            update.key(),
            update.have(),
            now.wall.0,
            now.boot,
            now.mono as i64
        ])?;
    tx.tell(Change::Firmware);
    Ok(())
}
