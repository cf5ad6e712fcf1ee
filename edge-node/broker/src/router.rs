//! Who is connected, who wants what, and what each topic holds: subscriptions, fan-out and retained values.
//!
//! Invariants: a subscriber that does not read never makes a publisher wait; what waits for it is bounded in number and bytes;
//! nothing that a client names (topic, filter, identifier) is kept after the last one who needs it has gone.

mod tree;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mqtt_proto::v5::RetainHandling;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use self::tree::Tree;
use crate::{
    acl::Filter,
    codec::{Known, Options},
    config::DoorConfig,
    gate::Retained,
    message::{Message, Qos, SessionId},
    stats::{Counters, Kept, Reason},
};

/// Why the router ends a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Eviction {
    /// Another connection has the same client identifier.
    TakenOver,
    /// It did not keep up with what it subscribed to at QoS 1.
    TooSlow,
    /// Its user is not let in any more.
    Ended,
}

/// Why a client that the gate let in gets no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unattached {
    /// Another user has its client identifier.
    #[error("the client identifier is in use by another user: choose another")]
    InUse,
    /// Its user was ended while it logged in.
    #[error("what this client may do changed while it logged in: connect again")]
    Ended,
}

/// How many users have been ended so far; what a log-in remembers until it has its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Ends(u64);

/// The users ended last are remembered, so that a log-in that began before does not slip through.
const ENDED: usize = 256;

/// The state that connections share.
#[derive(Debug)]
pub(crate) struct Router {
    inner: Mutex<Inner>,
    counters: Arc<Counters>,
    queue: usize,
    queue_bytes: usize,
    max_retained: usize,
    max_subscriptions: usize,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    clients: HashMap<Arc<str>, SessionId>,
    sessions: HashMap<SessionId, Session>,
    subscriptions: Tree,
    retained: BTreeMap<Arc<str>, Message>,
    ended: VecDeque<(Ends, Arc<str>)>,
    ends: Ends,
}

#[derive(Debug)]
struct Session {
    client_id: Arc<str>,
    user: Option<Arc<str>>,
    filters: HashMap<Arc<str>, Options>,
    mailbox: mpsc::Sender<Message>,
    waiting_bytes: Arc<AtomicUsize>,
    evict: watch::Sender<Option<Eviction>>,
}

/// A session's place in the router; leaving it ends its subscriptions.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) id: SessionId,
    router: Arc<Router>,
    mailbox: mpsc::Receiver<Message>,
    waiting_bytes: Arc<AtomicUsize>,
    evicted: watch::Receiver<Option<Eviction>>,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.router.detach(self.id);
    }
}

impl Attachment {
    /// What wakes the session: a message for it, or its end.
    pub(crate) async fn next(&mut self, take: Take) -> Result<Message, Eviction> {
        loop {
            if let Some(eviction) = *self.evicted.borrow_and_update() {
                return Err(eviction);
            }
            tokio::select! {
                changed = self.evicted.changed() => {
                    if changed.is_err() {
                        return Err(Eviction::TakenOver);
                    }
                }
                Some(message) = self.mailbox.recv(), if take == Take::Messages => {
                    self.waiting_bytes.fetch_sub(message.payload.len(), Ordering::Relaxed);
                    return Ok(message);
                }
            }
        }
    }

    /// The next message if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Message> {
        let message = self.mailbox.try_recv().ok()?;
        self.waiting_bytes
            .fetch_sub(message.payload.len(), Ordering::Relaxed);
        Some(message)
    }
}

/// Whether a session has room for messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Take {
    Messages,
    OnlyTheEnd,
}

/// What came of a subscription.
#[derive(Debug)]
pub(crate) enum Subscribed {
    /// It stands; these retained values are to be sent first.
    Yes(Vec<Message>),
    /// The session has as many as it may.
    TooMany,
}

impl Router {
    pub(crate) fn new(
        config: &DoorConfig,
        counters: Arc<Counters>,
        retained: Vec<Retained>,
    ) -> Self {
        let retained = retained.into_iter().map(|value| {
            let message = Message {
                topic: Arc::clone(&value.topic),
                payload: value.payload,
                qos: value.qos,
                retain: true,
                properties: None,
                expires: None,
            };
            (value.topic, message)
        });
        Self {
            inner: Mutex::new(Inner {
                retained: retained.collect(),
                ..Inner::default()
            }),
            counters,
            queue: config.queue,
            queue_bytes: config.queue_bytes,
            max_retained: config.max_retained,
            max_subscriptions: config.max_subscriptions,
        }
    }

    /// Ends every session of a user, those included that logged in and have no place yet.
    pub(crate) fn end(&self, user: &str) -> usize {
        let mut inner = self.lock();
        inner.ends.0 += 1;
        let ended = (inner.ends, user.into());
        if inner.ended.len() == ENDED {
            inner.ended.pop_front();
        }
        inner.ended.push_back(ended);
        let mut connections = 0;
        for session in inner.sessions.values() {
            if session.user.as_deref() == Some(user) {
                session.evict.send_replace(Some(Eviction::Ended));
                connections += 1;
            }
        }
        connections
    }

    /// What a log-in must remember from before it asks the gate.
    pub(crate) fn ends(&self) -> Ends {
        self.lock().ends
    }

