//! A visit under way, and what becomes of it when it ends.

use farm_model::{
    Destination, DeviceId, Milli, Schedule, Stall, Stamp, Visit, VisitId, milking::Finding,
};
use serde::{Deserialize, Serialize};

use crate::{
    identity::{Identified, Milked},
    meter::{MeterReading, Step},
    span::{corrected, is_known, ms_between, shifted},
};

/// A visit whose milk is flowing, or has just stopped.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct OpenVisit {
    pub(crate) id: VisitId,
    pub(crate) meter: DeviceId,
    pub(crate) start: Stamp,
    /// When milk was last seen to flow.
    pub(crate) last_milk: Stamp,
    pub(crate) yield_ml: i64,
    /// Milk and time of the steps in which milk was seen to flow: what the average flow is made of.
    flowed_ml: i64,
    flowed_ms: i64,
    peak_ml_min: Option<i64>,
    conductivity: Mean,
    fat: Mean,
    snf: Mean,
    pub(crate) gap: bool,
    restarted: bool,
}

/// A mean weighted by yield: each value counts for the milk since the one before, whichever message told that milk.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Mean {
    sum: i64,
    weight: i64,
    /// The visit's yield when a value was last told.
    told_at_ml: i64,
    /// A value told without new milk: all there is if no other comes.
    bare: Option<Milli>,
}

impl Mean {
    /// Adds `value`, told when the visit's yield was `yield_ml`.
    fn add(&mut self, value: Option<Milli>, yield_ml: i64) {
        let Some(value) = value else {
            return;
        };
        let ml = yield_ml - self.told_at_ml;
        if ml > 0 {
            self.sum = self.sum.saturating_add(value.0.saturating_mul(ml));
            self.weight += ml;
            self.told_at_ml = yield_ml;
        } else {
            self.bare = Some(value);
        }
    }

    fn value(self) -> Option<Milli> {
        if self.weight > 0 {
            Some(Milli(self.sum / self.weight))
        } else {
            self.bare
        }
    }
}

impl OpenVisit {
    /// A visit that begins at `at`.
    pub(crate) fn begin(id: VisitId, meter: DeviceId, at: Stamp) -> Self {
        Self {
            id,
            meter,
            start: at,
            last_milk: at,
            yield_ml: 0,
            flowed_ml: 0,
            flowed_ms: 0,
            peak_ml_min: None,
            conductivity: Mean::default(),
            fat: Mean::default(),
            snf: Mean::default(),
            gap: false,
            restarted: false,
        }
    }

    /// Adds the milk of a step.
    pub(crate) fn add(&mut self, step: &Step) {
        self.yield_ml += step.milk_ml;
        self.gap |= step.gap && step.milk_ml != 0;
        self.restarted |= step.restarted;
    }

    /// Milk flows at `flow_ml_min` at `at`; `step` led there.
    pub(crate) fn flows(&mut self, flow_ml_min: i64, at: Stamp, step: &Step) {
        self.last_milk = at;
        self.peak_ml_min = self.peak_ml_min.max(Some(flow_ml_min));
        if !step.gap && step.anew.is_none() {
            self.flowed_ml += step.milk_ml;
            self.flowed_ms += step.elapsed_ms;
        }
    }

    /// The visit ended unseen before `to`: reckons when, as if the rest had flowed like the milk before.
    pub(crate) fn reckon_end(&mut self, step: &Step, to: Stamp) {
        if step.gap && self.flowed_ml > 0 {
            let rest_ms = step.milk_ml.max(0).saturating_mul(self.flowed_ms) / self.flowed_ml;
            let unseen_ms = ms_between(self.last_milk, to).max(0);
            self.last_milk = shifted(self.last_milk, rest_ms.min(unseen_ms));
        }
    }

    /// Notes what the milk is like, after its amount was added.
    pub(crate) fn note_quality(&mut self, reading: &MeterReading) {
        self.conductivity.add(reading.conductivity, self.yield_ml);
        self.fat.add(reading.fat, self.yield_ml);
        self.snf.add(reading.snf, self.yield_ml);
    }

    /// When the milk flowed.
    pub(crate) fn milked(&self) -> Milked {
        Milked {
            from: self.start,
            to: self.last_milk,
        }
    }

    /// What a person should look at so far, but for who it is.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        [
            (self.restarted, Finding::MeterRestarted),
            (self.gap, Finding::Gap),
        ]
        .into_iter()
        .filter_map(|(is, finding)| is.then_some(finding))
        .collect()
    }

    /// The finished visit.
    pub(crate) fn finish(self, stall: Stall, whose: Identified, schedule: &Schedule) -> Visit {
        let findings = self.findings();
        let flowed = (self.flowed_ms > 0).then(|| self.flowed_ml.max(0) * 60_000 / self.flowed_ms);
        Visit {
            avg_flow_ml_min: flowed,
            peak_flow_ml_min: self.peak_ml_min,
            conductivity: self.conductivity.value(),
            fat: self.fat.value(),
            snf: self.snf.value(),
            ..Finished {
                id: self.id,
                meter: self.meter,
                start: self.start,
                end: self.last_milk,
                yield_ml: self.yield_ml,
                findings,
            }
            .into_visit(stall, whose, schedule)
        }
    }
}

/// When the milk of a step that was not seen to begin began, between `from` and `to`: reckoned from the flow.
pub(crate) fn reckon_start(step: &Step, from: Stamp, to: Stamp) -> Stamp {
    let unseen_ms = ms_between(from, to).max(0);
    let flowed_ms = match step.flow_ml_min {
        flow @ 1.. => step.milk_ml.max(0).saturating_mul(60_000) / flow,
        _ => unseen_ms,
    };
    if flowed_ms >= unseen_ms {
        from
    } else {
        shifted(to, -flowed_ms)
    }
}

/// The least that is known of a visit that is over.
pub(crate) struct Finished {
    pub(crate) id: VisitId,
    pub(crate) meter: DeviceId,
    pub(crate) start: Stamp,
    pub(crate) end: Stamp,
    pub(crate) yield_ml: i64,
    pub(crate) findings: Vec<Finding>,
}

impl Finished {
    /// The visit, with its session, its destination and all findings in their order.
    pub(crate) fn into_visit(self, stall: Stall, whose: Identified, schedule: &Schedule) -> Visit {
        let start = corrected(self.start, self.end);
        let withheld = !whose.withheld.is_empty();
        let mut findings = self.findings;
        findings.extend(whose.findings);
        if withheld {
            findings.push(Finding::Withdrawal);
        }
        if !is_known(self.end.clock) {
            findings.push(Finding::ClockUnknown);
        }
        findings.sort_unstable();
        findings.dedup();
        Visit {
            id: self.id,
            start,
            end: self.end,
            session: schedule.session_at(start),
            stall: Some(stall),
            identity: whose.identity,
            yield_ml: self.yield_ml.max(0),
            avg_flow_ml_min: None,
            peak_flow_ml_min: None,
            conductivity: None,
            fat: None,
            snf: None,
            destination: if withheld {
                Destination::Withheld
            } else {
                Destination::Tank
            },
            findings,
            meter: Some(self.meter),
            recorded_by: None,
        }
    }
}
