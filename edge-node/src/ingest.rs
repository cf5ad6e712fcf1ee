//! The one way in: what drivers, MQTT clients and the API observed becomes durable, and the milking engine hears of it.
//!
//! A batch is one transaction: observations, rejects, stall states, visits and alarms together. What somebody waits for
//! (an acknowledgement, an ended visit, an alarm) is written at once, together with all that has gathered; what was merely
//! polled may gather for half a second, because a meter will tell its total again.
//!
//! Invariants: nothing is acknowledged before its commit. A failed commit is tried again with the same batch until it
//! succeeds, so the engine's state and the store's never part; meanwhile drivers and publishers wait. A batch that the
//! store refuses for a reason that no waiting mends is taken apart, and the part at fault goes to quarantine.

mod batch;
mod commit;
mod nodes;
mod pulse;
mod repeats;
mod resolve;
mod stand_ins;

use std::time::Duration;

use edge_acquire::Inbound;
use edge_milking::{Engine, StallState};
use farm::{
    Change, Farm, FileError, Follower, Resume, StoreError, devices, places, plan, readings,
    settings,
};
use farm_model::{Clock, Schedule, SessionKey};
use futures_util::future::BoxFuture;
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::{
    batch::{Batch, Committed, MOST},
    resolve::Devices,
};
pub use self::{
    nodes::{Errand, FrameIn, NodeSaid},
    pulse::Pulse,
    resolve::{Told, read_publish},
};
use crate::{
    feed::{Feed, Topology},
    herd::HerdView,
    post::{self, Letter},
};

/// How often the engine is told the time: each second of farm time, within what is reasonable.
const TICK: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// How old the copy of today's milkings may be; the engine's own are in it at once.
const MILKED_LAG: Duration = Duration::from_secs(5);

/// What a client is told once its message is durable.
pub type Acknowledge = oneshot::Sender<Result<readings::IngestReport, StoreError>>;

/// Something told by a client.
pub(crate) struct Urgent {
    pub(crate) told: Vec<Told>,
    /// Who waits for it; what nobody waits for may gather as what was polled does.
    pub(crate) done: Option<Acknowledge>,
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
        let done = Some(done);
        let sent = self.urgent.send(Urgent { told, done });
        Box::pin(async move {
            sent.map_err(|_| FileError::Closed)?;
            result.await.map_err(|_| FileError::Closed)?
        })
    }

    /// [`Intake::submit`] for what nobody waits for: it is written in its turn, soon.
    pub fn note(&self, told: Vec<Told>) {
        let told = Urgent { told, done: None };
        if self.urgent.send(told).is_err() {
            tracing::debug!("what was noted after the end of the pipeline is not kept");
        }
    }
}

/// The task at the middle of the appliance.
pub struct Ingest {
    farm: Farm,
    config: edge_milking::Config,
    drivers: mpsc::Receiver<Inbound>,
    urgent: mpsc::UnboundedReceiver<Urgent>,
    devices: Devices,
    outlets: Outlets,
    pulse: Pulse,
}

/// Records of nodes that a listener may be behind; who falls back further hears them when the node says them again.
const SAID: usize = 256;

/// Where things leave to after a commit.
pub(crate) struct Outlets {
    letters: Option<mpsc::Sender<Letter>>,
    said: broadcast::Sender<NodeSaid>,
}

impl Outlets {
    fn tell(&self, letters: Vec<Letter>, said: Vec<NodeSaid>) {
        for letter in letters {
            if let Some(out) = &self.letters
                && out.try_send(letter).is_err()
            {
                metrics::counter!("node_letters_dropped_total").increment(1);
            }
        }
        for said in said {
            // Without a listener it is nobody's business.
            let _ = self.said.send(said);
        }
    }
}

/// What the store says of stalls, devices and sessions.
struct Setup {
    topology: Topology,
    schedule: Schedule,
}

