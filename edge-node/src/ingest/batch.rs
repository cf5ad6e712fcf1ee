//! What goes to the store in one transaction.

use std::{ops::Range, time::Duration};

use edge_acquire::{Inbound, RejectRecord};
use edge_broker::Change;
use edge_milking::Engine;
use farm::{
    Farm, StoreError,
    logins::Login,
    readings::{Fate, IngestReport},
    retained::Retained,
};
use farm_model::{DeviceId, Observation};
use tokio::time::Instant;

use super::{
    Acknowledge, Outlets, Urgent,
    commit::{Fates, Whole},
    nodes::{FrameIn, NodeSaid, Sight},
    resolve::{Devices, Resolved, Told},
};
use crate::{
    feed::{Feed, Outcome},
    post::Letter,
};

/// How long polled values may wait for company.
const LINGER: Duration = Duration::from_millis(500);
/// Observations in one transaction at most.
pub(super) const MOST: usize = 4_000;

/// Gathers until it is written.
#[derive(Default)]
pub(super) struct Batch {
    contents: Contents,
    /// How many of the observations the engine has heard.
    fed: usize,
    outcome: Outcome,
    waiting: Vec<Waiting>,
    leaving: Leaving,
    since: Option<Instant>,
}

/// What leaves after the commit, without anybody waiting for it.
#[derive(Debug, Default)]
struct Leaving {
    letters: Vec<Letter>,
    said: Vec<NodeSaid>,
}

/// Somebody who waits, and what of the batch is theirs.
struct Waiting {
    done: Acknowledge,
    observations: Range<usize>,
    milkings: Range<usize>,
    /// Known before they came here.
    repeats: usize,
}

