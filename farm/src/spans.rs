//! How long ago something was, counted through restarts.
//!
//! A wall clock may jump: a machine without a clock battery begins in 1970, or years ago, until the network tells it better. So a span is
//! at least the time for which appliances have had the file open since, by the clock that never jumps. Time in which the
//! appliance was off counts where the wall was trusted at both ends. So nothing ends because a clock was set, and nothing is
//! kept for ever because nobody set it.

use rusqlite::Row;

/// A moment to count spans from and to; [`crate::FarmClock::moment`] makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Milliseconds for which appliances have had the file open, in all.
    pub(crate) ran: i64,
    /// Wall time in Unix milliseconds, if it is trusted.
    pub(crate) wall: Option<i64>,
}

impl Moment {
    /// Milliseconds from `earlier` to this one, as far as anybody knows.
    fn since(self, earlier: Self) -> i64 {
        let ran = self.ran.saturating_sub(earlier.ran);
        let wall = self
            .wall
            .zip(earlier.wall)
            .map_or(0, |(now, then)| now.saturating_sub(then));
        ran.max(wall).max(0)
    }

    /// Whole seconds that are left now of `lasts_s` from `began` on.
    pub(crate) fn left_s(self, lasts_s: u32, began: Self) -> u32 {
        let gone = self.since(began) / 1_000;
        lasts_s.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX))
    }

    /// Reads what is left of a span from three columns, its seconds, the running time and the wall of its beginning; none if
    /// the first is empty.
    pub(crate) fn left_in(self, row: &Row<'_>, first: usize) -> rusqlite::Result<Option<u32>> {
        let Some(lasts_s) = row.get::<_, Option<u32>>(first)? else {
            return Ok(None);
        };
        let began = Self {
            ran: row.get::<_, Option<i64>>(first + 1)?.unwrap_or(self.ran),
            wall: row.get(first + 2)?,
        };
        Ok(Some(self.left_s(lasts_s, began)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u32 = 86_400;
    const YEAR_MS: i64 = 365 * 86_400_000;

    fn left(began: (i64, Option<i64>), now: (i64, Option<i64>)) -> u32 {
        let moment = |(ran, wall)| Moment { ran, wall };
        moment(now).left_s(DAY_S, moment(began))
    }

    #[test]
    fn a_span_is_counted_by_what_does_not_jump() {
        let now = 1_795_140_000_000;
        for (began, until, expected, why) in [
            ((0, None), (60_000, None), DAY_S - 60, "it ran for a minute"),
            (
                (0, None),
                (0, Some(now)),
                DAY_S,
                "the clock was set, and counts only from then on",
            ),
            (
                (0, Some(now)),
                (0, None),
                DAY_S,
                "nobody knows how long it was off",
            ),
            (
                (0, Some(now)),
                (0, Some(now + 3_600_000)),
                DAY_S - 3_600,
                "it was off for an hour",
            ),
            (
                (0, Some(now)),
                (0, Some(now + YEAR_MS)),
                0,
                "it was off for a year",
            ),
            (
                (0, Some(now)),
                (60_000, Some(now - YEAR_MS)),
                DAY_S - 60,
                "the clock was set back",
            ),
            (
                (9_000, None),
                (0, None),
                DAY_S,
                "the running time was not saved before a crash",
            ),
            ((0, None), (i64::MAX, None), 0, "it ran for long"),
        ] {
            assert_eq!(left(began, until), expected, "{why}");
        }
    }
}
