//! The hub's endpoint: three posts over [`Farms`].
//!
//! Each request is read up to a bound and within a time, its seal and its time are judged, then its holder, and only then is it unpacked. Whatever is
//! refused is told in words of [`Refusal`], with a status that a log or a proxy understands, and has changed nothing.
//!
//! What holders of keys can make the hub hold is bounded (`body`, `places`): requests of one key at once, bytes of bodies, and messages at
//! work. Most are small and unpack to little; the few that need more memory take turns, one of each key, and no other request waits for them.
//!
//! Invariants: of each key one request waits for news at most; a newer one ends the older, so a broken edge cannot fill the hub. Of what is
//! committed after a key was revoked, its waiting request is told nothing.

mod body;
mod places;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::post,
};
use sync::{
    Farms, Store,
    farms::Holder,
    keys::{Opened, PublicKey, Purpose, Rotation, SEALED_BYTES},
    peer::{self, Doorkeeper, Next, Served, Serving},
    store::{Fault, Turned},
    wire::{self, Claim, Refusal, Reply, Room, Stream, Welcomed},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    body::{Arrived, Bodies, Proved},
    places::{Place, Places},
};
use crate::{ENROL, EXCHANGE, ROTATE, SMALL_BYTES};

/// Requests that are judged, unpacked within [`Room::LIGHT`], or at a farm's file at once.
const AT_WORK: usize = 64;
/// Requests that may take [`Room::FULL`], from unpacking until the farm's file has what they bring.
const HEAVY: usize = 3;
/// Packed bytes from which on nobody tries whether a message is a light one.
const LIGHT_BYTES: usize = 64 * 1024;
/// Requests of one key at once, those that wait for news included: an edge has two, and broken lines leave some behind.
const OF_ONE_KEY: usize = 4;
/// How long a request may wait for its turn among them.
const QUEUE_TIME: Duration = Duration::from_secs(20);
/// When to come again if that was too long.
const BUSY_S: u32 = 15;
const CODE_BYTES: usize = 64;
const NAME_BYTES: usize = 128;

/// The routes of replication, for all farms of a hub. To be made once and cloned for each address: it remembers which requests came.
pub fn router<F: Farms>(farms: F) -> Router {
    let endpoint = Endpoint {
        farms,
        inner: Arc::new(Inner {
            clock: Clock::start(),
            door: Mutex::new(Doorkeeper::new(wall_ms())),
            bodies: Bodies::new(),
            under_way: Places::new(OF_ONE_KEY),
            waiting: Places::new(1),
            at_work: Arc::new(Semaphore::new(AT_WORK)),
            heavy: Arc::new(Semaphore::new(HEAVY)),
            heavy_of: Places::new(1),
            too_large: Mutex::default(),
        }),
    };
    Router::new()
        .route(EXCHANGE, post(exchange::<F>))
        .route(ENROL, post(enrol::<F>))
        .route(ROTATE, post(rotate::<F>))
        .with_state(endpoint)
}

#[derive(Clone)]
struct Endpoint<F> {
    farms: F,
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    door: Mutex<Doorkeeper>,
    bodies: Bodies,
    under_way: Places,
    waiting: Places,
    at_work: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    heavy_of: Places,
    /// Streams of which it was said that a part is too large.
    too_large: Mutex<BTreeSet<Stream>>,
}

/// The wall clock's time at the start and what passed since: it never jumps, so no signature is refused because a clock was set.
struct Clock {
    began: Instant,
    began_ms: i64,
}

impl Clock {
    fn start() -> Self {
        Self {
            began: Instant::now(),
            began_ms: wall_ms(),
        }
    }

