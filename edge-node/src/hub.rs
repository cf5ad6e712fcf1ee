//! The farm's hub: joining it, and the agent that keeps both places the same for as long as the appliance runs.
//!
//! Farm work waits for none of this: the agent asks the store as pages do, and everything else happens on the line. Invariant: the
//! key is on disk before the hub hears of it; it is neither shown nor logged.

mod trouble;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use farm::{
    Actor, Farm, StoreError,
    hub::{self, Asking, HubError, Joined},
};
use farm_model::{Clock as _, ClockQuality, UnixMillis};
use farm_web::{HubStanding, HubTrouble, JoinError, JoinedHub};
use futures_util::future::BoxFuture;
use sync::{
    claim::ClaimCode,
    keys::SecretKey,
    peer::{ClockHint, Manner, Status},
    wire::{Claim, PROTOCOL, Refusal},
};
use sync_http::{
    agent::{Agent, Handle, Keeper, Order},
    client::{AskError, Client, HubAddress, NotAnAddress},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::HubConfig;

/// How long a hub may take to answer a claim: whoever typed it waits.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to rest when this machine cannot even try.
const REST: Duration = Duration::from_secs(60);
/// A time that is less certain than this is not told to the farm.
const CERTAIN_MS: i64 = 60_000;

/// The appliance's way to its hub. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HubLink {
    farm: Farm,
    config: HubConfig,
    /// Counts how often it joined or left.
    changed: watch::Sender<u64>,
    agent: Arc<Mutex<Option<Handle>>>,
}

impl HubLink {
    pub(crate) fn new(farm: Farm, config: HubConfig) -> Self {
        Self {
            farm,
            config,
            changed: watch::Sender::new(0),
            agent: Arc::default(),
        }
    }

