//! From values to places on the paper: domains, nice ticks, labels of axes.

use jiff::{ToSpan, civil};

use crate::{Lang, fmt};

const MINUTE: f64 = 60_000.0;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// What the horizontal axis measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum X {
    /// Plain numbers, such as days in milk.
    Number,
    /// Local time in milliseconds, as [`local_ms`] gives it.
    Time,
}

/// The place of a local date and time on an [`X::Time`] axis: milliseconds since 1970-01-01T00:00 by the wall.
pub fn local_ms(at: civil::DateTime) -> f64 {
    jiff::tz::TimeZone::UTC
        .to_timestamp(at)
        .map_or(f64::NAN, |t| t.as_millisecond() as f64)
}

/// A range of values and where its ticks are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
    /// Decimal places that tell the ticks apart.
    pub(super) places: u8,
}

impl Scale {
    /// A scale that begins and ends on round numbers and holds all finite `values`; `None` when there are none. Its ticks are
    /// no closer than values of so many decimal `places` can be: what lies nearer is noise, and its labels need room.
    pub(super) fn nice(
        values: impl IntoIterator<Item = f64>,
        about: usize,
        places: u8,
    ) -> Option<Self> {
        let (low, high) = range(values)?;
        let (low, high) = if low < high {
            (low, high)
        } else {
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low - room, high + room)
        };
        let finest = 10f64.powi(-i32::from(places));
        let step = nice_step((high - low) / about.max(1) as f64).max(finest);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        // a step below the values' own precision would never reach the end
        if !step.is_finite() || last - first > 100.0 || first == last {
            return None;
        }
        let ticks: Vec<f64> = (0..=(last - first) as i64)
            .map(|i| (first + i as f64) * step)
            .collect();
        Some(Self {
            low: first * step,
            high: last * step,
            ticks,
            places: places_of(step),
        })
    }

    /// A scale that ends where the values end, with round ticks inside.
    pub(super) fn tight(values: impl IntoIterator<Item = f64>, about: usize, x: X) -> Option<Self> {
        let (mut low, mut high) = range(values)?;
        if low == high {
            let room = if x == X::Time { HOUR } else { 1.0 };
            (low, high) = (low - room, high + room);
        }
        let (ticks, places) = match x {
            X::Time => (time_ticks(low, high, about), 0),
            X::Number => {
                let nice = Self::nice([low, high], about, 6)?;
                (nice.ticks, nice.places)
            }
        };
        Some(Self {
            low,
            high,
            ticks: ticks
                .into_iter()
                .filter(|t| (low..=high).contains(t))
                .collect(),
            places,
        })
    }

    /// Where `value` lies, 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// `value` as a label of a tick on this scale.
    pub(super) fn label(&self, lang: Lang, value: f64) -> String {
        fmt::float(lang, value, self.places)
    }
}

/// The label of a tick or reading at `value`; ticks of less than a day show the hour.
pub(super) fn x_label(lang: Lang, x: X, scale: &Scale, value: f64, detail: Detail) -> String {
    match (x, civil_of(value)) {
        (X::Time, Some(at)) => {
            let step = scale.ticks.windows(2).next().map_or(DAY, |w| w[1] - w[0]);
            match detail {
                Detail::Full if at.time() == civil::Time::midnight() && step >= DAY => {
                    fmt::date(lang, at.date())
                }
                Detail::Full => {
                    let newest = civil_of(scale.high).map_or(at.date(), |at| at.date());
                    fmt::date_time(lang, at, newest)
                }
                Detail::Tick if step >= 28.0 * DAY => fmt::month(lang, at.month()).into(),
                Detail::Tick if step >= DAY || at.time() == civil::Time::midnight() => {
                    fmt::day_month_short(lang, at.date())
                }
                Detail::Tick => fmt::time(lang, at.time()),
            }
        }
        _ if detail == Detail::Full && value.fract() == 0.0 => fmt::float(lang, value, 0),
        _ => scale.label(lang, value),
    }
}

/// How much a label says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Tick,
    Full,
}

fn civil_of(local_ms: f64) -> Option<civil::DateTime> {
    let stamp = jiff::Timestamp::from_millisecond(local_ms as i64).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_datetime(stamp))
}

fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|v| v.is_finite())
        .fold(None, |range, v| match range {
            None => Some((v, v)),
            Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
        })
}

/// The least of 1, 2, 2.5, 5 × a power of ten that is not below `rough`.
pub(super) fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powi(rough.log10().floor() as i32);
    let factor = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|f| rough <= f * power * (1.0 + 1e-9))
        .unwrap_or(10.0);
    factor * power
}

fn places_of(step: f64) -> u8 {
    (0..=6)
        .find(|p| {
            let scaled = step * 10f64.powi(i32::from(*p));
            (scaled - scaled.round()).abs() < 1e-6
        })
        .unwrap_or(6)
}

