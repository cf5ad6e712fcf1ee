//! Writing a batch: as a whole, as often as it takes; piece by piece when the store refuses the whole.
//!
//! Invariants: a failure that waiting may mend (a full disk, a locked or missing file) is waited for with the same batch.
//! A batch that the store refuses for what it holds is taken apart: the piece at fault goes to quarantine, every other is
//! stored.

use std::{sync::Arc, time::Duration};

use edge_milking::{Alarm, AlarmChange, AlarmKind};
use farm::{
    Actor, Farm, FileError, StoreError, Tx,
    alerts::{self, AlertKind, Subject},
    logins,
    milkings::{self, MilkError},
    nodes,
    readings::{self, Fate},
    retained,
};
use farm_model::{Stall, Visit};

use super::batch::Contents;
use crate::sessions;

/// How long to wait before a failed commit is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(250);

/// What became of each observation and each milking told, in their order.
#[derive(Debug, Default)]
pub(super) struct Fates {
    pub(super) observations: Vec<Fate>,
    pub(super) milkings: Vec<Fate>,
}

/// All that a batch stores.
pub(super) struct Whole {
    pub(super) contents: Contents,
    pub(super) states: Vec<(Stall, String)>,
    pub(super) visits: Vec<Visit>,
    pub(super) alarms: Vec<Alarm>,
}

/// One thing to store beside the observations: its place in its list.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Reject(usize),
    Milking(usize),
    Retained(usize),
    Session(usize),
    Login(usize),
    Node(usize),
    State(usize),
    Visit(usize),
    Alarm(usize),
}

impl Whole {
    /// Writes it, however long it takes.
    pub(super) async fn commit(self, farm: &Farm) -> Result<Fates, StoreError> {
        if self.is_empty() {
            // What leaves needs no commit of its own.
            return Ok(Fates::default());
        }
        let whole = Arc::new(self);
        let stored = patiently(farm, &whole, Self::store).await;
        let fates = match stored {
            Err(error) if is_refusal(&error) => {
                tracing::error!(%error, "a batch cannot be stored as a whole; it is taken apart");
                Self::store_apart(&whole, farm).await
            }
            stored => stored,
        }?;
        whole.count(&fates);
        Ok(fates)
    }

    fn is_empty(&self) -> bool {
        self.contents.observations.is_empty() && self.pieces().is_empty()
    }

    /// Everything, in one transaction.
    fn store(&self, tx: &mut Tx<'_>) -> Result<Fates, StoreError> {
        let mut fates = Fates {
            observations: readings::ingest_each(tx, &self.contents.observations)?,
            ..Fates::default()
        };
        self.store_pieces(tx, &self.pieces(), &mut fates)?;
        Ok(fates)
    }

    /// Milkings, retained values, MQTT sessions, and what the engine concluded and knows now.
    fn pieces(&self) -> Vec<Piece> {
        let Contents {
            rejects,
            milkings,
            retained,
            sessions: changes,
            logins,
            nodes,
            ..
        } = &self.contents;
        let rejects = (0..rejects.len()).map(Piece::Reject);
        rejects
            .chain((0..milkings.len()).map(Piece::Milking))
            .chain((0..retained.len()).map(Piece::Retained))
            .chain((0..changes.len()).map(Piece::Session))
            .chain((0..logins.len()).map(Piece::Login))
            .chain((0..nodes.len()).map(Piece::Node))
            .chain((0..self.states.len()).map(Piece::State))
            .chain((0..self.visits.len()).map(Piece::Visit))
            .chain((0..self.alarms.len()).map(Piece::Alarm))
            .collect()
    }