    /// Exchanges with the hub whenever there is one, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if !self.config.enabled {
            return;
        }
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let exchanged = tokio::select! {
                () = stop.cancelled() => return,
                _ = changed.changed() => continue,
                exchanged = self.exchange(&stop) => exchanged,
            };
            if let Err(error) = exchanged {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the hub cannot be asked; it is tried again"
                );
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = changed.changed() => {}
                    () = tokio::time::sleep(REST) => {}
                }
            }
        }
    }

    /// Exchanges with the hub that is joined now; with none it waits for ever.
    async fn exchange(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let Some(joined) = self.farm.read(hub::joined).await? else {
            metrics::gauge!("hub_joined").set(0.0);
            return std::future::pending().await;
        };
        metrics::gauge!("hub_joined").set(1.0);
        let address: HubAddress = joined.address.parse()?;
        let client = Client::new(&address, &[])?;
        let keeper = FarmKeeper {
            farm: self.farm.clone(),
            key: Mutex::new(*joined.key.seed()),
        };
        let seed = rand::random();
        let store = self.farm.clone();
        let (agent, handle) = Agent::new(store, keeper, client, joined.key, self.manner(), seed);
        let status = handle.status();
        let _shown = Shown::new(&self.agent, handle);
        tracing::info!(
            hub = joined.address,
            farm = joined.farm,
            "the farm is sent to its hub"
        );
        tokio::select! {
            () = agent.run(stop.clone()) => {}
            () = count(status) => {}
        }
        Ok(())
    }

    fn manner(&self) -> Manner {
        match self.config.visit_minutes {
            0 => Manner::default(),
            minutes => Manner::Visit {
                every_s: minutes.saturating_mul(60),
            },
        }
    }

    fn handle(&self) -> Option<Handle> {
        let agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        agent.clone()
    }

    /// Joins the farm that gave out this claim code.
    pub(crate) async fn join(
        &self,
        actor: Actor,
        address: &str,
        code: &str,
    ) -> Result<String, JoinError> {
        let address = self.allowed(address)?;
        let code: ClaimCode = code.parse().map_err(|_| JoinError::NotACode)?;
        if self.farm.read(hub::joined).await?.is_some() && !self.wants_a_code() {
            return Err(JoinError::Joined);
        }
        let asked = address.to_string();
        let asking = self
            .farm
            .write(actor.clone(), move |tx| hub::ask(tx, &asked))
            .await
            .map_err(refused)?;
        let welcome = self.claim(&address, code, &asking).await?;
        let farm = welcome.farm.clone();
        self.farm
            .write(actor, move |tx| hub::join(tx, &welcome.farm, welcome.epoch))
            .await
            .map_err(refused)?;
        self.changed.send_modify(|times| *times += 1);
        Ok(farm)
    }

    async fn claim(
        &self,
        address: &HubAddress,
        code: ClaimCode,
        asking: &Asking,
    ) -> Result<sync::wire::Welcome, JoinError> {
        let client = Client::new(address, &[]).map_err(|error| {
            tracing::error!(%error, "the hub cannot be asked");
            JoinError::Trouble(HubTrouble::Unreached)
        })?;
        let claim = Claim {
            protocol: PROTOCOL,
            code: code.letters().to_owned(),
            site: asking.site,
            schema: asking.schema,
            name: own_name(),
        };
        match tokio::time::timeout(PATIENCE, client.enrol(&asking.key, &claim)).await {
            Ok(Ok(welcome)) => Ok(welcome),
            Ok(Err(AskError::Refused(Refusal::Code))) => Err(JoinError::Code),
            Ok(Err(error)) => Err(JoinError::Trouble(trouble::of_ask(error))),
            Err(_) => Err(JoinError::Trouble(HubTrouble::Slow)),
        }
    }

    /// The address as it was typed, if the farm may be sent there.
    fn allowed(&self, address: &str) -> Result<HubAddress, JoinError> {
        if !self.config.enabled {
            return Err(JoinError::Off);
        }
        let address: HubAddress = address.parse().map_err(|error| match error {
            NotAnAddress::Malformed => JoinError::NotAnAddress,
            NotAnAddress::InTheClear => JoinError::InTheClear,
        })?;
        let allowed = &self.config.allowed;
        let is_named = |named: &String| {
            named
                .parse()
                .is_ok_and(|named: HubAddress| named == address)
        };
        if !allowed.is_empty() && !allowed.iter().any(is_named) {
            return Err(JoinError::NotAllowed);
        }
        Ok(address)
    }

    /// Whether the hub that is joined lets us in no more; without an agent nobody knows, and trying does no harm.
    fn wants_a_code(&self) -> bool {
        let trouble = self
            .handle()
            .map(|handle| handle.status().borrow().trouble.map(trouble::of));
        match trouble {
            Some(Some(trouble)) => trouble.wants_a_code(),
            Some(None) => false,
            None => true,
        }
    }

    /// Sends the farm to no hub any more; whether there was one.
    pub(crate) async fn leave(&self, actor: Actor) -> Result<bool, StoreError> {
        let left = self.farm.write(actor, hub::leave).await?;
        self.changed.send_modify(|times| *times += 1);
        Ok(left)
    }

    /// Tries again now; whether there is something to try.
    pub(crate) async fn hurry(&self) -> bool {
        let Some(handle) = self.handle() else {
            return false;
        };
        handle.order(Order::Hurry).await;
        true
    }

    pub(crate) async fn standing(&self) -> Result<HubStanding, StoreError> {
        if !self.config.enabled {
            return Ok(HubStanding::Off);
        }
        let Some(joined) = self.farm.read(hub::joined).await? else {
            return Ok(HubStanding::Alone);
        };
        Ok(HubStanding::Joined(self.describe(joined)))
    }

    fn describe(&self, joined: Joined) -> JoinedHub {
        let mut hub = JoinedHub {
            address: joined.address,
            farm: joined.farm,
            heard_ago: None,
            waiting: 0,
            current: false,
            trouble: None,
            again_in: Duration::ZERO,
            set_aside: 0,
            switch: Some(self.config.demo_switch.clone()).filter(|url| !url.is_empty()),
        };
        if let Some(handle) = self.handle() {
            let status = handle.status().borrow().clone();
            hub.heard_ago = handle.heard_ago();
            hub.waiting = status.waiting;
            hub.current = status.current;
            hub.trouble = status.trouble.map(trouble::of);
            hub.again_in = handle.again_in();
            hub.set_aside = status.closed.len();
        }
        hub
    }

    /// Brings the figures up to date.
    pub(crate) fn show(&self) {
        let Some(handle) = self.handle() else { return };
        let waiting = handle.status().borrow().waiting;
        metrics::gauge!("hub_waiting").set(waiting as f64);
        if let Some(ago) = handle.heard_ago() {
            metrics::gauge!("hub_last_exchange_seconds").set(ago.as_secs_f64());
        }
    }
}

