//! Whether a cow gives what she should: her own robust baseline, and the drop that is told.
//!
//! Expected is the median of her last same-session yields, each moved along the shape of a lactation to today's day in
//! milk; spread is the median absolute deviation. A yield is a drop when it lies both a good part below the median and
//! beyond what her own scatter explains. Numbers, not averages, of outliers decide: one odd visit shifts nothing.

use farm_model::{AnimalId, Visit};
use rusqlite::params;

use crate::{
    alerts::{self, AlertKind, Subject},
    curve::Wood,
    events, settings, sql,
    store::{StoreError, Tx},
};

/// Same-session visits that make the baseline.
const HISTORY: usize = 14;
/// Fewest that make one.
const ENOUGH: usize = 5;
/// Days that the baseline looks back.
const LOOK_BACK_DAYS: i64 = 45;
/// 1.4826 makes the median absolute deviation of normal scatter its standard deviation.
const MAD_TO_SIGMA_MILLI: i64 = 1_483;
/// Standard deviations below the median that scatter seldom reaches: one visit in 170 on one side.
const SIGMAS: f64 = 2.5;
/// Smallest spread believed, as a part of the median: a meter's own error and milking intervals.
const LEAST_SPREAD: f64 = 0.04;

/// What a cow should give in a session, by her own past.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Baseline {
    /// Median of the adjusted past yields, in millilitres.
    pub expected_ml: i64,
    /// Robust standard deviation, in millilitres.
    pub spread_ml: i64,
    /// Visits it is made of.
    pub n: usize,
}

/// A past yield: days in milk if known, millilitres.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Past {
    /// Days in milk.
    pub dim: Option<i64>,
    /// Millilitres.
    pub yield_ml: i64,
}

/// The baseline for day in milk `dim` from past same-session yields, newest first; none when there are too few.
pub fn baseline(past: &[Past], dim: Option<i64>) -> Option<Baseline> {
    let mut adjusted: Vec<i64> = past
        .iter()
        .take(HISTORY)
        .map(|p| match (p.dim, dim) {
            (Some(then), Some(now)) => {
                let shape = Wood::SHAPE;
                let factor = shape.at(now as f64) / shape.at(then as f64);
                (p.yield_ml as f64 * factor.clamp(0.7, 1.5)).round() as i64
            }
            _ => p.yield_ml,
        })
        .collect();
    if adjusted.len() < ENOUGH {
        return None;
    }
    let expected_ml = median(&mut adjusted)?;
    Some(Baseline {
        expected_ml,
        spread_ml: spread(&adjusted, expected_ml),
        n: adjusted.len(),
    })
}

impl Baseline {
    /// How many percent `yield_ml` lies below what is expected, if that is a drop that should be told.
    ///
    /// `percent` is the true loss that is to be noticed. Scatter of a single visit hides part of it, so what is told
    /// begins at two thirds of it.
    pub fn drop(&self, yield_ml: i64, percent: i64) -> Option<i64> {
        let expected = self.expected_ml as f64;
        if expected <= 0.0 {
            return None;
        }
        let lost = expected - yield_ml as f64;
        let sigma = (self.spread_ml as f64).max(expected * LEAST_SPREAD);
        // A scatter so wide that it would hide the whole loss must not: three quarters of it are always told.
        let share = percent as f64 / 100.0;
        let limit = (SIGMAS * sigma)
            .max(expected * share * 2.0 / 3.0)
            .min(expected * share * 0.75);
        (lost >= limit).then(|| (lost / expected * 100.0).round() as i64)
    }
}

/// The median, by sorting; the lower of the two middle values when their number is even.
pub(crate) fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// 1.4826 times the median absolute deviation from `center`.
pub(crate) fn spread(values: &[i64], center: i64) -> i64 {
    let mut deviations: Vec<i64> = values.iter().map(|v| (v - center).abs()).collect();
    median(&mut deviations).unwrap_or(0) * MAD_TO_SIGMA_MILLI / 1000
}

/// The baseline of a session for a cow, from what is stored before the moment `before`.
///
/// # Errors
/// When the database fails.
pub fn baseline_of(
    conn: &rusqlite::Connection,
    animal: AnimalId,
    session: farm_model::SessionKey,
    before: farm_model::UnixMillis,
) -> Result<Option<Baseline>, StoreError> {
    let state = events::state(conn, animal)?;
    let day = sql::day_number(session.date);
    let mut statement = conn.prepare_cached(
        "SELECT day, yield_ml FROM visit WHERE animal = ?1 AND start < ?2 AND start > ?2 - ?3 * 86400000
         AND session = ?4 AND voided = 0 AND yield_ml > 0 ORDER BY start DESC LIMIT ?5",
    )?;
    let rows = statement.query_map(
        params![
            animal.as_bytes(),
            before.0,
            LOOK_BACK_DAYS,
            session.number,
            HISTORY as i64
        ],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    )?;
    let calved = state.calved.map(sql::day_number);
    let mut past = Vec::with_capacity(HISTORY);
    for row in rows {
        let (then, yield_ml) = row?;
        // A lactation before this one tells nothing of it.
        if calved.is_some_and(|c| then < c) {
            break;
        }
        past.push(Past {
            dim: calved.map(|c| then - c),
            yield_ml,
        });
    }
    Ok(baseline(&past, calved.map(|c| day - c).filter(|d| *d >= 0)))
}

