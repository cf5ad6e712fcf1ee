//! The one way in: what drivers, MQTT clients and the API observed becomes durable, and the milking engine hears of it.
//!
//! A batch is one transaction: observations, rejects, stall states, visits and alarms together. What somebody waits for
//! (an acknowledgement, an ended visit, an alarm) is written at once, together with all that has gathered; what was merely
//! polled may gather for [`LINGER`], because a meter will tell its total again.
//!
//! Invariants: nothing is acknowledged before its commit. A failed commit is tried again with the same batch until it
//! succeeds, so the engine's state and the store's never part; meanwhile drivers and publishers wait. A batch that the
//! store refuses for a reason that no waiting mends is taken apart, and the part at fault goes to quarantine.

mod batch;
mod resolve;

use std::time::Duration;

use edge_acquire::Inbound;
use edge_milking::{Engine, StallState};
use farm::{Change, Farm, Resume, StoreError, devices, places, plan, plan::Plan, readings};
use farm_model::{Clock, SessionKey};
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

pub use self::resolve::{Told, read_publish};
use self::{
    batch::{Batch, Committed},
    resolve::Devices,
};
use crate::{
    feed::{Feed, Topology},
    herd::HerdView,
};

/// How long polled values may wait for company.
const LINGER: Duration = Duration::from_millis(500);
/// How often the engine is told the time.
const TICK: Duration = Duration::from_millis(250);
/// Observations in one transaction at most.
const MOST: usize = 4_000;
/// What a client is told once its message is durable.
pub type Acknowledge = oneshot::Sender<Result<readings::IngestReport, StoreError>>;

/// Something that somebody waits for.
pub(crate) struct Urgent {
    pub(crate) told: Vec<Told>,
    pub(crate) done: Acknowledge,
}

/// Puts messages in; cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    urgent: mpsc::UnboundedSender<Urgent>,
}

impl Intake {
    /// Takes a place in the queue now; the future resolves when everything told is durable.
    ///
    /// The queue itself has no bound: whoever calls bounds what it has in flight (the door by its window, the API by the size
    /// of a request).
    pub fn submit(
        &self,
        told: Vec<Told>,
    ) -> BoxFuture<'static, Result<readings::IngestReport, StoreError>> {
        let (done, result) = oneshot::channel();
        let sent = self.urgent.send(Urgent { told, done });
        Box::pin(async move {
            sent.map_err(|_| StoreError::Closed)?;
            result.await.map_err(|_| StoreError::Closed)?
        })
    }
}

/// The task at the middle of the appliance.
pub struct Ingest {
    farm: Farm,
    config: edge_milking::Config,
    zone: TimeZone,
    drivers: mpsc::Receiver<Inbound>,
    urgent: mpsc::UnboundedReceiver<Urgent>,
    devices: Devices,
}

impl Ingest {
    /// A pipeline into `farm` that also hears `drivers`.
    pub fn new(
        farm: Farm,
        config: edge_milking::Config,
        zone: TimeZone,
        drivers: mpsc::Receiver<Inbound>,
    ) -> (Self, Intake) {
        let (sender, urgent) = mpsc::unbounded_channel();
        (
            Self {
                farm,
                config,
                zone,
                drivers,
                urgent,
                devices: Devices::default(),
            },
            Intake { urgent: sender },
        )
    }

