//! One cow's stay in a stall, planned when she walks in: when her tag shows, when the cluster is on, how milk flows.

use crate::{
    rng::Rng,
    sim::meter::{MilkQuality, PULSE_ML},
};

/// Milk flow over time: it rises, stays level and declines, all in straight lines.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FlowCurve {
    rise_ms: f64,
    level_ms: f64,
    decline_ms: f64,
    peak_ml_min: f64,
}

impl FlowCurve {
    /// A curve that gives `ml` in `total_ms`.
    pub fn new(ml: i64, total_ms: i64, rise_ms: i64, decline_ms: i64) -> Self {
        let (rise_ms, decline_ms) = (rise_ms as f64, decline_ms as f64);
        let level_ms = (total_ms as f64 - rise_ms - decline_ms).max(0.0);
        let peak_ml_min = ml as f64 * 60_000.0 / (level_ms + (rise_ms + decline_ms) / 2.0);
        Self {
            rise_ms,
            level_ms,
            decline_ms,
            peak_ml_min,
        }
    }

    /// How long milk flows.
    pub fn duration_ms(&self) -> i64 {
        (self.rise_ms + self.level_ms + self.decline_ms).ceil() as i64
    }

    /// Flow after `elapsed_ms`, mL/min.
    pub fn flow_ml_min(&self, elapsed_ms: i64) -> f64 {
        let t = elapsed_ms as f64;
        let left = self.rise_ms + self.level_ms + self.decline_ms - t;
        if t <= 0.0 || left <= 0.0 {
            return 0.0;
        }
        self.peak_ml_min * (t / self.rise_ms).min(left / self.decline_ms).min(1.0)
    }

    /// Millilitres given after `elapsed_ms`: the integral of the flow.
    pub fn volume_ml(&self, elapsed_ms: i64) -> f64 {
        let t = (elapsed_ms as f64).max(0.0);
        let rise = t.min(self.rise_ms);
        let level = (t - self.rise_ms).clamp(0.0, self.level_ms);
        let decline = (t - self.rise_ms - self.level_ms).clamp(0.0, self.decline_ms);
        let area = rise * rise / (2.0 * self.rise_ms) + level + decline
            - decline * decline / (2.0 * self.decline_ms);
        area * self.peak_ml_min / 60_000.0
    }
}

/// Who stands in the stall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guest {
    /// The animal at this index of the herd.
    Cow(usize),
    /// Nobody: milk flows without a cow.
    Nobody,
}

/// A stay in a stall.
#[derive(Clone, PartialEq, Debug)]
pub struct Visit {
    /// Who.
    pub guest: Guest,
    /// From when her tag can be read.
    pub tag_from: i64,
    /// When milk begins to flow.
    pub flow_from: i64,
    /// How it flows.
    pub flow: FlowCurve,
    /// What it is like.
    pub quality: MilkQuality,
    /// When the cluster comes off.
    pub cluster_off: i64,
    /// When the stall is empty again.
    pub leave: i64,
    /// The yield planned, in millilitres: whole pulses.
    pub yield_ml: i64,
}

/// How long after milk begins the meter's cell knows what the milk is like.
const CELL_MS: i64 = 20_000;

impl Visit {
    /// The stay of `guest`, who walks in at `enter` and gives `yield_ml`.
    pub fn plan(
        guest: Guest,
        enter: i64,
        yield_ml: i64,
        quality: MilkQuality,
        rng: &mut Rng,
    ) -> Self {
        let cluster_on = enter + rng.whole(32_000, 50_000);
        let flow_from = cluster_on + rng.whole(4_000, 14_000);
        // About one cow in twelve holds her ear away from the antenna until after her milk has begun.
        let tag_from = if rng.chance(1.0 / 12.0) {
            flow_from + rng.whole(10_000, 70_000)
        } else {
            enter + rng.whole(1_500, 6_000)
        };
        let minutes = (2.6 + yield_ml as f64 / 2_600.0 + rng.between(-0.4, 0.4)).clamp(4.0, 8.0);
        let total_ms = (minutes * 60_000.0) as i64;
        let flow = FlowCurve::new(
            yield_ml,
            total_ms,
            rng.whole(25_000, 50_000),
            rng.whole(50_000, 90_000),
        );
        let cluster_off = flow_from + flow.duration_ms() + rng.whole(3_000, 8_000);
        let leave = cluster_off + rng.whole(12_000, 28_000);
        Self {
            guest,
            tag_from,
            flow_from,
            flow,
            quality,
            cluster_off,
            leave,
            yield_ml,
        }
    }

    /// Whole pulses given up to `at`.
    pub fn pulses(&self, at: i64) -> i64 {
        if at >= self.flow_from + self.flow.duration_ms() {
            return self.yield_ml / PULSE_ML;
        }
        (self.flow.volume_ml(at - self.flow_from) / PULSE_ML as f64) as i64
    }

    /// What the meter's cell sees at `at`.
    pub fn quality_at(&self, at: i64) -> Option<MilkQuality> {
        (at >= self.flow_from + CELL_MS && at < self.leave).then_some(self.quality)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUALITY: MilkQuality = MilkQuality {
        conductivity: 5.0,
        fat: 4.0,
        snf: 8.7,
    };

    #[test]
    fn flow_integrates_to_the_yield() {
        for (ml, total) in [(300, 240_000), (7_000, 330_000), (15_000, 480_000)] {
            let curve = FlowCurve::new(ml, total, 40_000, 80_000);
            assert!((curve.volume_ml(curve.duration_ms()) - ml as f64).abs() < 1.0);
            let summed: f64 = (0..curve.duration_ms())
                .step_by(100)
                .map(|t| curve.flow_ml_min(t) / 600.0)
                .sum();
            assert!(
                (summed - ml as f64).abs() < ml as f64 * 0.002,
                "{summed} of {ml}"
            );
            let peak = (0..total)
                .step_by(1000)
                .map(|t| curve.flow_ml_min(t))
                .fold(0.0, f64::max);
            assert!(peak < 6_000.0, "{peak}");
        }
    }

    #[test]
    fn a_stay_is_in_order_and_lasts_as_long_as_milking_does() {
        let mut rng = Rng::stream(1, "visits");
        let mut late = 0;
        for _ in 0..2_000 {
            let ml = rng.whole(30, 1_500) * 10;
            let visit = Visit::plan(Guest::Nobody, 0, ml, QUALITY, &mut rng);
            assert!(
                visit.flow_from > 30_000
                    && visit.leave > visit.cluster_off
                    && visit.tag_from < visit.cluster_off
            );
            assert!((240_000..=481_000).contains(&visit.flow.duration_ms()));
            assert_eq!(visit.pulses(visit.cluster_off) * PULSE_ML, ml);
            late += usize::from(visit.tag_from > visit.flow_from);
        }
        assert!((100..250).contains(&late), "{late} late");
    }

    #[test]
    fn pulses_never_go_back() {
        let visit = Visit::plan(
            Guest::Nobody,
            0,
            8_120,
            QUALITY,
            &mut Rng::stream(2, "visits"),
        );
        let mut before = 0;
        for at in (0..visit.leave).step_by(200) {
            let now = visit.pulses(at);
            assert!(now >= before && now <= 812, "{before} then {now}");
            before = now;
        }
        assert_eq!(before, 812);
    }
}
