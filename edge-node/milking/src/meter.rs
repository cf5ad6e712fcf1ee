//! A milk meter's registers, turned into milk.
//!
//! Meters differ: flow, a running total, the visit under way, a visit counter, the last visit's yield, each there or
//! not. Whatever is offered, each reading becomes a [`Step`]: how much milk passed since the reading before, and
//! whether the meter began a new visit meanwhile. Best evidence first: the visit register, then the total, then flow.
//!
//! Invariant: milk is counted once. A register that was absent from a reading remembers what the others counted
//! meanwhile, so that its next value adds only the difference. The visit counter makes the count exact across the
//! engine's own downtime.

use farm_model::{DeviceId, Milli, Stamp, UnixMillis, VisitId};
use serde::{Deserialize, Serialize};

use crate::{
    config::{Config, ms},
    span::{Span, span},
};

/// Registers are whole units of the meter, rounded each by itself.
const ROUNDING_ML: i64 = 20;
/// The largest yield of one visit that physics allows, in millilitres.
const MAX_VISIT_ML: i64 = 80_000;
/// Coarse totals lag behind: this much beyond the greatest flow is still milk, in millilitres.
const SLACK_ML: i64 = 2_000;

/// What a meter said at one moment: each register, if the meter has it and its value was good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MeterReading {
    /// Flow in mL/min.
    pub flow_ml_min: Option<i64>,
    /// Running total in millilitres, as it stands in the register; it may restart or roll over.
    pub total_ml: Option<i64>,
    /// How many millilitres the total counts before it starts again at 0 (one above its largest value), if that is
    /// known. Without it a roll-over looks like a restart, and the milk around it may be short by one poll's worth.
    pub total_wraps_ml: Option<i64>,
    /// Yield of the visit under way in millilitres; it may keep the last value until the next visit begins.
    pub visit_ml: Option<i64>,
    /// Number of visits counted, whether the meter counts when one begins or when it ends.
    pub visit_count: Option<i64>,
    /// Yield of the visit before in millilitres.
    pub last_ml: Option<i64>,
    /// Conductivity of the milk now.
    pub conductivity: Option<Milli>,
    /// Fat of the milk now.
    pub fat: Option<Milli>,
    /// Solids not fat of the milk now.
    pub snf: Option<Milli>,
}

impl MeterReading {
    /// Whether the reading says anything about the amount of milk, rather than only about its quality.
    pub(crate) fn tells_volume(&self) -> bool {
        self.flow_ml_min.is_some()
            || self.total_ml.is_some()
            || self.visit_ml.is_some()
            || self.visit_count.is_some()
    }
}

/// How well a meter was heard since the reading before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Often enough that nothing happened unseen.
    Throughout,
    /// After a gap: something may have happened unseen.
    AfterGap,
}

/// What happened at a meter between two readings.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Step {
    /// Time since the reading before, in milliseconds.
    pub(crate) elapsed_ms: i64,
    /// That was so long that something may have happened unseen.
    pub(crate) gap: bool,
    /// The meter lost its registers meanwhile.
    pub(crate) restarted: bool,
    /// The meter's visit counter vouches that all milk of the step belongs where it says.
    pub(crate) vouched: bool,
    /// Flow now in mL/min: as the meter says, else from the milk that passed.
    pub(crate) flow_ml_min: i64,
    /// Milk of the visit that was under way. Negative when an estimate from flow is corrected by a counter.
    pub(crate) milk_ml: i64,
    /// The meter itself began a new visit.
    pub(crate) anew: Option<Anew>,
}

/// What the meter counted after the visit that was under way.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Anew {
    /// Identity of the visit that ended, should it not have one yet.
    pub(crate) ended: VisitId,
    /// Visits that began and ended unseen.
    pub(crate) missed: Vec<Missed>,
    /// Milk of the visit now under way.
    pub(crate) milk_ml: i64,
}

/// Milk of one or more visits that nobody saw.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Missed {
    pub(crate) id: VisitId,
    pub(crate) milk_ml: i64,
}

