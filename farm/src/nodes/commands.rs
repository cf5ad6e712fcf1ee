//! Commands to nodes: asked for by a person, told until the node answers, and never late.
//!
//! Invariants: numbers grow, so a node does each once, whatever is lost. A command is told for [`LASTS_MS`] after it was asked
//! for and not a moment longer, because nobody waits for it any more; how long that is, is counted by the clock that never
//! jumps, and across a restart of the appliance by a clock that can be trusted. Where there is none, the command is over.

use farm_model::{ClockQuality, DeviceId, Stamp, UnixMillis};
use firmware_protocol::{Action, Outcome};
use rusqlite::{Connection, Row, params};

use super::{NodeError, known, next_number};
use crate::{
    sql,
    store::{Change, StoreError, Tx},
};

/// How long a command is told, milliseconds: a sleeping node that sends each quarter of an hour hears it.
pub const LASTS_MS: i64 = 20 * 60 * 1_000;
/// Commands kept for each node.
const KEPT: u32 = 20;
/// How long a node blinks, seconds.
const BLINK_S: i64 = 30;
/// All channels.
const EVERY: u8 = 255;

/// What a node can be told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// Blink, so that a person finds it.
    Identify,
    /// Measure at once.
    Measure,
    /// Send what it holds at once.
    Send,
    /// Restart.
    Restart,
}

impl Deed {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Identify, Self::Measure, Self::Send, Self::Restart];

    /// Its name.
    pub fn key(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Measure => "measure",
            Self::Send => "send",
            Self::Restart => "restart",
        }
    }

    /// The one that is called so.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|deed| deed.key() == key)
    }
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Grows with each command to this node.
    pub id: u32,
    /// What to do.
    pub deed: Deed,
    /// Who asked for it, as the audit log names them.
    pub by: String,
    /// When.
    pub asked: Stamp,
    /// What the node said became of it, and when.
    pub answer: Option<(Outcome, UnixMillis)>,
}

/// How far a command is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is told until the node answers.
    Told,
    /// The node did it.
    Done(UnixMillis),
    /// The node did not do it.
    Failed(Outcome, UnixMillis),
    /// The node did not answer in time; it may have done it.
    Over,
}

impl Fate {
    /// Its name.
    pub fn key(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Done(_) => "done",
            Self::Failed(..) => "failed",
            Self::Over => "over",
        }
    }
}

impl Command {
    /// How far it is at `now`.
    pub fn fate(&self, now: Stamp) -> Fate {
        match self.answer {
            Some((Outcome::Done, at)) => Fate::Done(at),
            Some((why, at)) => Fate::Failed(why, at),
            None if is_due(self.asked, now) => Fate::Told,
            None => Fate::Over,
        }
    }

    /// As the frame protocol says it.
    pub fn record(&self) -> firmware_protocol::Command {
        let (action, channel, value) = match self.deed {
            Deed::Identify => (Action::Identify, 0, BLINK_S),
            Deed::Measure => (Action::ReadNow, EVERY, 0),
            Deed::Send => (Action::SendNow, 0, 0),
            Deed::Restart => (Action::Restart, 0, 0),
        };
        firmware_protocol::Command {
            id: self.id,
            action,
            channel,
            value,
        }
    }
}

/// Whether a command of that moment may still be told.
fn is_due(asked: Stamp, now: Stamp) -> bool {
    let age = if asked.boot == now.boot {
        i64::try_from(now.mono.saturating_sub(asked.mono)).unwrap_or(i64::MAX)
    } else if asked.clock.is_trusted() && now.clock.is_trusted() {
        now.wall.since(asked.wall)
    } else {
        return false;
    };
    (0..LASTS_MS).contains(&age)
}

/// Tells a node to do something; its number. What is asked for again while it waits is done once.
///
/// # Errors
/// When it sends no sealed frames.
pub fn command(tx: &mut Tx<'_>, device: DeviceId, deed: Deed) -> Result<u32, NodeError> {
    known(tx.conn(), device)?;
    let before = commands(tx.conn(), device)?;
    let now = tx.now();
    let is_waiting = |c: &&Command| c.deed == deed && c.fate(now) == Fate::Told;
    if let Some(waiting) = before.iter().find(is_waiting) {
        return Ok(waiting.id);
    }
    let id = next_number(tx, before.first().map(|c| c.id));
    tx.conn().execute(
        "INSERT INTO node_command (device, id, deed, asked_by, asked_at, clock, boot, mono)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            device.as_bytes(),
            id,
            deed.key(),
            tx.actor().to_string(),
            now.wall.0,
            now.clock as u8,
            now.boot,
            now.mono as i64
        ],
    )?;
    tx.conn().execute(
        "DELETE FROM node_command WHERE device = ?1 AND id NOT IN
            (SELECT id FROM node_command WHERE device = ?1 ORDER BY id DESC LIMIT ?2)",
        params![device.as_bytes(), KEPT],
    )?;
    let detail = serde_json::json!({ "do": deed.key(), "id": id });
    tx.audit("node.command", &device.to_string(), Some(&detail))?;
    tx.tell(Change::Node { device });
    Ok(id)
}

/// The newest commands to a node, newest first.
///
/// # Errors
/// When the database fails.
pub fn commands(conn: &Connection, device: DeviceId) -> Result<Vec<Command>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM node_command WHERE device = ?1 ORDER BY id DESC"
    ))?;
    let rows = statement.query_map([device.as_bytes()], |row| Ok(read(row)?.1))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A node says what became of a command; the first word counts, also when it comes late.
///
/// # Errors
/// When the database fails.
pub fn answered(
    tx: &mut Tx<'_>,
    device: DeviceId,
    id: u32,
    outcome: Outcome,
) -> Result<(), StoreError> {
    let n = tx.conn().execute(
        "UPDATE node_command SET outcome = ?3, answered_at = ?4
         WHERE device = ?1 AND id = ?2 AND outcome IS NULL",
        params![device.as_bytes(), id, outcome.code(), tx.wall().0],
    )?;
    if n > 0 {
        tx.tell(Change::Node { device });
    }
    Ok(())
}

/// What is to be told at `now`, in the order of numbers, to nodes that can be told.
pub(super) fn waiting(
    conn: &Connection,
    now: Stamp,
) -> Result<Vec<(DeviceId, Command)>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM node_command JOIN device_credential USING (device)
         WHERE outcome IS NULL AND frame_key IS NOT NULL ORDER BY device, id"
    ))?;
    let rows = statement.query_map([], read)?;
    let mut all = rows.collect::<Result<Vec<_>, _>>()?;
    all.retain(|(_, command)| command.fate(now) == Fate::Told);
    Ok(all)
}

const COLUMNS: &str =
    "device, id, deed, asked_by, asked_at, clock, boot, mono, outcome, answered_at";

fn read(row: &Row<'_>) -> rusqlite::Result<(DeviceId, Command)> {
    let deed = sql::text(row, 2)?;
    let outcome = row.get::<_, Option<u8>>(8)?.map(Outcome::from_code);
    let at = row.get::<_, Option<i64>>(9)?.map(UnixMillis);
    let command = Command {
        id: row.get(1)?,
        deed: Deed::from_key(&deed).ok_or_else(|| {
            let error = format!("no command is called {deed}").into();
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error)
        })?,
        by: sql::text(row, 3)?,
        asked: Stamp {
            wall: UnixMillis(row.get(4)?),
            clock: ClockQuality::from_code(row.get(5)?),
            boot: row.get(6)?,
            mono: row.get::<_, i64>(7)? as u64,
        },
        answer: outcome.zip(at),
    };
    Ok((sql::id(row, 0)?, command))
}
