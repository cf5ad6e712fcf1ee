//! A small random generator whose sequence will never change.
//!
//! SplitMix64 (Steele, Lea and Flood, 2014). A library's generator may change its sampling between versions; here a
//! seed must mean the same farm for ever. Each part of the farm draws from its own stream, so that one more draw in
//! one part moves nothing in another.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream called `name` of the farm `seed`.
    pub fn stream(seed: u64, name: &str) -> Self {
        let state = name.bytes().fold(mix(seed.wrapping_add(GOLDEN)), |h, b| {
            mix(h ^ u64::from(b)).wrapping_add(GOLDEN)
        });
        Self(state)
    }

    /// A stream that depends on `keys` alone: the same keys, the same numbers, whatever was drawn before.
    pub fn keyed(seed: u64, keys: &[i64]) -> Self {
        let state = keys.iter().fold(mix(seed.wrapping_add(GOLDEN)), |h, k| {
            mix(h ^ *k as u64).wrapping_add(GOLDEN)
        });
        Self(state)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `low..high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number in `low..=high`.
    pub fn whole(&mut self, low: i64, high: i64) -> i64 {
        low + (self.unit() * (high - low + 1) as f64) as i64
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// About normal, of the given mean and standard deviation, never more than 3.4 deviations away (sum of four).
    pub fn around(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..4).map(|_| self.unit() - 0.5).sum();
        mean + deviation * sum * 3f64.sqrt()
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.whole(0, items.len() as i64 - 1) as usize]
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.whole(0, last as i64) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        // SplitMix64 from state 1234567, the reference sequence published with the algorithm.
        let mut rng = Rng(1_234_567);
        assert_eq!(rng.bits(), 6_457_827_717_110_365_317);
        assert_eq!(rng.bits(), 3_203_168_211_198_807_973);
        assert_eq!(Rng::stream(7, "herd").bits(), Rng::stream(7, "herd").bits());
        assert_ne!(Rng::stream(7, "herd").bits(), Rng::stream(7, "sim").bits());
        assert_ne!(Rng::stream(7, "herd").bits(), Rng::stream(8, "herd").bits());
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_them() {
        let mut rng = Rng::stream(1, "bounds");
        let dice: Vec<i64> = (0..1000).map(|_| rng.whole(1, 6)).collect();
        assert_eq!((dice.iter().min(), dice.iter().max()), (Some(&1), Some(&6)));
        let mean = (0..10_000).map(|_| rng.around(5.0, 1.0)).sum::<f64>() / 10_000.0;
        assert!((4.95..5.05).contains(&mean), "{mean}");
    }
}
