//! One column of many rows, in the layout that compresses best for what it holds.

use serde::{Deserialize, Serialize};

use super::{LEVEL, bits::Bits};
use crate::Value;

/// Memory of one value beside its bytes, with its share of a row.
const PER_VALUE: usize = 64;
/// So few numbers are not worth a trial of how they pack best.
const FEW: usize = 32;

/// A column of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Packed {
    /// The same in each row.
    Same(Value),
    /// Whole numbers.
    Numbers(Numbers),
    /// Whole numbers, where there are some.
    Gappy {
        /// A bit for each row, the low one first: whether it has a number.
        given: Vec<u8>,
        /// The numbers of those rows.
        numbers: Numbers,
    },
    /// Bytes of one length, the first byte of each, then the second: what identities share at their front lies together.
    Wide {
        /// Bytes of each value.
        width: u32,
        /// All of them.
        planes: Vec<u8>,
    },
    /// Anything else.
    Mixed(Vec<Value>),
    /// Whole numbers without a pattern.
    Noise(Noise),
    /// Whole numbers without a pattern, where there are some.
    GappyNoise {
        /// As in [`Gappy`](Self::Gappy).
        given: Vec<u8>,
        /// The numbers of those rows.
        numbers: Noise,
    },
}

/// Whole numbers in the fewest digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// They are all multiples of it.
    unit: i64,
    /// Whether each is its distance from the one before.
    steps: bool,
    /// What is left of them.
    of: Vec<i64>,
}

/// The same as [`Numbers`] in the fewest bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Noise {
    unit: i64,
    steps: bool,
    of: Bits,
}

/// How whole numbers pack best.
enum Best {
    Digits(Numbers),
    Bits(Noise),
}

impl Best {
    /// What few digits say with a pattern, zstd says shorter still; what has none, bits do. So it is tried out.
    fn of(numbers: &[i64]) -> Self {
        let digits = Numbers::of(numbers);
        if numbers.len() < FEW {
            return Self::Digits(digits);
        }
        let Some(mut least) = zipped(&digits) else {
            return Self::Digits(digits);
        };
        let mut best = Self::Digits(digits);
        for plain in Numbers::plain_and_steps(numbers) {
            let noise = Noise {
                unit: plain.unit,
                steps: plain.steps,
                of: Bits::of(&plain.of),
            };
            if let Some(size) = zipped(&noise).filter(|size| *size < least) {
                (least, best) = (size, Self::Bits(noise));
            }
        }
        best
    }
}

/// Bytes of it on the line.
fn zipped(column: &impl Serialize) -> Option<usize> {
    let open = postcard::to_stdvec(column).ok()?;
    Some(zstd::bulk::compress(&open, LEVEL).ok()?.len())
}

/// What a message may still take of memory when it is unpacked.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.checked_sub(bytes)?;
        Some(())
    }

    /// Accounts for so many rows of so many columns; rows without a column cost as well.
    pub(super) fn rows(&mut self, rows: u32, columns: usize) -> Option<usize> {
        let rows = usize::try_from(rows).ok()?;
        self.take(
            rows.checked_mul(columns.checked_add(1)?)?
                .checked_mul(PER_VALUE)?,
        )?;
        Some(rows)
    }
}

impl Packed {
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Self {
        let values: Vec<&Value> = values.collect();
        if let Some((first, rest)) = values.split_first() {
            if rest.iter().all(|value| value == first) {
                return Self::Same((*first).clone());
            }
            if let Some(numbers) = values
                .iter()
                .map(|value| integer(value))
                .collect::<Option<Vec<_>>>()
            {
                return Self::of_integers(&numbers);
            }
            if let Some(packed) = Self::of_wide(&values).or_else(|| Self::of_gappy(&values)) {
                return packed;
            }
        }
        Self::Mixed(values.into_iter().cloned().collect())
    }

    pub(super) fn of_numbers(numbers: impl Iterator<Item = i64>) -> Self {
        let numbers: Vec<i64> = numbers.collect();
        match numbers.first() {
            Some(first) if numbers.iter().all(|n| n == first) => Self::Same(Value::Integer(*first)),
            _ => Self::of_integers(&numbers),
        }
    }

    fn of_integers(numbers: &[i64]) -> Self {
        match Best::of(numbers) {
            Best::Digits(numbers) => Self::Numbers(numbers),
            Best::Bits(noise) => Self::Noise(noise),
        }
    }

    /// `None` when something stands there that is neither a number nor nothing.
    fn of_gappy(values: &[&Value]) -> Option<Self> {
        let mut given = vec![0; values.len().div_ceil(8)];
        let mut numbers = Vec::new();
        for (n, value) in values.iter().enumerate() {
            match value {
                Value::Null => {}
                Value::Integer(number) => {
                    given[n / 8] |= 1 << (n % 8);
                    numbers.push(*number);
                }
                _ => return None,
            }
        }
        Some(match Best::of(&numbers) {
            Best::Digits(numbers) => Self::Gappy { given, numbers },
            Best::Bits(numbers) => Self::GappyNoise { given, numbers },
        })
    }