/// A meter as it was last heard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Meter {
    pub(crate) device: DeviceId,
    /// When it was last heard.
    pub(crate) at: Stamp,
    flow: Option<Flow>,
    total: Option<Register>,
    visit: Option<Register>,
    last_ml: Option<i64>,
    count: Option<i64>,
    /// When the registers were last seen to restart: numbers before and after are not the same visits.
    restarted_at: Option<UnixMillis>,
    /// Visits told under the present count.
    told: u32,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Flow {
    ml_min: i64,
    at: Stamp,
    /// What integration has not yet made a whole millilitre, in mL/min·ms, doubled.
    rest: i64,
}

/// A register that only grows until it restarts.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Register {
    /// Its value when it was last in a reading.
    raw: i64,
    /// Milk counted by other evidence since then.
    counted: i64,
}

/// What a register says about the milk since the reading before.
enum Says {
    Nothing,
    Milk(i64),
    /// It went back: it restarted and has since counted this much.
    Restarted(i64),
}

impl Meter {
    /// A meter heard for the first time. Milk already in its visit register counts if milk is flowing.
    pub(crate) fn first_heard(
        device: DeviceId,
        reading: &MeterReading,
        at: Stamp,
        config: &Config,
    ) -> (Self, Step) {
        let register = |raw| Register { raw, counted: 0 };
        let meter = Self {
            device,
            at,
            flow: reading.flow_ml_min.map(|ml_min| Flow {
                ml_min,
                at,
                rest: 0,
            }),
            total: reading.total_ml.map(register),
            visit: reading.visit_ml.map(register),
            last_ml: reading.last_ml,
            count: reading.visit_count,
            restarted_at: None,
            told: 0,
        };
        let flow_ml_min = reading.flow_ml_min.unwrap_or(0);
        let under_way = flow_ml_min >= config.milk_flow_ml_min;
        let milk_ml = reading.visit_ml.filter(|_| under_way).unwrap_or(0);
        let step = Step {
            gap: milk_ml > 0,
            flow_ml_min,
            milk_ml,
            ..Step::default()
        };
        (meter, step)
    }

    /// Takes in the next reading. One that is older than the last changes nothing: counters lose nothing by that.
    pub(crate) fn advance(
        &mut self,
        reading: &MeterReading,
        at: Stamp,
        config: &Config,
    ) -> Option<Step> {
        let since = span(self.at, at);
        if since.ms < 0 && since.certain {
            return None;
        }
        let reading = &self.unless_put_away(reading);
        let elapsed_ms = since.ms.max(0);
        let heard = if since.certain && elapsed_ms <= ms(config.gap_after_s) {
            Heard::Throughout
        } else {
            Heard::AfterGap
        };
        let limit = most_milk(since, config);
        let flowed = self.integrate(reading, at, heard);
        let visits = self.visits_begun(reading, heard);
        let mut step = match visits {
            1.. => self.anew(reading, visits, limit),
            _ => None,
        }
        .unwrap_or_else(|| self.same_visit(reading, visits, limit, flowed));
        step.elapsed_ms = elapsed_ms;
        step.gap = heard == Heard::AfterGap;
        step.vouched = reading.visit_count.is_some() && self.count.is_some() && !step.restarted;
        self.remember(reading, &step, at);
        step.flow_ml_min = match self.flow {
            Some(flow) if span(flow.at, at).ms <= ms(config.gap_after_s) => flow.ml_min,
            _ if step.gap || elapsed_ms == 0 => 0,
            _ => step.latest_milk() * 60_000 / elapsed_ms,
        };
        Some(step)
    }

    /// The reading with the visit register as it stood when the visit ended. Some meters set it to zero then, put the yield
    /// into the last-yield register, and count the next visit only when milk flows again.
    fn unless_put_away(&self, reading: &MeterReading) -> MeterReading {
        let put_away = match (self.visit, reading.visit_ml, reading.last_ml) {
            (Some(before), Some(0), Some(last)) if self.count == reading.visit_count => {
                let is_news = self.last_ml != Some(last);
                Some(last).filter(|last| before.raw == *last || (is_news && *last > before.raw))
            }
            _ => None,
        };
        MeterReading {
            visit_ml: put_away.or(reading.visit_ml),
            ..*reading
        }
    }

