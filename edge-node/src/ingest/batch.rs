//! What goes to the store in one transaction.

use std::{sync::Arc, time::Duration};

use edge_acquire::{Inbound, RejectRecord};
use edge_milking::{Alarm, AlarmChange, AlarmKind, Engine};
use farm::{
    Actor, Farm, StoreError, Tx,
    alerts::{self, AlertKind, Subject},
    milkings,
    milkings::MilkError,
    readings,
    readings::IngestReport,
    retained,
    retained::Retained,
};
use farm_model::{Observation, Stall};
use tokio::time::Instant;

use super::{
    Acknowledge, LINGER, MOST, Urgent,
    resolve::{Devices, Resolved},
};
use crate::feed::{Feed, Outcome};

/// How long to wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// Gathers until it is written.
#[derive(Default)]
pub(super) struct Batch {
    contents: Contents,
    /// How many of the observations the engine has heard.
    fed: usize,
    outcome: Outcome,
    waiting: Vec<Waiting>,
    since: Option<Instant>,
}

/// Somebody who waits, and how much of the batch is theirs.
struct Waiting {
    done: Acknowledge,
    observations: usize,
}

/// What will be stored.
#[derive(Default)]
struct Contents {
    observations: Vec<Observation>,
    rejects: Vec<RejectRecord>,
    milkings: Vec<Observation>,
    retained: Vec<Retained>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.contents.observations.len()
            + self.contents.rejects.len()
            + self.contents.milkings.len()
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
                || self.outcome.is_urgent()
                || self.len() >= MOST
                || now >= self.due_at())
    }

    /// Adds what a driver heard.
    pub(super) fn add(&mut self, inbound: Inbound) {
        self.begin();
        self.contents.observations.extend(inbound.observations);
        self.contents.rejects.extend(inbound.rejects);
    }

    /// Adds what somebody waits for; if the store can't say whose it is, they are told at once.
    pub(super) async fn add_urgent(&mut self, urgent: Urgent, devices: &mut Devices, farm: &Farm) {
        let mut resolved = Resolved::default();
        for told in urgent.told {
            if let Err(error) = devices.resolve(told, farm, &mut resolved).await {
                // A client that has gone need not be told.
                let _ = urgent.done.send(Err(error));
                return;
            }
        }
        self.begin();
        let observations = resolved.observations.len() + resolved.milkings.len();
        self.contents
            .observations
            .append(&mut resolved.observations);
        self.contents.rejects.append(&mut resolved.rejects);
        self.contents.milkings.append(&mut resolved.milkings);
        self.contents.retained.append(&mut resolved.retained);
        self.waiting.push(Waiting {
            done: urgent.done,
            observations,
        });
    }

    /// Adds what the engine concluded from time alone.
    pub(super) fn conclude(&mut self, outcome: Outcome) {
        if !outcome.touched.is_empty() {
            self.begin();
            self.outcome.append(outcome);
        }
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
                Some((
                    *stall,
                    serde_json::to_string(engine.stall_state(*stall)?).ok()?,
                ))
            })
            .collect();
        Sealed {
            contents: Arc::new(Whole {
                contents: self.contents,
                states,
                outcome: self.outcome,
            }),
            waiting: self.waiting,
        }
    }

    fn begin(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }
}

/// A batch that will not change any more.
pub(super) struct Sealed {
    contents: Arc<Whole>,
    waiting: Vec<Waiting>,
}

struct Whole {
    contents: Contents,
    states: Vec<(Stall, String)>,
    outcome: Outcome,
}

