//! The herd: who lives here, what she is, what she wears and what she gives.
//!
//! Made from a seed and the day the farm starts, and never changed after. Milk of a session depends on the cow, the
//! date and the session alone, so that the history and the live farm agree.

mod breeds;
mod names;

pub use breeds::Breed;
pub use names::bengali_digits;

use jiff::{ToSpan, civil::Date};

use crate::{
    lactation::{MILK_KG_PER_L, Wood},
    rng::Rng,
};

/// ISO 3166-1 numeric code of Bangladesh, the country part of every tag here.
pub const BANGLADESH: u16 = 50;

/// Share of a day's milk given in the morning where cows are milked twice; the night is the longer interval.
const MORNING_SHARE: f64 = 0.55;

/// An animal.
#[derive(Clone, PartialEq, Debug)]
pub struct Animal {
    /// Number on the ear tag, from 101.
    pub number: u32,
    /// Name in Bengali.
    pub name: String,
    /// Name in Latin letters.
    pub name_en: String,
    /// Breed.
    pub breed: Breed,
    /// Day of birth.
    pub birth: Date,
    /// What she is on the day the farm starts.
    pub state: State,
    /// What her electronic tags say.
    pub tags: Tags,
}

/// The two transponders that every animal wears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tags {
    /// National part of the ISO 11784 tag, 38 bits; the country is [`BANGLADESH`].
    pub national: u64,
    /// EM4100 number: version byte and 32 bits.
    pub em4100: u64,
}

impl Tags {
    /// The 15 digits of the ISO 11784 tag.
    pub fn iso(&self) -> String {
        format!("{BANGLADESH:03}{:012}", self.national)
    }
}

/// What an animal is.
#[derive(Clone, PartialEq, Debug)]
pub enum State {
    /// In milk.
    Lactating(Lactation),
    /// Dried off.
    Dry {
        /// The lactation that ended.
        last: Lactation,
        /// The day it ended.
        since: Date,
    },
    /// Female that has not calved.
    Heifer,
    /// Heifer calf.
    HeiferCalf,
    /// Bull calf.
    BullCalf,
    /// Breeding bull.
    Bull,
}

/// A lactation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Lactation {
    /// Which one, from 1.
    pub parity: u8,
    /// The day it began.
    pub calved_on: Date,
    /// Its curve.
    pub curve: Wood,
    /// Usual conductivity, mS/cm at 25 °C.
    pub conductivity: f64,
    /// Usual fat, percent.
    pub fat: f64,
    /// Usual solids not fat, percent.
    pub snf: f64,
}

impl Animal {
    /// The lactation under way on `date`, if she was milked then.
    pub fn lactation_on(&self, date: Date) -> Option<&Lactation> {
        let lactation = match &self.state {
            State::Lactating(lactation) => lactation,
            State::Dry { last, since } if date < *since => last,
            _ => return None,
        };
        // The first four days are colostrum and go to the calf.
        (days_between(lactation.calved_on, date) > 4).then_some(lactation)
    }

    /// Millilitres she gives in session `number` of the `sessions` of `date`, to whole pulses of 10 mL; 0 when she is not milked.
    pub fn yield_ml(&self, seed: u64, date: Date, number: u8, sessions: usize) -> i64 {
        let Some(lactation) = self.lactation_on(date) else {
            return 0;
        };
        let litres = lactation
            .curve
            .kg_on(days_between(lactation.calved_on, date))
            / MILK_KG_PER_L;
        let share = match (sessions, number) {
            (2, 1) => MORNING_SHARE,
            (2, _) => 1.0 - MORNING_SHARE,
            (sessions, _) => 1.0 / sessions.max(1) as f64,
        };
        let mut day = Rng::keyed(seed, &[self.number.into(), ordinal(date)]);
        let mut milking = Rng::keyed(seed, &[self.number.into(), ordinal(date), number.into()]);
        let ml = litres * 1000.0 * share * day.around(1.0, 0.04) * milking.around(1.0, 0.05);
        ((ml / 10.0).round() as i64 * 10).max(300)
    }
}

/// Whole days from `from` to `to`.
pub fn days_between(from: Date, to: Date) -> i64 {
    ordinal(to) - ordinal(from)
}

/// Days since 1970-01-01.
pub fn ordinal(date: Date) -> i64 {
    date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24
}

fn back(date: Date, days: i64) -> Date {
    date.checked_sub(days.days())
        .expect("a farm starts long after the calendar does")
}

/// Makes a herd with `cows` cows in milk on `today`, and beside them dry cows, heifers, calves and a bull.
pub fn herd(seed: u64, cows: u32, today: Date) -> Vec<Animal> {
    let mut maker = Maker {
        rng: Rng::stream(seed, "herd"),
        today,
        animals: Vec::new(),
    };
    for _ in 0..cows {
        let days_in_milk = maker.rng.whole(6, 300);
        maker.cow(days_in_milk, None);
    }
    for _ in 0..cows.div_ceil(8) {
        let dry_for = maker.rng.whole(3, 55);
        let days_in_milk = dry_for + maker.rng.whole(285, 320);
        maker.cow(days_in_milk, Some(dry_for));
    }
    for _ in 0..cows.div_ceil(6) {
        maker.young(State::Heifer, 360, 800);
    }
    for calf in 0..cows.div_ceil(6) {
        maker.young(
            if calf % 3 == 2 {
                State::BullCalf
            } else {
                State::HeiferCalf
            },
            5,
            300,
        );
    }
    maker.young(State::Bull, 1200, 2200);
    maker.animals
}

