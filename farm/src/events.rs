//! What happened to an animal: treatments, calvings, heats, weights, notes. Facts: a mistake is voided by a later one.
//!
//! From the events of an animal follow its holds and the state of its lactation (`project`); both can be rebuilt.

mod project;

use farm_model::{AnimalId, AnimalStatus, ClockQuality, Stamp, UnixMillis};
use jiff::{civil::Date, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

pub use self::project::{LactationState, state};
pub(crate) use self::project::{follow, rebuild};
use crate::{
    animals, once, settings, sql,
    store::{FactId, Log, StoreError, Tx, store_error},
};

/// Longest withdrawal that is taken, in hours: a year.
const LONGEST_HOLD_H: u32 = 366 * 24;

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EventBody {
    /// A medicine was given.
    Treatment {
        /// Which.
        medicine: String,
        /// How much, as people write it.
        #[serde(default)]
        dose: String,
        /// Against what.
        #[serde(default)]
        reason: String,
        /// Hours for which milk must be kept out of the tank.
        #[serde(default)]
        milk_hold_h: u32,
        /// Hours for which the animal must not be slaughtered.
        #[serde(default)]
        meat_hold_h: u32,
    },
    /// She calved.
    Calving {
        /// Number of the lactation that began, from 1.
        lactation: u8,
        /// Calves born alive.
        #[serde(default)]
        live: u8,
        /// Calves born.
        #[serde(default)]
        born: u8,
    },
    /// Milking of her ended for this lactation.
    DryOff,
    /// She was seen in heat.
    Heat,
    /// She was served.
    Insemination {
        /// Bull or straw.
        #[serde(default)]
        sire: String,
    },
    /// Somebody looked whether she is pregnant.
    PregnancyCheck {
        /// What was found.
        result: Pregnancy,
    },
    /// Something was wrong with her.
    Health {
        /// What was seen.
        symptom: String,
        /// Whether somebody must look at once.
        #[serde(default)]
        emergency: bool,
    },
    /// A remark.
    Note {
        /// The remark.
        text: String,
    },
    /// She was weighed.
    Weight {
        /// Grams.
        grams: i64,
    },
    /// She was moved to another group.
    Group {
        /// Which.
        group: String,
    },
    /// Her status changed.
    Status {
        /// To what.
        status: AnimalStatus,
    },
    /// An earlier event was a mistake.
    Void {
        /// Which; stored as of the event's own site unless `of_site` says another.
        of: FactId,
    },
}

/// What a pregnancy check found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pregnancy {
    /// Not pregnant.
    Empty,
    /// Pregnant.
    Pregnant,
    /// Not certain.
    Unknown,
}

impl EventBody {
    /// A calving that began lactation `lactation`, of which nothing else is known.
    pub fn calving(lactation: u8) -> Self {
        Self::Calving {
            lactation,
            live: 0,
            born: 0,
        }
    }

    /// The name used in the store, JSON and translation keys.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Treatment { .. } => "treatment",
            Self::Calving { .. } => "calving",
            Self::DryOff => "dry_off",
            Self::Heat => "heat",
            Self::Insemination { .. } => "insemination",
            Self::PregnancyCheck { .. } => "pregnancy_check",
            Self::Health { .. } => "health",
            Self::Note { .. } => "note",
            Self::Weight { .. } => "weight",
            Self::Group { .. } => "group",
            Self::Status { .. } => "status",
            Self::Void { .. } => "void",
        }
    }

    /// The status that the event puts the animal in.
    fn status(&self) -> Option<AnimalStatus> {
        match self {
            Self::Calving { .. } => Some(AnimalStatus::Lactating),
            Self::DryOff => Some(AnimalStatus::Dry),
            Self::Status { status } => Some(*status),
            _ => None,
        }
    }
}

/// When an event happened, as far as somebody says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// As it is written down.
    Now,
    /// At this moment.
    At(UnixMillis),
    /// On this local day; noon is taken.
    On(Date),
}

/// An event to be written down.
#[derive(Clone, PartialEq, Debug)]
pub struct NewEvent {
    /// Whose.
    pub animal: AnimalId,
    /// When.
    pub when: When,
    /// What.
    pub body: EventBody,
}

impl NewEvent {
    /// An event of this moment.
    pub fn now(animal: AnimalId, body: EventBody) -> Self {
        Self {
            animal,
            when: When::Now,
            body,
        }
    }

    /// An event of a day.
    pub fn on(animal: AnimalId, date: Date, body: EventBody) -> Self {
        Self {
            animal,
            when: When::On(date),
            body,
        }
    }
}

