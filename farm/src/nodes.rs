//! Nodes that send sealed frames: which key opens them, what is known of each, and what is wanted of them.
//!
//! What was seen of a node's frames and batches is stored in the transaction that stores what they brought; so a batch is stored
//! once, whatever is sent again. The store does not look into that state. It is local and never replicated.

mod commands;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use farm_model::{DeviceId, Stamp, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

pub use self::{
    commands::{Command, Deed, Fate, LASTS_MS, answered, command, commands},
    settings::{Bounds, Said, Settings, Standing, Wanted, is_news, said, set_settings, settings},
};
use crate::{
    credentials::{self, FrameKey},
    devices::Enabled,
    sql,
    store::{StoreError, Tx, store_error},
};

/// Why nothing was asked of a node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No such device, or it sends no sealed frames.
    #[error("this device has no frame key, so nothing can be told to it: make its frame key first")]
    NoNode,
    /// A number of seconds that no node should have.
    #[error("{} must be from {} to {} seconds: choose a number between them", .0.key, .0.least, .0.most)]
    OutOfBounds(Bounds),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(NodeError);

/// What a node is still to be told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outstanding {
    /// Settings, until it says what became of them.
    pub settings: Option<Wanted>,
    /// Commands in the order of their numbers, until it answers or they are over.
    pub commands: Vec<Command>,
}

impl Outstanding {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.settings.is_none() && self.commands.is_empty()
    }
}

/// What each node is still to be told at `now`; those with nothing are left out.
///
/// # Errors
/// When the database fails.
pub fn outstanding(
    conn: &Connection,
    now: Stamp,
) -> Result<BTreeMap<DeviceId, Outstanding>, StoreError> {
    let mut all = BTreeMap::<DeviceId, Outstanding>::new();
    for (device, wanted) in settings::waiting(conn)? {
        all.entry(device).or_default().settings = Some(wanted);
    }
    for (device, command) in commands::waiting(conn, now)? {
        all.entry(device).or_default().commands.push(command);
    }
    Ok(all)
}

/// A device that can be told something.
fn known(conn: &Connection, device: DeviceId) -> Result<(), NodeError> {
    credentials::frame_key(conn, device)?.map_or(Err(NodeError::NoNode), |_| Ok(()))
}

/// The number of what is told next: it grows, and when an older copy of the database was put back, it is still above what was
/// told meanwhile, because the clock went on.
fn next_number(tx: &Tx<'_>, before: Option<u32>) -> u32 {
    let seconds = u32::try_from(tx.wall().0 / 1_000).unwrap_or(0);
    before.map_or(1, |n| n.saturating_add(1)).max(seconds)
}

/// What is known of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its device.
    pub device: DeviceId,
    /// What was seen of its frames and batches.
    pub state: String,
    /// When it was last heard.
    pub heard_at: UnixMillis,
    /// How often it has started.
    pub boot: u32,
    /// Batches in its flash when it was last heard.
    pub waiting: u32,
    /// Batches that it dropped before they could be sent, because its flash was full.
    pub lost: u32,
    /// From its newest greeting.
    pub greeting: Option<Greeting>,
}

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// Version of the firmware that runs.
    pub firmware: String,
    /// What it runs on.
    pub hardware: String,
    /// Why it started: a code of the frame protocol.
    pub reset: u8,
}

/// Stores what is known of a node; without a greeting the one before stays.
///
/// # Errors
/// When the database fails.
pub fn put(tx: &mut Tx<'_>, node: &Node) -> Result<(), StoreError> {
    let greeting = node.greeting.as_ref();
    tx.conn()
        .prepare_cached(
            "INSERT INTO node (device, state, heard_at, boot, waiting, lost, firmware, hardware, reset)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (device) DO UPDATE SET state = ?2, heard_at = ?3, boot = ?4, waiting = ?5, lost = ?6,
                firmware = coalesce(?7, firmware), hardware = coalesce(?8, hardware), reset = coalesce(?9, reset)",
        )?
        .execute(params![
            node.device.as_bytes(),
            node.state,
            node.heard_at.0,
            node.boot,
            node.waiting,
            node.lost,
            greeting.map(|g| &g.firmware),
            greeting.map(|g| &g.hardware),
            greeting.map(|g| g.reset),
        ])?;
    Ok(())
}

/// Every node that was heard.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &Connection) -> Result<Vec<Node>, StoreError> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM node"))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The node that `device` is, once it was heard.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &Connection, device: DeviceId) -> Result<Option<Node>, StoreError> {
    Ok(conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM node WHERE device = ?1"))?
        .query_row([device.as_bytes()], read)
        .optional()?)
}

/// A device that has a key for frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyHolder {
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: FrameKey,
    /// Whether it is to be heard.
    pub enabled: Enabled,
}

/// The device whose identity ends in these bytes and that has a key for frames.
///
/// # Errors
/// When the database fails.
pub fn by_ending(conn: &Connection, ending: [u8; 8]) -> Result<Option<KeyHolder>, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT c.device, c.frame_key, coalesce(d.enabled, 1)
             FROM device_credential c JOIN device d ON d.id = c.device
             WHERE substr(c.device, 9) = ?1 AND c.frame_key IS NOT NULL",
        )?
        .query_row([ending], |row| {
            Ok(KeyHolder {
                device: sql::id(row, 0)?,
                key: FrameKey(row.get(1)?),
                enabled: if row.get(2)? {
                    Enabled::Yes
                } else {
                    Enabled::No
                },
            })
        })
        .optional()?)
}

const COLUMNS: &str = "device, state, heard_at, boot, waiting, lost, firmware, hardware, reset";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Node> {
    let firmware: Option<String> = row.get(6)?;
    let greeting = match firmware {
        Some(firmware) => Some(Greeting {
            firmware,
            hardware: row.get(7)?,
            reset: row.get(8)?,
        }),
        None => None,
    };
    Ok(Node {
        device: sql::id(row, 0)?,
        state: row.get(1)?,
        heard_at: UnixMillis(row.get(2)?),
        boot: row.get(3)?,
        waiting: row.get(4)?,
        lost: row.get(5)?,
        greeting,
    })
}
