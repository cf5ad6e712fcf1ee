//! One stall: a cow comes, is milked, leaves; and everything that can go wrong with that.
//!
//! The state is small and serialisable. It changes only by what was heard and by time passing, and a visit ends only on
//! evidence: the meter says that milk has stopped, or that it began another visit. A meter that says nothing ends
//! nothing until the longest visit is over.

mod show;

use std::collections::BTreeSet;

use farm_model::{
    AnimalId, DeviceId, Identity, Milli, Schedule, Stall, Stamp, Tag, Visit, VisitId,
    milking::Finding,
};
use serde::{Deserialize, Serialize};

use crate::{
    config::{Config, ms},
    engine::{AlarmKind, Input},
    herd::Herd,
    identity::{Identified, Reads},
    meter::{Anew, Meter, MeterReading, Missed, Step},
    span::ms_between,
    swap::Likeness,
    visit::{Finished, OpenVisit, reckon_start},
};

/// What a stall's changes depend on beside its state.
pub(crate) struct Rules<'a> {
    pub(crate) config: &'a Config,
    pub(crate) schedule: &'a Schedule,
    pub(crate) herd: &'a dyn Herd,
}

/// All that the engine knows of a stall; stored by the caller, given back after a restart.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StallState {
    stall: Stall,
    meter: Option<Meter>,
    silent_ms: Option<i64>,
    flow_ml_min: Option<i64>,
    conductivity: Option<Milli>,
    /// Tags of whoever is here; in the last seconds of a visit also of whoever comes next.
    reads: Reads,
    /// The reader tells a tag again and again while it is near, so that one it no longer tells has gone.
    reader_repeats: bool,
    visit: Option<OpenVisit>,
    /// Milk that made no visit yet: drops before and after, or too little.
    stray_ml: i64,
    before: Option<Before>,
    likeness: Option<Likeness>,
    no_flow: bool,
    alarms: BTreeSet<(AlarmKind, Option<AnimalId>)>,
}

/// The cow that was milked here before and may still stand in the reader's field.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Before {
    tags: Vec<Tag>,
    milk_ended: Stamp,
    seen: Stamp,
}

impl StallState {
    /// An empty stall of which nothing was heard.
    pub fn new(stall: Stall) -> Self {
        Self {
            stall,
            meter: None,
            silent_ms: None,
            flow_ml_min: None,
            conductivity: None,
            reads: Reads::default(),
            reader_repeats: false,
            visit: None,
            stray_ml: 0,
            before: None,
            likeness: None,
            no_flow: false,
            alarms: BTreeSet::new(),
        }
    }

    /// Which stall.
    pub fn stall(&self) -> Stall {
        self.stall
    }

    /// Milk counted here that is in no finished visit yet, in millilitres.
    pub fn open_ml(&self) -> i64 {
        self.stray_ml + self.visit.as_ref().map_or(0, |v| v.yield_ml)
    }

    /// What the last finished visit here was like.
    pub(crate) fn last_likeness(&self) -> Option<&Likeness> {
        self.likeness.as_ref()
    }

    /// Keeps what a finished visit was like, for its neighbours.
    pub(crate) fn keep_likeness(&mut self, likeness: Likeness) {
        self.likeness = Some(likeness);
    }

    /// Takes in one input; the visits that it finished.
    pub(crate) fn apply(&mut self, input: &Input, rules: &Rules<'_>) -> Vec<Visit> {
        let mut visits = match input {
            Input::Tag { tag, at, .. } => self.tag_read(tag, *at, rules).into_iter().collect(),
            Input::Meter {
                meter, reading, at, ..
            } => self.meter_read(*meter, reading, *at, rules),
            Input::MeterSilent { for_ms, .. } => {
                self.silent_ms = Some(*for_ms);
                vec![]
            }
            Input::Tick { .. } => vec![],
        };
        visits.extend(self.pass_time(input.at(), rules));
        visits
    }

