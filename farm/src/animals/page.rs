//! Everything about one animal, for her page.

use farm_model::{AnimalId, SessionKey, Stamp};
use jiff::civil::Date;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::{Animal, AnimalTag};
use crate::{
    curve::Curve,
    events::{self, AnimalEvent, LactationState},
    holds::{self, Hold},
    milkings::{self, VisitRow},
    plan, sql,
    store::StoreError,
    yields::{self, Baseline},
};

/// Visits that the page shows.
const VISITS: usize = 20;

/// What an animal gave on a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct DayYield {
    /// The day.
    pub date: Date,
    /// Visits.
    pub visits: i64,
    /// Millilitres.
    pub yield_ml: i64,
}

/// An animal's page.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AnimalPage {
    /// The animal.
    pub animal: Animal,
    /// Her tags.
    pub tags: Vec<AnimalTag>,
    /// Where she is in her lactation.
    pub state: LactationState,
    /// Days in milk.
    pub days_in_milk: Option<i64>,
    /// Her holds that stand.
    pub holds: Vec<Hold>,
    /// Her newest visits.
    pub visits: Vec<VisitRow>,
    /// Daily yields of this lactation, at most 305 days, oldest first.
    pub days: Vec<DayYield>,
    /// What she should give in each session of the plan, by her own past.
    pub baselines: Vec<(u8, Baseline)>,
    /// The curve of this lactation.
    pub curve: Option<Curve>,
    /// What happened to her, newest first.
    pub events: Vec<AnimalEvent>,
}

/// An animal's page on `today`; a merged duplicate leads to the animal that stayed.
///
/// # Errors
/// When the database fails.
pub fn animal_page(
    conn: &Connection,
    id: AnimalId,
    today: Date,
    now: &Stamp,
) -> Result<Option<AnimalPage>, StoreError> {
    let Some(animal) = super::get(conn, id)? else {
        return Ok(None);
    };
    let id = animal.id;
    let state = events::state(conn, id)?;
    let last = sql::day_number(today);
    let first = state
        .calved
        .map_or(last - 304, |c| sql::day_number(c).max(last - 304));
    let days = daily_yields(conn, id, sql::date_of(first), today)?;
    let mut baselines = Vec::new();
    for session in plan::load(conn)?.sessions {
        let key = SessionKey {
            date: today,
            number: session.number,
        };
        if let Some(baseline) = yields::baseline_of(conn, id, key, now.wall)? {
            baselines.push((session.number, baseline));
        }
    }
    Ok(Some(AnimalPage {
        tags: super::tags(conn, id)?,
        days_in_milk: state.days_in_milk(today),
        holds: holds::of_animal(conn, id, now)?,
        visits: milkings::of_animal(conn, id, VISITS)?,
        curve: curve(&state, &days, today),
        days,
        baselines,
        events: events::of_animal(conn, id)?,
        state,
        animal,
    }))
}

/// What an animal gave on each day that has milk, oldest first.
///
/// # Errors
/// When the database fails.
pub fn daily_yields(
    conn: &Connection,
    animal: AnimalId,
    from: Date,
    to: Date,
) -> Result<Vec<DayYield>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT day, n, yield_ml FROM animal_day WHERE animal = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day",
    )?;
    let rows = statement.query_map(
        params![
            animal.as_bytes(),
            sql::day_number(from),
            sql::day_number(to)
        ],
        |row| {
            Ok(DayYield {
                date: sql::date_of(row.get(0)?),
                visits: row.get(1)?,
                yield_ml: row.get(2)?,
            })
        },
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The curve of this lactation. Today is not over, so it tells nothing yet.
fn curve(state: &LactationState, days: &[DayYield], today: Date) -> Option<Curve> {
    let calved = sql::day_number(state.calved?);
    let days: Vec<(i64, f64)> = days
        .iter()
        .filter(|d| d.date < today)
        .map(|d| {
            // Litres to kilograms: milk weighs 1.03 kg a litre.
            let kg = d.yield_ml as f64 / 1000.0 * 1.03;
            (sql::day_number(d.date) - calved, kg)
        })
        .collect();
    Curve::of(&days)
}
