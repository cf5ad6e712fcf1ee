//! Sessions, who wants what, and what each topic holds: subscriptions, fan-out and retained values.
//!
//! Publishes and changes of subscriptions have one order: that in which the gate is asked to store them. Who is to have a
//! message is settled when the gate is asked, so that a copy for each lasting session is stored in the same commit; what
//! it does in memory (retained values, queues, the answer to the client) is done in that order, when the gate has answered. So
//! memory and disk hold the same, and a new subscription misses no retained value and gets none twice.
//!
//! Invariants: a subscriber that does not read never makes a publisher wait; what waits for it, and for all, is bounded in
//! number and bytes; nothing that a client names (topic, filter, identifier) is kept after the last one who needs it has gone.

mod attach;
mod ends;
mod mailbox;
mod restore;
mod retained;
mod sequence;
mod subscribe;
mod tree;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use mqtt_proto::Pid;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, watch};

pub(crate) use self::{
    attach::{Asked, Attachment, Leaving, keep_time},
    ends::Ends,
    mailbox::{Delivery, Mailbox, Release, Stage, Turn},
    retained::Shelf,
    sequence::{Step, Work, run},
    subscribe::Asking,
    tree::split_share,
};
use self::{
    ends::Ended,
    mailbox::Limits,
    retained::{RetainedValues, Shelves},
    tree::{Fitness, Tree},
};
use crate::{
    acks::Reply,
    codec::properties_of,
    config::DoorConfig,
    gate::{Gate, Publish},
    lasting::{Addressee, Change, Letter, Options},
    message::{Held, Message, Qos, SessionId, Will},
    stats::{Counters, Kept, Reason},
};

/// Why the router ends a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Eviction {
    /// Another connection has the same client identifier.
    TakenOver,
    /// It did not keep up with what it subscribed to at QoS 1 or 2.
    TooSlow,
    /// Its user is not let in any more.
    Ended,
}

/// Why a client that the gate let in gets no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unattached {
    /// Its user has as many connections as it may.
    #[error(
        "this user is connected as often as it may be: end a connection, or give each device its own name and secret"
    )]
    TooMany,
    /// Its user was ended while it logged in.
    #[error("what this client may do changed while it logged in: connect again")]
    Ended,
}

/// Whose a session is. A client identifier belongs to its user: under another user it names somebody else, who neither finds nor
/// ends nor blocks the session.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Owner {
    pub(crate) user: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
}

/// Who publishes.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    pub(crate) session: SessionId,
    pub(crate) owner: Owner,
}

/// What is published, and how.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) message: Message,
    /// Its room among the retained values, if it is to be one.
    pub(crate) shelf: Option<Shelf>,
    pub(crate) dup: bool,
    pub(crate) will: bool,
    /// Its identifier, if it came at QoS 2.
    pub(crate) exact: Option<Pid>,
}

/// The state that connections share.
pub(crate) struct Router {
    inner: Mutex<Inner>,
    gate: Arc<dyn Gate>,
    counters: Arc<Counters>,
    steps: mpsc::UnboundedSender<Step>,
    /// Wakes whoever watches over delayed wills and the ends of sessions.
    alarm: Arc<Notify>,
    /// Bytes that all mailboxes hold.
    held: Arc<AtomicUsize>,
    limits: Limits,
    /// Room of retained values that wait for the gate.
    shelves: Arc<Shelves>,
    config: DoorConfig,
}

#[derive(Debug, Default)]
struct Inner {
    /// The last number given to a session or a letter.
    last: u64,
    last_link: u64,
    clients: HashMap<Owner, SessionId>,
    sessions: HashMap<SessionId, Session>,
    subscriptions: Tree,
    retained: RetainedValues,
    ended: Ended,
}

#[derive(Debug)]
struct Session {
    owner: Owner,
    filters: HashMap<Arc<str>, Options>,
    mailbox: Arc<Mailbox>,
    /// Seconds it lasts after its connection.
    expiry: u32,
    /// The store knows it.
    stored: bool,
    link: Option<Link>,
    /// When its last connection ended, if it is away.
    left_at: Option<Instant>,
    /// When it ends, if it is away.
    ends: Option<Instant>,
    /// What is said if the client does not come back in time.
    will: Option<(Instant, Will)>,
}