    /// A tag was read. A strange tag long after the last one means that the cow who waited has gone.
    fn tag_read(&mut self, tag: &Tag, at: Stamp, rules: &Rules<'_>) -> Option<Visit> {
        if self.is_leaving(tag, at, rules.config) {
            return None;
        }
        let animal = rules.herd.animal_of(tag);
        let gone = self.visit.is_none()
            && self.reads.is_stranger(tag, animal)
            && self
                .reads
                .last()
                .is_some_and(|last| ms_between(last, at) > ms(rules.config.leaving_s));
        let visit = if gone { self.depart(at, rules) } else { None };
        self.reads.add(tag, at, rules.herd, rules.schedule);
        self.reader_repeats |= self.reads.most_times() >= rules.config.strong_reads;
        visit
    }

    /// Whether a read is that of the cow milked before, still in the field, or is older than her milking's end.
    ///
    /// She has left when her tag was not read for a while. If milk flows again while it still is, she never left.
    fn is_leaving(&mut self, tag: &Tag, at: Stamp, config: &Config) -> bool {
        let Some(before) = &mut self.before else {
            return false;
        };
        if ms_between(before.milk_ended, at) < 0 {
            return true;
        }
        let stays = self
            .visit
            .as_ref()
            .is_some_and(|v| ms_between(v.start, at) > ms(config.leaving_s));
        let since_seen = ms_between(before.seen, at);
        if stays || !before.tags.contains(tag) || since_seen > ms(config.leaving_s) {
            return false;
        }
        if since_seen > 0 {
            before.seen = at;
        }
        true
    }

    /// A meter answered.
    fn meter_read(
        &mut self,
        device: DeviceId,
        reading: &MeterReading,
        at: Stamp,
        rules: &Rules<'_>,
    ) -> Vec<Visit> {
        self.conductivity = reading.conductivity.or(self.conductivity);
        let heard_before = self.meter.as_ref().map_or(at, |m| m.at);
        let Some(step) = self.step(device, reading, at, rules.config) else {
            if let Some(visit) = &mut self.visit {
                visit.note_quality(reading);
            }
            return vec![];
        };
        self.silent_ms = None;
        self.flow_ml_min = Some(step.flow_ml_min);
        let mut visits = vec![];
        let mut rest = step.milk_ml;
        if let Some(anew) = &step.anew {
            let unseen = Unseen {
                device,
                from: heard_before,
                to: at,
            };
            visits.extend(self.end_by_meter(&step, anew, &unseen, rules));
            rest = anew.milk_ml;
        } else if step.gap && !step.vouched && step.elapsed_ms > ms(rules.config.max_visit_s) {
            // Away for longer than any visit lasts, and no counter to tell: the milk since then is not this cow's.
            visits.extend(self.close(rules));
        }
        let step = Step {
            milk_ml: rest,
            anew: None,
            ..step
        };
        self.take_milk(&step, reading, heard_before, at, rules.config);
        visits
    }

    /// What the reading means, if it says anything about the amount of milk and comes from this stall's meter.
    ///
    /// Another device is the new meter only when the old one is silent; else only what it says of quality counts.
    fn step(
        &mut self,
        device: DeviceId,
        reading: &MeterReading,
        at: Stamp,
        config: &Config,
    ) -> Option<Step> {
        if !reading.tells_volume() {
            return None;
        }
        match &mut self.meter {
            Some(meter) if meter.device == device => meter.advance(reading, at, config),
            Some(meter)
                if self.silent_ms.is_none()
                    && ms_between(meter.at, at) <= ms(config.gap_after_s) =>
            {
                None
            }
            _ => {
                let (meter, step) = Meter::first_heard(device, reading, at, config);
                self.meter = Some(meter);
                Some(step)
            }
        }
    }

