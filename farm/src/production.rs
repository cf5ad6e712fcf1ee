//! What the farm gives: by day, by session, and where it went.

use farm_model::SessionKey;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use crate::{sql, store::StoreError};

/// Milk of a day or of one of its sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Milk {
    /// Visits.
    pub visits: i64,
    /// Animals milked; 0 for a session, where it is not kept.
    pub cows: i64,
    /// Millilitres given.
    pub yield_ml: i64,
    /// Of these into the tank,
    pub tank_ml: i64,
    /// kept out because of a withdrawal hold,
    pub withheld_ml: i64,
    /// or discarded by a person.
    pub discarded_ml: i64,
}

impl Milk {
    /// Millilitres per cow; none without cows.
    pub fn per_cow_ml(&self) -> Option<i64> {
        (self.cows > 0).then(|| self.yield_ml / self.cows)
    }
}

/// Today, and the means of the days before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    /// Today so far.
    pub today: Milk,
    /// Yesterday.
    pub yesterday: Milk,
    /// Millilitres of the seven days that end today.
    pub week_ml: i64,
    /// Millilitres of the thirty days that end today.
    pub month_ml: i64,
}

/// The dashboard's figures on `today`.
///
/// # Errors
/// When the database fails.
pub fn summary(conn: &Connection, today: Date) -> Result<Summary, StoreError> {
    let last = sql::day_number(today);
    let days = trend(conn, sql::date_of(last - 29), today)?;
    let on = |day| {
        days.iter()
            .find(|(date, _)| sql::day_number(*date) == day)
            .map_or(Milk::default(), |(_, milk)| *milk)
    };
    Ok(Summary {
        today: on(last),
        yesterday: on(last - 1),
        week_ml: days
            .iter()
            .filter(|(date, _)| sql::day_number(*date) > last - 7)
            .map(|(_, milk)| milk.yield_ml)
            .sum(),
        month_ml: days.iter().map(|(_, milk)| milk.yield_ml).sum(),
    })
}

const COLUMNS: &str = "n, cows, yield_ml, tank_ml, withheld_ml, discarded_ml";

/// The days from `from` to `to` that have milk, oldest first.
///
/// # Errors
/// When the database fails.
pub fn trend(conn: &Connection, from: Date, to: Date) -> Result<Vec<(Date, Milk)>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, day FROM herd_day WHERE day BETWEEN ?1 AND ?2 AND session = 0 AND n > 0 ORDER BY day"
    ))?;
    let rows = statement.query_map([sql::day_number(from), sql::day_number(to)], |row| {
        Ok((sql::date_of(row.get(6)?), read(row)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A day's milk, or a session's.
///
/// # Errors
/// When the database fails.
pub fn of_session(conn: &Connection, session: SessionKey) -> Result<Milk, StoreError> {
    of(conn, session.date, session.number)
}

/// A day's milk.
///
/// # Errors
/// When the database fails.
pub fn of_day(conn: &Connection, date: Date) -> Result<Milk, StoreError> {
    of(conn, date, 0)
}

/// The sessions of a day, by number: the tank's account, with what was kept out of it.
///
/// # Errors
/// When the database fails.
pub fn sessions_of(conn: &Connection, date: Date) -> Result<Vec<(u8, Milk)>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, session FROM herd_day WHERE day = ?1 AND session > 0 AND n > 0 ORDER BY session"
    ))?;
    let rows = statement.query_map([sql::day_number(date)], |row| Ok((row.get(6)?, read(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn of(conn: &Connection, date: Date, session: u8) -> Result<Milk, StoreError> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM herd_day WHERE day = ?1 AND session = ?2"
        ))?
        .query_row(params![sql::day_number(date), session], read)
        .optional()?
        .unwrap_or_default())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Milk> {
    Ok(Milk {
        visits: row.get(0)?,
        cows: row.get(1)?,
        yield_ml: row.get(2)?,
        tank_ml: row.get(3)?,
        withheld_ml: row.get(4)?,
        discarded_ml: row.get(5)?,
    })
}
