//! What follows from an animal's events: holds, and where she is in her lactation. Pure in the events; rebuilt whole.

use std::collections::HashSet;

use farm_model::{AnimalId, ClockQuality, UnixMillis};
use jiff::{civil::Date, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::{AnimalEvent, COLUMNS, EventBody, Pregnancy, read};
use crate::{
    animals,
    holds::{self, Hold, Product},
    settings, sql,
    store::{Change, FactId, StoreError, Tx},
};

/// Days from service to calving of dairy cattle (mean of Holstein crosses).
const GESTATION_DAYS: i64 = 280;
const HOUR_MS: i64 = 3_600_000;

/// Where an animal is in her lactation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct LactationState {
    /// Day of the last calving.
    pub calved: Option<Date>,
    /// Number of the lactation.
    pub lactation: Option<u8>,
    /// Day of drying off, if after the last calving.
    pub dried: Option<Date>,
    /// Day of the last heat since the calving.
    pub heat: Option<Date>,
    /// Day of the last service since the calving.
    pub served: Option<Date>,
    /// Whether a check since the last service found her pregnant.
    pub pregnant: Option<bool>,
    /// When she should calve, if she is or may be pregnant.
    pub due: Option<Date>,
}

impl LactationState {
    /// Days in milk on `day`: 0 on the day of calving.
    pub fn days_in_milk(&self, day: Date) -> Option<i64> {
        let days = sql::day_number(day) - sql::day_number(self.calved?);
        (days >= 0 && self.dried.is_none_or(|d| day < d)).then_some(days)
    }
}

/// Brings in step what follows from an animal's events; of a merged duplicate, what follows for the animal that stays.
pub(crate) fn follow(tx: &mut Tx<'_>, animal: AnimalId) -> Result<(), StoreError> {
    let stays = animals::canonical(tx.conn(), animal)?;
    if stays != animal {
        forget(tx, animal)?;
        tx.tell(Change::Animal { animal });
    }
    project(tx, stays)?;
    tx.tell(Change::Animal { animal: stays });
    Ok(())
}

/// Builds what follows from all events anew.
pub(crate) fn rebuild(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let mut statement = tx
        .conn()
        .prepare("SELECT animal FROM animal_event UNION SELECT animal FROM animal_state")?;
    let rows = statement.query_map([], |row| sql::id_opt(row, 0))?;
    let all: Vec<AnimalId> = sql::known(rows)?;
    for animal in all {
        if let Err(reason) = tx.apart(|tx| follow(tx, animal))? {
            tracing::error!(%animal, reason, "what follows from an animal's events is not brought in step");
        }
    }
    Ok(())
}

fn forget(tx: &mut Tx<'_>, animal: AnimalId) -> Result<(), StoreError> {
    holds::replace(tx, animal, &[])?;
    tx.conn()
        .prepare_cached("DELETE FROM animal_state WHERE animal = ?1")?
        .execute([animal.as_bytes()])?;
    Ok(())
}

fn project(tx: &mut Tx<'_>, animal: AnimalId) -> Result<(), StoreError> {
    let events = of_family(tx.conn(), animal)?;
    if events.is_empty() {
        return forget(tx, animal);
    }
    holds::replace(tx, animal, &holds_of(animal, &events))?;
    let tz = settings::load(tx.conn())?.tz();
    let state = fold(&events, &tz);
    let day = |date: Option<Date>| date.map(sql::day_number);
    tx.conn()
        .prepare_cached(
            "INSERT INTO animal_state (animal, calved_day, lactation, dried_day, heat_day, served_day, pregnant, due_day)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (animal) DO UPDATE SET calved_day = ?2, lactation = ?3, dried_day = ?4, heat_day = ?5,
                served_day = ?6, pregnant = ?7, due_day = ?8",
        )?
        .execute(params![
            animal.as_bytes(),
            day(state.calved),
            state.lactation,
            day(state.dried),
            day(state.heat),
            day(state.served),
            state.pregnant,
            day(state.due)
        ])?;
    Ok(())
}