impl Ingest {
    /// A pipeline into `farm` that also hears `drivers`.
    pub fn new(
        farm: Farm,
        config: edge_milking::Config,
        drivers: mpsc::Receiver<Inbound>,
    ) -> (Self, Intake) {
        let (sender, urgent) = mpsc::unbounded_channel();
        (
            Self {
                farm,
                config,
                drivers,
                urgent,
                devices: Devices::default(),
                outlets: Outlets {
                    letters: None,
                    said: broadcast::channel(SAID).0,
                },
                pulse: Pulse::new(),
            },
            Intake { urgent: sender },
        )
    }

    /// What is to be sent to nodes; whoever asks last gets it.
    pub fn letters(&mut self) -> mpsc::Receiver<Letter> {
        let (sender, letters) = mpsc::channel(post::WAITING);
        self.outlets.letters = Some(sender);
        letters
    }

    /// What nodes say that is not the pipeline's own business: greetings, results, requests for chunks of firmware.
    pub fn said(&self) -> broadcast::Sender<NodeSaid> {
        self.outlets.said.clone()
    }

    /// How it is, for whoever watches over it.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Runs until `stop`; then writes what has gathered and what drivers have handed over.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        // Before anything is read: what changes while it is read is then heard of.
        let mut changes = self.farm.events().subscribe();
        let mut feed = self.load_feed().await?;
        let mut stale = Stale::default();
        let mut batch = Batch::default();
        let mut writing: Option<BoxFuture<'static, Committed>> = None;
        let second = Duration::from_secs(1).div_f64(self.farm.clock().rate());
        let mut tick = tokio::time::interval(second.clamp(TICK[0], TICK[1]));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut drivers_live = true;
        while !stop.is_cancelled() {
            self.pulse.turn();
            if writing.is_none() && batch.is_due(Instant::now()) {
                let ready = std::mem::take(&mut batch).seal(feed.engine());
                self.pulse.writing();
                writing = Some(Box::pin(ready.commit(self.farm.clone())));
            }
            let room = batch.len() < MOST;
            tokio::select! {
                biased;
                done = poll_writing(&mut writing) => {
                    writing = None;
                    self.pulse.written();
                    done.acknowledge(&self.outlets);
                }
                Some(urgent) = self.urgent.recv(), if room => {
                    self.note_changes(&mut changes, &mut stale);
                    batch.add_urgent(urgent, &mut self.devices, &self.farm, &feed).await;
                    while batch.len() < MOST && let Ok(urgent) = self.urgent.try_recv() {
                        batch.add_urgent(urgent, &mut self.devices, &self.farm, &feed).await;
                    }
                }
                inbound = self.drivers.recv(), if room && drivers_live => match inbound {
                    Some(inbound) => {
                        self.note_changes(&mut changes, &mut stale);
                        batch.add(inbound, &mut self.devices, &self.farm, &feed).await;
                    }
                    None => drivers_live = false,
                },
                resume = changes.next() => stale.note(&resume),
                _ = tick.tick() => {
                    self.refresh_or_tell(&mut feed, &mut stale).await;
                    batch.conclude(feed.tick(self.farm.clock().now()));
                    // Also when no stall has changed: a session begins and ends by itself.
                    self.farm.live().set_parlour(feed.engine().parlour());
                    let waiting = batch.len() + self.urgent.len() + self.drivers.len();
                    metrics::gauge!("ingest_waiting").set(waiting as f64);
                }
                () = tokio::time::sleep_until(batch.due_at()), if writing.is_none() && !batch.is_empty() => {}
                () = stop.cancelled() => {}
            }
            stale.note(&changes.ready());
            self.let_engine_hear(&mut batch, &mut feed, &mut stale)
                .await;
        }
        if let Some(writing) = writing {
            writing.await.acknowledge(&self.outlets);
        }
        self.finish(batch, feed, stale).await;
        Ok(())
    }

    /// Hears of what was changed before what is resolved next was told: that is resolved by what is so now.
    fn note_changes(&mut self, changes: &mut Follower, stale: &mut Stale) {
        stale.note(&changes.ready());
        if stale.topology {
            self.devices.forget();
        }
    }

    async fn let_engine_hear(&mut self, batch: &mut Batch, feed: &mut Feed, stale: &mut Stale) {
        stale.topology |= self.devices.take_made();
        if stale.topology && batch.has_unheard() {
            // The engine must know whom it hears before it hears the first word.
            self.refresh_or_tell(feed, stale).await;
        }
        if batch.feed(feed) {
            self.farm.live().set_parlour(feed.engine().parlour());
        }
    }

    /// Writes what has gathered and what is still to be received.
    async fn finish(mut self, mut batch: Batch, mut feed: Feed, mut stale: Stale) {
        loop {
            while batch.len() < MOST {
                if let Ok(inbound) = self.drivers.try_recv() {
                    batch
                        .add(inbound, &mut self.devices, &self.farm, &feed)
                        .await;
                } else if let Ok(urgent) = self.urgent.try_recv() {
                    batch
                        .add_urgent(urgent, &mut self.devices, &self.farm, &feed)
                        .await;
                } else {
                    break;
                }
            }
            if batch.is_empty() {
                return;
            }
            self.let_engine_hear(&mut batch, &mut feed, &mut stale)
                .await;
            let last = std::mem::take(&mut batch).seal(feed.engine());
            last.commit(self.farm.clone())
                .await
                .acknowledge(&self.outlets);
        }
    }

    async fn load_feed(&self) -> Result<Feed, StoreError> {
        let setup = self.load_setup().await?;
        let states = self.farm.read(readings::stall_states).await?;
        let mut engine = self.engine(&setup);
        for (stall, state) in states {
            match serde_json::from_str::<StallState>(&state) {
                Ok(state) if setup.topology.has(stall) => engine.restore(state),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%stall, %error, "the state of a stall cannot be read; it starts empty");
                }
            }
        }
        let herd = self.load_herd(&engine).await?;
        Ok(Feed::new(engine, setup.topology, herd))
    }

    async fn load_setup(&self) -> Result<Setup, StoreError> {
        self.farm
            .read(|conn| {
                Ok(Setup {
                    topology: Topology::new(&places::list(conn)?, &devices::list(conn)?),
                    schedule: plan::load(conn)?.schedule(settings::load(conn)?.tz()),
                })
            })
            .await
    }

    fn engine(&self, setup: &Setup) -> Engine {
        Engine::new(
            self.config.clone(),
            setup.schedule.clone(),
            setup.topology.stalls(),
        )
    }

    async fn load_herd(&self, engine: &Engine) -> Result<HerdView, StoreError> {
        let now = self.farm.clock().now();
        let session = engine.session_at(now);
        self.farm
            .read(move |conn| HerdView::load(conn, &now, session))
            .await
    }

    async fn refresh_or_tell(&mut self, feed: &mut Feed, stale: &mut Stale) {
        if let Err(error) = self.refresh(feed, stale).await {
            tracing::error!(%error, "the herd cannot be read; the copy in memory goes on");
        }
    }

    /// Takes up what has changed in the store; what could not be read stays stale.
    async fn refresh(&mut self, feed: &mut Feed, stale: &mut Stale) -> Result<(), StoreError> {
        if stale.topology {
            let setup = self.load_setup().await?;
            self.devices.forget();
            let engine = self.engine(&setup);
            feed.rebuild(engine, setup.topology);
            stale.topology = false;
        }
        let session = feed.engine().session_at(self.farm.clock().now());
        let milked = stale.milked.is_some_and(|at| at.elapsed() >= MILKED_LAG);
        if stale.herd || milked || stale.session != Some(session) {
            feed.set_herd(self.load_herd(feed.engine()).await?);
            stale.herd = false;
            stale.milked = None;
            stale.session = Some(session);
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
    /// Since when milkings have been told that may not be the engine's own.
    milked: Option<Instant>,
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
                Change::Animal { .. } => self.herd = true,
                Change::Milking { .. } => {
                    self.milked.get_or_insert_with(Instant::now);
                }
                Change::Device { .. } | Change::Place { .. } | Change::Setting => {
                    self.topology = true;
                }
                _ => {}
            }
        }
    }
}