    /// Runs until `stop`; then writes what has gathered.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut feed = self.load_feed().await?;
        self.farm.live().set_parlour(feed.engine().parlour());
        let mut changes = self.farm.events().subscribe();
        let mut stale = Stale::default();
        let mut batch = Batch::default();
        let mut writing: Option<BoxFuture<'static, Committed>> = None;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut drivers_live = true;
        while !stop.is_cancelled() {
            if writing.is_none() && batch.is_due(Instant::now()) {
                let ready = std::mem::take(&mut batch).seal(feed.engine());
                writing = Some(Box::pin(ready.commit(self.farm.clone())));
            }
            let room = batch.len() < MOST;
            tokio::select! {
                biased;
                done = poll_writing(&mut writing) => {
                    writing = None;
                    done.acknowledge();
                }
                Some(urgent) = self.urgent.recv(), if room => {
                    batch.add_urgent(urgent, &mut self.devices, &self.farm).await;
                    while batch.len() < MOST && let Ok(urgent) = self.urgent.try_recv() {
                        batch.add_urgent(urgent, &mut self.devices, &self.farm).await;
                    }
                }
                inbound = self.drivers.recv(), if room && drivers_live => match inbound {
                    Some(inbound) => batch.add(inbound),
                    None => drivers_live = false,
                },
                resume = changes.next() => stale.note(&resume),
                _ = tick.tick() => {
                    batch.conclude(feed.tick(self.farm.clock().now()));
                    if let Err(error) = self.refresh(&mut feed, &mut stale).await {
                        tracing::error!(%error, "the herd cannot be read; the copy in memory goes on");
                        stale.herd = true;
                    }
                }
                () = tokio::time::sleep_until(batch.due_at()), if writing.is_none() && !batch.is_empty() => {}
                () = stop.cancelled() => {}
            }
            if batch.feed(&mut feed) {
                self.farm.live().set_parlour(feed.engine().parlour());
            }
        }
        if let Some(writing) = writing {
            writing.await.acknowledge();
        }
        batch
            .seal(feed.engine())
            .commit(self.farm)
            .await
            .acknowledge();
        Ok(())
    }

    async fn load_feed(&self) -> Result<Feed, StoreError> {
        let (topology, plan, states) = self
            .farm
            .read(|conn| {
                let topology = Topology::new(&places::list(conn)?, &devices::list(conn)?);
                Ok::<_, StoreError>((topology, plan::load(conn)?, readings::stall_states(conn)?))
            })
            .await?;
        let mut engine = self.engine(&topology, &plan);
        for (stall, state) in states {
            match serde_json::from_str::<StallState>(&state) {
                Ok(state) if topology.has(stall) => engine.restore(state),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%stall, %error, "the state of a stall cannot be read; it starts empty");
                }
            }
        }
        let herd = self.load_herd(&engine).await?;
        Ok(Feed::new(engine, topology, herd))
    }

    fn engine(&self, topology: &Topology, plan: &Plan) -> Engine {
        Engine::new(
            self.config.clone(),
            plan.schedule(self.zone.clone()),
            topology.stalls(),
        )
    }

    async fn load_herd(&self, engine: &Engine) -> Result<HerdView, StoreError> {
        let now = self.farm.clock().now();
        let session = engine.session_at(now);
        self.farm
            .read(move |conn| HerdView::load(conn, &now, session))
            .await
    }

    /// Takes up what has changed in the store.
    async fn refresh(&mut self, feed: &mut Feed, stale: &mut Stale) -> Result<(), StoreError> {
        if std::mem::take(&mut stale.topology) {
            self.devices.forget();
            let (topology, plan) = self
                .farm
                .read(|conn| {
                    let topology = Topology::new(&places::list(conn)?, &devices::list(conn)?);
                    Ok::<_, StoreError>((topology, plan::load(conn)?))
                })
                .await?;
            let engine = self.engine(&topology, &plan);
            feed.rebuild(engine, topology);
            self.farm.live().set_parlour(feed.engine().parlour());
        }
        let session = feed.engine().session_at(self.farm.clock().now());
        if std::mem::take(&mut stale.herd) || stale.session.replace(session) != Some(session) {
            feed.set_herd(self.load_herd(feed.engine()).await?);
        }
        Ok(())
    }
}

/// Waits for the write under way, for ever if there is none.
async fn poll_writing(writing: &mut Option<BoxFuture<'static, Committed>>) -> Committed {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}

/// What the pipeline knows that is no longer so.
#[derive(Default)]
struct Stale {
    herd: bool,
    topology: bool,
    session: Option<SessionKey>,
}

impl Stale {
    fn note(&mut self, resume: &Resume) {
        let Resume::Events(events) = resume else {
            self.herd = true;
            self.topology = true;
            return;
        };
        for event in events {
            match event.change {
                Change::Animal { .. } | Change::Milking { .. } => self.herd = true,
                Change::Device { .. } | Change::Place { .. } | Change::Setting => {
                    self.topology = true;
                }
                _ => {}
            }
        }
    }
}
