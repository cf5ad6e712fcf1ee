//! What a stall shows: the view on a phone, and the alarms that are due.
//!
//! Both are functions of the state alone. Alarms are kept there as a set, so that each rises once and ends once,
//! across restarts too.

use std::collections::BTreeSet;

use farm_model::{
    AnimalId, Stamp,
    live::{Phase, StallView},
    milking::Finding,
};

use super::StallState;
use crate::{
    config::Config,
    engine::{Alarm, AlarmChange, AlarmKind},
    identity::Identified,
    visit::OpenVisit,
};

impl StallState {
    /// Who is here now, as far as the tags say; nothing about an empty stall.
    fn occupant(&self, config: &Config) -> Option<Identified> {
        match &self.visit {
            Some(visit) => Some(self.whose(visit, config)),
            None if self.reads.is_empty() => None,
            None => Some(self.reads.identify(None, config)),
        }
    }

    /// What a phone shows of this stall.
    pub(crate) fn view(&self, config: &Config) -> StallView {
        let phase = match &self.visit {
            Some(_) if self.flows(config) => Phase::Milking,
            Some(_) => Phase::Finishing,
            None if self.reads.is_empty() => Phase::Empty,
            None if self.no_flow => Phase::NoFlow,
            None => Phase::Waiting,
        };
        let begun = self.visit.as_ref().map(|v| v.start);
        let noticed = self.reads.since().or(begun);
        let mut view = StallView {
            phase,
            tag: self.reads.strongest().map(|r| r.tag.clone()),
            since: noticed.map(|at| at.wall),
            yield_ml: self.visit.as_ref().map_or(0, |v| v.yield_ml.max(0)),
            flow_ml_min: self.flow_ml_min.filter(|_| self.silent_ms.is_none()),
            conductivity: self.conductivity.filter(|_| self.visit.is_some()),
            silent_ms: self.silent_ms,
            findings: self
                .visit
                .as_ref()
                .map_or_else(Vec::new, OpenVisit::findings),
            ..StallView::empty(self.stall)
        };
        if let Some(whose) = self.occupant(config) {
            view.animal = whose.identity.animal();
            view.withheld = !whose.withheld.is_empty();
            view.findings.extend(whose.findings);
            if view.withheld {
                view.findings.push(Finding::Withdrawal);
            }
            if whose.milked {
                view.findings.push(Finding::MilkedTwice);
            }
        }
        view.findings.sort_unstable();
        view.findings.dedup();
        view
    }

    /// The alarms that rose or ended since this was last asked.
    pub(crate) fn alarm_changes(&mut self, at: Stamp, config: &Config) -> Vec<Alarm> {
        let due = self.alarms_due(config);
        let alarm = |&(kind, animal): &(AlarmKind, Option<AnimalId>), change| Alarm {
            stall: self.stall,
            kind,
            animal,
            change,
            at,
        };
        let cleared = self
            .alarms
            .difference(&due)
            .map(|a| alarm(a, AlarmChange::Cleared));
        let raised = due
            .difference(&self.alarms)
            .map(|a| alarm(a, AlarmChange::Raised));
        let changes = cleared.chain(raised).collect();
        self.alarms = due;
        changes
    }

    fn alarms_due(&self, config: &Config) -> BTreeSet<(AlarmKind, Option<AnimalId>)> {
        let whose = self.occupant(config);
        let animal = whose.as_ref().and_then(|w| w.identity.animal());
        // Also of one who comes in while the visit before is still about to end.
        let next = self.visit.as_ref().map(|v| {
            self.reads
                .after(v.last_milk)
                .identify(None, config)
                .withheld
        });
        let mut due: BTreeSet<_> = whose
            .iter()
            .flat_map(|w| &w.withheld)
            .chain(next.iter().flatten())
            .map(|held| (AlarmKind::Withdrawal, Some(*held)))
            .collect();
        if self.no_flow {
            due.insert((AlarmKind::NoFlow, animal));
        }
        if self.silent_ms.is_some() {
            due.insert((AlarmKind::MeterSilent, None));
        }
        due
    }
}
