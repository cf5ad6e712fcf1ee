//! Counters that only grow, until they roll over or the device restarts.

use farm_model::device::{RegisterField, RegisterType};
use serde::{Deserialize, Serialize};

/// Follows one counter. What it knows is small and serialisable, to be kept over a restart of the edge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Totaliser {
    /// The largest value the counter can show, after which it shows 0.
    range: u64,
    /// What it showed last.
    last: Option<u64>,
}

/// What a reading says beside the one before it, in raw counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The first reading: nothing to compare.
    First,
    /// Grew by so much, perhaps 0.
    Grew(u64),
    /// Went over the top, having grown by so much.
    RolledOver(u64),
    /// Began again from 0 and has counted so much since; what was counted before the restart and after the last
    /// reading is lost.
    Restarted(u64),
    /// Grew by more than is possible: another device answers, or the register is another. Not to be counted.
    Implausible(u64),
    /// Above the counter's range: not a reading of it. Forgotten.
    OutOfRange,
}

impl Step {
    /// What may be added to a sum.
    pub fn delta(self) -> u64 {
        match self {
            Self::Grew(delta) | Self::RolledOver(delta) | Self::Restarted(delta) => delta,
            Self::First | Self::Implausible(_) | Self::OutOfRange => 0,
        }
    }
}

impl Totaliser {
    /// A counter that shows 0 after `range`.
    pub fn new(range: u64) -> Self {
        Self { range, last: None }
    }

    /// Takes the counter's reading; `most` is the most that it can have grown since the one before, from the device's
    /// largest rate and the time passed.
    pub fn read(&mut self, raw: u64, most: u64) -> Step {
        if raw > self.range {
            return Step::OutOfRange;
        }
        let Some(last) = self.last.replace(raw) else {
            return Step::First;
        };
        if let Some(grown) = raw.checked_sub(last) {
            return if grown <= most {
                Step::Grew(grown)
            } else {
                Step::Implausible(grown)
            };
        }
        // Over the top: from `last` to the range, one step to 0, and on to `raw`.
        let over = (self.range - last.min(self.range))
            .saturating_add(raw)
            .saturating_add(1);
        if over <= most {
            Step::RolledOver(over)
        } else if raw <= most {
            Step::Restarted(raw)
        } else {
            Step::Implausible(raw)
        }
    }
}

/// The largest raw value of a field that is a counter: as its map says, or as its type allows.
pub fn range_of(field: &RegisterField) -> Option<u64> {
    let of_type = match field.kind {
        RegisterType::U16 => Some(u16::MAX.into()),
        RegisterType::I16 => Some(i16::MAX as u64),
        RegisterType::U32 => Some(u32::MAX.into()),
        RegisterType::I32 => Some(i32::MAX as u64),
        RegisterType::U64 => Some(u64::MAX),
        RegisterType::I64 => Some(i64::MAX as u64),
        RegisterType::Bcd32 => Some(99_999_999),
        RegisterType::Bit | RegisterType::F32 | RegisterType::F64 => None,
    };
    of_type.map(|range| field.wraps_after.unwrap_or(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_roll_over_and_restart_are_told_apart() {
        let mut total = Totaliser::new(u16::MAX.into());
        assert_eq!(total.read(65_000, 100), Step::First);
        assert_eq!(total.read(65_000, 100), Step::Grew(0));
        assert_eq!(total.read(65_090, 100), Step::Grew(90));
        assert_eq!(total.read(65_535, 1000), Step::Grew(445));
        assert_eq!(total.read(0, 100), Step::RolledOver(1));
        assert_eq!(total.read(30_000, 30_000), Step::Grew(30_000));
        assert_eq!(total.read(12, 100), Step::Restarted(12));
        assert_eq!(total.read(500, 100), Step::Implausible(488));
        assert_eq!(total.read(510, 100), Step::Grew(10));
        assert_eq!(total.read(300, 100), Step::Implausible(300));
        assert_eq!(total.read(70_000, 100), Step::OutOfRange);
        assert_eq!(total.read(301, 100), Step::Grew(1));
    }

    #[test]
    fn a_restart_far_below_the_top_is_no_roll_over() {
        let mut total = Totaliser::new(u32::MAX.into());
        total.read(123_456, 0);
        assert_eq!(total.read(0, 500).delta(), 0);
        assert_eq!(total.read(450, 500).delta(), 450);
    }

    #[test]
    fn the_full_range_of_u64_does_not_overflow() {
        let mut total = Totaliser::new(u64::MAX);
        total.read(0, 0);
        assert_eq!(total.read(u64::MAX, u64::MAX), Step::Grew(u64::MAX));
        assert_eq!(total.read(5, 10), Step::RolledOver(6));
        assert_eq!(total.read(4, 10), Step::Restarted(4));
    }

    #[test]
    fn it_survives_a_restart_of_the_edge() {
        let mut total = Totaliser::new(9999);
        total.read(9990, 0);
        let kept = serde_json::to_string(&total).unwrap();
        let mut total: Totaliser = serde_json::from_str(&kept).unwrap();
        assert_eq!(total.read(3, 50), Step::RolledOver(13));
    }

    proptest::proptest! {
        #[test]
        fn deltas_add_up_over_any_number_of_roll_overs(range in 100u64..1_000_000, steps in proptest::collection::vec(0u64..100, 1..200)) {
            let mut total = Totaliser::new(range);
            total.read(0, 0);
            let (mut truth, mut told) = (0, 0);
            for step in steps {
                truth += step;
                told += total.read(truth % (range + 1), 99).delta();
            }
            proptest::prop_assert_eq!(told, truth);
        }
    }
}