    /// The identity of the next visit to be told: from the visit counter where there is one, else from where the
    /// total stood and when.
    pub(crate) fn next_id(&mut self) -> VisitId {
        let id = self.id(self.count, self.told);
        self.told += 1;
        id
    }

    fn id(&self, count: Option<i64>, part: u32) -> VisitId {
        let key = match count {
            Some(count) => {
                let epoch = self.restarted_at.map_or(0, |at| at.0);
                format!("visit {count} part {part} since {epoch}")
            }
            None => {
                let total = self.total.map_or(0, |t| t.raw);
                let Stamp {
                    wall, boot, mono, ..
                } = self.at;
                format!(
                    "total {total} at {} boot {boot} mono {mono} part {part}",
                    wall.0
                )
            }
        };
        VisitId::derive(&self.device.to_string(), &key)
    }

    /// How many visits the meter began since the reading before; negative when its counter went back.
    ///
    /// A meter without a counter shows a new visit only by its visit register going back, which after a gap means
    /// that the visit before ended unseen.
    fn visits_begun(&self, reading: &MeterReading, heard: Heard) -> i64 {
        match (self.count, reading.visit_count) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            (None, None) => match (self.visit, reading.visit_ml) {
                (Some(before), Some(now)) if heard == Heard::AfterGap && now < before.raw => 1,
                _ => 0,
            },
            _ => 0,
        }
    }

    /// The visit that was under way goes on. A visit counter that moved by `visits` all the same was restarted.
    fn same_visit(&self, reading: &MeterReading, visits: i64, limit: i64, flowed: i64) -> Step {
        let counter_restarted = visits != 0;
        let visit = match (
            says(self.visit, reading.visit_ml, None, limit),
            reading.visit_ml,
        ) {
            (_, Some(now)) if counter_restarted => Says::Restarted(now),
            (said, _) => said,
        };
        let total = says(self.total, reading.total_ml, reading.total_wraps_ml, limit);
        let (milk_ml, restarted) = match (visit, total) {
            (Says::Milk(milk), _) => (milk, false),
            // A visit register set to zero beside a total that goes on is the meter's own new visit, unless a
            // counter says that it is not.
            (Says::Restarted(_), Says::Milk(milk)) => (milk, self.count.is_some()),
            // All that a total counts since it restarted, it counts; a visit register may have begun anew meanwhile.
            (_, Says::Restarted(milk)) | (Says::Restarted(milk), Says::Nothing)
                if milk <= limit =>
            {
                (milk, true)
            }
            // A meter that kept its total in a memory and went back to what it wrote last.
            (Says::Restarted(milk), Says::Restarted(_)) if milk <= limit => (milk, true),
            (Says::Nothing, Says::Milk(milk)) => (milk, false),
            (Says::Nothing, Says::Nothing) => (flowed, false),
            _ => (flowed, true),
        };
        Step {
            milk_ml,
            restarted: restarted || counter_restarted,
            ..Step::default()
        }
    }

    /// The meter ended the visit that was under way and began `visits` more. `None` when the numbers make no sense,
    /// as when another meter was put in this one's place.
    fn anew(&self, reading: &MeterReading, visits: i64, limit: i64) -> Option<Step> {
        let now_ml = reading.visit_ml.unwrap_or(0);
        let total = match says(self.total, reading.total_ml, reading.total_wraps_ml, limit) {
            Says::Milk(milk) => Some(milk),
            _ => None,
        };
        let (milk_ml, missed) = match (visits, reading.last_ml, total) {
            (1, last, total) => {
                // Where a yield was put away unseen, the last yield may be of another visit: the total knows.
                let fits =
                    |milk: &i64| total.is_none_or(|t| (milk + now_ml - t).abs() <= ROUNDING_ML);
                let by_last = match says(self.visit, last, None, MAX_VISIT_ML) {
                    Says::Milk(milk) => Some(milk).filter(fits),
                    _ => None,
                };
                (by_last.or(total.map(|t| t - now_ml)).unwrap_or(0), vec![])
            }
            (2, Some(last), Some(total)) => (total - last - now_ml, vec![(1, last)]),
            (_, last, Some(total)) => {
                let last = last.unwrap_or(0);
                (0, vec![(1, total - last - now_ml), (visits - 1, last)])
            }
            (_, Some(last), None) => (0, vec![(visits - 1, last)]),
            (_, None, None) => (0, vec![]),
        };
        let believable = visits.saturating_mul(MAX_VISIT_ML);
        let sums: i64 = milk_ml + missed.iter().map(|(_, milk)| milk).sum::<i64>();
        if now_ml > MAX_VISIT_ML || sums < -SLACK_ML || sums > believable {
            return None;
        }
        let missed = missed
            .into_iter()
            .filter(|(_, milk_ml)| *milk_ml > 0)
            .map(|(after, milk_ml)| Missed {
                id: self.id(self.count.map(|count| count + after), 0),
                milk_ml,
            })
            .collect();
        Some(Step {
            milk_ml,
            anew: Some(Anew {
                ended: self.id(self.count, self.told),
                missed,
                milk_ml: now_ml,
            }),
            ..Step::default()
        })
    }

    /// Milk by flow alone since the reading before, by trapezoids. Nothing is invented for a gap.
    fn integrate(&mut self, reading: &MeterReading, at: Stamp, heard: Heard) -> i64 {
        let Some(now) = reading.flow_ml_min else {
            return 0;
        };
        let before = self.flow.replace(Flow {
            ml_min: now,
            at,
            rest: 0,
        });
        let (Some(before), Some(flow)) = (
            before.filter(|_| heard == Heard::Throughout),
            self.flow.as_mut(),
        ) else {
            return 0;
        };
        let doubled = (before.ml_min + now) * span(before.at, at).ms.max(0) + before.rest;
        flow.rest = doubled % 120_000;
        doubled / 120_000
    }

    fn remember(&mut self, reading: &MeterReading, step: &Step, at: Stamp) {
        self.at = at;
        let all = step.all_milk();
        remember_register(&mut self.total, reading.total_ml, all);
        match &step.anew {
            Some(anew) => {
                self.visit = Some(Register {
                    raw: anew.milk_ml,
                    counted: 0,
                });
                self.told = 0;
            }
            None => remember_register(&mut self.visit, reading.visit_ml, step.milk_ml),
        }
        if step.restarted {
            self.restarted_at = Some(at.wall);
            self.told = 0;
        }
        self.last_ml = reading.last_ml.or(self.last_ml);
        self.count = reading.visit_count.or(self.count);
    }
}

