//! Two bulk tanks: milk runs into one until it is full, is cooled, and is collected once a day.

use crate::sim::schedule::{DAY_MS, LOCAL_OFFSET_MS};

/// Temperature of milk as it reaches the tank, after a plate cooler with ice water, °C.
const ARRIVING_C: f64 = 14.0;

/// Where the thermostat holds the milk, °C.
const SET_POINT_C: f64 = 3.7;

/// Time in which the cooling takes away 63 % of what is left, seconds.
const COOLING_S: f64 = 900.0;

/// The same for a full tank that warms up with its cooling off.
const WARMING_S: f64 = 14_400.0;

/// Share of a tank at which the milk line is turned to the other.
const FULL: f64 = 0.95;

/// The lorry comes at 09:00 local time.
const COLLECTION_MS: i64 = 9 * 3_600_000;

/// A bulk tank.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tank {
    /// Volume it holds, litres.
    pub capacity_l: f64,
    /// Milk in it, litres.
    pub milk_l: f64,
    /// Temperature at its probe, °C.
    pub celsius: f64,
}

impl Tank {
    /// Fill, percent.
    pub fn level(&self) -> f64 {
        100.0 * self.milk_l / self.capacity_l
    }

    fn receive(&mut self, litres: f64) {
        let total = self.milk_l + litres;
        // The probe sits at the bottom and never sees less than a few litres of steel and water.
        let body = self.milk_l.max(10.0);
        self.celsius = (self.celsius * body + ARRIVING_C * litres) / (body + litres);
        self.milk_l = total.min(self.capacity_l);
    }

    fn settle(&mut self, seconds: f64, room_c: f64, cooling: Cooling) {
        let (goal, time) = match cooling {
            Cooling::On if self.milk_l > 1.0 => (SET_POINT_C, COOLING_S),
            _ => (room_c, WARMING_S),
        };
        self.celsius += (goal - self.celsius) * (1.0 - (-seconds / time).exp());
    }
}

/// Whether a tank's compressor works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cooling {
    /// It works.
    On,
    /// It has failed.
    Failed,
}

/// The farm's two tanks and the line that fills them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tanks {
    /// Tank 1 and tank 2.
    pub tanks: [Tank; 2],
    filling: usize,
    collected_on: i64,
}

impl Tanks {
    /// Two empty tanks that together hold about a day and a half of `cows` cows' milk.
    pub fn new(cows: u32, room_c: f64, at: i64) -> Self {
        let capacity_l = (f64::from(cows) * 8.0 / 100.0).ceil().max(1.0) * 100.0;
        let tank = Tank {
            capacity_l,
            milk_l: 0.0,
            celsius: room_c,
        };
        Self {
            tanks: [tank; 2],
            filling: 0,
            collected_on: collection_day(at),
        }
    }

    /// Milk arrives.
    pub fn receive(&mut self, millilitres: i64) {
        if self.tanks[self.filling].level() >= 100.0 * FULL {
            self.filling = 1 - self.filling;
            if self.tanks[self.filling].level() >= 100.0 * FULL {
                self.tanks[self.filling].milk_l = 0.0;
            }
        }
        self.tanks[self.filling].receive(millilitres as f64 / 1000.0);
    }

    /// Time passes, up to `at`.
    pub fn settle(&mut self, at: i64, seconds: f64, room_c: f64, cooling: [Cooling; 2]) {
        if collection_day(at) > self.collected_on {
            self.collected_on = collection_day(at);
            self.tanks.iter_mut().for_each(|t| t.milk_l = 0.0);
            self.filling = 0;
        }
        for (tank, cooling) in self.tanks.iter_mut().zip(cooling) {
            tank.settle(seconds, room_c, cooling);
        }
    }
}

fn collection_day(at: i64) -> i64 {
    (at + LOCAL_OFFSET_MS - COLLECTION_MS).div_euclid(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_154_400_000;

    #[test]
    fn milk_warms_the_tank_and_the_tank_cools_the_milk() {
        let mut tanks = Tanks::new(60, 24.0, NOON);
        for minute in 0..60 {
            tanks.receive(5_000);
            tanks.settle(NOON + minute * 60_000, 60.0, 24.0, [Cooling::On; 2]);
        }
        assert!((tanks.tanks[0].milk_l - 300.0).abs() < 1e-6);
        assert!(
            (4.2..7.0).contains(&tanks.tanks[0].celsius),
            "{:?}",
            tanks.tanks[0]
        );
        tanks.settle(NOON + 14_400_000, 10_800.0, 24.0, [Cooling::On; 2]);
        assert!(
            (3.6..3.9).contains(&tanks.tanks[0].celsius),
            "{:?}",
            tanks.tanks[0]
        );
        tanks.settle(
            NOON + 21_600_000,
            7_200.0,
            24.0,
            [Cooling::Failed, Cooling::On],
        );
        assert!(tanks.tanks[0].celsius > 10.0, "{:?}", tanks.tanks[0]);
    }

    #[test]
    fn a_full_tank_hands_over_and_the_lorry_empties_both() {
        let mut tanks = Tanks::new(60, 24.0, NOON);
        (0..600).for_each(|_| tanks.receive(1_000));
        assert!(tanks.tanks[0].level() >= 95.0 && tanks.tanks[1].milk_l > 0.0);
        tanks.settle(NOON + DAY_MS, 60.0, 24.0, [Cooling::On; 2]);
        assert_eq!(tanks.tanks.map(|t| t.milk_l), [0.0, 0.0]);
    }
}
