//! The hub's endpoint: three posts over [`Farms`].
//!
//! Each request is read up to a bound and within a time, its seal and its time are judged, then its holder, and only then is it unpacked. Whatever is
//! refused is told in words of [`Refusal`], with a status that a log or a proxy understands, and has changed nothing.
//!
//! Invariants: of each key one request waits for news at most; a newer one ends the older, so a broken edge cannot fill the hub. Of what is
//! committed after a key was revoked, its waiting request is told nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::post,
};
use sync::{
    Farms, Store,
    farms::Holder,
    keys::{self, Opened, PublicKey, Purpose, Rotation, SEALED_BYTES},
    peer::{self, Doorkeeper, Next, Served, Serving},
    store::Turn,
    wire::{self, Claim, Refusal, Reply, Welcomed},
};
use tokio::sync::{Semaphore, oneshot};

use crate::{ENROL, EXCHANGE, ROTATE, SMALL_BYTES};

/// A slow line may take so long to bring a request.
const BODY_TIME: Duration = Duration::from_secs(180);
/// Requests that are unpacked or at a farm's file at once.
const AT_WORK: usize = 64;
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
            waiting: Mutex::new(HashMap::new()),
            at_work: Semaphore::new(AT_WORK),
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
    /// Ends the waiting request of a key when it is dropped.
    waiting: Mutex<HashMap<PublicKey, oneshot::Sender<()>>>,
    at_work: Semaphore,
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
    let packed = tokio::task::spawn_blocking(move || served.pack()).await;
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
        let body = read(body, SEALED_BYTES).await?;
        let (key, holder) = self.admit(Purpose::Exchange, &body).await?;
        let store = self.farms.open(&holder.farm).await?;
        let began_ms = self.inner.clock.now_ms();
        let begin = {
            let holder = holder.clone();
            move || {
                let opened = keys::open(Purpose::Exchange, &body).map_err(peer::refuse)?;
                Serving::begin(&opened, &holder, began_ms)
            }
        };
        let permit = self.work().await?;
        let begun = tokio::task::spawn_blocking(begin).await;
        let (serving, turn) = begun.map_err(|_| Refusal::Unreadable)??;
        drop(permit);
        let served = self.serve(&store, key, serving, turn).await?;
        if let Some(visit) = served.visit.clone() {
            self.farms.heard(&holder.farm, visit).await;
        }
        Ok(served)
    }

    /// Judges the seal, the time and the holder, in this order, and remembers the time.
    async fn admit(
        &self,
        purpose: Purpose,
        body: &[u8],
    ) -> Result<(PublicKey, Holder<F::Farm>), Refusal> {
        let opened = keys::open(purpose, body).map_err(peer::refuse)?;
        let now_ms = self.inner.clock.now_ms();
        self.inner.door().check(now_ms, &opened)?;
        let holder = self.farms.holder(opened.key).await?;
        let holder = holder.ok_or(Refusal::UnknownKey)?;
        if holder.revoked {
            return Err(Refusal::Revoked);
        }
        let mut door = self.inner.door();
        door.forget_old();
        door.admit(now_ms, &opened)?;
        Ok((opened.key, holder))
    }

    async fn serve(
        &self,
        store: &F::Store,
        key: PublicKey,
        mut serving: Serving,
        mut turn: Turn,
    ) -> Result<Served, Refusal> {
        let mut ended = None;
        loop {
            let seen = store.committed();
            let permit = self.work().await?;
            let turned = store.turn(turn).await;
            drop(permit);
            let until_ms = match serving.turned(turned, self.inner.clock.now_ms()) {
                Next::Reply(served) => return Ok(*served),
                Next::Wait { until_ms } => until_ms,
            };
            let left = until_ms.saturating_sub(self.inner.clock.now_ms());
            let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            let ended = ended.get_or_insert_with(|| self.inner.wait_as(key));
            tokio::select! {
                () = store.news(seen) => {}
                () = tokio::time::sleep(left) => {}
                _ = ended => serving.hurry(),
                () = self.farms.closing() => serving.hurry(),
            }
            if !self.still_holds(key).await {
                serving.dismiss();
            }
            turn = serving.again();
        }
    }

    /// Whether this key was not revoked while its request waited.
    async fn still_holds(&self, key: PublicKey) -> bool {
        let holder = self.farms.holder(key).await;
        matches!(holder, Ok(Some(holder)) if !holder.revoked)
    }

    async fn work(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Refusal> {
        match tokio::time::timeout(QUEUE_TIME, self.inner.at_work.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::Busy { again_s: BUSY_S }),
        }
    }

    async fn enrol(&self, body: Body) -> Result<wire::Welcome, Refusal> {
        let body = read(body, SMALL_BYTES).await?;
        let opened = keys::open(Purpose::Enrol, &body).map_err(peer::refuse)?;
        let claim: Claim = small(&opened)?;
        if !peer::PROTOCOLS.contains(&claim.protocol) {
            return Err(peer::other_protocol());
        }
        if claim.code.len() > CODE_BYTES || claim.name.len() > NAME_BYTES {
            return Err(Refusal::TooLarge);
        }
        self.farms.enrol(opened.key, claim).await
    }

    async fn rotate(&self, body: Body) -> Result<(), Refusal> {
        let body = read(body, SMALL_BYTES).await?;
        let (key, _) = self.admit(Purpose::Rotate, &body).await?;
        let opened = keys::open(Purpose::Rotate, &body).map_err(peer::refuse)?;
        let rotation: Rotation = small(&opened)?;
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

    /// Takes the place of this key's waiting request; resolves when another takes ours.
    fn wait_as(&self, key: PublicKey) -> oneshot::Receiver<()> {
        let (ours, ended) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, waits| !waits.is_closed());
        waiting.insert(key, ours);
        ended
    }
}

fn small<T: serde::de::DeserializeOwned>(opened: &Opened<'_>) -> Result<T, Refusal> {
    wire::decode_bare(opened.message).map_err(|_| Refusal::Unreadable)
}

async fn read(body: Body, most: usize) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_TIME, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // Torn off on the way, or longer than the bound: the first has nobody left to read the answer.
        Ok(Err(_)) => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Unreadable),
    }
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
