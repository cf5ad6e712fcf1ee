//! The farm's milking sessions: when each of a day begins and ends, in local time.

use farm_model::{Schedule, SessionId, SessionKey, SessionWindow, Stamp, UnixMillis};
use jiff::{civil::Time, tz::TimeZone};
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::{
    sql,
    store::{Change, StoreError, Tx, store_error},
    text::Name,
};

const DAY_MIN: i64 = 24 * 60;
/// Most sessions of a day.
pub const MOST_SESSIONS: usize = 8;

/// Why the plan was not saved.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Nothing planned.
    #[error("plan at least one session")]
    Empty,
    /// More than a day has.
    #[error("plan at most eight sessions a day")]
    TooMany,
    /// Two sessions at once.
    #[error("session {0} begins before the one before it has ended: move it")]
    Overlap(u8),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(PlanError);

/// One session of each day.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct PlannedSession {
    /// Identity.
    pub id: SessionId,
    /// Its number of the day, from 1.
    pub number: u8,
    /// What people call it.
    pub name: String,
    /// When it begins, local time.
    pub starts: Time,
    /// When it ends, local time; earlier than `starts` when that is after midnight.
    pub ends: Time,
}

/// The sessions of a day, in their order.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Plan {
    /// Sessions by number; never empty.
    pub sessions: Vec<PlannedSession>,
}

impl Plan {
    /// Morning and evening, as most farms milk, until somebody plans otherwise.
    fn usual() -> Self {
        let session = |number, name: &str, starts: i8, ends: i8| PlannedSession {
            id: SessionId::from_bytes([number; 16]),
            number,
            name: name.into(),
            starts: jiff::civil::time(starts, 0, 0, 0),
            ends: jiff::civil::time(ends, 0, 0, 0),
        };
        Self {
            sessions: vec![session(1, "সকাল", 4, 10), session(2, "বিকাল", 15, 21)],
        }
    }

    /// The sessions as windows of the day in the zone `tz`.
    pub fn schedule(&self, tz: TimeZone) -> Schedule {
        let minute = |time: Time| minutes_of(time) as u16;
        let windows = self
            .sessions
            .iter()
            .map(|s| SessionWindow {
                number: s.number,
                name: s.name.clone(),
                starts_min: minute(s.starts),
                ends_min: minute(s.ends),
            })
            .collect();
        Schedule::new(windows, tz)
    }

    /// The session that milk of this moment belongs to: see [`Schedule::session_at`].
    pub fn session_at(&self, at: UnixMillis, tz: &TimeZone) -> SessionKey {
        let at = Stamp {
            wall: at,
            ..Stamp::default()
        };
        self.schedule(tz.clone()).session_at(at)
    }

    /// The session called `text`: its number, its name, or `morning`, `noon`, `evening`.
    pub fn called(&self, text: &str) -> Option<u8> {
        let text = crate::text::fold(text);
        if let Ok(number) = text.parse::<u8>() {
            return self
                .sessions
                .iter()
                .any(|s| s.number == number)
                .then_some(number);
        }
        if let Some(session) = self
            .sessions
            .iter()
            .find(|s| crate::text::fold(&s.name) == text)
        {
            return Some(session.number);
        }
        let (first, last) = (self.sessions.first()?.number, self.sessions.last()?.number);
        match text.as_str() {
            "morning" | "am" => Some(first),
            "evening" | "pm" => Some(last),
            "noon" | "midday" if self.sessions.len() > 2 => Some(self.sessions[1].number),
            _ => None,
        }
    }
}

/// The plan; the usual one when none was made.
///
/// # Errors
/// When the database fails.
pub fn load(conn: &Connection) -> Result<Plan, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, number, name, starts_min, ends_min FROM session_plan
         WHERE coalesce(active, 1) = 1 AND number BETWEEN 1 AND 255 ORDER BY number, id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(PlannedSession {
            id: sql::id(row, 0)?,
            number: row.get(1)?,
            name: sql::text(row, 2)?,
            starts: time_of(row.get::<_, Option<i64>>(3)?),
            ends: time_of(row.get::<_, Option<i64>>(4)?),
        })
    })?;
    let mut sessions: Vec<PlannedSession> = rows.collect::<Result<_, _>>()?;
    if let Some(newest) = sessions.iter().filter_map(saved_with).max() {
        sessions.retain(|session| saved_with(session) == Some(newest));
    }
    sessions.dedup_by_key(|s| s.number);
    if sessions.is_empty() {
        return Ok(Plan::usual());
    }
    Ok(Plan { sessions })
}

/// What the sessions of one saving have in common, the later the greater; nothing of one that was saved before savings were told apart.
///
/// Two places that plan apart each leave their sessions standing: the plan is the newest whole one, never some of both.
fn saved_with(session: &PlannedSession) -> Option<[u8; 15]> {
    let id = session.id.as_bytes();
    let is_marked = Uuid::from_bytes(*id).get_version_num() == 8;
    is_marked.then(|| std::array::from_fn(|n| id[n]))
}