/// A session's connection.
#[derive(Debug)]
struct Link {
    number: u64,
    evict: watch::Sender<Option<Eviction>>,
}

/// For whom a message is.
#[derive(Debug)]
struct Target {
    session: SessionId,
    qos: Qos,
    retain: bool,
    ids: Vec<u32>,
    /// Chosen already if a store keeps the message for the session.
    pid: Option<Pid>,
}

/// A message whose order is settled.
#[derive(Debug)]
pub(crate) struct Post {
    message: Message,
    /// Its room among the retained values, until it stands there.
    shelf: Option<Shelf>,
    number: u64,
    targets: Vec<Target>,
    /// The publisher's mailbox and identifier, at QoS 2.
    exact: Option<(Arc<Mailbox>, Pid)>,
}

impl Router {
    /// Passes a publish to the gate, and on to subscribers once it is durable.
    pub(crate) fn publish(
        &self,
        publisher: &Publisher,
        publication: Publication,
        reply: Option<Reply>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        let Publication {
            message,
            shelf,
            dup,
            will,
            exact,
        } = publication;
        let mut inner = self.lock();
        let mut changes = Vec::new();
        let exact = exact.and_then(|pid| {
            let session = inner.sessions.get(&publisher.session)?;
            if session.expiry > 0 {
                changes.push(Change::Accepted {
                    session: publisher.session.0,
                    pid: pid.value(),
                });
            }
            Some((Arc::clone(&session.mailbox), pid))
        });
        let (number, targets) =
            self.address(&mut inner, &message, Some(publisher.session), &mut changes);
        // The order counts only where something is kept: other publishes do not wait for one another here.
        let ordered = (message.retain || !changes.is_empty()).then_some(inner);
        let verdict = self.accept(Publish {
            client_id: Arc::clone(&publisher.owner.client_id),
            user: publisher.owner.user.clone(),
            topic: Arc::clone(&message.topic),
            payload: message.payload.clone(),
            qos: message.qos,
            retain: message.retain,
            dup,
            will,
            properties: properties_of(&message),
            expiry_s: message.seconds_left(),
            changes,
        });
        self.send(Step {
            verdict: Some(verdict),
            work: Work::Post(Post {
                message,
                shelf,
                number,
                targets,
                exact,
            }),
            reply,
            room,
        });
        drop(ordered);
    }

    /// Passes on a message of the appliance itself.
    pub(crate) fn publish_own(&self, message: Message) {
        let mut inner = self.lock();
        let mut changes = Vec::new();
        let (number, targets) = self.address(&mut inner, &message, None, &mut changes);
        let verdict = (!changes.is_empty()).then(|| self.record(changes));
        self.send(Step {
            verdict,
            work: Work::Post(Post {
                message,
                shelf: None,
                number,
                targets,
                exact: None,
            }),
            reply: None,
            room: None,
        });
        drop(inner);
    }

    /// For whom a message is; with the letter for lasting sessions, if there are such, and its number.
    fn address(
        &self,
        inner: &mut Inner,
        message: &Message,
        from: Option<SessionId>,
        changes: &mut Vec<Change>,
    ) -> (u64, Vec<Target>) {
        let mut targets = inner.targets(message, from, self.config.in_flight.into());
        let mut addressees = Vec::new();
        for target in &mut targets {
            let Some(session) = inner.sessions.get(&target.session) else {
                continue;
            };
            if session.expiry == 0 || target.qos == Qos::AtMostOnce {
                continue;
            }
            let Some(pid) = session.mailbox.reserve() else {
                target.qos = Qos::AtMostOnce;
                self.counters.refuse(Reason::QueueOverflow);
                continue;
            };
            target.pid = Some(pid);
            addressees.push(Addressee {
                session: target.session.0,
                pid: pid.value(),
                qos: target.qos,
                retain: target.retain,
                ids: target.ids.clone(),
                received: false,
            });
        }
        if addressees.is_empty() {
            return (0, targets);
        }
        inner.last += 1;
        changes.push(Change::Posted(Letter {
            number: inner.last,
            topic: Arc::clone(&message.topic),
            payload: message.payload.clone(),
            properties: properties_of(message),
            expiry_s: message.seconds_left(),
            addressees,
        }));
        (inner.last, targets)
    }