    /// The meter ended the visit that was under way, and counted others that nobody saw.
    fn end_by_meter(
        &mut self,
        step: &Step,
        anew: &Anew,
        unseen: &Unseen,
        rules: &Rules<'_>,
    ) -> Vec<Visit> {
        let mut visits = vec![];
        if let Some(visit) = &mut self.visit {
            visit.add(step);
            visit.reckon_end(step, unseen.to);
            visits.extend(self.close(rules));
        } else {
            self.stray_ml += step.milk_ml;
            if self.stray_ml >= rules.config.min_visit_ml {
                let milk = Missed {
                    id: anew.ended,
                    milk_ml: std::mem::take(&mut self.stray_ml),
                };
                // She who waited before the gap was milked in it.
                let whose = std::mem::take(&mut self.reads);
                visits.push(self.milked_unseen(milk, &whose, unseen, rules));
            }
        }
        for missed in &anew.missed {
            visits.push(self.milked_unseen(*missed, &Reads::default(), unseen, rules));
        }
        visits
    }

    /// A visit that began and ended unseen.
    fn milked_unseen(
        &self,
        milk: Missed,
        reads: &Reads,
        unseen: &Unseen,
        rules: &Rules<'_>,
    ) -> Visit {
        let whose = reads.identify(None, rules.config);
        let finished = Finished {
            id: milk.id,
            meter: unseen.device,
            start: unseen.from,
            end: unseen.to,
            yield_ml: milk.milk_ml,
            findings: vec![Finding::Gap],
        };
        note_second_milking(
            finished.into_visit(self.stall, whose, rules.schedule),
            rules.herd,
        )
    }

    /// Milk passed: it belongs to the visit under way, begins one, or waits until it is worth one.
    fn take_milk(
        &mut self,
        step: &Step,
        reading: &MeterReading,
        heard_before: Stamp,
        at: Stamp,
        config: &Config,
    ) {
        let flows = step.flow_ml_min >= config.milk_flow_ml_min;
        if let Some(visit) = &mut self.visit {
            visit.add(step);
            if flows {
                visit.flows(step.flow_ml_min, at, step);
            }
            visit.note_quality(reading);
            return;
        }
        self.stray_ml += step.milk_ml;
        if !flows && self.stray_ml < config.min_visit_ml {
            return;
        }
        let Some(meter) = &mut self.meter else {
            return;
        };
        let began = if step.gap {
            reckon_start(step, heard_before, at)
        } else {
            at
        };
        let mut visit = OpenVisit::begin(meter.next_id(), meter.device, began);
        visit.add(&Step {
            milk_ml: std::mem::take(&mut self.stray_ml),
            ..step.clone()
        });
        visit.flows(step.flow_ml_min, at, step);
        visit.note_quality(reading);
        self.visit = Some(visit);
        self.no_flow = false;
    }

    /// What follows from time having passed: a visit ends, a waiting cow is given up, the machine is suspected.
    fn pass_time(&mut self, at: Stamp, rules: &Rules<'_>) -> Option<Visit> {
        let config = rules.config;
        if let Some(visit) = &self.visit {
            let too_long = ms_between(visit.start, at) >= ms(config.max_visit_s);
            let paused = ms_between(visit.last_milk, at) >= ms(config.end_after_s);
            return if too_long || (paused && self.is_known_dry(at, config)) {
                self.close(rules)
            } else {
                None
            };
        }
        let last = self.reads.last()?;
        if ms_between(last, at) > ms(config.tag_absence_s) {
            return self.depart(last, rules);
        }
        if self.is_heard(at) {
            self.no_flow = self.lacks_flow(at, rules);
        }
        None
    }

    /// Whether the meter answers, and has done so since the engine was last started: before, what it said is old.
    fn is_heard(&self, at: Stamp) -> bool {
        self.silent_ms.is_none() && self.meter.as_ref().is_some_and(|m| m.at.boot == at.boot)
    }

    /// Whether the meter says that no milk flows.
    fn is_known_dry(&self, at: Stamp, config: &Config) -> bool {
        self.is_heard(at) && !self.flows(config)
    }

    fn flows(&self, config: &Config) -> bool {
        self.flow_ml_min
            .is_some_and(|flow| flow >= config.milk_flow_ml_min)
    }

