//! The farm's clock: the machine's, with this file's boot number, and never before what the file has already seen.
//!
//! A Pi without a clock battery may start in the past. Until someone tells the time, the clock goes on from the last
//! moment written to disk and says so ([`ClockQuality::Restored`]).

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use farm_model::{Clock, ClockQuality, Stamp, UnixMillis};

use crate::spans::Moment;

/// "Nobody has told the time": no real offset is this large.
const UNTOLD: i64 = i64::MIN;

/// The clock that everything on the farm uses; see [`crate::Farm::clock`].
pub struct FarmClock {
    machine: Arc<dyn Clock>,
    boot: u32,
    /// Wall time and monotonic time to go on from while the machine's own wall clock is worth less.
    last_seen: UnixMillis,
    mono_at_open: u64,
    /// Milliseconds for which this file had been open before, in all.
    ran_before: i64,
    /// Wall time minus monotonic time as a person told it, in milliseconds.
    told: AtomicI64,
}

/// What a file has seen of time before it was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastSeen {
    /// The last wall time.
    pub(crate) wall: UnixMillis,
    /// Milliseconds for which it had been open, in all.
    pub(crate) ran: i64,
}

impl FarmClock {
    pub(crate) fn new(machine: Arc<dyn Clock>, boot: u32, last_seen: LastSeen) -> Self {
        let mono_at_open = machine.now().mono;
        Self {
            machine,
            boot,
            last_seen: last_seen.wall,
            mono_at_open,
            ran_before: last_seen.ran,
            told: AtomicI64::new(UNTOLD),
        }
    }

    /// `now` as a moment from which spans are counted through restarts.
    pub fn moment(&self, now: Stamp) -> Moment {
        let ran = now.mono.saturating_sub(self.mono_at_open);
        Moment {
            ran: self.ran_before.saturating_add_unsigned(ran),
            wall: now.clock.is_trusted().then_some(now.wall.0),
        }
    }

    /// Someone on the farm's network says that it is `wall` now. Used until the machine's own clock is better.
    pub fn tell(&self, wall: UnixMillis) {
        let mono = self.machine.now().mono;
        let offset = wall.0.saturating_sub(mono as i64).max(UNTOLD + 1);
        self.told.store(offset, Ordering::Relaxed);
    }
}

impl Clock for FarmClock {
    fn now(&self) -> Stamp {
        let mut stamp = self.machine.now();
        stamp.boot = self.boot;
        if stamp.clock >= ClockQuality::Told {
            return stamp;
        }
        let told = self.told.load(Ordering::Relaxed);
        if told != UNTOLD {
            stamp.wall = UnixMillis(told.saturating_add(stamp.mono as i64));
            stamp.clock = ClockQuality::Told;
            return stamp;
        }
        let elapsed = stamp.mono.saturating_sub(self.mono_at_open);
        let restored = self.last_seen.plus(elapsed as i64);
        if stamp.wall < restored {
            stamp.wall = restored;
            stamp.clock = ClockQuality::Restored;
        }
        stamp
    }

    fn rate(&self) -> f64 {
        self.machine.rate()
    }
}

impl std::fmt::Debug for FarmClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FarmClock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}
