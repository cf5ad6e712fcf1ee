//! What the milking engine asks about the herd, in one go per session.

use std::collections::HashMap;

use farm_model::{AnimalId, Milli, SessionKey, VisitId};
use jiff::civil::Date;
use rusqlite::{Connection, params};

use crate::{sql, store::StoreError, yields};

/// Days that "usual" looks back.
const DAYS: i64 = 14;
/// Fewest visits that tell what is usual.
const ENOUGH: usize = 5;

/// What an animal usually gives in one visit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usual {
    /// Median yield in millilitres.
    pub yield_ml: i64,
    /// Robust standard deviation of the yield: 1.4826 times the median absolute deviation.
    pub spread_ml: i64,
    /// Median of the average flow in mL/min.
    pub avg_flow_ml_min: Option<i64>,
    /// Median conductivity.
    pub conductivity: Option<Milli>,
}

/// Who has given milk in a session, and in which visit.
///
/// # Errors
/// When the database fails.
pub fn in_session(
    conn: &Connection,
    session: SessionKey,
) -> Result<Vec<(AnimalId, VisitId)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT animal, id FROM visit WHERE day = ?1 AND session = ?2 AND animal IS NOT NULL AND voided = 0
         AND yield_ml > 0 ORDER BY animal, start",
    )?;
    let rows = statement.query_map(
        params![sql::day_number(session.date), session.number],
        |row| Ok((sql::id(row, 0)?, sql::id(row, 1)?)),
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What each animal usually gives, by its visits of the last two weeks before `day`; in session `number` alone, or in all.
///
/// # Errors
/// When the database fails.
pub fn usual(
    conn: &Connection,
    day: Date,
    number: Option<u8>,
) -> Result<HashMap<AnimalId, Usual>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT animal, yield_ml, avg_flow, conductivity FROM visit
         WHERE day >= ?1 AND day < ?2 AND (?3 IS NULL OR session = ?3) AND animal IS NOT NULL AND voided = 0 AND yield_ml > 0",
    )?;
    let today = sql::day_number(day);
    let mut rows = statement.query(params![today - DAYS, today, number])?;
    let mut seen: HashMap<AnimalId, [Vec<i64>; 3]> = HashMap::new();
    while let Some(row) = rows.next()? {
        let figures = seen.entry(sql::id(row, 0)?).or_default();
        for (i, figures) in figures.iter_mut().enumerate() {
            figures.extend(row.get::<_, Option<i64>>(i + 1)?);
        }
    }
    Ok(seen
        .into_iter()
        .filter(|(_, [yields, _, _])| yields.len() >= ENOUGH)
        .filter_map(|(animal, [mut yields, mut flows, mut conductivities])| {
            let yield_ml = yields::median(&mut yields)?;
            let usual = Usual {
                yield_ml,
                spread_ml: yields::spread(&yields, yield_ml),
                avg_flow_ml_min: yields::median(&mut flows),
                conductivity: yields::median(&mut conductivities).map(Milli),
            };
            Some((animal, usual))
        })
        .collect())
}