/// Identities for the sessions of one saving.
fn identities() -> impl Fn(u8) -> SessionId {
    let mut id = *Uuid::now_v7().as_bytes();
    id[6] = 0x80 | id[6] & 0x0f;
    move |number| {
        let mut id = id;
        id[15] = number;
        SessionId::from_bytes(id)
    }
}

/// Plans the sessions anew, numbered in the order given. What was milked keeps its session.
///
/// # Errors
/// When there are none, more than eight, or two overlap.
pub fn save(tx: &mut Tx<'_>, sessions: &[(Name, Time, Time)]) -> Result<(), PlanError> {
    if sessions.is_empty() {
        return Err(PlanError::Empty);
    }
    if sessions.len() > MOST_SESSIONS {
        return Err(PlanError::TooMany);
    }
    if let Some(number) = overlap(sessions) {
        return Err(PlanError::Overlap(number));
    }
    tx.conn()
        .execute("UPDATE session_plan SET active = 0", [])?;
    let identity = identities();
    for (number, (name, starts, ends)) in (1..).zip(sessions) {
        tx.conn().execute(
            "INSERT INTO session_plan (id, number, name, starts_min, ends_min, active) VALUES (?1, ?2, ?3, ?4, ?5, 1)",
            params![
                identity(number).as_bytes(),
                number,
                name.as_str(),
                minutes_of(*starts),
                minutes_of(*ends)
            ],
        )?;
    }
    tx.audit("plan", "", None)?;
    tx.tell(Change::Setting);
    Ok(())
}

/// The number of the first session that begins before the one before it has ended; the last one's next is tomorrow's first.
fn overlap(sessions: &[(Name, Time, Time)]) -> Option<u8> {
    let starts: Vec<i64> = sessions.iter().map(|s| minutes_of(s.1)).collect();
    let tomorrow = starts.first()? + DAY_MIN;
    let next = starts.iter().skip(1).copied().chain([tomorrow]);
    let numbers = (2..=sessions.len() as u8).chain([1]);
    sessions
        .iter()
        .zip(next)
        .zip(numbers)
        .find_map(|(((_, starts, ends), next), number)| {
            let (starts, ends) = (minutes_of(*starts), minutes_of(*ends));
            // A session may run past midnight; one of equal ends is a whole day.
            let ends = if ends > starts { ends } else { ends + DAY_MIN };
            (next < ends).then_some(number)
        })
}

fn time_of(minutes: Option<i64>) -> Time {
    let minutes = minutes.unwrap_or(0).rem_euclid(DAY_MIN);
    jiff::civil::time((minutes / 60) as i8, (minutes % 60) as i8, 0, 0)
}

fn minutes_of(time: Time) -> i64 {
    i64::from(time.hour()) * 60 + i64::from(time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_belongs_to_its_session_or_to_the_nearest() {
        let plan = Plan::usual();
        let tz = TimeZone::fixed(jiff::tz::offset(6));
        for (at, date, number) in [
            ("2026-11-20T03:40+06", "2026-11-20", 1),
            ("2026-11-20T03:20+06", "2026-11-20", 1),
            ("2026-11-20T12:00+06", "2026-11-20", 1),
            ("2026-11-20T23:59+06", "2026-11-20", 2),
        ] {
            let at: jiff::Timestamp = at.parse().unwrap();
            let key = plan.session_at(UnixMillis(at.as_millisecond()), &tz);
            assert_eq!(
                (key.date.to_string().as_str(), key.number),
                (date, number),
                "{at}"
            );
        }
    }

    #[test]
    fn sessions_are_found_by_what_people_and_topics_call_them() {
        let plan = Plan::usual();
        for (text, number) in [
            ("1", Some(1)),
            ("২", Some(2)),
            ("morning", Some(1)),
            ("Evening", Some(2)),
            ("বিকাল", Some(2)),
            ("noon", None),
            ("9", None),
        ] {
            assert_eq!(plan.called(text), number, "{text}");
        }
    }

    #[test]
    fn sessions_follow_one_another_around_the_clock() {
        for (times, expected) in [
            (&["04:00-10:00", "15:00-21:00"][..], None),
            (&["04:00-10:00", "10:00-04:00"], None),
            (&["06:00-09:00", "22:00-02:00"], None),
            (&["04:00-10:00", "09:59-21:00"], Some(2)),
            (&["15:00-21:00", "04:00-10:00"], Some(2)),
            (&["04:00-10:00", "22:00-05:00"], Some(1)),
            (&["05:00-05:00"], None),
            (&["05:00-05:00", "16:00-19:00"], Some(2)),
        ] {
            let sessions: Vec<_> = times
                .iter()
                .map(|times| {
                    let (starts, ends) = times.split_once('-').unwrap();
                    (
                        Name::new("x").unwrap(),
                        starts.parse().unwrap(),
                        ends.parse().unwrap(),
                    )
                })
                .collect();
            assert_eq!(overlap(&sessions), expected, "{times:?}");
        }
    }
}