    /// Gives a client its place, unless its user was ended after `asked`. A session of the same client is ended first, and given
    /// `patience` to say its last.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        client_id: &Arc<str>,
        user: Option<&Arc<str>>,
        asked: Ends,
        patience: Duration,
    ) -> Result<Attachment, Unattached> {
        loop {
            let evict = {
                let mut inner = self.lock();
                if inner.was_ended(user, asked) {
                    return Err(Unattached::Ended);
                }
                let Some(previous) = inner
                    .clients
                    .get(client_id)
                    .and_then(|id| inner.sessions.get(id))
                else {
                    return Ok(self.insert(&mut inner, client_id, user));
                };
                if previous.user.as_ref() != user {
                    return Err(Unattached::InUse);
                }
                previous.evict.clone()
            };
            evict.send_replace(Some(Eviction::TakenOver));
            if timeout(patience, evict.closed()).await.is_err() {
                let mut inner = self.lock();
                let id = inner.clients.get(client_id).copied();
                if let Some(id) = id.filter(|id| {
                    inner
                        .sessions
                        .get(id)
                        .is_some_and(|s| s.evict.same_channel(&evict))
                }) {
                    inner.remove(id);
                }
            }
        }
    }

    fn insert(
        self: &Arc<Self>,
        inner: &mut Inner,
        client_id: &Arc<str>,
        user: Option<&Arc<str>>,
    ) -> Attachment {
        inner.last_id += 1;
        let id = SessionId(inner.last_id);
        let (sender, mailbox) = mpsc::channel(self.queue);
        let (evict, evicted) = watch::channel(None);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let session = Session {
            client_id: Arc::clone(client_id),
            user: user.cloned(),
            filters: HashMap::new(),
            mailbox: sender,
            waiting_bytes: Arc::clone(&waiting_bytes),
            evict,
        };
        inner.sessions.insert(id, session);
        inner.clients.insert(Arc::clone(client_id), id);
        Attachment {
            id,
            router: Arc::clone(self),
            mailbox,
            waiting_bytes,
            evicted,
        }
    }

    fn detach(&self, id: SessionId) {
        self.lock().remove(id);
    }

    /// Subscribes a session; a filter it has already is replaced.
    pub(crate) fn subscribe(
        &self,
        id: SessionId,
        filter: &Filter,
        text: &Arc<str>,
        options: Options,
    ) -> Subscribed {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(session) = inner.sessions.get_mut(&id) else {
            return Subscribed::TooMany;
        };
        let is_new = !session.filters.contains_key(text);
        if is_new && session.filters.len() >= self.max_subscriptions {
            return Subscribed::TooMany;
        }
        session.filters.insert(Arc::clone(text), options);
        inner.subscriptions.insert(text, id, options);
        let wanted = match options.retained {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendAtSubscribeIfNotExist => is_new,
            RetainHandling::DoNotSend => false,
        };
        if !wanted {
            return Subscribed::Yes(Vec::new());
        }
        inner.retained.retain(|_, message| !message.is_expired());
        let matching = inner
            .retained
            .values()
            .filter(|message| filter.matches(&message.topic));
        Subscribed::Yes(
            matching
                .map(|message| Message {
                    qos: message.qos.min(options.qos),
                    ..message.clone()
                })
                .collect(),
        )
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&self, id: SessionId, text: &str) -> Known {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let removed = inner
            .sessions
            .get_mut(&id)
            .and_then(|session| session.filters.remove(text));
        if removed.is_none() {
            return Known::No;
        }
        inner.subscriptions.remove(text, id);
        Known::Yes
    }

    /// Whether `topic` could hold a retained value.
    pub(crate) fn has_room_to_retain(&self, topic: &str) -> bool {
        let inner = self.lock();
        inner.retained.len() < self.max_retained || inner.retained.contains_key(topic)
    }

    /// How much it holds now.
    pub(crate) fn kept(&self) -> Kept {
        let inner = self.lock();
        Kept {
            subscriptions: inner
                .sessions
                .values()
                .map(|session| session.filters.len())
                .sum(),
            retained: inner.retained.len(),
        }
    }

    /// Sends a message to everyone who wants it, and keeps it if it is retained: whether there is room was asked when it came.
    pub(crate) fn publish(&self, message: &Message, from: Option<SessionId>) {
        let mut inner = self.lock();
        if message.retain {
            if message.payload.is_empty() {
                inner.retained.remove(&message.topic);
            } else {
                inner
                    .retained
                    .insert(Arc::clone(&message.topic), message.clone());
            }
        }
        for (id, options) in inner.subscriptions.find(&message.topic) {
            if options.no_local && from == Some(id) {
                continue;
            }
            if let Some(session) = inner.sessions.get(&id) {
                self.deliver(session, message, options);
            }
        }
    }

    fn deliver(&self, session: &Session, message: &Message, options: Options) {
        let qos = message.qos.min(options.qos);
        let size = message.payload.len();
        let waiting = session.waiting_bytes.load(Ordering::Relaxed);
        let fits = waiting == 0 || waiting + size <= self.queue_bytes;
        if fits && let Ok(place) = session.mailbox.try_reserve() {
            session.waiting_bytes.fetch_add(size, Ordering::Relaxed);
            place.send(Message {
                qos,
                retain: message.retain && options.retain_as_published,
                ..message.clone()
            });
        } else if qos == Qos::AtMostOnce {
            self.counters.refuse(Reason::DeliveryDropped);
        } else {
            session.evict.send_if_modified(|evicted| {
                let first = evicted.is_none();
                evicted.get_or_insert(Eviction::TooSlow);
                first
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held cannot leave a broken tree behind that matters more than a dead door.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether a user was ended after `asked`, as far as is remembered; what is forgotten may have been this one.
    fn was_ended(&self, user: Option<&Arc<str>>, asked: Ends) -> bool {
        let forgotten = self.ends.0 - self.ended.len() as u64;
        asked.0 < forgotten
            || self
                .ended
                .iter()
                .any(|(ends, ended)| *ends > asked && Some(ended) == user)
    }

    fn remove(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        for filter in session.filters.keys() {
            self.subscriptions.remove(filter, id);
        }
        if self.clients.get(&session.client_id) == Some(&id) {
            self.clients.remove(&session.client_id);
        }
    }
}