    fn store_pieces(
        &self,
        tx: &mut Tx<'_>,
        pieces: &[Piece],
        fates: &mut Fates,
    ) -> Result<(), StoreError> {
        for piece in pieces {
            match *piece {
                Piece::Reject(i) => {
                    let reject = &self.contents.rejects[i];
                    readings::quarantine(tx, &reject.source, reject.reason, &reject.raw)?;
                    if let Some(device) = reject.device {
                        readings::noise(tx, device);
                    }
                }
                Piece::Milking(i) => {
                    let told = &self.contents.milkings[i];
                    let stored =
                        milkings::record_told(tx, told).map(|t| t.map_or(Fate::Flagged, fate_of));
                    let fate = keep(tx, stored, "milk_topic", told)?;
                    match fate {
                        Fate::Flagged => readings::noise(tx, told.device),
                        _ => readings::heard(tx, told.device, told.at)?,
                    }
                    fates.milkings.push(fate);
                }
                Piece::Retained(i) => retained::put(tx, &self.contents.retained[i])?,
                Piece::Session(i) => sessions::apply(tx, &self.contents.sessions[i])?,
                Piece::Login(i) => {
                    let (device, login) = &self.contents.logins[i];
                    logins::put(tx, *device, login)?;
                }
                Piece::Node(i) => {
                    let sight = &self.contents.nodes[i];
                    nodes::put(tx, &sight.node)?;
                    if let Some(at) = sight.heard {
                        readings::attended(tx, sight.node.device, at);
                    }
                }
                Piece::State(i) => {
                    let (stall, state) = &self.states[i];
                    readings::save_stall(tx, *stall, state)?;
                }
                Piece::Visit(i) => {
                    let visit = &self.visits[i];
                    let stored = milkings::record(tx, visit.clone()).map(fate_of);
                    keep(tx, stored, "milking_engine", visit)?;
                }
                Piece::Alarm(i) => store_alarm(tx, &self.alarms[i])?,
            }
        }
        Ok(())
    }

    /// Piece by piece: what the store refuses goes to quarantine, the rest is kept.
    async fn store_apart(whole: &Arc<Self>, farm: &Farm) -> Result<Fates, StoreError> {
        let mut fates = Fates::default();
        for i in 0..whole.contents.observations.len() {
            let stored = patiently(farm, whole, move |whole, tx| {
                readings::ingest_each(tx, &whole.contents.observations[i..=i])
            })
            .await;
            match stored {
                Ok(fate) => fates.observations.extend(fate),
                Err(error) => {
                    let evidence = serde_json::to_vec(&whole.contents.observations[i]);
                    set_aside(farm, error, evidence.unwrap_or_default()).await?;
                    fates.observations.push(Fate::Flagged);
                }
            }
        }
        // What the engine concluded belongs together, as long as it can.
        let together = store_some(farm, whole, whole.pieces()).await;
        let Err(error) = together else {
            fates.milkings = together?.milkings;
            return Ok(fates);
        };
        tracing::error!(%error, "the rest of the batch is taken apart too");
        for piece in whole.pieces() {
            match store_some(farm, whole, vec![piece]).await {
                Ok(stored) => fates.milkings.extend(stored.milkings),
                Err(error) => {
                    set_aside(farm, error, whole.evidence(piece)).await?;
                    if matches!(piece, Piece::Milking(_)) {
                        fates.milkings.push(Fate::Flagged);
                    }
                }
            }
        }
        Ok(fates)
    }

    /// What a person will see of a piece that could not be stored.
    fn evidence(&self, piece: Piece) -> Vec<u8> {
        let json = match piece {
            Piece::Reject(i) => return self.contents.rejects[i].raw.clone(),
            Piece::Retained(i) => return self.contents.retained[i].payload.clone(),
            Piece::Session(i) => {
                return format!("{:?}", self.contents.sessions[i]).into_bytes();
            }
            Piece::Login(i) => {
                return format!("{:?}", self.contents.logins[i]).into_bytes();
            }
            Piece::Node(i) => return self.contents.nodes[i].node.state.clone().into_bytes(),
            Piece::State(i) => return self.states[i].1.clone().into_bytes(),
            Piece::Milking(i) => serde_json::to_vec(&self.contents.milkings[i]),
            Piece::Visit(i) => serde_json::to_vec(&self.visits[i]),
            Piece::Alarm(i) => serde_json::to_vec(&self.alarms[i]),
        };
        json.unwrap_or_default()
    }