/// An event as it was written down.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AnimalEvent {
    /// Identity.
    pub id: FactId,
    /// Whose.
    pub animal: AnimalId,
    /// When it happened.
    pub happened: UnixMillis,
    /// When it was written down.
    pub recorded: Stamp,
    /// By whom.
    pub actor: String,
    /// What.
    pub body: EventBody,
    /// Whether a later event says that it was a mistake.
    pub voided: bool,
}

/// Why an event was not written down.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// No such animal.
    #[error("this animal is not in the register: go back to the herd and choose another")]
    UnknownAnimal,
    /// No such event of this animal.
    #[error("this event is not known: reload the animal's page")]
    UnknownEvent,
    /// It lies in the future.
    #[error("this has not happened yet: choose today or an earlier day")]
    Future,
    /// A withdrawal longer than a year.
    #[error("a withdrawal lasts at most 366 days: check the figure")]
    LongHold,
    /// A weight that no animal has.
    #[error("a weight lies between 1 and 2,000 kg: check the figure")]
    Weight,
    /// Text is missing.
    #[error("write down what it was")]
    Empty,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(EventError);

/// Writes an event down, and what follows from it: holds, lactation, status, group.
///
/// # Errors
/// When the animal is unknown, the event lies in the future, or its figures cannot be.
pub fn record(tx: &mut Tx<'_>, event: &NewEvent) -> Result<FactId, EventError> {
    let animal = animals::get(tx.conn(), event.animal)?.ok_or(EventError::UnknownAnimal)?;
    check(&event.body)?;
    let happened = happened(tx, event.when)?;
    if let EventBody::Void { of } = &event.body {
        let known = project::of_family(tx.conn(), animal.id)?
            .iter()
            .any(|e| e.id == *of && !matches!(e.body, EventBody::Void { .. }));
        if !known {
            return Err(EventError::UnknownEvent);
        }
    }
    let (mut body, mut of_site) = (event.body.clone(), None);
    if let EventBody::Void { of } = &mut body {
        of_site = sql::foreign_site(tx.conn(), of.site)?;
        of.site = 0;
    }
    let id = tx.next_fact(Log::Event);
    let now = tx.now();
    tx.conn()
        .prepare_cached(
            "INSERT INTO animal_event (site, seq, animal, kind, happened_at, at, clock, boot, mono, actor, body, of_site)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            id.site,
            id.seq,
            animal.id.as_bytes(),
            event.body.key(),
            happened.0,
            now.wall.0,
            vouched(event.when, happened, &now) as u8,
            now.boot,
            now.mono as i64,
            tx.actor().to_string(),
            sql::to_json(&body),
            of_site,
        ])?;
    follow(tx, animal.id)?;
    note_on_record(tx, &animal, &event.body)?;
    Ok(id)
}

/// Writes an event down as [`record`] does, unless the form that bears `key` has written one of this animal before: a form may be sent
/// again because its answer was lost. None then.
///
/// # Errors
/// As of [`record`].
pub fn record_once(
    tx: &mut Tx<'_>,
    key: &str,
    event: &NewEvent,
) -> Result<Option<FactId>, EventError> {
    if once::first(tx, once::key(event.animal.as_bytes(), key))? {
        record(tx, event).map(Some)
    } else {
        Ok(None)
    }
}

/// Says that an event was a mistake: what followed from it is taken back.
///
/// # Errors
/// When there is no such event.
pub fn void(tx: &mut Tx<'_>, of: FactId) -> Result<FactId, EventError> {
    let animal: Option<[u8; 16]> = tx
        .conn()
        .query_row(
            "SELECT animal FROM animal_event WHERE site = ?1 AND seq = ?2",
            params![of.site, of.seq],
            |row| row.get(0),
        )
        .optional()?;
    let animal = AnimalId::from_bytes(animal.ok_or(EventError::UnknownEvent)?);
    record(tx, &NewEvent::now(animal, EventBody::Void { of }))
}

