//! Breeds kept in Bangladesh, how common each is on a dairy farm, and what each gives.

use crate::rng::Rng;

/// A breed or cross.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Breed {
    /// Holstein Friesian on local zebu, the common dairy cow.
    HolsteinLocal,
    /// Pure or nearly pure Holstein Friesian.
    HolsteinFriesian,
    /// Sahiwal cross.
    SahiwalCross,
    /// Jersey cross.
    JerseyCross,
    /// Pabna, the best local milker.
    Pabna,
    /// Red Chittagong.
    RedChittagong,
}

impl Breed {
    /// A breed, as often as it is kept.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        match rng.whole(1, 100) {
            1..=48 => Self::HolsteinLocal,
            49..=62 => Self::HolsteinFriesian,
            63..=77 => Self::SahiwalCross,
            78..=87 => Self::JerseyCross,
            88..=95 => Self::Pabna,
            _ => Self::RedChittagong,
        }
    }

    /// Its name, as registers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HolsteinLocal => "Holstein Friesian × Local",
            Self::HolsteinFriesian => "Holstein Friesian",
            Self::SahiwalCross => "Sahiwal cross",
            Self::JerseyCross => "Jersey cross",
            Self::Pabna => "Pabna",
            Self::RedChittagong => "Red Chittagong",
        }
    }

    /// Kilograms a day at the peak of a grown cow's lactation.
    pub(super) fn peak_kg(self) -> f64 {
        match self {
            Self::HolsteinLocal => 14.0,
            Self::HolsteinFriesian => 21.0,
            Self::SahiwalCross => 11.0,
            Self::JerseyCross => 12.0,
            Self::Pabna => 7.0,
            Self::RedChittagong => 5.0,
        }
    }

    /// Usual fat of its milk, percent.
    pub(super) fn fat(self) -> f64 {
        match self {
            Self::HolsteinFriesian => 3.6,
            Self::HolsteinLocal => 4.0,
            Self::SahiwalCross => 4.4,
            Self::JerseyCross => 4.7,
            Self::Pabna => 4.5,
            Self::RedChittagong => 4.9,
        }
    }
}