/// What will be stored.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) observations: Vec<Observation>,
    pub(super) rejects: Vec<RejectRecord>,
    pub(super) milkings: Vec<Observation>,
    pub(super) retained: Vec<Retained>,
    pub(super) sessions: Vec<Change>,
    pub(super) logins: Vec<(DeviceId, Login)>,
    pub(super) nodes: Vec<Sight>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        let Contents {
            observations,
            rejects,
            milkings,
            retained,
            sessions,
            logins,
            nodes,
        } = &self.contents;
        observations.len()
            + rejects.len()
            + milkings.len()
            + retained.len()
            + sessions.len()
            + logins.len()
            + nodes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// When it should be written at the latest.
    pub(super) fn due_at(&self) -> Instant {
        self.since.map_or_else(Instant::now, |since| since + LINGER)
    }

    /// Whether it should be written now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_empty()
            && (!self.waiting.is_empty()
                || !self.leaving.letters.is_empty()
                || self.outcome.is_urgent()
                || self.len() >= MOST
                || now >= self.due_at())
    }

    /// Adds what a driver heard.
    pub(super) async fn add(
        &mut self,
        inbound: Inbound,
        devices: &mut Devices,
        farm: &Farm,
        feed: &Feed,
    ) {
        self.begin();
        self.contents.observations.extend(inbound.observations);
        self.contents.rejects.extend(inbound.rejects);
        let frames = inbound.frames.into_iter().map(FrameIn::of_port);
        let told: Vec<_> = frames.map(Told::Frame).collect();
        if !told.is_empty() {
            // Should the store not say whose they are, their nodes send them again.
            let urgent = Urgent { told, done: None };
            self.add_urgent(urgent, devices, farm, feed).await;
        }
    }

    /// Adds what was told, and who waits for it, if somebody does; if the store can't say whose it is, they are told at once.
    pub(super) async fn add_urgent(
        &mut self,
        urgent: Urgent,
        devices: &mut Devices,
        farm: &Farm,
        feed: &Feed,
    ) {
        let mut resolved = Resolved::default();
        match devices
            .resolve_all(urgent.told, farm, feed, &mut resolved)
            .await
        {
            Ok(repeats) => self.take(resolved, repeats, urgent.done),
            // A client that has gone need not be told.
            Err(error) => drop(urgent.done.map(|done| done.send(Err(error)))),
        }
    }

    fn take(&mut self, mut resolved: Resolved, repeats: usize, done: Option<Acknowledge>) {
        self.begin();
        let contents = &mut self.contents;
        let (observations, milkings) = (contents.observations.len(), contents.milkings.len());
        contents.observations.append(&mut resolved.observations);
        contents.rejects.append(&mut resolved.rejects);
        contents.milkings.append(&mut resolved.milkings);
        contents.retained.append(&mut resolved.retained);
        contents.sessions.append(&mut resolved.sessions);
        contents.logins.append(&mut resolved.logins);
        contents.nodes.append(&mut resolved.nodes);
        self.leaving.letters.append(&mut resolved.letters);
        self.leaving.said.append(&mut resolved.said);
        let Some(done) = done else {
            return;
        };
        self.waiting.push(Waiting {
            done,
            observations: observations..contents.observations.len(),
            milkings: milkings..contents.milkings.len(),
            repeats,
        });
    }

    /// Adds what the engine concluded from time alone.
    pub(super) fn conclude(&mut self, outcome: Outcome) {
        if !outcome.touched.is_empty() {
            self.begin();
            self.outcome.append(outcome);
        }
    }

    /// Whether it holds what the engine has not heard.
    pub(super) fn has_unheard(&self) -> bool {
        self.fed < self.contents.observations.len()
    }

    /// Lets the engine hear what it has not heard; whether what a phone shows has changed.
    pub(super) fn feed(&mut self, feed: &mut Feed) -> bool {
        let new = &self.contents.observations[self.fed..];
        let levels = feed.levels(new);
        let heard = feed.observe(new);
        self.contents.observations.extend(levels);
        self.fed = self.contents.observations.len();
        self.outcome.append(heard);
        !std::mem::take(&mut self.outcome.changed).is_empty()
    }

    /// Closes it: with the states of the stalls that it touches, as they are after it.
    pub(super) fn seal(self, engine: &Engine) -> Sealed {
        let states = self
            .outcome
            .touched
            .iter()
            .filter_map(|stall| {
                let state = engine.stall_state(*stall)?;
                let text = serde_json::to_string(state)
                    .expect("a stall's state has only text keys and finite numbers");
                Some((*stall, text))
            })
            .collect();
        Sealed {
            whole: Whole {
                contents: self.contents,
                states,
                visits: self.outcome.visits,
                alarms: self.outcome.alarms,
            },
            waiting: self.waiting,
            leaving: self.leaving,
        }
    }

    fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }
}

/// A batch that will not change any more.
pub(super) struct Sealed {
    whole: Whole,
    waiting: Vec<Waiting>,
    leaving: Leaving,
}

impl Sealed {
    /// Writes it, however long it takes.
    pub(super) async fn commit(self, farm: Farm) -> Committed {
        Committed {
            result: self.whole.commit(&farm).await,
            waiting: self.waiting,
            leaving: self.leaving,
        }
    }
}

/// A batch whose fate is known.
pub(super) struct Committed {
    waiting: Vec<Waiting>,
    leaving: Leaving,
    result: Result<Fates, StoreError>,
}

impl Committed {
    /// Tells everybody who waits what became of what they told, and answers nodes.
    pub(super) fn acknowledge(self, outlets: &Outlets) {
        if self.result.is_ok() {
            outlets.tell(self.leaving.letters, self.leaving.said);
        }
        for Waiting {
            done,
            observations,
            milkings,
            repeats,
        } in self.waiting
        {
            let report = self.result.as_ref().map(|fates| {
                let own = fates.observations[observations].iter();
                let own = own.chain(&fates.milkings[milkings]).copied();
                own.chain(std::iter::repeat_n(Fate::Duplicate, repeats))
                    .collect::<IngestReport>()
            });
            // A client that has gone does not wait any more; what it said is stored all the same.
            let _ = done.send(report.map_err(Clone::clone));
        }
    }
}
