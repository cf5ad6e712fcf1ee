//! What is wanted of nodes, settings and commands, told to them until they answer.
//!
//! What a node is told may be lost, or come while it sleeps. So all that is outstanding is told at once when it is asked for, when
//! the node is heard, and again after a while that grows; always together and in the order of numbers, for a node passes over a
//! command that is older than one it has done. Invariant: what is over is not told any more; the store says what that is.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use farm::{
    Actor, Change, Farm, Resume, StoreError,
    nodes::{self, Outstanding, Said, Wanted as Settings},
};
use farm_model::{Clock as _, DeviceId};
use firmware_protocol::{ConfigWriter, Full, Record, kind};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::ingest::{Errand, Intake, NodeSaid, Told};

/// How often it is looked whether something is to be told again.
const ROUND: Duration = Duration::from_secs(1);
/// How long it takes until something is told again; twice as long each time, up to the other.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(60)];
/// A node that is heard more often than this is not told more often.
const AT_MOST: Duration = Duration::from_millis(500);

/// When a node was told what is wanted of it.
struct Last {
    at: Instant,
    times: u32,
}

impl Last {
    fn is_due(&self, now: Instant) -> bool {
        let [first, longest] = AGAIN;
        let wait = first.saturating_mul(1 << self.times.min(10)).min(longest);
        now >= self.at + wait
    }
}

/// Tells nodes what is wanted of them, and takes in what they answer.
pub(crate) struct Wanted {
    farm: Farm,
    intake: Intake,
    outstanding: BTreeMap<DeviceId, Outstanding>,
    told: HashMap<DeviceId, Last>,
}

impl Wanted {
    pub(crate) fn new(farm: Farm, intake: Intake) -> Self {
        Self {
            farm,
            intake,
            outstanding: BTreeMap::new(),
            told: HashMap::new(),
        }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(
        mut self,
        mut said: broadcast::Receiver<NodeSaid>,
        stop: CancellationToken,
    ) {
        let mut changes = self.farm.events().subscribe();
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_stale = true;
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                heard = said.recv() => match heard {
                    Ok(said) => self.hear(&said).await,
                    // What was missed is said again.
                    Err(RecvError::Lagged(_)) => Ok(()),
                    Err(RecvError::Closed) => return,
                },
                resume = changes.next() => {
                    is_stale |= touches(&resume);
                    if is_stale { self.look().await.map(|()| is_stale = false) } else { Ok(()) }
                }
                _ = rounds.tick() => {
                    // Also when nothing changed: commands become too old by themselves.
                    if is_stale || !self.outstanding.is_empty() {
                        self.look().await.map(|()| is_stale = false)
                    } else {
                        Ok(())
                    }
                }
            };
            if let Err(error) = done {
                tracing::error!(%error, "nodes are not told what is wanted of them; it is tried again");
            }
        }
    }

    /// Looks what is outstanding, and tells those whose turn it is.
    async fn look(&mut self) -> Result<(), StoreError> {
        let now = self.farm.clock().now();
        let read = self.farm.read(move |conn| nodes::outstanding(conn, now));
        let outstanding = read.await?;
        // What is new is told at once, however often the older was.
        self.told
            .retain(|device, _| outstanding.get(device) == self.outstanding.get(device));
        self.outstanding = outstanding;
        let now = Instant::now();
        let is_due = |device: &&DeviceId| self.told.get(device).is_none_or(|l| l.is_due(now));
        let due: Vec<_> = self.outstanding.keys().filter(is_due).copied().collect();
        for device in due {
            self.tell(device).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, said: &NodeSaid) -> Result<(), StoreError> {
        let device = said.device;
        match Record::read(said.kind, &said.contents) {
            Ok(Record::Hello(hello)) => self.note(device, Said::Has(hello.config)).await?,
            Ok(Record::ConfigReport(report)) => {
                let looked = Said::Looked {
                    version: report.version,
                    outcome: report.outcome,
                    unknown: report.unknown,
                };
                return self.note(device, looked).await;
            }
            Ok(Record::CommandResult(result)) => {
                let write = self.farm.write(Actor::System, move |tx| {
                    nodes::answered(tx, device, result.id, result.outcome)
                });
                return write.await;
            }
            _ => {}
        }
        // It is awake: now is the time.
        if self.outstanding.contains_key(&device) && !self.was_told(device) {
            self.look().await?;
            if !self.was_told(device) {
                self.tell(device).await?;
            }
        }
        Ok(())
    }

    /// Whether it was told just now.
    fn was_told(&self, device: DeviceId) -> bool {
        let last = self.told.get(&device);
        last.is_some_and(|last| last.at.elapsed() < AT_MOST)
    }

    async fn note(&self, device: DeviceId, said: Said) -> Result<(), StoreError> {
        let is_news = self
            .farm
            .read(move |conn| nodes::is_news(conn, device, said));
        if is_news.await? {
            self.farm
                .write(Actor::System, move |tx| nodes::said(tx, device, said))
                .await?;
        }
        Ok(())
    }

    /// Tells a node all that is outstanding.
    async fn tell(&mut self, device: DeviceId) -> Result<(), StoreError> {
        let Some(outstanding) = self.outstanding.get(&device) else {
            return Ok(());
        };
        let Ok(records) = records(outstanding) else {
            tracing::error!(%device, "what is wanted of a node does not fit a frame");
            return Ok(());
        };
        let times = self.told.get(&device).map_or(0, |last| last.times + 1);
        let at = Instant::now();
        self.told.insert(device, Last { at, times });
        let told = Told::Errand(Errand { device, records });
        self.intake.submit(vec![told]).await?;
        Ok(())
    }
}

/// Whether what is outstanding may be another after these changes.
fn touches(resume: &Resume) -> bool {
    match resume {
        Resume::Gap(_) => true,
        Resume::Events(events) => events
            .iter()
            .any(|event| matches!(event.change, Change::Node { .. } | Change::Device { .. })),
    }
}

/// Kinds and contents, as [`Told::Errand`] takes them.
fn records(outstanding: &Outstanding) -> Result<Vec<(u8, Vec<u8>)>, Full> {
    let mut records = Vec::new();
    if let Some(wanted) = &outstanding.settings {
        records.push((kind::CONFIG, config(wanted)?));
    }
    for command in &outstanding.commands {
        records.push(Errand::record(&Record::Command(command.record()))?);
    }
    Ok(records)
}

fn config(wanted: &Settings) -> Result<Vec<u8>, Full> {
    let mut buffer = [0; 255];
    let mut writer = ConfigWriter::new(&mut buffer, wanted.version)?;
    for (bounds, value) in wanted.settings.values() {
        if let Some(value) = value {
            writer.add(bounds.setting, value.into())?;
        }
    }
    Ok(writer.finish().to_vec())
}
