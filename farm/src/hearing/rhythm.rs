//! How often a device speaks, learnt from when it spoke.
//!
//! Pure. An outage, a burst of what had queued and a few lost messages must not teach a wrong interval, and something
//! that speaks only when it has news (a door, a button) has none. So the gaps between what was heard lately are put in
//! order, and the interval is the gap that four in five do not exceed, if the middle ones are alike.

/// Gaps that are remembered.
const KEPT: usize = 16;
/// Gaps from which an interval can be told.
const ENOUGH: usize = 8;
/// What comes closer together is one message, or what had queued: milliseconds.
const BURST_MS: u64 = 2_000;
/// How much longer the gap that four in five do not exceed may be than the one that four in five exceed.
const ALIKE: f64 = 2.5;
/// No shorter interval is learnt: seconds. Whoever wants a shorter one says so.
const LEAST_S: u64 = 10;
/// No longer interval is learnt: six hours.
const MOST_S: u64 = 6 * 3_600;

/// The gaps of one device.
#[derive(Clone, Debug, Default)]
pub(super) struct Rhythm {
    gaps: Vec<u64>,
    next: usize,
}

impl Rhythm {
    /// The device was heard `gap_ms` after the time before.
    pub(super) fn beat(&mut self, gap_ms: u64) {
        if gap_ms < BURST_MS {
            return;
        }
        if self.gaps.len() < KEPT {
            self.gaps.push(gap_ms);
        } else {
            self.gaps[self.next] = gap_ms;
        }
        self.next = (self.next + 1) % KEPT;
    }

    /// Whether enough was heard to say something.
    pub(super) fn is_ripe(&self) -> bool {
        self.gaps.len() >= ENOUGH
    }

    /// Seconds within which the device is heard as a rule; `None` while that is not known, or when there is no rule.
    pub(super) fn every_s(&self) -> Option<u32> {
        if !self.is_ripe() {
            return None;
        }
        let mut gaps = self.gaps.clone();
        gaps.sort_unstable();
        let fifth = gaps.len() / 5;
        let (short, long) = (gaps[fifth], gaps[gaps.len() - 1 - fifth]);
        let seconds = long.div_ceil(1_000).max(LEAST_S);
        (long as f64 <= short as f64 * ALIKE && seconds <= MOST_S)
            .then(|| u32::try_from(seconds).expect("no more than MOST_S"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn learnt(gaps_ms: &[u64]) -> Option<u32> {
        let mut rhythm = Rhythm::default();
        for gap in gaps_ms {
            rhythm.beat(*gap);
        }
        rhythm.every_s()
    }

    #[test]
    fn a_regular_device_has_a_rhythm_and_a_door_has_none() {
        let minute = 60_000;
        assert_eq!(learnt(&[minute; 7]), None, "not yet");
        assert_eq!(learnt(&[minute; 8]), Some(60));
        let mut outage = [minute; 12];
        outage[5] = 9 * 3_600_000;
        assert_eq!(learnt(&outage), Some(60), "a night away teaches nothing");
        let queued: Vec<u64> = (0..40)
            .map(|i| if i % 2 == 0 { 300_000 } else { 100 })
            .collect();
        assert_eq!(learnt(&queued), Some(300), "what comes together is one");
        let door = [
            5_000, 700_000, 90_000, 2_000, 3_600_000, 40_000, 9_000, 150_000, 60_000,
        ];
        assert_eq!(learnt(&door), None);
        assert_eq!(
            learnt(&[3_000; 16]),
            Some(10),
            "no shorter than ten seconds"
        );
        assert_eq!(learnt(&[8 * 3_600_000; 16]), None, "too long to wait for");
        let slower: Vec<u64> = [vec![minute; 16], vec![10 * minute; 16]].concat();
        assert_eq!(learnt(&slower), Some(600), "it was set up anew");
    }

    proptest! {
        /// A device that keeps its interval within a third, loses few messages and was away once is not missed while it
        /// goes on so, and is missed within six of its intervals.
        #[test]
        fn what_is_learnt_fits_the_device(
            period_s in 12_u64..3_600,
            jitter in prop::collection::vec(-0.33_f64..0.33, 16),
            lost in 0_usize..16,
            away in 0_usize..16,
            away_s in 3_600_u64..400_000,
        ) {
            let mut gaps: Vec<u64> = jitter
                .iter()
                .map(|j| (period_s as f64 * 1_000.0 * (1.0 + j)) as u64)
                .collect();
            gaps[lost] += period_s * 1_000;
            gaps[away] = away_s * 1_000;
            let every = u64::from(learnt(&gaps).expect("it has a rhythm"));
            prop_assert!(every * 3 > period_s * 2, "{every} is too short for {period_s}");
            prop_assert!(every <= period_s * 2, "{every} is too long for {period_s}");
        }

        /// Whatever comes, what is learnt is within its bounds.
        #[test]
        fn what_is_learnt_is_bounded(gaps in prop::collection::vec(any::<u64>(), 0..64)) {
            if let Some(every) = learnt(&gaps) {
                prop_assert!((LEAST_S..=MOST_S).contains(&u64::from(every)));
            }
        }
    }
}