    /// Whether a cow has stood here in an open session for too long with no milk from a meter that works.
    fn lacks_flow(&self, at: Stamp, rules: &Rules<'_>) -> bool {
        let still_here = self
            .reads
            .last()
            .is_some_and(|last| ms_between(last, at) <= ms(rules.config.leaving_s));
        (still_here || !self.reader_repeats)
            && self.is_known_dry(at, rules.config)
            && rules.schedule.open_at(at).is_some()
            && !self.reads.identify(None, rules.config).milked
            && self
                .reads
                .since()
                .is_some_and(|since| ms_between(since, at) >= ms(rules.config.no_flow_after_s))
    }

    /// The visit is over. Too little milk makes no visit: the cow still waits, and the drops go to the next one.
    fn close(&mut self, rules: &Rules<'_>) -> Option<Visit> {
        let mut visit = self.visit.take()?;
        if visit.yield_ml < rules.config.min_visit_ml {
            self.stray_ml += visit.yield_ml;
            return None;
        }
        self.reads.refresh(visit.last_milk, rules.herd);
        let next = self.reads.after(visit.last_milk);
        let here = self.reads.until(visit.last_milk);
        let whose = self.whose(&visit, rules.config);
        let animal = whose.identity.animal();
        self.before = Some(Before {
            tags: here.tags_of(animal),
            milk_ended: visit.last_milk,
            seen: here.last().unwrap_or(visit.last_milk),
        });
        self.reads = next;
        visit.gap |= self.silent_ms.is_some();
        let finished = visit.finish(self.stall, whose, rules.schedule);
        Some(note_second_milking(finished, rules.herd))
    }

    /// Whose milk a visit's is: of those read before it stopped, else, in doubt, of those read after.
    fn whose(&self, visit: &OpenVisit, config: &Config) -> Identified {
        let milked = visit.milked();
        let here = self.reads.until(milked.to);
        if here.is_empty() {
            self.reads.identify(Some(milked), config)
        } else {
            here.identify(Some(milked), config)
        }
    }

    /// The waiting cow has left, by `at` at the latest. If she stood here long enough to be milked and gave nothing, that is a visit.
    fn depart(&mut self, at: Stamp, rules: &Rules<'_>) -> Option<Visit> {
        let reads = std::mem::take(&mut self.reads);
        let had_no_flow = std::mem::take(&mut self.no_flow);
        let since = reads.since()?;
        let at = if self.reader_repeats {
            reads.last()?
        } else {
            at
        };
        let stood = had_no_flow || ms_between(since, at) >= ms(rules.config.no_milk_after_s);
        let mut whose = reads.identify(None, rules.config);
        let Identity::Animal { tag: Some(tag), .. } = &whose.identity else {
            return None;
        };
        let meter = self.meter.as_ref().filter(|_| self.silent_ms.is_none())?;
        if !stood || whose.milked || rules.schedule.open_at(since).is_none() {
            return None;
        }
        let Stamp {
            wall, boot, mono, ..
        } = since;
        let key = format!("no milk {tag} at {} boot {boot} mono {mono}", wall.0);
        whose.findings.push(Finding::NoMilk);
        let finished = Finished {
            id: VisitId::derive(&meter.device.to_string(), &key),
            meter: meter.device,
            start: since,
            end: at,
            yield_ml: std::mem::take(&mut self.stray_ml),
            findings: vec![],
        };
        Some(finished.into_visit(self.stall, whose, rules.schedule))
    }
}

/// The stretch of time in which a meter counted without being heard.
struct Unseen {
    device: DeviceId,
    from: Stamp,
    to: Stamp,
}

/// Adds the finding that the animal already gave milk in this session, in another visit.
fn note_second_milking(mut visit: Visit, herd: &dyn Herd) -> Visit {
    let earlier = visit
        .identity
        .animal()
        .and_then(|animal| herd.milked_in(animal, visit.session));
    if earlier.is_some_and(|id| id != visit.id) {
        visit.findings.push(Finding::MilkedTwice);
        visit.findings.sort_unstable();
    }
    visit
}
