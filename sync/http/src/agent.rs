//! The agent: lets [`Edge`] speak to a real hub over a real file, for as long as the appliance runs.
//!
//! It decides nothing: what is said and when is [`Edge`]'s. What people see is the [`Status`] it publishes; what they order comes as an [`Order`].

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sync::{
    Store,
    keys::SecretKey,
    peer::{ClockHint, Command, Edge, Input, Lane, LineFault, Manner, Status},
    store::{Fault, Turned},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// Keeps the appliance's key, and hears what the hub tells besides the exchange.
pub trait Keeper: Send + Sync + 'static {
    /// Keeps a key that the hub has taken, on disk when it resolves: from then on it is the one to start with.
    fn keep(&self, key: &SecretKey) -> impl Future<Output = io::Result<()>> + Send;

    /// The hub told its time.
    fn clock(&self, hint: ClockHint);
}

/// What people may order.
#[derive(Debug)]
pub enum Order {
    /// Try again now.
    Hurry,
    /// The appliance was enrolled again: sign with this key.
    UseKey(SecretKey),
}

/// An agent, ready to run.
#[derive(Debug)]
pub struct Agent<S, K> {
    store: S,
    keeper: Arc<K>,
    client: Client,
    edge: Edge,
    clock: Clock,
    orders: mpsc::Receiver<Order>,
    status: watch::Sender<Status>,
}

/// The handle of an agent that runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<Status>,
    clock: Clock,
}

/// This machine's time at the start, and what passed since: it never jumps.
#[derive(Debug, Clone, Copy)]
struct Clock {
    began: Instant,
    began_ms: i64,
}

impl Clock {
    fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            began: Instant::now(),
            began_ms: i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn now_ms(&self) -> i64 {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.began_ms.saturating_add(passed)
    }
}

impl Handle {
    /// Orders something; the agent may have ended.
    pub async fn order(&self, order: Order) {
        // An agent that ended has nobody to obey.
        let _ = self.orders.send(order).await;
    }

    /// How it stands; `changed` on it waits for something new.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// How long until it is tried again, if something failed.
    pub fn again_in(&self) -> Duration {
        let at_ms = self.status.borrow().again_ms;
        let in_ms = at_ms.saturating_sub(self.clock.now_ms());
        Duration::from_millis(u64::try_from(in_ms).unwrap_or_default())
    }

    /// How long ago the hub last answered, if it did since the start.
    pub fn heard_ago(&self) -> Option<Duration> {
        let heard_ms = self.status.borrow().heard_ms?;
        let ago_ms = self.clock.now_ms().saturating_sub(heard_ms);
        Some(Duration::from_millis(
            u64::try_from(ago_ms).unwrap_or_default(),
        ))
    }
}

/// What became of something that was under way.
enum Done {
    Turned(Result<Turned, Fault>),
    Sent(Lane, Result<Vec<u8>, LineFault>),
    Rotated(Option<SecretKey>),
}

impl<S: Store, K: Keeper> Agent<S, K> {
    /// An agent and the handle to it. `seed` is random, so that appliances do not come back to a hub in step.
    pub fn new(
        store: S,
        keeper: K,
        client: Client,
        key: SecretKey,
        manner: Manner,
        seed: u64,
    ) -> (Self, Handle) {
        let clock = Clock::start();
        let edge = Edge::new(key, manner, clock.now_ms(), seed);
        let (order, orders) = mpsc::channel(8);
        let (status, seen) = watch::channel(edge.status());
        let handle = Handle {
            orders: order,
            status: seen,
            clock,
        };
        let agent = Self {
            store,
            keeper: Arc::new(keeper),
            client,
            edge,
            clock,
            orders,
            status,
        };
        (agent, handle)
    }

    /// Runs until it is stopped. What is under way then is given up: it is resumed at the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        let mut seen = self.store.committed();
        let mut input = Some(Input::Time);
        loop {
            if let Some(input) = input.take() {
                let commands = self.edge.handle(self.clock.now_ms(), input);
                for command in commands {
                    self.obey(command, &mut under_way);
                }
                self.status.send_if_modified(|status| {
                    let now = self.edge.status();
                    let changed = *status != now;
                    *status = now;
                    changed
                });
            }
            let wake = self.edge.wake_ms();
            let in_ms = wake.map_or(i64::MAX, |at| at.saturating_sub(self.clock.now_ms()));
            let in_time = Duration::from_millis(u64::try_from(in_ms).unwrap_or_default());
            tokio::select! {
                () = stop.cancelled() => return,
                Some(done) = under_way.join_next() => input = self.done(done),
                () = self.store.news(seen) => {
                    seen = self.store.committed();
                    input = Some(Input::News);
                }
                Some(order) = self.orders.recv() => {
                    self.heed(order);
                    input = Some(Input::Time);
                }
                () = tokio::time::sleep(in_time), if wake.is_some() => input = Some(Input::Time),
            }
        }
    }

    fn heed(&mut self, order: Order) {
        match order {
            Order::Hurry => self.edge.hurry(),
            Order::UseKey(key) => self.edge.use_key(key),
        }
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) -> Option<Input> {
        match done {
            Ok(Done::Turned(turned)) => Some(Input::Turned(turned)),
            Ok(Done::Sent(lane, Ok(body))) => Some(Input::Replied(lane, body)),
            Ok(Done::Sent(lane, Err(fault))) => Some(Input::Failed(lane, fault)),
            Ok(Done::Rotated(key)) => {
                if let Some(key) = key {
                    self.edge.use_key(key);
                }
                Some(Input::Time)
            }
            // Nothing here is cancelled: it is a panic, and the appliance starts the agent again.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn obey(&mut self, command: Command, under_way: &mut JoinSet<Done>) {
        match command {
            Command::Turn(turn) => {
                let store = self.store.clone();
                under_way.spawn(async move { Done::Turned(store.turn(turn).await) });
            }
            Command::Send {
                lane,
                body,
                patience,
            } => {
                let client = self.client.clone();
                under_way
                    .spawn(async move { Done::Sent(lane, client.exchange(body, patience).await) });
            }
            Command::Clock(hint) => self.keeper.clock(hint),
            Command::RotateKey => self.rotate(under_way),
        }
    }

    /// Makes another key and has the hub take it; it is used once it is kept. The old one works until then.
    fn rotate(&mut self, under_way: &mut JoinSet<Done>) {
        let next = match SecretKey::generate() {
            Ok(next) => next,
            Err(error) => return tracing::warn!(%error, "no new key for the hub"),
        };
        let sealed = self.edge.seal_rotation(self.clock.now_ms(), &next);
        let (client, keeper) = (self.client.clone(), self.keeper.clone());
        under_way.spawn(async move {
            if let Err(error) = client.rotate(sealed).await {
                tracing::warn!(%error, "the hub did not take a new key: it is tried again later");
                return Done::Rotated(None);
            }
            match keeper.keep(&next).await {
                Ok(()) => Done::Rotated(Some(next)),
                Err(error) => {
                    tracing::warn!(%error, "the new key could not be kept: the old one goes on");
                    Done::Rotated(None)
                }
            }
        });
    }
}