/// Milk older than this is history: nobody is called to a cow for it.
const NEWS_MS: i64 = 36 * 3_600_000;

/// Tells a drop in yield, and takes it back when she gives as before.
pub(crate) fn watch(tx: &mut Tx<'_>, animal: AnimalId, visit: &Visit) -> Result<(), StoreError> {
    // An imported history is no news.
    if tx.wall().since(visit.end.wall) > NEWS_MS {
        return Ok(());
    }
    let Some(baseline) = baseline_of(tx.conn(), animal, visit.session, visit.start.wall)? else {
        return Ok(());
    };
    let percent = settings::load(tx.conn())?.yield_drop_percent;
    let subject = Subject::Animal(animal);
    match baseline.drop(visit.yield_ml, percent) {
        Some(lost) => {
            let detail = serde_json::json!({
                "visit": visit.id,
                "yield_ml": visit.yield_ml,
                "expected_ml": baseline.expected_ml,
                "percent": lost,
            });
            alerts::raise(tx, AlertKind::YieldDrop, subject, &detail)?;
        }
        None => {
            alerts::clear(tx, AlertKind::YieldDrop, subject)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng, rngs::StdRng};

    use super::*;

    /// Normal scatter from twelve uniform ones.
    fn normal(rng: &mut StdRng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// A session's yield of a cow of this size on day `dim`, with `cv` of scatter.
    fn gives(rng: &mut StdRng, size: f64, dim: i64, cv: f64) -> i64 {
        let true_ml = Wood::SHAPE.at(dim as f64) * size * 1000.0;
        (true_ml * (1.0 + cv * normal(rng))).max(0.0) as i64
    }

    /// Visits told as drops, of normal ones and of ones with a true loss of 30 percent.
    fn told(cv: f64) -> (f64, f64) {
        let mut rng = StdRng::seed_from_u64(7);
        let (mut normal_told, mut normal_all, mut sick_told, mut sick_all) = (0, 0, 0, 0);
        for _ in 0..400 {
            let size = 0.3 + rng.random::<f64>() * 0.5;
            let first = rng.random_range(5..250);
            let mut past: Vec<Past> = Vec::new();
            for dim in first..first + 50 {
                let yield_ml = gives(&mut rng, size, dim, cv);
                if let Some(baseline) = baseline(&past, Some(dim)) {
                    normal_all += 1;
                    normal_told += i32::from(baseline.drop(yield_ml, 30).is_some());
                    let sick = gives(&mut rng, size * 0.7, dim, cv);
                    sick_all += 1;
                    sick_told += i32::from(baseline.drop(sick, 30).is_some());
                }
                past.insert(
                    0,
                    Past {
                        dim: Some(dim),
                        yield_ml,
                    },
                );
            }
        }
        (
            f64::from(normal_told) / f64::from(normal_all),
            f64::from(sick_told) / f64::from(sick_all),
        )
    }

    #[test]
    fn a_loss_of_thirty_percent_is_told_at_once_and_normal_cows_are_left_alone() {
        for (cv, most_false, least_true) in [(0.05, 0.002, 0.99), (0.08, 0.02, 0.90)] {
            let (false_rate, true_rate) = told(cv);
            println!("scatter {cv}: false {false_rate:.4}, true {true_rate:.4}");
            assert!(false_rate <= most_false, "scatter {cv}: false {false_rate}");
            assert!(true_rate >= least_true, "scatter {cv}: true {true_rate}");
        }
    }

    #[test]
    fn one_odd_visit_shifts_nothing_and_too_few_say_nothing() {
        let past = |yields: &[i64]| -> Vec<Past> {
            yields
                .iter()
                .map(|y| Past {
                    dim: None,
                    yield_ml: *y,
                })
                .collect()
        };
        let steady = baseline(&past(&[10_000, 10_100, 9_900, 10_000, 10_050]), None).unwrap();
        let odd = baseline(&past(&[10_000, 100, 9_900, 10_000, 10_050]), None).unwrap();
        assert_eq!(steady.expected_ml, 10_000);
        assert_eq!(odd.expected_ml, 10_000);
        assert_eq!(steady.drop(7_000, 30), Some(30));
        assert_eq!(steady.drop(8_500, 30), None);
        assert_eq!(baseline(&past(&[10_000; 4]), None), None);
    }
}
