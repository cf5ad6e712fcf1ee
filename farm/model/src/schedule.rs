//! Which session of the farm's day a moment belongs to.
//!
//! A farm milks in windows of local time: morning, evening, sometimes past midnight. Milk never falls between two
//! sessions: outside every window it belongs to the nearest one. Without any window a day is one session.

use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    milking::SessionKey,
    time::{Stamp, UnixMillis},
};

const DAY: i32 = 24 * 60;

/// One session's window in local time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionWindow {
    /// Its number in the day, from 1.
    pub number: u8,
    /// What people call it.
    pub name: String,
    /// First minute, counted from local midnight.
    pub starts_min: u16,
    /// The minute it is over; before `starts_min` when it runs past midnight.
    pub ends_min: u16,
}

impl SessionWindow {
    fn length(&self) -> i32 {
        match (i32::from(self.ends_min) - i32::from(self.starts_min)).rem_euclid(DAY) {
            0 => DAY,
            minutes => minutes,
        }
    }
}

/// The farm's sessions and where the farm is.
#[derive(Clone, Debug)]
pub struct Schedule {
    sessions: Vec<SessionWindow>,
    zone: TimeZone,
}

/// A window on a certain day, seen from a moment.
struct Near {
    key: SessionKey,
    minutes_away: i32,
}

impl Schedule {
    /// A schedule of `sessions` in the time zone `zone`.
    pub fn new(sessions: Vec<SessionWindow>, zone: TimeZone) -> Self {
        Self { sessions, zone }
    }

    /// The sessions.
    pub fn sessions(&self) -> &[SessionWindow] {
        &self.sessions
    }

    /// The session that `at` belongs to: the window it lies in, else the nearest; the earlier of two equally near.
    pub fn session_at(&self, at: Stamp) -> SessionKey {
        self.nearest(at.wall).key
    }

    /// The session whose window `at` lies in, if one is open then.
    pub fn open_at(&self, at: Stamp) -> Option<SessionKey> {
        let near = self.nearest(at.wall);
        (near.minutes_away == 0).then_some(near.key)
    }

    fn nearest(&self, at: UnixMillis) -> Near {
        let local = at.timestamp().to_zoned(self.zone.clone()).datetime();
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        [-1, 0, 1]
            .into_iter()
            .filter_map(|day| Some((day, day_after(local.date(), day)?)))
            .flat_map(|(day, date)| {
                self.sessions.iter().map(move |window| {
                    let starts = i32::from(window.starts_min) + i32::from(day) * DAY;
                    let last = starts + window.length() - 1;
                    Near {
                        key: SessionKey {
                            date,
                            number: window.number,
                        },
                        minutes_away: (starts - minute).max(minute - last).max(0),
                    }
                })
            })
            .min_by_key(|near| (near.minutes_away, near.key))
            .unwrap_or(Near {
                key: SessionKey {
                    date: local.date(),
                    number: 1,
                },
                minutes_away: 0,
            })
    }
}

fn day_after(date: Date, days: i8) -> Option<Date> {
    match days {
        0 => Some(date),
        1 => date.tomorrow().ok(),
        _ => date.yesterday().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(number: u8, starts: (u16, u16), ends: (u16, u16)) -> SessionWindow {
        SessionWindow {
            number,
            name: format!("session {number}"),
            starts_min: starts.0 * 60 + starts.1,
            ends_min: ends.0 * 60 + ends.1,
        }
    }

    #[track_caller]
    fn check(sessions: &[SessionWindow], local: &str, expected: &str) {
        let zone = TimeZone::fixed(jiff::tz::offset(6));
        let wall = local
            .parse::<jiff::civil::DateTime>()
            .unwrap()
            .to_zoned(zone.clone())
            .unwrap()
            .timestamp()
            .as_millisecond();
        let at = Stamp {
            wall: UnixMillis(wall),
            ..Stamp::default()
        };
        let schedule = Schedule::new(sessions.to_vec(), zone);
        let key = schedule.session_at(at);
        let open = if schedule.open_at(at).is_some() {
            "open"
        } else {
            "closed"
        };
        assert_eq!(format!("{} {} {open}", key.date, key.number), expected);
    }

    #[test]
    fn a_moment_belongs_to_its_window_or_to_the_nearest() {
        let two = [window(1, (5, 0), (8, 0)), window(2, (16, 0), (19, 0))];
        check(&two, "2026-11-20T05:00", "2026-11-20 1 open");
        check(&two, "2026-11-20T07:59:59", "2026-11-20 1 open");
        check(&two, "2026-11-20T08:00", "2026-11-20 1 closed");
        check(&two, "2026-11-20T11:59", "2026-11-20 1 closed");
        check(&two, "2026-11-20T12:30", "2026-11-20 2 closed");
        check(&two, "2026-11-20T23:30", "2026-11-20 2 closed");
        check(&two, "2026-11-21T01:00", "2026-11-21 1 closed");
        check(&two, "2026-11-20T23:59", "2026-11-20 2 closed");
    }

    #[test]
    fn a_session_past_midnight_keeps_the_date_it_began_on() {
        let night = [window(1, (6, 0), (9, 0)), window(2, (22, 0), (2, 0))];
        check(&night, "2026-11-20T23:00", "2026-11-20 2 open");
        check(&night, "2026-11-21T01:59", "2026-11-20 2 open");
        check(&night, "2026-11-21T02:30", "2026-11-20 2 closed");
        check(&night, "2026-11-21T05:30", "2026-11-21 1 closed");
    }

    #[test]
    fn without_windows_a_day_is_one_open_session() {
        check(&[], "2026-11-20T13:00", "2026-11-20 1 open");
    }

    #[test]
    fn a_window_of_equal_ends_is_a_whole_day() {
        check(
            &[window(1, (0, 0), (0, 0))],
            "2026-11-20T23:59",
            "2026-11-20 1 open",
        );
    }

    #[test]
    fn moments_beyond_the_calendar_still_have_a_session() {
        let schedule = Schedule::new(vec![window(1, (5, 0), (8, 0))], TimeZone::UTC);
        for wall in [i64::MIN, i64::MAX] {
            let at = Stamp {
                wall: UnixMillis(wall),
                ..Stamp::default()
            };
            assert_eq!(schedule.session_at(at).number, 1);
        }
    }
}