impl farm_web::HubLink for HubLink {
    fn standing(&self) -> BoxFuture<'_, Result<HubStanding, StoreError>> {
        Box::pin(self.standing())
    }

    fn join(
        &self,
        actor: Actor,
        address: String,
        code: String,
    ) -> BoxFuture<'_, Result<(), JoinError>> {
        Box::pin(async move { self.join(actor, &address, &code).await.map(drop) })
    }

    fn leave(&self, actor: Actor) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.leave(actor).await.map(drop) })
    }

    fn hurry(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.hurry().await;
        })
    }
}

/// The handle is shown as long as its agent runs, even if that panics.
struct Shown<'a>(&'a Mutex<Option<Handle>>);

impl<'a> Shown<'a> {
    fn new(place: &'a Mutex<Option<Handle>>, handle: Handle) -> Self {
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
        Self(place)
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Counts exchanges and what went wrong, until the agent ends.
async fn count(mut status: watch::Receiver<Status>) {
    let mut before = status.borrow_and_update().clone();
    while status.changed().await.is_ok() {
        let now = status.borrow_and_update().clone();
        if now.heard_ms != before.heard_ms {
            metrics::counter!("hub_exchanges_total").increment(1);
        }
        if let Some(stands) = now.trouble
            && (now.trouble, now.again_ms) != (before.trouble, before.again_ms)
        {
            let reason = trouble::of(stands).key();
            metrics::counter!("hub_errors_total", "reason" => reason).increment(1);
            if now.trouble != before.trouble {
                tracing::warn!(reason, error = %stands, "the hub is not in reach; the farm goes on without it");
            }
        }
        if now.trouble.is_none() && before.trouble.is_some() {
            tracing::info!("the hub is in reach again");
        }
        before = now;
    }
}

/// Keeps the key in the farm's file.
struct FarmKeeper {
    farm: Farm,
    /// The seed of the key that the hub of this exchange knows.
    key: Mutex<[u8; 32]>,
}

impl FarmKeeper {
    fn key(&self) -> MutexGuard<'_, [u8; 32]> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for FarmKeeper {
    async fn keep(&self, key: &SecretKey) -> std::io::Result<()> {
        let seed = *key.seed();
        let (old, new) = (
            SecretKey::from_seed(*self.key()),
            SecretKey::from_seed(seed),
        );
        let kept = self
            .farm
            .write(Actor::System, move |tx| hub::change_key(tx, &old, &new))
            .await
            .map_err(std::io::Error::other)?;
        if !kept {
            return Err(std::io::Error::other("another hub was joined meanwhile"));
        }
        *self.key() = seed;
        Ok(())
    }

    fn clock(&self, hint: ClockHint) {
        let clock = self.farm.clock();
        let knows_nothing = clock.now().clock < ClockQuality::Told;
        if knows_nothing && hint.within_ms < CERTAIN_MS {
            tracing::info!("the hub told the time");
            clock.tell(UnixMillis(hint.now_ms));
        }
    }
}

/// What this machine is called at the hub.
fn own_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

fn refused(error: HubError) -> JoinError {
    match error {
        HubError::NotEmpty => JoinError::NotEmpty,
        HubError::Store(error) => JoinError::Store(error),
        HubError::NotAsked | HubError::NoRandomness(_) => {
            tracing::error!(%error, "the farm was not joined");
            JoinError::Trouble(HubTrouble::Busy)
        }
    }
}