    fn of_wide(values: &[&Value]) -> Option<Self> {
        let blobs: Vec<&[u8]> = values
            .iter()
            .map(|value| match value {
                Value::Blob(bytes) => Some(bytes.as_slice()),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let width = blobs.first()?.len();
        if width == 0 || blobs.iter().any(|blob| blob.len() != width) {
            return None;
        }
        let planes = (0..width)
            .flat_map(|n| blobs.iter().map(move |blob| blob[n]))
            .collect();
        Some(Self::Wide {
            width: u32::try_from(width).ok()?,
            planes,
        })
    }

    /// The values again; `None` when there are not as many as rows, or they would take too much memory.
    pub(super) fn expand(self, rows: usize, budget: &mut Budget) -> Option<Vec<Value>> {
        let values = match self {
            Self::Same(value) => {
                budget.take(rows.checked_mul(value.weight())?)?;
                vec![value; rows]
            }
            Self::Wide { width, planes } => {
                let width = usize::try_from(width).ok()?;
                budget.take(planes.len())?;
                if width == 0 || planes.len() != width.checked_mul(rows)? {
                    return None;
                }
                (0..rows)
                    .map(|row| Value::Blob((0..width).map(|n| planes[n * rows + row]).collect()))
                    .collect()
            }
            Self::Mixed(values) => values,
            Self::Gappy { given, numbers } => with_gaps(&given, numbers.expand(), rows)?,
            Self::GappyNoise { given, numbers } => {
                let count = (0..rows).filter(|n| is_given(&given, *n)).count();
                with_gaps(&given, numbers.expand(count)?, rows)?
            }
            numbers => numbers
                .expand_numbers(rows, budget)?
                .into_iter()
                .map(Value::Integer)
                .collect(),
        };
        (values.len() == rows).then_some(values)
    }

    /// The same for a column that can only hold whole numbers.
    pub(super) fn expand_numbers(self, rows: usize, budget: &mut Budget) -> Option<Vec<i64>> {
        budget.take(rows.checked_mul(size_of::<i64>())?)?;
        let numbers = match self {
            Self::Same(Value::Integer(n)) => vec![n; rows],
            Self::Numbers(numbers) => numbers.expand(),
            Self::Noise(noise) => noise.expand(rows)?,
            _ => return None,
        };
        (numbers.len() == rows).then_some(numbers)
    }
}

fn is_given(given: &[u8], n: usize) -> bool {
    given
        .get(n / 8)
        .is_some_and(|bits| bits >> (n % 8) & 1 == 1)
}

/// A number or nothing for each row; `None` when there are not as many numbers as rows that have one.
fn with_gaps(given: &[u8], numbers: Vec<i64>, rows: usize) -> Option<Vec<Value>> {
    let mut numbers = numbers.into_iter();
    let values: Option<Vec<_>> = (0..rows)
        .map(|n| match is_given(given, n) {
            true => numbers.next().map(Value::Integer),
            false => Some(Value::Null),
        })
        .collect();
    values.filter(|_| numbers.next().is_none())
}

impl Noise {
    fn expand(self, count: usize) -> Option<Vec<i64>> {
        let of = self.of.expand(count)?;
        Some(
            Numbers {
                unit: self.unit,
                steps: self.steps,
                of,
            }
            .expand(),
        )
    }
}

impl Numbers {
    fn of(numbers: &[i64]) -> Self {
        let [plain, steps] = Self::plain_and_steps(numbers);
        if weight(&steps.of) < weight(&plain.of) {
            steps
        } else {
            plain
        }
    }

    fn plain_and_steps(numbers: &[i64]) -> [Self; 2] {
        let mut before = 0_i64;
        let steps: Vec<i64> = numbers
            .iter()
            .map(|&n| n.wrapping_sub(std::mem::replace(&mut before, n)))
            .collect();
        [Self::in_units(numbers, false), Self::in_units(&steps, true)]
    }

    fn in_units(numbers: &[i64], steps: bool) -> Self {
        let common = numbers
            .iter()
            .fold(0, |common, n| divisor(common, n.unsigned_abs()));
        let unit = i64::try_from(common).unwrap_or(1).max(1);
        Self {
            unit,
            steps,
            of: numbers.iter().map(|n| n / unit).collect(),
        }
    }

    fn expand(self) -> Vec<i64> {
        let mut at = 0_i64;
        self.of
            .into_iter()
            .map(|n| {
                let n = n.wrapping_mul(self.unit);
                at = if self.steps { at.wrapping_add(n) } else { n };
                at
            })
            .collect()
    }
}

/// The greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(n) => Some(*n),
        _ => None,
    }
}

/// Bytes of zigzag varints.
fn weight(numbers: &[i64]) -> u32 {
    numbers
        .iter()
        .map(|n| {
            1 + ((n << 1) ^ (n >> 63))
                .cast_unsigned()
                .checked_ilog2()
                .unwrap_or(0)
                / 7
        })
        .sum()
}
