//! Settings of a node: what a person wants, and what the node says of it.
//!
//! A version is told until the node says what became of it. Invariants: versions of a node grow, also above one that it says it
//! has and nobody here gave it; what it refused is not told again until somebody changes it.

use farm_model::{DeviceId, UnixMillis};
use firmware_protocol::{Outcome, Setting};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{NodeError, known, next_number};
use crate::{
    sql,
    store::{Change, StoreError, Tx},
};

/// What a person wants of a node, in seconds; what is absent is as the node was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Between measurements.
    pub measure_every_s: Option<u32>,
    /// Between transmissions; 0 sends each batch at once.
    pub send_every_s: Option<u32>,
    /// Between greetings.
    pub greet_every_s: Option<u32>,
    /// Before a frame that was not answered is sent again.
    pub retry_after_s: Option<u32>,
}

/// What a setting may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Its name.
    pub key: &'static str,
    /// As the protocol calls it.
    pub setting: Setting,
    /// Least number of seconds.
    pub least: u32,
    /// Most.
    pub most: u32,
    /// As nodes are made.
    pub usual: u32,
}

const DAY: u32 = 86_400;

/// In the order of [`Settings::values`].
const BOUNDS: [Bounds; 4] = [
    bounds("measure_every_s", Setting::SampleEveryS, [1, DAY, 300]),
    bounds("send_every_s", Setting::SendEveryS, [0, DAY, 0]),
    bounds("greet_every_s", Setting::HelloEveryS, [10, DAY, 3_600]),
    bounds("retry_after_s", Setting::RetryAfterS, [1, 300, 10]),
];

const fn bounds(key: &'static str, setting: Setting, [least, most, usual]: [u32; 3]) -> Bounds {
    Bounds {
        key,
        setting,
        least,
        most,
        usual,
    }
}

impl Settings {
    /// Each setting with its bounds, absent where the node's own shall be.
    pub fn values(&self) -> [(&'static Bounds, Option<u32>); 4] {
        let values = [
            self.measure_every_s,
            self.send_every_s,
            self.greet_every_s,
            self.retry_after_s,
        ];
        std::array::from_fn(|i| (&BOUNDS[i], values[i]))
    }

    fn check(&self) -> Result<(), NodeError> {
        let wrong = self
            .values()
            .into_iter()
            .find(|(bounds, value)| value.is_some_and(|v| v < bounds.least || v > bounds.most));
        wrong.map_or(Ok(()), |(bounds, _)| Err(NodeError::OutOfBounds(*bounds)))
    }
}

/// What is wanted of a node, and how far that is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Grows with each change.
    pub version: u32,
    /// What is wanted.
    pub settings: Settings,
    /// Since when.
    pub since: UnixMillis,
    /// What the node says of it.
    pub standing: Standing,
}

/// What a node says of the settings that are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing yet: they are told until it does.
    Waiting,
    /// They are in force.
    InForce {
        /// When it said so.
        at: UnixMillis,
        /// How many of them it does not know.
        unknown: u8,
    },
    /// It will not have them; those before are in force.
    Refused {
        /// When it said so.
        at: UnixMillis,
        /// Why.
        why: Outcome,
    },
}

/// What a node said of its settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// It greets: this version is in force.
    Has(u32),
    /// It has looked at a version.
    Looked {
        /// At which.
        version: u32,
        /// What became of it.
        outcome: Outcome,
        /// How many settings it does not know.
        unknown: u8,
    },
}

impl Wanted {
    /// As it is after the node said something; none when that changes nothing.
    fn after(&self, said: Said, at: UnixMillis) -> Option<Self> {
        let in_force = |unknown| Standing::InForce { at, unknown };
        let (version, standing) = match (said, self.standing) {
            // From another appliance, or an older copy of the database was put back here.
            (Said::Has(newer), _) if newer > self.version => {
                (newer.checked_add(1)?, Standing::Waiting)
            }
            (Said::Has(has), Standing::Waiting | Standing::Refused { .. })
                if has == self.version =>
            {
                (has, in_force(0))
            }
            // Its flash was lost.
            (Said::Has(older), Standing::InForce { .. }) if older < self.version => {
                (self.version, Standing::Waiting)
            }
            (
                Said::Looked {
                    version,
                    outcome,
                    unknown,
                },
                Standing::Waiting,
            ) if version == self.version => match outcome {
                Outcome::Done => (version, in_force(unknown)),
                why => (version, Standing::Refused { at, why }),
            },
            _ => return None,
        };
        Some(Self {
            version,
            standing,
            ..self.clone()
        })
    }
}

