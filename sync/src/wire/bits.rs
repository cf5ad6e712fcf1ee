//! Whole numbers without a pattern in as few bits as their spread needs: what a meter measured is noise in its last digits, and zstd
//! spends whole bytes on it.

use serde::{Deserialize, Serialize};

/// Numbers that share a least one and a width: so few that one that lies far off spoils little.
const BLOCK: usize = 128;

/// Whole numbers as their distances from the least of their block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bits {
    /// The least number of each block.
    least: Vec<i64>,
    /// Bits of each distance in a block.
    widths: Vec<u8>,
    /// The distances one after another, each from its low bit on.
    bits: Vec<u8>,
}

impl Bits {
    pub(super) fn of(numbers: &[i64]) -> Self {
        let (mut least, mut widths) = (Vec::new(), Vec::new());
        let mut bits = Writer::default();
        for block in numbers.chunks(BLOCK) {
            let from = block.iter().copied().min().unwrap_or(0);
            let distance = |n: &i64| n.wrapping_sub(from).cast_unsigned();
            let farthest = block.iter().map(distance).max().unwrap_or(0);
            let width = u64::BITS - farthest.leading_zeros();
            for n in block {
                bits.put(distance(n), width);
            }
            least.push(from);
            widths.push(u8::try_from(width).expect("64 at most"));
        }
        Self {
            least,
            widths,
            bits: bits.end(),
        }
    }

    /// The numbers again; `None` when these are not the bits of so many.
    pub(super) fn expand(&self, count: usize) -> Option<Vec<i64>> {
        let blocks = count.div_ceil(BLOCK);
        if self.least.len() != blocks || self.widths.len() != blocks {
            return None;
        }
        let mut bits = Reader::of(&self.bits);
        let mut numbers = Vec::with_capacity(count);
        for (from, &width) in self.least.iter().zip(&self.widths) {
            for _ in numbers.len()..count.min(numbers.len() + BLOCK) {
                let distance = bits.take(u32::from(width))?;
                numbers.push(from.wrapping_add(distance.cast_signed()));
            }
        }
        bits.is_at_end().then_some(numbers)
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    under_way: u128,
    filled: u32,
}

impl Writer {
    fn put(&mut self, n: u64, width: u32) {
        self.under_way |= u128::from(n) << self.filled;
        self.filled += width;
        while self.filled >= u8::BITS {
            self.push();
            self.filled -= u8::BITS;
        }
    }

    fn push(&mut self) {
        self.bytes.push(self.under_way.to_le_bytes()[0]);
        self.under_way >>= u8::BITS;
    }

    fn end(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.push();
        }
        self.bytes
    }
}

struct Reader<'a> {
    bytes: std::slice::Iter<'a, u8>,
    under_way: u128,
    filled: u32,
}

impl<'a> Reader<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
            under_way: 0,
            filled: 0,
        }
    }

    fn take(&mut self, width: u32) -> Option<u64> {
        if width > u64::BITS {
            return None;
        }
        while self.filled < width {
            self.under_way |= u128::from(*self.bytes.next()?) << self.filled;
            self.filled += u8::BITS;
        }
        let mask = (1_u128 << width) - 1;
        let n = u64::try_from(self.under_way & mask).ok()?;
        self.under_way >>= width;
        self.filled -= width;
        Some(n)
    }

    fn is_at_end(&self) -> bool {
        self.bytes.len() == 0
    }
}