    /// Notes that a client has a QoS 2 message; it is sent PUBREL once that is on disk.
    pub(crate) fn release(&self, mailbox: &Arc<Mailbox>, letter: u64, pid: Pid, reply: Reply) {
        let received = Change::Received {
            session: mailbox.id.0,
            letter,
            pid: pid.value(),
        };
        self.send(Step {
            verdict: Some(self.record(vec![received])),
            work: Work::Release(Arc::clone(mailbox), pid),
            reply: Some(reply),
            room: None,
        });
    }

    /// Notes that a lasting session has finished a QoS 2 publish; its client is told once that is on disk.
    pub(crate) fn finish(&self, session: SessionId, pid: Pid, reply: Reply) {
        let released = Change::Released {
            session: session.0,
            pid: pid.value(),
        };
        self.send(Step {
            verdict: Some(self.record(vec![released])),
            work: Work::Answer,
            reply: Some(reply),
            room: None,
        });
    }

    /// How much it holds now.
    pub(crate) fn kept(&self) -> Kept {
        let inner = self.lock();
        let sessions = inner.sessions.values();
        Kept {
            subscriptions: sessions.clone().map(|session| session.filters.len()).sum(),
            away: sessions.filter(|session| session.link.is_none()).count(),
            retained: inner.retained.count(),
            queued_bytes: self.held.load(Ordering::Relaxed),
        }
    }

    /// Sends a message to everyone for whom it is, and keeps it if it is retained: whether there is room was asked when it came.
    fn deliver(&self, post: Post) {
        let mut inner = self.lock();
        if post.message.retain {
            inner.retained.put(&post.message);
        }
        drop(post.shelf);
        if post.targets.is_empty() {
            return;
        }
        let held = Held::new(post.message, post.number, &self.held);
        for target in post.targets {
            if let Some(session) = inner.sessions.get(&target.session) {
                self.put(session, &held, target);
            }
        }
        drop(held);
        self.shed_if_too_much(&mut inner);
    }

    fn put(&self, session: &Session, held: &Arc<Held>, target: Target) {
        if target.qos == Qos::AtMostOnce && session.link.is_none() {
            return;
        }
        let mut delivery = Delivery {
            held: Arc::clone(held),
            qos: target.qos,
            pid: target.pid,
            retain: target.retain,
            ids: target.ids,
            dup: false,
            stage: Stage::Publish,
            from_retained: false,
        };
        while let Err(back) = session.mailbox.push(delivery, self.limits) {
            if back.qos == Qos::AtMostOnce {
                return self.counters.refuse(Reason::DeliveryDropped);
            }
            if session.expiry == 0 {
                return session.evict(Eviction::TooSlow);
            }
            match session.mailbox.drop_oldest() {
                Some(oldest) => self.lose(session, &oldest),
                None => return self.lose(session, &back),
            }
            delivery = back;
        }
    }

    /// Counts a message that a lasting session will not get.
    fn lose(&self, session: &Session, delivery: &Delivery) {
        self.counters.refuse(Reason::QueueOverflow);
        self.forget(session.mailbox.id, delivery);
    }

    /// Tells the store that a session needs a delivery no more.
    pub(crate) fn forget(&self, session: SessionId, delivery: &Delivery) {
        if let Some(pid) = delivery.pid
            && delivery.held.number > 0
        {
            self.note(Change::Done {
                session: session.0,
                letter: delivery.held.number,
                pid: pid.value(),
            });
        }
    }