/// Wants these settings of a node from now on. The same again changes nothing, unless the node refused them.
///
/// # Errors
/// When it sends no sealed frames, or a number is out of bounds.
pub fn set_settings(
    tx: &mut Tx<'_>,
    device: DeviceId,
    wanted: Settings,
) -> Result<Wanted, NodeError> {
    known(tx.conn(), device)?;
    wanted.check()?;
    let before = settings(tx.conn(), device)?;
    if let Some(same) = before.as_ref().filter(|b| b.settings == wanted)
        && !matches!(same.standing, Standing::Refused { .. })
    {
        return Ok(same.clone());
    }
    let new = Wanted {
        version: next_number(tx, before.map(|b| b.version)),
        settings: wanted,
        since: tx.wall(),
        standing: Standing::Waiting,
    };
    put(tx, device, &new)?;
    let detail = serde_json::to_value(wanted).expect("numbers are JSON");
    tx.audit("node.settings", &device.to_string(), Some(&detail))?;
    Ok(new)
}

/// What is wanted of a node; none when nobody ever wanted anything.
///
/// # Errors
/// When the database fails.
pub fn settings(conn: &Connection, device: DeviceId) -> Result<Option<Wanted>, StoreError> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM node_settings WHERE device = ?1"
        ))?
        .query_row([device.as_bytes()], |row| Ok(read(row)?.1))
        .optional()?)
}

/// Whether what a node said of its settings changes anything, so that it is worth a transaction.
///
/// # Errors
/// When the database fails.
pub fn is_news(conn: &Connection, device: DeviceId, said: Said) -> Result<bool, StoreError> {
    let wanted = settings(conn, device)?;
    Ok(wanted.is_some_and(|wanted| wanted.after(said, UnixMillis(0)).is_some()))
}

/// Takes in what a node said of its settings.
///
/// # Errors
/// When the database fails.
pub fn said(tx: &mut Tx<'_>, device: DeviceId, said: Said) -> Result<(), StoreError> {
    let wanted = settings(tx.conn(), device)?;
    match wanted.and_then(|wanted| wanted.after(said, tx.wall())) {
        Some(after) => put(tx, device, &after),
        None => Ok(()),
    }
}

/// What was wanted and not answered yet, of nodes that can be told.
pub(super) fn waiting(conn: &Connection) -> Result<Vec<(DeviceId, Wanted)>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM node_settings JOIN device_credential USING (device)
         WHERE outcome IS NULL AND frame_key IS NOT NULL"
    ))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn put(tx: &mut Tx<'_>, device: DeviceId, wanted: &Wanted) -> Result<(), StoreError> {
    let (outcome, at, unknown) = match wanted.standing {
        Standing::Waiting => (None, None, 0),
        Standing::InForce { at, unknown } => (Some(Outcome::Done), Some(at), unknown),
        Standing::Refused { at, why } => (Some(why), Some(at), 0),
    };
    tx.conn()
        .prepare_cached(
            "INSERT OR REPLACE INTO node_settings
                (device, version, settings, wanted_at, outcome, answered_at, unknown)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            device.as_bytes(),
            wanted.version,
            sql::to_json(&wanted.settings),
            wanted.since.0,
            outcome.map(Outcome::code),
            at.map(|at| at.0),
            unknown,
        ])?;
    tx.tell(Change::Node { device });
    Ok(())
}

const COLUMNS: &str = "device, version, settings, wanted_at, outcome, answered_at, unknown";

fn read(row: &Row<'_>) -> rusqlite::Result<(DeviceId, Wanted)> {
    let at = UnixMillis(row.get::<_, Option<i64>>(5)?.unwrap_or_default());
    let standing = match row.get::<_, Option<u8>>(4)?.map(Outcome::from_code) {
        None => Standing::Waiting,
        Some(Outcome::Done) => Standing::InForce {
            at,
            unknown: row.get(6)?,
        },
        Some(why) => Standing::Refused { at, why },
    };
    let wanted = Wanted {
        version: row.get(1)?,
        settings: serde_json::from_str(&sql::text(row, 2)?).unwrap_or_default(),
        since: UnixMillis(row.get(3)?),
        standing,
    };
    Ok((sql::id(row, 0)?, wanted))
}