struct Maker {
    rng: Rng,
    today: Date,
    animals: Vec<Animal>,
}

impl Maker {
    fn cow(&mut self, days_in_milk: i64, dry_for: Option<i64>) {
        let breed = Breed::draw(&mut self.rng);
        let parity = [1, 1, 2, 2, 2, 3, 3, 4, 5][self.rng.whole(0, 8) as usize];
        let calved_on = back(self.today, days_in_milk);
        let first_calving_age = self.rng.whole(900, 1150);
        let birth = back(
            calved_on,
            first_calving_age + i64::from(parity - 1) * self.rng.whole(390, 450),
        );
        let lactation = self.lactation(breed, parity, calved_on);
        let state = match dry_for {
            None => State::Lactating(lactation),
            Some(days) => State::Dry {
                last: lactation,
                since: back(self.today, days),
            },
        };
        self.add(breed, birth, state);
    }

    fn lactation(&mut self, breed: Breed, parity: u8, calved_on: Date) -> Lactation {
        // Young cows peak lower and later; b and c grow steeper with parity.
        let (share, peak_day, rise) = match parity {
            1 => (0.80, 62.0, 0.12),
            2 => (0.93, 55.0, 0.15),
            _ => (1.0, 50.0, 0.18),
        };
        let rng = &mut self.rng;
        Lactation {
            parity,
            calved_on,
            curve: Wood::with_peak(
                breed.peak_kg() * share * rng.around(1.0, 0.12),
                peak_day * rng.around(1.0, 0.1),
                rise * rng.around(1.0, 0.1),
            ),
            conductivity: rng.around(5.0, 0.25),
            fat: rng.around(breed.fat(), 0.25),
            snf: rng.around(8.7, 0.15),
        }
    }

    fn young(&mut self, state: State, youngest_days: i64, oldest_days: i64) {
        let breed = Breed::draw(&mut self.rng);
        let birth = back(self.today, self.rng.whole(youngest_days, oldest_days));
        self.add(breed, birth, state);
    }

    fn add(&mut self, breed: Breed, birth: Date, state: State) {
        let index = self.animals.len();
        let male = matches!(state, State::Bull | State::BullCalf);
        let (name, name_en) = name(index, if male { names::BULLS } else { names::COWS });
        // Distinct by construction: both parts grow with the index by more than the random part spans.
        let national = 1_204_000_000 + index as u64 * 997 + self.rng.whole(0, 900) as u64;
        let em4100 = 0x01_0050_0000 + index as u64 * 4099 + self.rng.whole(0, 4000) as u64;
        self.animals.push(Animal {
            number: 101 + index as u32,
            name,
            name_en,
            breed,
            birth,
            state,
            tags: Tags { national, em4100 },
        });
    }
}

fn name(index: usize, names: &[(&str, &str)]) -> (String, String) {
    let (bengali, latin) = names[index % names.len()];
    match index / names.len() {
        0 => (bengali.to_owned(), latin.to_owned()),
        again => {
            let nth = again as u32 + 1;
            (
                format!("{bengali} {}", bengali_digits(nth)),
                format!("{latin} {nth}"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TODAY: Date = Date::constant(2026, 11, 20);

    #[test]
    fn a_seed_means_the_same_herd() {
        assert_eq!(herd(1, 60, TODAY), herd(1, 60, TODAY));
        assert_ne!(herd(1, 60, TODAY), herd(2, 60, TODAY));
    }

    #[test]
    fn a_large_herd_has_no_tag_or_name_twice() {
        let herd = herd(3, 1200, TODAY);
        let iso: HashSet<_> = herd.iter().map(|a| a.tags.iso()).collect();
        let em: HashSet<_> = herd.iter().map(|a| a.tags.em4100).collect();
        let names: HashSet<_> = herd.iter().map(|a| &a.name).collect();
        assert_eq!(
            (iso.len(), em.len(), names.len()),
            (herd.len(), herd.len(), herd.len())
        );
        assert!(iso.iter().all(|t| t.len() == 15 && t.starts_with("050")));
        assert!(em.iter().all(|n| *n < 1 << 40));
    }

    #[test]
    fn sixty_cows_give_what_sixty_cows_give() {
        let herd = herd(1, 60, TODAY);
        let in_milk: Vec<_> = herd
            .iter()
            .filter(|a| matches!(a.state, State::Lactating(_)))
            .collect();
        assert_eq!(in_milk.len(), 60);
        for cow in &in_milk {
            let day: i64 = (1..=2).map(|n| cow.yield_ml(1, TODAY, n, 2)).sum();
            assert!(
                (1_200..30_000).contains(&day),
                "{} gives {day} mL",
                cow.name_en
            );
            assert_eq!(day % 10, 0);
        }
        let total: i64 = in_milk
            .iter()
            .map(|c| c.yield_ml(1, TODAY, 1, 2) + c.yield_ml(1, TODAY, 2, 2))
            .sum();
        assert!((300_000..900_000).contains(&total), "{total} mL a day");
    }

    #[test]
    fn a_dry_cow_was_milked_until_she_was_dried_off() {
        let herd = herd(1, 60, TODAY);
        let (cow, since) = herd
            .iter()
            .find_map(|a| match a.state {
                State::Dry { since, .. } => Some((a, since)),
                _ => None,
            })
            .unwrap();
        assert_eq!(cow.yield_ml(1, since, 1, 2), 0);
        assert!(cow.yield_ml(1, back(since, 1), 1, 2) > 0);
    }
}
