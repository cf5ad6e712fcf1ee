//! Weather of Savar, air of the rooms, and the digester: pure functions of the seed and the moment.
//!
//! Because nothing is remembered, a history can be made for any time and joins the live farm without a step.

use crate::{
    rng::Rng,
    sim::schedule::{DAY_MS, LOCAL_OFFSET_MS, local_date},
};

/// Monthly mean temperature of Dhaka, °C.
const MEAN_C: [f64; 12] = [
    18.6, 22.0, 26.3, 28.6, 28.9, 28.8, 28.6, 28.7, 28.6, 27.3, 23.9, 19.9,
];

/// Monthly mean relative humidity of Dhaka, percent.
const MEAN_RH: [f64; 12] = [
    71.0, 64.0, 62.0, 71.0, 76.0, 82.0, 83.0, 82.0, 83.0, 78.0, 73.0, 73.0,
];

/// A room or yard whose air is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// The cows' barn, warmed by the cows.
    Barn,
    /// Where the tanks stand, shaded and thick-walled.
    MilkRoom,
    /// Out of doors.
    Yard,
    /// The cold room.
    Cooler,
}

/// What the digester's instruments show.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Biogas {
    /// Methane, percent by volume.
    pub methane: f64,
    /// Carbon dioxide, percent by volume.
    pub carbon_dioxide: f64,
    /// Water vapour, percent by volume.
    pub water: f64,
    /// Pressure over ambient, kPa.
    pub pressure_kpa: f64,
    /// Flow, m³/h.
    pub flow_m3_h: f64,
    /// Temperature of the gas, °C.
    pub celsius: f64,
}

/// The climate of one farm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Climate {
    /// The farm's seed.
    pub seed: u64,
}

impl Climate {
    /// Air temperature in `room`, °C.
    pub fn temperature(self, room: Room, at: i64) -> f64 {
        let (mean, swing) = (self.month(&MEAN_C, at), sun(at));
        match room {
            Room::Yard => {
                mean + 5.0 * swing
                    + 1.5 * self.drift(1, 7_200_000, at)
                    + 0.15 * self.drift(2, 60_000, at)
            }
            Room::Barn => {
                mean + 2.2
                    + 3.4 * swing
                    + 0.8 * self.drift(3, 5_400_000, at)
                    + 0.15 * self.drift(4, 60_000, at)
            }
            Room::MilkRoom => {
                mean - 1.0
                    + 1.6 * swing
                    + 0.5 * self.drift(5, 5_400_000, at)
                    + 0.1 * self.drift(6, 60_000, at)
            }
            Room::Cooler => {
                // The compressor's saw tooth: 18 minutes of warming, 6 of cooling.
                let phase = at.rem_euclid(1_440_000) as f64 / 60_000.0;
                let tooth = if phase < 18.0 {
                    phase / 18.0
                } else {
                    (24.0 - phase) / 6.0
                };
                2.6 + 1.6 * tooth + 0.2 * self.drift(7, 600_000, at)
            }
        }
    }

    /// Relative humidity in `room`, percent.
    pub fn humidity(self, room: Room, at: i64) -> f64 {
        let mean = self.month(&MEAN_RH, at);
        let (swing, add) = match room {
            Room::Yard => (16.0, 0.0),
            Room::Barn => (11.0, 6.0),
            Room::MilkRoom => (6.0, 3.0),
            Room::Cooler => (1.0, 10.0),
        };
        (mean + add - swing * sun(at) + 3.0 * self.drift(8 + room as i64, 3_600_000, at))
            .clamp(15.0, 99.0)
    }

    /// The digester's gas.
    pub fn biogas(self, at: i64) -> Biogas {
        let methane =
            58.0 + 2.5 * self.drift(20, 21_600_000, at) + 0.3 * self.drift(21, 300_000, at);
        let water = 3.2 + 0.4 * self.drift(22, 7_200_000, at);
        Biogas {
            methane,
            water,
            carbon_dioxide: 98.6 - methane - water,
            celsius: 36.5 + 1.2 * self.drift(25, 10_800_000, at),
            pressure_kpa: 2.3 + 0.5 * self.drift(23, 5_400_000, at),
            flow_m3_h: (3.4 + 1.1 * sun(at) + 0.6 * self.drift(24, 3_600_000, at)).max(0.0),
        }
    }

    /// The monthly means, joined smoothly from mid-month to mid-month.
    fn month(self, means: &[f64; 12], at: i64) -> f64 {
        let date = local_date(at);
        let hour = (at + LOCAL_OFFSET_MS).rem_euclid(DAY_MS) as f64 / DAY_MS as f64;
        let day = f64::from(date.day()) + hour - 15.0;
        let place = f64::from(date.month() - 1) + day / f64::from(date.days_in_month());
        let before = place.floor();
        let mean = |month: f64| means[month.rem_euclid(12.0) as usize];
        let spell = 1.2 * self.drift(30, DAY_MS, at);
        mean(before) + (mean(before + 1.0) - mean(before)) * (place - before) + spell
    }

    /// A smooth wander between about -1 and 1 that takes `period_ms` from one random value to the next.
    fn drift(self, channel: i64, period_ms: i64, at: i64) -> f64 {
        let (step, rest) = (at.div_euclid(period_ms), at.rem_euclid(period_ms));
        let t = rest as f64 / period_ms as f64;
        let smooth = t * t * (3.0 - 2.0 * t);
        let (a, b) = (self.noise(channel, step), self.noise(channel, step + 1));
        a + (b - a) * smooth
    }

    fn noise(self, channel: i64, step: i64) -> f64 {
        Rng::keyed(self.seed, &[-channel, step]).between(-1.0, 1.0)
    }
}

/// The day's course: 1 at 14:00 local time, -1 at 02:00.
fn sun(at: i64) -> f64 {
    let day = (at + LOCAL_OFFSET_MS).rem_euclid(DAY_MS) as f64 / DAY_MS as f64;
    ((day - 14.0 / 24.0) * std::f64::consts::TAU).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_weather_is_that_of_bangladesh() {
        let climate = Climate { seed: 1 };
        let start = 1_767_200_400_000;
        for hour in 0..8760 {
            let at = start + hour * 3_600_000;
            for room in [Room::Yard, Room::Barn, Room::MilkRoom] {
                let t = climate.temperature(room, at);
                assert!((8.0..42.0).contains(&t), "{room:?} {t}");
                assert!((15.0..=99.0).contains(&climate.humidity(room, at)));
            }
            let cooler = climate.temperature(Room::Cooler, at);
            assert!((2.0..5.0).contains(&cooler), "{cooler}");
            let gas = climate.biogas(at);
            assert!(
                (54.0..62.0).contains(&gas.methane) && (30.0..42.0).contains(&gas.carbon_dioxide),
                "{gas:?}"
            );
        }
    }

    #[test]
    fn the_air_does_not_jump() {
        let climate = Climate { seed: 5 };
        let start = 1_795_000_000_000;
        for minute in 1..600 {
            let at = start + minute * 60_000;
            let step =
                climate.temperature(Room::Barn, at) - climate.temperature(Room::Barn, at - 60_000);
            assert!(step.abs() < 0.6, "{step}");
        }
    }
}
