//! How much to send at once, and how long to wait after a failure: learnt from how the line behaves.

use std::time::Duration;

/// The pace of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    room: usize,
    failures: u32,
}

impl Pace {
    /// Never less at once.
    pub const LEAST: usize = 1024;
    /// Never more at once.
    pub const MOST: usize = 1024 * 1024;
    /// How long a full exchange should take: long enough that round trips do not count, short enough that little is lost with it.
    pub const AIM: Duration = Duration::from_secs(5);
    /// The longest rest.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
    /// What goes first, over a line of which nothing is known: milkings pack to a twelfth, so it takes a slow mobile line (40 kbit/s) a second or two.
    const FIRST: usize = 64 * 1024;
    const FIRST_WAIT: Duration = Duration::from_secs(2);

    /// Bytes to gather for the next exchange, before they are packed.
    pub fn room(&self) -> usize {
        self.room
    }

    /// How often it failed since it last came through.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// An exchange that carried `weight` came through. A full one tells how fast the line is: the next is cut so that it takes
    /// [`AIM`](Self::AIM), but changes by no more than a half or a double.
    pub fn came_through(&mut self, weight: usize, took: Duration) {
        self.failures = 0;
        if weight >= self.room / 2 {
            let took = took.as_millis().max(1);
            let aimed = self.room as u128 * Self::AIM.as_millis() / took;
            let aimed = usize::try_from(aimed).unwrap_or(Self::MOST);
            self.room = aimed
                .clamp(self.room / 2, self.room * 2)
                .clamp(Self::LEAST, Self::MOST);
        }
    }

    /// An exchange failed: the next carries half. Says how long to wait before it: anything up to a bound that doubles each time, so
    /// that farms which lost the hub together do not come back together. `chance` is random, all of its range.
    pub fn failed(&mut self, chance: u32) -> Duration {
        self.room = (self.room / 2).max(Self::LEAST);
        let bound = Self::FIRST_WAIT
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(Self::LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            room: Self::FIRST,
            failures: 0,
        }
    }
}