impl Step {
    /// All milk of the step, whosever it is.
    fn all_milk(&self) -> i64 {
        let anew = self.anew.as_ref().map_or(0, |anew| {
            anew.milk_ml + anew.missed.iter().map(|m| m.milk_ml).sum::<i64>()
        });
        self.milk_ml + anew
    }

    /// Milk of the visit under way at the end of the step.
    fn latest_milk(&self) -> i64 {
        self.anew.as_ref().map_or(self.milk_ml, |anew| anew.milk_ml)
    }
}

fn remember_register(register: &mut Option<Register>, now: Option<i64>, counted: i64) {
    match now {
        Some(raw) => *register = Some(Register { raw, counted: 0 }),
        None => {
            if let Some(register) = register {
                register.counted += counted;
            }
        }
    }
}

/// What `register`, now at `now`, says of the milk since it was last read; more than `limit` is not milk.
fn says(register: Option<Register>, now: Option<i64>, wraps: Option<i64>, limit: i64) -> Says {
    let (Some(Register { raw, counted }), Some(now)) = (register, now) else {
        return Says::Nothing;
    };
    let grown = now.saturating_sub(raw);
    if grown < 0 {
        return match wraps.map(|w| grown.saturating_add(w).saturating_sub(counted)) {
            Some(rolled) if (-counted..=limit).contains(&rolled) => Says::Milk(rolled),
            _ => Says::Restarted(now),
        };
    }
    match grown.saturating_sub(counted) {
        milk if milk <= limit => Says::Milk(milk),
        _ => Says::Nothing,
    }
}

/// The most milk that can have passed in `since`.
fn most_milk(since: Span, config: &Config) -> i64 {
    if !since.certain {
        return 1_000 * MAX_VISIT_ML;
    }
    since.ms.max(0).saturating_mul(config.max_flow_ml_min) / 60_000 + SLACK_ML
}