    /// While all mailboxes together hold too much, the fullest give way.
    fn shed_if_too_much(&self, inner: &mut Inner) {
        for _ in 0..inner.sessions.len() {
            if self.held.load(Ordering::Relaxed) <= self.config.total_queue_bytes {
                return;
            }
            let fullest = inner.sessions.values().max_by_key(|s| s.mailbox.cost());
            let Some(session) = fullest.filter(|s| s.mailbox.cost() > 0) else {
                return;
            };
            self.shed(session);
        }
    }

    fn shed(&self, session: &Session) {
        let (_, messages, retained) = session.mailbox.waiting();
        if session.expiry == 0 {
            session.evict(Eviction::TooSlow);
            session.mailbox.keep_only(|_| false);
        } else if retained > messages {
            session.evict(Eviction::TooSlow);
            session.mailbox.keep_only(|d| !d.from_retained);
        } else {
            for _ in 0..messages.div_ceil(2) {
                if let Some(oldest) = session.mailbox.drop_oldest() {
                    self.lose(session, &oldest);
                }
            }
        }
    }

    /// Lets a step wait for its turn.
    pub(crate) fn send(&self, step: Step) {
        if self.steps.send(step).is_err() {
            tracing::error!("the MQTT door's order of publishes has ended: it must be restarted");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held cannot leave a broken tree behind that matters more than a dead door.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.alarm.notify_one();
    }
}

impl Session {
    fn evict(&self, why: Eviction) {
        if let Some(link) = &self.link {
            link.evict.send_if_modified(|evicted| {
                let first = evicted.is_none();
                evicted.get_or_insert(why);
                first
            });
        }
    }
}

impl Inner {
    /// Everyone for whom a message is: each once for all subscriptions of their own, and one of each group that shares.
    /// For whom more than `behind` messages wait is served after the others of a group.
    fn targets(&self, message: &Message, from: Option<SessionId>, behind: usize) -> Vec<Target> {
        let mut own: HashMap<SessionId, Target> = HashMap::new();
        let mut shared = Vec::new();
        for subscribers in self.subscriptions.matching(&message.topic) {
            for (id, options) in subscribers.own() {
                if options.no_local && from == Some(id) {
                    continue;
                }
                let new = Target::new(id, options, message);
                match own.get_mut(&id) {
                    Some(target) => target.merge(new),
                    None => drop(own.insert(id, new)),
                }
            }
            for group in subscribers.groups() {
                if let Some((id, options)) = group.choose(|id| self.fitness(id, behind)) {
                    shared.push(Target::new(id, options, message));
                }
            }
        }
        own.into_values().chain(shared).collect()
    }

    /// How fit a member of a group is to be served. If nobody is here, one whose session lasts will have the message.
    fn fitness(&self, id: SessionId, behind: usize) -> Fitness {
        match self.sessions.get(&id) {
            Some(session) if session.link.is_some() => {
                let (_, messages, _) = session.mailbox.waiting();
                if messages > behind {
                    Fitness::Behind
                } else {
                    Fitness::Ready
                }
            }
            _ => Fitness::Away,
        }
    }

    /// Removes a session; what was to be said if it ended is handed back.
    fn remove(&mut self, id: SessionId) -> Option<(Publisher, Will)> {
        let session = self.sessions.remove(&id)?;
        for filter in session.filters.keys() {
            self.subscriptions.remove(filter, id);
        }
        if self.clients.get(&session.owner) == Some(&id) {
            self.clients.remove(&session.owner);
        }
        let publisher = session.publisher(id);
        let (_, will) = session.will?;
        Some((publisher, will))
    }
}

impl Target {
    fn new(session: SessionId, options: Options, message: &Message) -> Self {
        Self {
            session,
            qos: message.qos.min(options.qos),
            retain: message.retain && options.retain_as_published,
            ids: options.id.into_iter().collect(),
            pid: None,
        }
    }

    fn merge(&mut self, other: Self) {
        self.qos = self.qos.max(other.qos);
        self.retain |= other.retain;
        self.ids.extend(other.ids);
    }
}