/// Of which animals a stretch of a site's log speaks.
pub(crate) fn of_whom(
    conn: &Connection,
    site: i64,
    from: i64,
    to: i64,
) -> Result<Vec<AnimalId>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT animal FROM animal_event WHERE site = ?1 AND seq > ?2 AND seq <= ?3",
    )?;
    let rows = statement.query_map(params![site, from, to], |row| sql::id(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What happened to an animal and its merged duplicates, newest first.
///
/// # Errors
/// When the database fails.
pub fn of_animal(conn: &Connection, animal: AnimalId) -> Result<Vec<AnimalEvent>, StoreError> {
    let mut events = project::of_family(conn, animal)?;
    events.reverse();
    Ok(events)
}

/// Record and status follow the event; an emergency is told.
fn note_on_record(
    tx: &mut Tx<'_>,
    animal: &animals::Animal,
    body: &EventBody,
) -> Result<(), EventError> {
    match body {
        EventBody::Group { group } => {
            tx.conn().execute(
                "UPDATE animal SET herd_group = ?2 WHERE id = ?1",
                params![animal.id.as_bytes(), group],
            )?;
        }
        EventBody::Health {
            symptom,
            emergency: true,
        } => {
            crate::alerts::raise(
                tx,
                crate::alerts::AlertKind::Health,
                crate::alerts::Subject::Animal(animal.id),
                &serde_json::json!({ "number": animal.number, "symptom": symptom }),
            )?;
        }
        _ => {}
    }
    let status = match body {
        // What the animal's remaining events say, if they say anything.
        EventBody::Void { of } => {
            let events = project::of_family(tx.conn(), animal.id)?;
            let was_status = events
                .iter()
                .any(|e| e.id == *of && e.body.status().is_some());
            was_status
                .then(|| {
                    events
                        .iter()
                        .rev()
                        .filter(|e| !e.voided)
                        .find_map(|e| e.body.status())
                })
                .flatten()
        }
        body => body.status(),
    };
    if let Some(status) = status
        && status != animal.status
    {
        tx.conn().execute(
            "UPDATE animal SET status = ?2 WHERE id = ?1",
            params![animal.id.as_bytes(), status.key()],
        )?;
    }
    Ok(())
}

fn check(body: &EventBody) -> Result<(), EventError> {
    let words = match body {
        EventBody::Treatment {
            medicine,
            milk_hold_h,
            meat_hold_h,
            ..
        } => {
            if (*milk_hold_h).max(*meat_hold_h) > LONGEST_HOLD_H {
                return Err(EventError::LongHold);
            }
            Some(medicine)
        }
        EventBody::Health { symptom, .. } => Some(symptom),
        EventBody::Note { text } => Some(text),
        EventBody::Group { group } => Some(group),
        EventBody::Weight { grams } => {
            if !(1_000..=2_000_000).contains(grams) {
                return Err(EventError::Weight);
            }
            None
        }
        _ => None,
    };
    if words.is_some_and(|w| w.trim().is_empty()) {
        return Err(EventError::Empty);
    }
    Ok(())
}

/// When it happened; a moment that a trusted clock has not reached is refused.
fn happened(tx: &Tx<'_>, when: When) -> Result<UnixMillis, EventError> {
    let now = tx.now();
    let tz = settings::load(tx.conn())?.tz();
    let at = match when {
        When::Now => return Ok(now.wall),
        When::At(at) => at,
        When::On(date) => {
            let noon = noon(date, &tz);
            let today = now.wall.timestamp().to_zoned(tz).date();
            if date == today {
                noon.min(now.wall)
            } else {
                noon
            }
        }
    };
    if now.clock.is_trusted() && at > now.wall.plus(60_000) {
        return Err(EventError::Future);
    }
    Ok(at)
}

/// How well it is known when it happened. A day that somebody wrote down does not hang on the clock, unless it is about
/// the one that the clock itself shows: that is what a form offers.
fn vouched(when: When, happened: UnixMillis, now: &Stamp) -> ClockQuality {
    const ABOUT_MS: i64 = 36 * 3_600_000;
    match when {
        When::At(_) | When::On(_) if now.wall.since(happened).abs() > ABOUT_MS => {
            ClockQuality::Synced
        }
        _ => now.clock,
    }
}

fn noon(date: Date, tz: &TimeZone) -> UnixMillis {
    let noon = date.at(12, 0, 0, 0).to_zoned(tz.clone());
    UnixMillis(noon.map_or(sql::day_number(date) * 86_400_000, |z| {
        z.timestamp().as_millisecond()
    }))
}

const COLUMNS: &str = "e.site, e.seq, e.animal, e.happened_at, e.at, e.clock, e.boot, e.mono, e.actor, e.body,
    CASE WHEN e.of_site IS NULL THEN e.site ELSE coalesce((SELECT ordinal FROM sync_site WHERE id = e.of_site), -1) END";

/// A row whose kind this program does not know is of a newer site; it is left out, and so is one of nobody.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<AnimalEvent>> {
    let Some(animal) = sql::id_opt(row, 2)? else {
        return Ok(None);
    };
    let Ok(mut body) = serde_json::from_str(&sql::text(row, 9)?) else {
        return Ok(None);
    };
    if let EventBody::Void { of } = &mut body {
        of.site = row.get(10)?;
    }
    Ok(Some(AnimalEvent {
        id: FactId {
            site: row.get(0)?,
            seq: row.get(1)?,
        },
        animal,
        happened: UnixMillis(row.get(3)?),
        recorded: Stamp {
            wall: UnixMillis(row.get(4)?),
            clock: ClockQuality::from_code(row.get(5)?),
            boot: row.get(6)?,
            mono: row.get::<_, i64>(7)? as u64,
        },
        actor: sql::text(row, 8)?,
        body,
        voided: false,
    }))
}
