//! Withdrawal: after a treatment an animal's milk or meat must not be sold for a time.
//!
//! Invariant: a hold ends only by a trusted clock. While the clock is not trusted every hold stays that was not already
//! past at the latest moment a trusted clock has shown. A treatment written down while the clock was not known has no
//! known beginning: its hold stays until a trusted clock can date it, by the monotonic clock of the same boot, or else
//! from that very moment on. Several holds are a union: the strictest counts. Milk whose time is only somebody's word was
//! given at some moment between that time and the hearing of it: every hold between the two counts.

use std::collections::HashMap;

use farm_model::{AnimalId, ClockQuality, Stamp, UnixMillis};
use rusqlite::{Connection, Row, params};

use crate::{
    sql,
    store::{Change, FactId, StoreError, Tx},
};

/// What may not be sold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// Milk.
    Milk,
    /// Meat.
    Meat,
}

impl Product {
    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::Milk => "milk",
            Self::Meat => "meat",
        }
    }

    fn from_key(key: &str) -> Self {
        // What this program does not know is treated as the stricter of the two.
        if key == "meat" {
            Self::Meat
        } else {
            Self::Milk
        }
    }
}

/// A withdrawal hold.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Hold {
    /// Whose.
    pub animal: AnimalId,
    /// Of what.
    pub product: Product,
    /// The treatment.
    pub cause: FactId,
    /// Its beginning.
    pub from: UnixMillis,
    /// Its end, if the beginning is known.
    pub until: UnixMillis,
    /// How well the clock was known that the beginning was read from.
    pub clock: ClockQuality,
    /// The boot and the milliseconds in it at the beginning.
    pub since_boot: (u32, u64),
    /// The medicine.
    pub medicine: String,
}

impl Hold {
    /// Whether the hold stands, given the latest moment that is certainly past.
    pub fn stands(&self, certain: UnixMillis) -> bool {
        !(self.clock.is_trusted() && self.until <= certain)
    }
}

/// The latest moment that is certainly past: by the clock if it is trusted, else by the latest that was.
///
/// # Errors
/// When the database fails.
pub fn certain(conn: &Connection, now: &Stamp) -> Result<UnixMillis, StoreError> {
    let stored: i64 = conn
        .prepare_cached("SELECT trusted_wall FROM local")?
        .query_row([], |row| row.get(0))?;
    Ok(if now.clock.is_trusted() {
        now.wall
    } else {
        UnixMillis(stored)
    })
}

/// The holds of an animal that stand.
///
/// # Errors
/// When the database fails.
pub fn of_animal(
    conn: &Connection,
    animal: AnimalId,
    now: &Stamp,
) -> Result<Vec<Hold>, StoreError> {
    let certain = certain(conn, now)?;
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM hold WHERE animal = ?1 ORDER BY until_at DESC, product"
    ))?;
    let rows = statement.query_map([animal.as_bytes()], read)?;
    let mut holds: Vec<Hold> = rows.collect::<Result<_, _>>()?;
    holds.retain(|h| h.stands(certain));
    Ok(holds)
}

/// Whether an animal's milk must be kept out of the tank.
///
/// # Errors
/// When the database fails.
pub fn milk_is_held(conn: &Connection, animal: AnimalId, now: &Stamp) -> Result<bool, StoreError> {
    Ok(of_animal(conn, animal, now)?
        .iter()
        .any(|h| h.product == Product::Milk))
}

/// When milk was given, as far as that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// Between these moments.
    Between(UnixMillis, UnixMillis),
    /// No clock that is trusted says when.
    Unknown,
}

impl Given {
    /// What a visit from `start` to `end` of which this appliance heard at `heard` says: what a trusted clock has measured is
    /// so; what a person or a program told may have been any time from then until it was heard.
    pub fn of(start: &Stamp, end: &Stamp, heard: &Stamp) -> Self {
        let is_word = start.clock.min(end.clock) >= ClockQuality::Told;
        match (start.clock.is_trusted(), end.clock.is_trusted()) {
            (true, true) => Self::Between(start.wall, end.wall),
            (true, false) => Self::Between(start.wall, UnixMillis(i64::MAX)),
            _ if is_word && heard.clock.is_trusted() => {
                Self::Between(start.wall.min(heard.wall), end.wall.max(heard.wall))
            }
            _ => Self::Unknown,
        }
    }
}

