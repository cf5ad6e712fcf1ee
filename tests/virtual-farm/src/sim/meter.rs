//! A milk meter: counts pulses of 10 mL and shows its counters in registers.
//!
//! Registers (function 03, mirrored by 04), from address 0:
//!
//! | address | content |
//! | --- | --- |
//! | 0 | status: 2 normal, 1 warming up, 4 fault |
//! | 1, 2 | running total, high word first, 0.01 L, starts again at 0 after 2³² − 1 |
//! | 3 | flow, 0.001 L/min |
//! | 4 | yield of the visit under way, 0.01 L; 0 between visits |
//! | 5, 6 | count of visits, high word first; grows when a visit's milk starts to flow |
//! | 7 | yield of the visit before, 0.01 L |
//! | 8 | conductivity, 0.01 mS/cm, 65535 when there is none |
//! | 9 | fat, 0.01 %, 65535 when there is none |
//! | 10 | solids not fat, 0.01 %, 65535 when there is none |

use crate::wire::modbus::u32_words;

/// Millilitres of a pulse.
pub const PULSE_ML: i64 = 10;

/// How long a meter warms up after it restarts; it counts meanwhile, and says that it is not ready.
pub const WARM_UP_MS: i64 = 3_000;

const MISSING: u16 = 0xFFFF;

/// What the milk is like, as the meter's cell sees it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MilkQuality {
    /// mS/cm at 25 °C.
    pub conductivity: f64,
    /// Percent.
    pub fat: f64,
    /// Solids not fat, percent.
    pub snf: f64,
}

/// A milk meter.
#[derive(Clone, PartialEq, Debug)]
pub struct Meter {
    total: u32,
    visits: u32,
    visit: Option<u16>,
    last: u16,
    flow_ml_min: i64,
    quality: Option<MilkQuality>,
    warm_at: i64,
}

impl Meter {
    /// A meter that has counted `total` hundredths of a litre in `visits` visits before.
    pub fn new(total: u32, visits: u32) -> Self {
        Self {
            total,
            visits,
            visit: None,
            last: 0,
            flow_ml_min: 0,
            quality: None,
            warm_at: i64::MIN,
        }
    }

    /// Pulses arrive: milk flows at `flow_ml_min`.
    pub fn count(&mut self, pulses: i64, flow_ml_min: i64) {
        self.flow_ml_min = flow_ml_min;
        if pulses > 0 {
            let visit = self.visit.get_or_insert_with(|| {
                self.visits = self.visits.wrapping_add(1);
                0
            });
            *visit = visit.wrapping_add(pulses as u16);
            self.total = self.total.wrapping_add(pulses as u32);
        }
    }

    /// The cell sees milk of this quality, or none.
    pub fn see(&mut self, quality: Option<MilkQuality>) {
        self.quality = quality;
    }

    /// The cluster comes off: the visit is over.
    pub fn end_visit(&mut self) {
        self.flow_ml_min = 0;
        if let Some(pulses) = self.visit.take() {
            self.last = pulses;
        }
    }

    /// The meter loses its power for a moment and forgets every counter.
    pub fn restart(&mut self, at: i64) {
        *self = Self {
            warm_at: at + WARM_UP_MS,
            quality: self.quality,
            ..Self::new(0, 0)
        };
    }

    /// How many visits it has counted.
    pub fn visits(&self) -> u32 {
        self.visits
    }

    /// Its running total, in pulses.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// What a client reads at `at`.
    pub fn registers(&self, at: i64) -> Vec<u16> {
        let status = if at < self.warm_at { 1 } else { 2 };
        let [total_high, total_low] = u32_words(self.total);
        let [visits_high, visits_low] = u32_words(self.visits);
        let hundredths = |value: fn(&MilkQuality) -> f64| {
            self.quality
                .as_ref()
                .map_or(MISSING, |q| (value(q) * 100.0).round() as u16)
        };
        vec![
            status,
            total_high,
            total_low,
            self.flow_ml_min.clamp(0, 65_534) as u16,
            self.visit.unwrap_or(0),
            visits_high,
            visits_low,
            self.last,
            hundredths(|q| q.conductivity),
            hundredths(|q| q.fat),
            hundredths(|q| q.snf),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_is_counted_from_its_first_pulse_to_its_cluster() {
        let mut meter = Meter::new(u32::MAX - 1, 70_000);
        meter.count(0, 0);
        assert_eq!(
            meter.registers(0),
            [2, 0xFFFF, 0xFFFE, 0, 0, 1, 4464, 0, 0xFFFF, 0xFFFF, 0xFFFF]
        );
        meter.see(Some(MilkQuality {
            conductivity: 5.2,
            fat: 4.05,
            snf: 8.7,
        }));
        meter.count(4, 2_400);
        assert_eq!(
            meter.registers(0),
            [2, 0, 2, 2_400, 4, 1, 4465, 0, 520, 405, 870]
        );
        meter.end_visit();
        assert_eq!(meter.registers(0)[3..8], [0, 0, 1, 4465, 4]);
    }

    #[test]
    fn a_restart_forgets_and_warms_up() {
        let mut meter = Meter::new(5_000, 12);
        meter.count(300, 2_000);
        meter.restart(1_000);
        meter.count(2, 2_000);
        assert_eq!(meter.registers(1_001)[..8], [1, 0, 2, 2_000, 2, 0, 1, 0]);
        assert_eq!(meter.registers(1_000 + WARM_UP_MS)[0], 2);
    }
}
