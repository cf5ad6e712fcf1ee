//! The farm day: when milking begins, and which session a moment belongs to.
//!
//! Local time is UTC+6 all year: Bangladesh has kept no summer time since 2009.

use jiff::{ToSpan, civil::Date};

use crate::herd::ordinal;

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// Local time minus UTC, in milliseconds.
pub const LOCAL_OFFSET_MS: i64 = 6 * 3_600_000;

/// A session: the local date it began on and its number that day, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
pub struct Session {
    /// Local date.
    pub date: Date,
    /// 1 is the day's first.
    pub number: u8,
}

/// When sessions begin, in minutes after local midnight, ascending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule(Vec<i64>);

impl Schedule {
    /// A schedule of the given starts; empty or out-of-day lists are refused.
    pub fn new(mut minutes: Vec<i64>) -> Option<Self> {
        minutes.sort_unstable();
        minutes.dedup();
        (!minutes.is_empty() && minutes.iter().all(|m| (0..1440).contains(m)))
            .then_some(Self(minutes))
    }

    /// The session that began last at or before `at`, and when it began.
    pub fn session_at(&self, at: i64) -> (Session, i64) {
        let date = local_date(at);
        self.day(date)
            .chain(self.day(shifted(date, -1)))
            .filter(|(_, start)| *start <= at)
            .max_by_key(|(_, start)| *start)
            .expect("yesterday's sessions have begun")
    }

    /// The first session that begins after `at`, and when.
    pub fn next_after(&self, at: i64) -> (Session, i64) {
        let date = local_date(at);
        self.day(date)
            .chain(self.day(shifted(date, 1)))
            .find(|(_, start)| *start > at)
            .expect("tomorrow's sessions have not begun")
    }

    /// The sessions of `date`, each with its start.
    pub fn day(&self, date: Date) -> impl Iterator<Item = (Session, i64)> + '_ {
        self.0.iter().zip(1..).map(move |(minute, number)| {
            (
                Session { date, number },
                local_midnight(date) + minute * 60_000,
            )
        })
    }

    /// When sessions begin, in minutes after local midnight.
    pub fn minutes(&self) -> &[i64] {
        &self.0
    }
}

impl Default for Schedule {
    /// 05:00 and 16:00.
    fn default() -> Self {
        Self(vec![300, 960])
    }
}

/// The local date at `at`.
pub fn local_date(at: i64) -> Date {
    let days = (at + LOCAL_OFFSET_MS).div_euclid(DAY_MS);
    Date::constant(1970, 1, 1)
        .checked_add(days.days())
        .unwrap_or(Date::MAX)
}

/// Local midnight that begins `date`.
pub fn local_midnight(date: Date) -> i64 {
    ordinal(date) * DAY_MS - LOCAL_OFFSET_MS
}

/// `date` moved by `days`.
pub fn shifted(date: Date, days: i64) -> Date {
    date.checked_add(days.days()).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_moment_belongs_to_the_session_that_began_last() {
        let schedule = Schedule::default();
        for (at, date, number) in [
            ("2026-11-20T05:00:00+06:00", "2026-11-20", 1),
            ("2026-11-20T15:59:59+06:00", "2026-11-20", 1),
            ("2026-11-20T16:00:00+06:00", "2026-11-20", 2),
            ("2026-11-21T04:59:00+06:00", "2026-11-20", 2),
        ] {
            let (session, start) = schedule.session_at(ms(at));
            assert_eq!(
                (session.date.to_string().as_str(), session.number),
                (date, number),
                "{at}"
            );
            assert!(start <= ms(at));
        }
        assert_eq!(
            schedule.next_after(ms("2026-11-20T16:00:00+06:00")).1,
            ms("2026-11-21T05:00:00+06:00")
        );
    }

    #[test]
    fn a_schedule_lies_within_a_day() {
        assert_eq!(Schedule::new(vec![]), None);
        assert_eq!(Schedule::new(vec![1440]), None);
        assert_eq!(Schedule::new(vec![960, 300]), Some(Schedule::default()));
    }
}