impl Sealed {
    /// Writes it, however long it takes.
    pub(super) async fn commit(self, farm: Farm) -> Committed {
        let mut failures = 0u32;
        loop {
            let whole = Arc::clone(&self.contents);
            let written = farm.write(Actor::System, move |tx| whole.store(tx)).await;
            match written {
                Ok(report) => {
                    if failures > 0 {
                        tracing::info!(failures, "the store accepts again");
                    }
                    return Committed {
                        waiting: self.waiting,
                        result: Ok(report),
                    };
                }
                Err(StoreError::Closed) => {
                    return Committed {
                        waiting: self.waiting,
                        result: Err(StoreError::Closed),
                    };
                }
                Err(error) if error.is_transient() => {
                    failures += 1;
                    if failures.is_power_of_two() {
                        tracing::error!(%error, failures, "not stored yet; it will be tried again, and nothing is acknowledged meanwhile");
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => {
                    tracing::error!(%error, "a batch cannot be stored as a whole; it is taken apart");
                    let result = self.contents.store_apart(&farm).await;
                    return Committed {
                        waiting: self.waiting,
                        result,
                    };
                }
            }
        }
    }
}

impl Whole {
    /// Everything, in one transaction.
    fn store(&self, tx: &mut Tx<'_>) -> Result<IngestReport, StoreError> {
        let report = readings::ingest(tx, &self.contents.observations)?;
        for reject in &self.contents.rejects {
            readings::quarantine(tx, &reject.source, reject.reason, &reject.raw)?;
        }
        self.store_rest(tx)?;
        Ok(report)
    }

    /// Milkings, retained values, and what the engine concluded and knows now.
    fn store_rest(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for told in &self.contents.milkings {
            let stored = milkings::record_told(tx, told).map(drop);
            keep(tx, stored, "milk_topic", told)?;
        }
        for value in &self.contents.retained {
            retained::put(tx, value)?;
        }
        for (stall, state) in &self.states {
            readings::save_stall(tx, *stall, state)?;
        }
        for visit in &self.outcome.visits {
            let stored = milkings::record(tx, visit.clone()).map(drop);
            keep(tx, stored, "milking_engine", visit)?;
        }
        self.outcome
            .alarms
            .iter()
            .try_for_each(|alarm| store_alarm(tx, alarm))
    }

    /// Piece by piece: what the store refuses goes to quarantine, the rest is kept.
    async fn store_apart(self: Arc<Self>, farm: &Farm) -> Result<IngestReport, StoreError> {
        let mut sum = IngestReport::default();
        for i in 0..self.contents.observations.len() {
            let whole = Arc::clone(&self);
            let stored = farm
                .write(Actor::System, move |tx| {
                    readings::ingest(tx, &whole.contents.observations[i..=i])
                })
                .await;
            match stored {
                Ok(report) => {
                    sum.stored += report.stored;
                    sum.duplicates += report.duplicates;
                    sum.flagged += report.flagged;
                }
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                Err(error) => {
                    self.set_aside(farm, &self.contents.observations[i], &error)
                        .await?;
                }
            }
        }
        let whole = Arc::clone(&self);
        farm.write(Actor::System, move |tx| whole.store_rest(tx))
            .await?;
        Ok(sum)
    }

    async fn set_aside(
        &self,
        farm: &Farm,
        observation: &Observation,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        tracing::error!(%error, device = %observation.device, "an observation cannot be stored; it is set aside");
        let evidence = serde_json::to_vec(observation).unwrap_or_default();
        farm.write(Actor::System, move |tx| {
            readings::quarantine(tx, "store", "store_refused", &evidence)
        })
        .await
    }
}

/// A milking that the store refuses for what it says is kept as evidence, never dropped.
fn keep<T: serde::Serialize>(
    tx: &mut Tx<'_>,
    stored: Result<(), MilkError>,
    source: &str,
    told: &T,
) -> Result<(), StoreError> {
    match stored {
        Ok(()) => Ok(()),
        Err(MilkError::Store(error)) => Err(error),
        Err(refused) => {
            tracing::warn!(%refused, source, "a milking was refused and is set aside");
            readings::quarantine(
                tx,
                source,
                "milking_refused",
                &serde_json::to_vec(told).unwrap_or_default(),
            )
        }
    }
}

fn store_alarm(tx: &mut Tx<'_>, alarm: &Alarm) -> Result<(), StoreError> {
    let kind = match alarm.kind {
        AlarmKind::Withdrawal => AlertKind::Withdrawal,
        AlarmKind::NoFlow => AlertKind::NoFlow,
        // The watch over all devices raises this one, for meters too.
        AlarmKind::MeterSilent => return Ok(()),
    };
    let subject = Subject::Stall(alarm.stall);
    match alarm.change {
        AlarmChange::Raised => {
            let detail = serde_json::json!({ "stall": alarm.stall.0, "animal": alarm.animal });
            alerts::raise(tx, kind, subject, &detail).map(drop)
        }
        AlarmChange::Cleared => alerts::clear(tx, kind, subject).map(drop),
    }
}

/// A batch whose fate is known.
pub(super) struct Committed {
    waiting: Vec<Waiting>,
    result: Result<IngestReport, StoreError>,
}

impl Committed {
    /// Tells everybody who waits. With several in one batch, each is told of its own observations as stored; who sends keys
    /// and wants to know of duplicates submits alone.
    pub(super) fn acknowledge(self) {
        let alone = self.waiting.len() == 1;
        for Waiting { done, observations } in self.waiting {
            let result = self.result.clone().map(|report| {
                if alone {
                    report
                } else {
                    IngestReport {
                        stored: observations,
                        ..IngestReport::default()
                    }
                }
            });
            // A client that has gone does not wait any more; what it said is stored all the same.
            let _ = done.send(result);
        }
    }
}
