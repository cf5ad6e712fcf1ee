//! How long it is from one stamp to another when clocks jump and machines restart.
//!
//! Within a boot the monotonic clock is the truth and a jump of the wall clock changes nothing. Across boots only the
//! wall clocks can tell, and only if both were known. Invariant: a span that nobody can know says so.

use farm_model::{ClockQuality, Stamp, UnixMillis};

/// Time from one stamp to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// Milliseconds; negative when the second stamp is the earlier one.
    pub(crate) ms: i64,
    /// Whether that can be believed.
    pub(crate) certain: bool,
}

/// The time from `from` to `to`.
pub(crate) fn span(from: Stamp, to: Stamp) -> Span {
    if same_boot(from, to) {
        return Span {
            ms: to
                .mono
                .cast_signed()
                .saturating_sub(from.mono.cast_signed()),
            certain: true,
        };
    }
    let ms = to.wall.since(from.wall);
    let certain = is_known(from.clock) && is_known(to.clock);
    // Boots are numbered upwards: what a later boot says is later, whatever its clock says.
    if from.boot != 0 && to.boot > from.boot {
        return Span {
            ms: ms.max(0),
            certain: certain && ms >= 0,
        };
    }
    Span { ms, certain }
}

/// Milliseconds from `from` to `to`, as well as they are known.
pub(crate) fn ms_between(from: Stamp, to: Stamp) -> i64 {
    span(from, to).ms
}

/// Whether both stamps count from the same boot.
pub(crate) fn same_boot(a: Stamp, b: Stamp) -> bool {
    a.boot == b.boot && a.boot != 0
}

/// Whether someone has told the time.
pub(crate) fn is_known(clock: ClockQuality) -> bool {
    clock >= ClockQuality::Told
}

/// `start` with the wall time that `end`'s better clock says it had: a visit that began before the time was known
/// and ended after has both ends right.
pub(crate) fn corrected(start: Stamp, end: Stamp) -> Stamp {
    if !same_boot(start, end) || end.clock <= start.clock {
        return start;
    }
    Stamp {
        wall: UnixMillis(end.wall.0.saturating_sub(ms_between(start, end))),
        clock: end.clock,
        ..start
    }
}

/// The stamp `ms` later, or earlier when negative.
pub(crate) fn shifted(stamp: Stamp, ms: i64) -> Stamp {
    Stamp {
        wall: stamp.wall.plus(ms),
        mono: stamp.mono.saturating_add_signed(ms),
        ..stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(wall: i64, clock: ClockQuality, boot: u32, mono: u64) -> Stamp {
        Stamp {
            wall: UnixMillis(wall),
            clock,
            boot,
            mono,
        }
    }

    #[test]
    fn within_a_boot_a_jump_of_the_wall_clock_changes_nothing() {
        let (a, b) = (
            stamp(9_000_000, ClockQuality::Unknown, 3, 1000),
            stamp(50, ClockQuality::Synced, 3, 1500),
        );
        assert_eq!(
            span(a, b),
            Span {
                ms: 500,
                certain: true
            }
        );
        assert_eq!(
            span(b, a),
            Span {
                ms: -500,
                certain: true
            }
        );
    }

    #[test]
    fn across_boots_only_known_clocks_can_tell() {
        let a = stamp(1_000, ClockQuality::Synced, 3, 777_000);
        let b = stamp(61_000, ClockQuality::Synced, 4, 5);
        assert_eq!(
            span(a, b),
            Span {
                ms: 60_000,
                certain: true
            }
        );
        let unknown = stamp(500, ClockQuality::Unknown, 4, 5);
        assert_eq!(
            span(a, unknown),
            Span {
                ms: 0,
                certain: false
            }
        );
    }

    #[test]
    fn a_start_before_the_time_was_told_is_corrected_from_the_end() {
        let start = stamp(5, ClockQuality::Unknown, 1, 10_000);
        let end = stamp(1_000_000, ClockQuality::Synced, 1, 70_000);
        assert_eq!(corrected(start, end).wall, UnixMillis(940_000));
        assert_eq!(corrected(end, start), end);
    }
}