/// Where an animal is in her lactation.
///
/// # Errors
/// When the database fails.
pub fn state(conn: &Connection, animal: AnimalId) -> Result<LactationState, StoreError> {
    let state = conn
        .prepare_cached(
            "SELECT calved_day, lactation, dried_day, heat_day, served_day, pregnant, due_day
             FROM animal_state WHERE animal = ?1",
        )?
        .query_row([animal.as_bytes()], |row| {
            let day = |i| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(i)?.map(sql::date_of));
            Ok(LactationState {
                calved: day(0)?,
                lactation: row.get(1)?,
                dried: day(2)?,
                heat: day(3)?,
                served: day(4)?,
                pregnant: row.get(5)?,
                due: day(6)?,
            })
        })
        .optional()?;
    Ok(state.unwrap_or_default())
}

/// The events of an animal and its merged duplicates, oldest first, voided ones marked.
pub(super) fn of_family(
    conn: &Connection,
    animal: AnimalId,
) -> Result<Vec<AnimalEvent>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "WITH RECURSIVE family (id) AS (
            VALUES (?1) UNION SELECT a.id FROM animal a JOIN family f ON a.merged_into = f.id)
         SELECT {COLUMNS} FROM animal_event e JOIN sync_site s ON s.ordinal = e.site
         WHERE e.animal IN (SELECT id FROM family)
         ORDER BY e.happened_at, s.id, e.seq"
    ))?;
    let rows = statement.query_map([animal.as_bytes()], read)?;
    let mut events: Vec<AnimalEvent> = sql::known(rows)?;
    let voided: HashSet<FactId> = events
        .iter()
        .filter_map(|e| match e.body {
            EventBody::Void { of } => Some(of),
            _ => None,
        })
        .collect();
    for event in &mut events {
        event.voided = voided.contains(&event.id);
    }
    Ok(events)
}

fn holds_of(animal: AnimalId, events: &[AnimalEvent]) -> Vec<Hold> {
    let mut holds = Vec::new();
    for event in events.iter().filter(|e| !e.voided) {
        let EventBody::Treatment {
            medicine,
            milk_hold_h,
            meat_hold_h,
            ..
        } = &event.body
        else {
            continue;
        };
        for (product, hours) in [(Product::Milk, *milk_hold_h), (Product::Meat, *meat_hold_h)] {
            if hours > 0 {
                holds.push(Hold {
                    animal,
                    product,
                    cause: event.id,
                    from: event.happened,
                    until: event.happened.plus(i64::from(hours) * HOUR_MS),
                    clock: event.recorded.clock,
                    since_boot: (event.recorded.boot, event.recorded.mono),
                    medicine: medicine.clone(),
                });
            }
        }
    }
    debug_assert!(holds.iter().all(|h| h.clock <= ClockQuality::Synced));
    holds
}

fn fold(events: &[AnimalEvent], tz: &TimeZone) -> LactationState {
    let local = |at: UnixMillis| at.timestamp().to_zoned(tz.clone()).date();
    let mut state = LactationState::default();
    for event in events.iter().filter(|e| !e.voided) {
        let day = local(event.happened);
        match &event.body {
            EventBody::Calving { lactation, .. } => {
                state = LactationState {
                    calved: Some(day),
                    lactation: Some(*lactation),
                    ..LactationState::default()
                };
            }
            EventBody::DryOff => state.dried = Some(day),
            EventBody::Heat => {
                state.heat = Some(day);
                // In heat again: the service did not take.
                if state.pregnant != Some(true) {
                    state.due = None;
                }
            }
            EventBody::Insemination { .. } => {
                state.served = Some(day);
                state.pregnant = None;
                state.due = Some(sql::date_of(sql::day_number(day) + GESTATION_DAYS));
            }
            EventBody::PregnancyCheck { result } => match result {
                Pregnancy::Pregnant => state.pregnant = Some(true),
                Pregnancy::Empty => {
                    state.pregnant = Some(false);
                    state.due = None;
                }
                Pregnancy::Unknown => {}
            },
            _ => {}
        }
    }
    state
}
