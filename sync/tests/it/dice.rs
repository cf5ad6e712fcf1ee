//! Chance that a seed repeats.

/// SplitMix64 (Steele, Lea and Flood 2014): a test must be told by its seed alone.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("smaller than a usize")
    }

    pub(crate) fn small(&mut self, sides: usize) -> i64 {
        i64::try_from(self.roll(sides)).expect("a die is small")
    }
}
