//! All stalls of the parlour: inputs in, outputs out.

use std::collections::BTreeMap;

use farm_model::{
    AnimalId, DeviceId, Schedule, SessionKey, Stall, Stamp, Tag, Visit,
    live::{Parlour, StallView},
    milking::Finding,
};
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    herd::Herd,
    meter::MeterReading,
    span::ms_between,
    stall::{Rules, StallState},
    swap::Likeness,
};

/// Something that was heard from a stall, or time that passed.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// A tag was read.
    Tag {
        /// Where.
        stall: Stall,
        /// Which.
        tag: Tag,
        /// When.
        at: Stamp,
    },
    /// A meter answered.
    Meter {
        /// Where.
        stall: Stall,
        /// Which meter.
        meter: DeviceId,
        /// What it said.
        reading: MeterReading,
        /// When.
        at: Stamp,
    },
    /// A meter that should have answered did not.
    MeterSilent {
        /// Where.
        stall: Stall,
        /// Silence so far, in milliseconds.
        for_ms: i64,
        /// When.
        at: Stamp,
    },
    /// Time passed. Once a second of farm time is plenty; without it waiting cows never leave and alarms never rise.
    Tick {
        /// Now.
        at: Stamp,
    },
}

impl Input {
    pub(crate) fn at(&self) -> Stamp {
        match self {
            Self::Tag { at, .. }
            | Self::Meter { at, .. }
            | Self::MeterSilent { at, .. }
            | Self::Tick { at } => *at,
        }
    }

    fn stall(&self) -> Option<Stall> {
        match self {
            Self::Tag { stall, .. }
            | Self::Meter { stall, .. }
            | Self::MeterSilent { stall, .. } => Some(*stall),
            Self::Tick { .. } => None,
        }
    }
}

/// What the engine concluded.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// A visit is over. Its identity is derived, so that the same visit told again is the same visit.
    Visit(Visit),
    /// What a phone shows of a stall has changed.
    Stall(StallView),
    /// An alarm rose or ended.
    Alarm(Alarm),
}

/// An alarm at a stall.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alarm {
    /// Where.
    pub stall: Stall,
    /// What is wrong.
    pub kind: AlarmKind,
    /// The animal it is about, if any.
    pub animal: Option<AnimalId>,
    /// Whether it rose or ended.
    pub change: AlarmChange,
    /// When.
    pub at: Stamp,
}

/// What is wrong at a stall.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// A cow under a withdrawal hold stands here: keep her milk out of the tank.
    Withdrawal,
    /// No milk flows though a cow stands here in an open session: the machine may be broken.
    NoFlow,
    /// The meter does not answer.
    MeterSilent,
}

/// Whether an alarm rose or ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmChange {
    /// It rose.
    Raised,
    /// It ended.
    Cleared,
}

/// The milking engine.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Config,
    schedule: Schedule,
    stalls: BTreeMap<Stall, StallState>,
    now: Stamp,
}

impl Engine {
    /// An engine for `stalls`, all empty. A stall that is first heard of in an input joins them.
    pub fn new(
        config: Config,
        schedule: Schedule,
        stalls: impl IntoIterator<Item = Stall>,
    ) -> Self {
        Self {
            config,
            schedule,
            stalls: stalls
                .into_iter()
                .map(|s| (s, StallState::new(s)))
                .collect(),
            now: Stamp::default(),
        }
    }

    /// Puts back what was known of a stall, as it was stored with the last observations.
    pub fn restore(&mut self, state: StallState) {
        self.stalls.insert(state.stall(), state);
    }

    /// The session that a moment belongs to.
    pub fn session_at(&self, at: Stamp) -> SessionKey {
        self.schedule.session_at(at)
    }

    /// What is known of a stall, to be stored in the transaction that stores the input it was learnt from.
    pub fn stall_state(&self, stall: Stall) -> Option<&StallState> {
        self.stalls.get(&stall)
    }

    /// The parlour now.
    pub fn parlour(&self) -> Parlour {
        Parlour {
            stalls: self.stalls.values().map(|s| s.view(&self.config)).collect(),
            session: self.schedule.open_at(self.now),
        }
    }

    /// Takes in one input and says what follows from it: finished visits first, then alarms, then changed views.
    pub fn handle(&mut self, input: &Input, herd: &dyn Herd) -> Vec<Output> {
        let at = input.at();
        if ms_between(self.now, at) > 0 || self.now == Stamp::default() {
            self.now = at;
        }
        let stalls: Vec<Stall> = match input.stall() {
            Some(stall) => vec![stall],
            None => self.stalls.keys().copied().collect(),
        };
        stalls
            .into_iter()
            .flat_map(|stall| self.handle_at(stall, input, herd))
            .collect()
    }

    fn handle_at(&mut self, stall: Stall, input: &Input, herd: &dyn Herd) -> Vec<Output> {
        let rules = Rules {
            config: &self.config,
            schedule: &self.schedule,
            herd,
        };
        let state = self
            .stalls
            .entry(stall)
            .or_insert_with(|| StallState::new(stall));
        let before = state.view(rules.config);
        let mut visits = state.apply(input, &rules);
        let alarms = state.alarm_changes(input.at(), rules.config);
        let view = state.view(rules.config);
        for visit in &mut visits {
            self.compare_with_neighbours(stall, visit, herd);
        }
        let mut outputs: Vec<Output> = visits.into_iter().map(Output::Visit).collect();
        outputs.extend(alarms.into_iter().map(Output::Alarm));
        if view != before {
            outputs.push(Output::Stall(view));
        }
        outputs
    }

    fn compare_with_neighbours(&mut self, stall: Stall, visit: &mut Visit, herd: &dyn Herd) {
        let Some(likeness) = Likeness::of(visit) else {
            return;
        };
        let neighbours = [stall.0.checked_sub(1), stall.0.checked_add(1)];
        let swapped = neighbours.into_iter().flatten().any(|n| {
            self.stalls
                .get(&Stall(n))
                .and_then(StallState::last_likeness)
                .is_some_and(|other| likeness.is_swapped_with(other, herd, &self.config))
        });
        if swapped {
            visit.findings.push(Finding::SwappedTag);
            visit.findings.sort_unstable();
        }
        if let Some(state) = self.stalls.get_mut(&stall) {
            state.keep_likeness(likeness);
        }
    }
}