    fn count(&self, fates: &Fates) {
        metrics::counter!("ingest_commits_total").increment(1);
        for (fate, name) in [
            (Fate::Stored, "stored"),
            (Fate::Flagged, "flagged"),
            (Fate::Duplicate, "duplicate"),
        ] {
            let all = fates.observations.iter().chain(&fates.milkings);
            let n = all.filter(|f| **f == fate).count();
            metrics::counter!("ingest_observations_total", "fate" => name).increment(n as u64);
        }
        metrics::counter!("ingest_visits_total").increment(self.visits.len() as u64);
        for reject in &self.contents.rejects {
            metrics::counter!("ingest_rejects_total", "reason" => reject.reason).increment(1);
        }
    }
}

async fn store_some(
    farm: &Farm,
    whole: &Arc<Whole>,
    pieces: Vec<Piece>,
) -> Result<Fates, StoreError> {
    patiently(farm, whole, move |whole, tx| {
        let mut fates = Fates::default();
        whole.store_pieces(tx, &pieces, &mut fates)?;
        Ok(fates)
    })
    .await
}

/// Runs `command` until it succeeds, is refused, or the farm is closed.
async fn patiently<T: Send + 'static>(
    farm: &Farm,
    whole: &Arc<Whole>,
    command: impl Fn(&Whole, &mut Tx<'_>) -> Result<T, StoreError> + Send + Sync + 'static,
) -> Result<T, StoreError> {
    let command = Arc::new(command);
    let mut failures = 0u32;
    loop {
        let (whole, command) = (Arc::clone(whole), Arc::clone(&command));
        match farm
            .write(Actor::System, move |tx| command(&whole, tx))
            .await
        {
            Err(error) if error_may_pass(&error) => {
                failures += 1;
                metrics::counter!("ingest_retries_total").increment(1);
                if failures.is_power_of_two() {
                    tracing::error!(%error, failures, "not stored yet; it will be tried again, and nothing is acknowledged meanwhile");
                }
                tokio::time::sleep(RETRY).await;
            }
            end => {
                if failures > 0 && end.is_ok() {
                    tracing::info!(failures, "the store accepts again");
                }
                return end;
            }
        }
    }
}

/// Whether the store refuses what it was given, rather than being unable to store anything.
fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::File(FileError::Sql(_) | FileError::TooMuch | FileError::Panicked)
            | StoreError::Unreadable { .. }
    )
}

fn error_may_pass(error: &StoreError) -> bool {
    !is_refusal(error) && !matches!(error, StoreError::File(FileError::Closed))
}

/// Keeps what the store refused as evidence; hands on an error that is no refusal.
async fn set_aside(farm: &Farm, error: StoreError, evidence: Vec<u8>) -> Result<(), StoreError> {
    if !is_refusal(&error) {
        return Err(error);
    }
    tracing::error!(%error, "a piece of a batch cannot be stored; it is set aside");
    metrics::counter!("ingest_rejects_total", "reason" => "store_refused").increment(1);
    farm.write(Actor::System, move |tx| {
        readings::quarantine(tx, "store", "store_refused", &evidence)
    })
    .await
}

fn fate_of(told: milkings::Told) -> Fate {
    match told {
        milkings::Told::Recorded(_) => Fate::Stored,
        milkings::Told::Known(_) => Fate::Duplicate,
    }
}

/// A milking that the store refuses for what it says is kept as evidence, never dropped.
fn keep<T: serde::Serialize>(
    tx: &mut Tx<'_>,
    stored: Result<Fate, MilkError>,
    source: &str,
    told: &T,
) -> Result<Fate, StoreError> {
    match stored {
        Ok(fate) => Ok(fate),
        Err(MilkError::Store(error)) => Err(error),
        Err(refused) => {
            tracing::warn!(%refused, source, "a milking was refused and is set aside");
            let evidence = serde_json::to_vec(told).unwrap_or_default();
            readings::quarantine(tx, source, "milking_refused", &evidence)?;
            Ok(Fate::Flagged)
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