/// Whether milk given then must be kept out of the tank.
///
/// # Errors
/// When the database fails.
pub fn milk_was_held(
    conn: &Connection,
    animal: AnimalId,
    given: Given,
) -> Result<bool, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM hold WHERE animal = ?1 AND product = 'milk'"
    ))?;
    let rows = statement.query_map([animal.as_bytes()], read)?;
    let certain = certain(conn, &Stamp::default())?;
    for hold in rows {
        let hold = hold?;
        let held = match given {
            // A hold that begins after the visit does not reach back; one whose beginning is not known does.
            Given::Between(start, end) => {
                hold.stands(start) && !(hold.clock.is_trusted() && hold.from > end)
            }
            Given::Unknown => hold.stands(certain),
        };
        if held {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every hold that stands, by animal.
///
/// # Errors
/// When the database fails.
pub fn standing(
    conn: &Connection,
    now: &Stamp,
) -> Result<HashMap<AnimalId, Vec<Hold>>, StoreError> {
    let certain = certain(conn, now)?;
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM hold WHERE until_at > ?1 OR clock < ?2"
    ))?;
    let rows = statement.query_map(params![certain.0, ClockQuality::Synced as u8], read)?;
    let mut holds: HashMap<AnimalId, Vec<Hold>> = HashMap::new();
    for hold in rows {
        let hold = hold?;
        if hold.stands(certain) {
            holds.entry(hold.animal).or_default().push(hold);
        }
    }
    Ok(holds)
}

/// Dates the holds that began while the clock was not known; call it when the clock has become trusted, and now and then.
/// Returns how many were dated.
///
/// # Errors
/// When the database fails.
pub fn date_holds(tx: &mut Tx<'_>) -> Result<usize, StoreError> {
    let now = tx.now();
    if !now.clock.is_trusted() {
        return Ok(0);
    }
    tx.conn()
        .prepare_cached(
            "UPDATE local SET trusted_wall = max(trusted_wall, ?1) WHERE trusted_wall < ?1 - 60000",
        )?
        .execute([now.wall.0])?;
    let mut statement = tx
        .conn()
        .prepare_cached(&format!("SELECT {COLUMNS} FROM hold WHERE clock < ?1"))?;
    let rows = statement.query_map([ClockQuality::Synced as u8], read)?;
    let undated: Vec<Hold> = rows.collect::<Result<_, _>>()?;
    for hold in &undated {
        let (boot, mono) = hold.since_boot;
        // Another site counts its boots for itself.
        let from = if hold.cause.site == 0 && boot == now.boot {
            now.wall.plus(-(now.mono.saturating_sub(mono) as i64))
        } else {
            now.wall
        };
        tx.conn()
            .prepare_cached(
                "UPDATE hold SET from_at = ?5, until_at = ?5 + until_at - from_at, clock = ?6
                 WHERE animal = ?1 AND product = ?2 AND site = ?3 AND seq = ?4",
            )?
            .execute(params![
                hold.animal.as_bytes(),
                hold.product.key(),
                hold.cause.site,
                hold.cause.seq,
                from.0,
                ClockQuality::Synced as u8
            ])?;
        tx.tell(Change::Animal {
            animal: hold.animal,
        });
    }
    Ok(undated.len())
}

/// Replaces an animal's holds by those its treatments give. A hold that was dated since keeps its date.
pub(crate) fn replace(tx: &mut Tx<'_>, animal: AnimalId, holds: &[Hold]) -> Result<(), StoreError> {
    let mut statement = tx
        .conn()
        .prepare_cached(&format!("SELECT {COLUMNS} FROM hold WHERE animal = ?1"))?;
    let rows = statement.query_map([animal.as_bytes()], read)?;
    let old: Vec<Hold> = rows.collect::<Result<_, _>>()?;
    tx.conn()
        .prepare_cached("DELETE FROM hold WHERE animal = ?1")?
        .execute([animal.as_bytes()])?;
    for hold in holds {
        let dated = old
            .iter()
            .find(|o| o.cause == hold.cause && o.product == hold.product && o.clock > hold.clock);
        let hold = dated.unwrap_or(hold);
        tx.conn()
            .prepare_cached(
                "INSERT INTO hold (animal, product, site, seq, from_at, until_at, clock, boot, mono, medicine)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                animal.as_bytes(),
                hold.product.key(),
                hold.cause.site,
                hold.cause.seq,
                hold.from.0,
                hold.until.0,
                hold.clock as u8,
                hold.since_boot.0,
                hold.since_boot.1 as i64,
                hold.medicine
            ])?;
    }
    Ok(())
}

const COLUMNS: &str = "animal, product, site, seq, from_at, until_at, clock, boot, mono, medicine";

fn read(row: &Row<'_>) -> rusqlite::Result<Hold> {
    Ok(Hold {
        animal: sql::id(row, 0)?,
        product: Product::from_key(&sql::text(row, 1)?),
        cause: FactId {
            site: row.get(2)?,
            seq: row.get(3)?,
        },
        from: UnixMillis(row.get(4)?),
        until: UnixMillis(row.get(5)?),
        clock: ClockQuality::from_code(row.get(6)?),
        since_boot: (row.get(7)?, row.get::<_, i64>(8)? as u64),
        medicine: sql::text(row, 9)?,
    })
}