    fn now_ms(&self) -> i64 {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.began_ms.saturating_add(passed)
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

async fn exchange<F: Farms>(State(endpoint): State<Endpoint<F>>, body: Body) -> Response {
    let served = match endpoint.exchange(body).await {
        Ok(served) => served,
        Err(refusal) => refusal.into(),
    };
    let status = match &served.reply {
        Reply::Answer(_) => StatusCode::OK,
        Reply::Refused(refusal) => status(*refusal),
    };
    let inner = Arc::clone(&endpoint.inner);
    let packed =
        tokio::task::spawn_blocking(move || served.pack_and_tell(|of| inner.note_too_large(of)));
    let packed = packed.await;
    match packed {
        Ok(Ok(message)) => respond(status, message),
        _ => respond(StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    }
}

async fn enrol<F: Farms>(State(endpoint): State<Endpoint<F>>, body: Body) -> Response {
    tell(&endpoint.enrol(body).await)
}

async fn rotate<F: Farms>(State(endpoint): State<Endpoint<F>>, body: Body) -> Response {
    tell(&endpoint.rotate(body).await)
}

impl<F: Farms> Endpoint<F> {
    async fn exchange(&self, body: Body) -> Result<Served, Refusal> {
        let (proved, holder) = self.admit(Purpose::Exchange, body, SEALED_BYTES).await?;
        let mut place = Some(self.inner.under_way.take(proved.key));
        tokio::select! {
            served = self.visit(proved, holder) => served,
            () = lost(&mut place) => Err(Refusal::Busy { again_s: BUSY_S }),
        }
    }

    async fn visit(&self, proved: Proved, holder: Holder<F::Farm>) -> Result<Served, Refusal> {
        let (key, farm) = (proved.key, holder.farm.clone());
        let store = self.farms.open(&farm).await?;
        let begun = self.begin(&store, proved, holder).await?;
        let served = self.serve(&store, key, begun).await?;
        if let Some(visit) = served.visit.clone() {
            self.farms.heard(&farm, visit).await;
        }
        Ok(served)
    }

    /// Reads a body and judges its seal.
    async fn prove(&self, purpose: Purpose, body: Body, most: usize) -> Result<Proved, Refusal> {
        let arrived: Arrived = self.inner.bodies.read(&self.farms, body, most).await?;
        let permit = in_turn(&self.inner.at_work).await?;
        let proved = tokio::task::spawn_blocking(move || {
            let proved = Proved::of(purpose, arrived);
            drop(permit);
            proved
        });
        proved.await.map_err(|_| Refusal::Unreadable)?
    }

    /// Judges the seal, the time and the holder, in this order, and remembers the time.
    async fn admit(
        &self,
        purpose: Purpose,
        body: Body,
        most: usize,
    ) -> Result<(Proved, Holder<F::Farm>), Refusal> {
        let proved = self.prove(purpose, body, most).await?;
        let now_ms = self.inner.clock.now_ms();
        self.inner.door().check(now_ms, &proved.opened())?;
        let holder = self.farms.holder(proved.key).await?;
        let holder = holder.ok_or(Refusal::UnknownKey)?;
        if holder.revoked {
            return Err(Refusal::Revoked);
        }
        let mut door = self.inner.door();
        door.forget_old();
        door.admit(now_ms, &proved.opened())?;
        drop(door);
        Ok((proved, holder))
    }

    /// Unpacks a request and brings the farm's file what came with it.
    async fn begin(
        &self,
        store: &F::Store,
        proved: Proved,
        holder: Holder<F::Farm>,
    ) -> Result<Begun, Refusal> {
        let (key, proved, holder) = (proved.key, Arc::new(proved), Arc::new(holder));
        if proved.opened().message.len() <= LIGHT_BYTES {
            let permit = in_turn(&self.inner.at_work).await?;
            let begun = self.first_turn(store, &proved, &holder, Room::LIGHT, permit);
            match begun.await {
                Err(Refusal::Unreadable) => {}
                begun => return begun,
            }
        }
        let place = self.inner.heavy_of.take_free(key);
        let place = place.ok_or(Refusal::Busy { again_s: BUSY_S })?;
        let held = (place, in_turn(&self.inner.heavy).await?);
        self.first_turn(store, &proved, &holder, Room::FULL, held)
            .await
    }

    /// In a task of its own, which holds its permit to the end: what is unpacked stays in memory though nobody waits for the answer any more.
    async fn first_turn(
        &self,
        store: &F::Store,
        proved: &Arc<Proved>,
        holder: &Arc<Holder<F::Farm>>,
        room: Room,
        held: impl Send + 'static,
    ) -> Result<Begun, Refusal> {
        let (store, began_ms) = (store.clone(), self.inner.clock.now_ms());
        let (proved, holder) = (Arc::clone(proved), Arc::clone(holder));
        let begun = tokio::spawn(async move {
            let begun = tokio::task::spawn_blocking(move || {
                Serving::begin_within(&proved.opened(), &holder, began_ms, room)
            });
            let (serving, turn) = begun.await.map_err(|_| Refusal::Unreadable)??;
            let seen = store.committed();
            let turned = store.turn(turn).await;
            drop(held);
            Ok(Begun {
                serving,
                seen,
                turned,
            })
        });
        begun.await.map_err(|_| Refusal::Unreadable)?
    }

    async fn serve(
        &self,
        store: &F::Store,
        key: PublicKey,
        begun: Begun,
    ) -> Result<Served, Refusal> {
        let Begun {
            mut serving,
            mut seen,
            mut turned,
        } = begun;
        let mut place = None;
        loop {
            let until_ms = match serving.turned(turned, self.inner.clock.now_ms()) {
                Next::Reply(served) => return Ok(*served),
                Next::Wait { until_ms } => until_ms,
            };
            let left = until_ms.saturating_sub(self.inner.clock.now_ms());
            let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            place.get_or_insert_with(|| self.inner.waiting.take(key));
            tokio::select! {
                () = store.news(seen) => {}
                () = tokio::time::sleep(left) => {}
                () = lost(&mut place) => serving.hurry(),
                () = self.farms.closing() => serving.hurry(),
            }
            if !self.still_holds(key).await {
                serving.dismiss();
            }
            seen = store.committed();
            let permit = in_turn(&self.inner.at_work).await?;
            turned = store.turn(serving.again()).await;
            drop(permit);
        }
    }

    /// Whether this key was not revoked while its request waited.
    async fn still_holds(&self, key: PublicKey) -> bool {
        let holder = self.farms.holder(key).await;
        matches!(holder, Ok(Some(holder)) if !holder.revoked)
    }

    async fn enrol(&self, body: Body) -> Result<wire::Welcome, Refusal> {
        let proved = self.prove(Purpose::Enrol, body, SMALL_BYTES).await?;
        let claim: Claim = small(&proved.opened())?;
        if !peer::PROTOCOLS.contains(&claim.protocol) {
            return Err(peer::other_protocol());
        }
        if claim.code.len() > CODE_BYTES || claim.name.len() > NAME_BYTES {
            return Err(Refusal::TooLarge);
        }
        self.farms.enrol(proved.key, claim).await
    }

    async fn rotate(&self, body: Body) -> Result<(), Refusal> {
        let (proved, _) = self.admit(Purpose::Rotate, body, SMALL_BYTES).await?;
        let (key, rotation): (_, Rotation) = (proved.key, small(&proved.opened())?);
        if !rotation.proves(key) {
            return Err(Refusal::Forged);
        }
        self.farms.rotate(key, rotation.next).await
    }
}

impl Inner {
    fn door(&self) -> MutexGuard<'_, Doorkeeper> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says it once of each stream: the part is left out of every answer.
    fn note_too_large(&self, of: Stream) {
        let mut told = self
            .too_large
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD && !told.contains(&of) {
            let (site, stream) = (of.site, &of.name);
            tracing::error!(%site, stream, "a change is too large for any message and stays here: report it");
            told.insert(of);
        }
    }
}

/// Streams that are remembered as told of.
const TOLD: usize = 1_000;

/// A visit whose first turn is done, and what the file's count of commits was before that.
struct Begun {
    serving: Serving,
    seen: u64,
    turned: Result<Turned, Fault>,
}

/// A permit, when it is one's turn.
async fn in_turn(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    match tokio::time::timeout(QUEUE_TIME, Arc::clone(of).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Refusal::Busy { again_s: BUSY_S }),
    }
}

/// Resolves when a newer request took this place; never for who has none.
async fn lost(place: &mut Option<Place>) {
    match place {
        Some(place) => place.lost().await,
        None => std::future::pending().await,
    }
}

fn small<T: serde::de::DeserializeOwned>(opened: &Opened<'_>) -> Result<T, Refusal> {
    wire::decode_bare(opened.message).map_err(|_| Refusal::Unreadable)
}

fn tell<T: serde::Serialize + Clone>(result: &Result<T, Refusal>) -> Response {
    let (status, welcomed) = match result {
        Ok(said) => (StatusCode::OK, Welcomed::Yes(said.clone())),
        Err(refusal) => (status(*refusal), Welcomed::Refused(*refusal)),
    };
    match wire::encode(&welcomed, &[]) {
        Ok(message) => respond(status, message),
        Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    }
}

/// The answer to a claim that comes too often: what it says is not even read.
pub fn busy(again_s: u32) -> Response {
    tell(&Err::<(), _>(Refusal::Busy { again_s }))
}

fn respond(status: StatusCode, message: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(message));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let opaque = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, opaque);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Protocol { .. } | Refusal::Unreadable => StatusCode::BAD_REQUEST,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Forged
        | Refusal::UnknownKey
        | Refusal::Stale { .. }
        | Refusal::Repeated { .. } => StatusCode::UNAUTHORIZED,
        Refusal::Revoked | Refusal::NotYourSite | Refusal::Code => StatusCode::FORBIDDEN,
        Refusal::Epoch { .. } | Refusal::TooManySites | Refusal::HubRestored => {
            StatusCode::CONFLICT
        }
        Refusal::Gone => StatusCode::GONE,
        Refusal::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}