fn time_ticks(low: f64, high: f64, about: usize) -> Vec<f64> {
    const STEPS: [f64; 14] = [
        MINUTE,
        5.0 * MINUTE,
        15.0 * MINUTE,
        30.0 * MINUTE,
        HOUR,
        2.0 * HOUR,
        3.0 * HOUR,
        6.0 * HOUR,
        12.0 * HOUR,
        DAY,
        2.0 * DAY,
        4.0 * DAY,
        7.0 * DAY,
        14.0 * DAY,
    ];
    let rough = (high - low) / about.max(1) as f64;
    match STEPS.iter().find(|s| **s >= rough) {
        Some(step) => {
            let first = (low / step).ceil() as i64;
            let last = (high / step).floor() as i64;
            (first..=last).map(|i| i as f64 * step).collect()
        }
        None => month_ticks(low, high, ((rough / (30.5 * DAY)).ceil() as i64).max(1)),
    }
}

fn month_ticks(low: f64, high: f64, months: i64) -> Vec<f64> {
    let mut ticks = Vec::new();
    let mut at = civil_of(low).map(|at| at.date().first_of_month());
    while let Some(month) = at {
        let place = local_ms(month.to_datetime(civil::Time::midnight()));
        // a span that jiff cannot add, or a place past the end, ends the axis
        if place.is_nan() || place > high {
            break;
        }
        if place >= low {
            ticks.push(place);
        }
        at = month.checked_add(months.months()).ok();
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(values: &[f64]) -> Vec<f64> {
        Scale::nice(values.iter().copied(), 5, 15).map_or(Vec::new(), |s| s.ticks)
    }

    #[test]
    fn ticks_are_round_and_hold_the_values() {
        for (values, labels) in [
            ([0.0, 10.0], "0 2 4 6 8 10"),
            ([3.2, 4.1], "3.2 3.4 3.6 3.8 4.0 4.2"),
            ([-7.0, 4.0], "−7.5 −5.0 −2.5 0.0 2.5 5.0"),
            ([12_300.0, 18_900.0], "12,000 14,000 16,000 18,000 20,000"),
        ] {
            let scale = Scale::nice(values, 5, 6).unwrap();
            let found: Vec<String> = scale
                .ticks
                .iter()
                .map(|t| scale.label(Lang::En, *t))
                .collect();
            assert_eq!(found.join(" "), labels);
        }
    }

    #[test]
    fn ticks_are_no_finer_than_the_values_are_said() {
        let scale = Scale::nice([37.235, 37.2461], 4, 1).unwrap();
        let labels = scale.ticks.iter().map(|t| scale.label(Lang::En, *t));
        assert_eq!(labels.collect::<Vec<_>>(), ["37.2", "37.3"]);
        assert_eq!(Scale::nice([4.0, 4.0], 4, 0).unwrap().places, 0);
    }

    #[test]
    fn degenerate_ranges_have_ticks_or_none() {
        assert_eq!(ticks(&[]), [] as [f64; 0]);
        assert_eq!(ticks(&[f64::NAN, f64::INFINITY]), [] as [f64; 0]);
        assert_eq!(ticks(&[0.0]).len(), 5);
        assert!(ticks(&[4.0, 4.0]).iter().any(|t| *t < 4.0));
        assert!(ticks(&[4.0, f64::NAN, 8.0]).len() > 2);
        assert_eq!(ticks(&[1e15, 1e15 + 0.000_001]), ticks(&[1e15]));
    }

    #[test]
    fn any_finite_range_is_covered() {
        let mut seed = 7u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((seed >> 33) as f64 / 2f64.powi(31) - 0.5) * 10f64.powi((seed % 13) as i32 - 6)
        };
        for _ in 0..2_000 {
            let (a, b) = (next(), next());
            let scale = Scale::nice([a, b], 5, 15).unwrap();
            let slack = (scale.high - scale.low) * 1e-9;
            assert!(
                scale.low <= a.min(b) + slack && scale.high >= a.max(b) - slack,
                "{a} {b}"
            );
            assert!(
                (3..=12).contains(&scale.ticks.len()),
                "{a} {b}: {:?}",
                scale.ticks
            );
        }
    }

    #[test]
    fn time_ticks_fall_on_hours_days_and_months() {
        let at = |month, day, hour| local_ms(civil::date(2026, month, day).at(hour, 0, 0, 0));
        let labels = |low, high| {
            let scale = Scale::tight([low, high], 5, X::Time).unwrap();
            scale
                .ticks
                .iter()
                .map(|t| x_label(Lang::En, X::Time, &scale, *t, Detail::Tick))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            labels(at(11, 20, 0), at(11, 21, 0)),
            "20 Nov 06:00 12:00 18:00 21 Nov"
        );
        assert_eq!(
            labels(at(11, 1, 0), at(11, 8, 0)),
            "1 Nov 3 Nov 5 Nov 7 Nov"
        );
        assert_eq!(
            labels(at(2, 10, 0), at(11, 20, 0)),
            "April June August October"
        );
        assert_eq!(
            Scale::tight([at(11, 20, 0)], 5, X::Time).unwrap().high,
            at(11, 20, 1)
        );
    }
}
