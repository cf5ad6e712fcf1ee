//! When a slave is asked next.
//!
//! Pure. A slave that answers keeps its period; one that does not is asked ever more rarely, so that the time it costs
//! (one time-out each) leaves the bus to the others. When the bus cannot keep up, polls are left out, not piled up.

use std::time::Duration;

use tokio::time::Instant;

use crate::Backoff;

/// A slave's place in the schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) due: Instant,
    pub(crate) period: Duration,
    /// Polls without answer in a row.
    pub(crate) failures: u32,
}

impl Turn {
    pub(crate) fn new(now: Instant, period: Duration) -> Self {
        Self {
            due: now,
            period,
            failures: 0,
        }
    }

    /// The bus is gone, so nobody was asked.
    pub(crate) fn lost(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// The bus is back: asks at once, whatever went before.
    pub(crate) fn again(&mut self, now: Instant) {
        *self = Self::new(now, self.period);
    }

    pub(crate) fn answered(&mut self, now: Instant) {
        self.failures = 0;
        self.due = (self.due + self.period).max(now);
    }

    pub(crate) fn silent(&mut self, now: Instant, rule: Backoff, who: u64) {
        self.failures = self.failures.saturating_add(1);
        self.due = now + rule.after(self.failures, who).max(self.period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a bus of `living` slaves that answer within 10 ms and `dead` ones that cost 300 ms, for a minute of
    /// simulated time, and returns how often each was asked.
    fn simulate(living: usize, dead: usize, period_ms: u64) -> Vec<u32> {
        let rule = Backoff {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(30),
        };
        let start = Instant::now();
        let mut now = start;
        let mut turns = vec![Turn::new(start, Duration::from_millis(period_ms)); living + dead];
        let mut polls = vec![0; living + dead];
        while now < start + Duration::from_secs(60) {
            let next = (0..turns.len()).min_by_key(|i| turns[*i].due).unwrap();
            now = now.max(turns[next].due);
            polls[next] += 1;
            if next < living {
                now += Duration::from_millis(10);
                turns[next].answered(now);
            } else {
                now += Duration::from_millis(300);
                turns[next].silent(now, rule, next as u64);
            }
        }
        polls
    }

    #[tokio::test]
    async fn dead_slaves_starve_no_other() {
        let polls = simulate(8, 3, 1000);
        for living in &polls[..8] {
            assert!((58..=61).contains(living), "{polls:?}");
        }
        for dead in &polls[8..] {
            assert!((3..=9).contains(dead), "{polls:?}");
        }
    }

    #[tokio::test]
    async fn an_overloaded_bus_is_shared_evenly() {
        let polls = simulate(20, 0, 100);
        let (least, most) = (polls.iter().min().unwrap(), polls.iter().max().unwrap());
        assert!(most - least <= 1, "{polls:?}");
    }
}
