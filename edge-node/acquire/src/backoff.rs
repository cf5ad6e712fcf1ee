//! How long to wait before trying again: doubling, capped, with jitter.
//!
//! Pure: the caller says how many failures there were and who asks, so that the same question has the same answer.
//! Jitter keeps devices that died together (a tripped fuse) from being asked together for ever.

use std::time::Duration;

/// A rule of waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// Wait after the first failure.
    pub first: Duration,
    /// Longest wait.
    pub cap: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row: doubled each time up to the cap, then between three quarters of
    /// that and all of it, as `who` and `failures` decide.
    pub fn after(self, failures: u32, who: u64) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let doubled = self
            .first
            .saturating_mul(1 << (failures - 1).min(20))
            .min(self.cap);
        let jitter = (mix(who ^ u64::from(failures)) >> 40) as f64 / f64::from(1 << 24);
        doubled.mul_f64(0.75 + 0.25 * jitter)
    }
}

/// SplitMix64's output function: spreads neighbouring numbers evenly.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_differ_between_devices() {
        let rule = Backoff {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(30),
        };
        assert_eq!(rule.after(0, 7), Duration::ZERO);
        for who in 0..100 {
            for (failures, longest) in [(1, 1.0), (2, 2.0), (4, 8.0), (6, 30.0), (u32::MAX, 30.0)] {
                let wait = rule.after(failures, who).as_secs_f64();
                assert!(
                    (longest * 0.75..=longest).contains(&wait),
                    "{failures}: {wait}"
                );
            }
        }
        let spread: std::collections::BTreeSet<_> =
            (0..100).map(|who| rule.after(9, who)).collect();
        assert!(spread.len() > 90);
    }
}
