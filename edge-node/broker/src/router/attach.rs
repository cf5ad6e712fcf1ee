//! A session's connections: how it gets one, how it loses it, and how it ends.

use std::{
    cmp::Reverse,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::{sleep_until, timeout},
};

use super::{
    Ends, Eviction, Inner, Link, Mailbox, Owner, Publication, Publisher, Router, Session,
    Unattached, retained::Full,
};
use crate::{
    acl::{Filter, Permit},
    codec::Known,
    gate::{BoxFuture, Refused},
    lasting::Change,
    message::{SessionId, Will, in_seconds},
    stats::Reason,
};

/// How long the watch over sessions sleeps at most.
const ROUND: Duration = Duration::from_secs(3_600);
/// How long it waits after a look that failed.
const BREATH: Duration = Duration::from_secs(60);

/// A client that wants a place.
pub(crate) struct Asked<'a> {
    pub(crate) owner: &'a Owner,
    /// It does not want the session that it left.
    pub(crate) clean: bool,
    /// Seconds that its session is to last after the connection.
    pub(crate) expiry: u32,
    pub(crate) permit: &'a Permit,
    /// From before the gate was asked: it gets no place if its user was ended since.
    pub(crate) since: Ends,
}

/// A connection's place in the router.
pub(crate) struct Attachment {
    pub(crate) publisher: Publisher,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Its number among all connections.
    pub(crate) link: u64,
    /// Whether the client finds the session that it left.
    pub(crate) present: Known,
    router: Arc<Router>,
    evicted: watch::Receiver<Option<Eviction>>,
    leaving: Leaving,
}

/// What is to be done when a connection ends.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Seconds that the session is to last after all.
    pub(crate) expiry: Option<u32>,
    pub(crate) will: Option<Will>,
}

impl Attachment {
    /// Waits until the router ends the connection.
    pub(crate) async fn evicted(&mut self) -> Eviction {
        let why = self.evicted.wait_for(Option::is_some).await;
        why.ok().and_then(|why| *why).unwrap_or(Eviction::TakenOver)
    }

    /// Gives the place back.
    pub(crate) fn leave(mut self, leaving: Leaving) {
        self.leaving = leaving;
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let leaving = std::mem::take(&mut self.leaving);
        self.router.detach(&self.publisher, self.link, leaving);
    }
}

/// When the beginning of a session that lasts is on disk; none if it does not last.
type Recorded = Option<BoxFuture<'static, Result<(), Refused>>>;

/// What a step under the lock leaves to be done: changes to be stored, and wills of sessions that ended, to be published when
/// the lock is free.
#[derive(Default)]
struct Effects {
    changes: Vec<Change>,
    last_words: Vec<(Publisher, Will)>,
}

impl Router {
    /// Gives a client its place. A connection of the same client is ended first, and given `patience` to say its last.
    ///
    /// What comes with it resolves when the place is on disk, if it lasts.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        asked: Asked<'_>,
        patience: Duration,
    ) -> Result<(Attachment, Recorded), Unattached> {
        loop {
            let (publisher, number, evict) = {
                let mut inner = self.lock();
                if inner.ended.holds(asked.owner.user.as_ref(), asked.since) {
                    return Err(Unattached::Ended);
                }
                let Some(older) = inner.connection_of(asked.owner) else {
                    let mut effects = Effects::default();
                    let attachment = self.enter(&mut inner, &asked, &mut effects);
                    let Effects {
                        changes,
                        last_words,
                    } = effects;
                    let recorded = (!changes.is_empty()).then(|| self.record(changes));
                    drop(inner);
                    self.speak_all(last_words);
                    return Ok((attachment?, recorded));
                };
                older
            };
            evict.send_replace(Some(Eviction::TakenOver));
            if timeout(patience, evict.closed()).await.is_err() {
                self.detach(&publisher, number, Leaving::default());
            }
        }
    }

    /// Gives a client that has no connection its session, and the session this connection.
    fn enter(
        self: &Arc<Self>,
        inner: &mut Inner,
        asked: &Asked<'_>,
        effects: &mut Effects,
    ) -> Result<Attachment, Unattached> {
        let (id, present) = match self.resume(inner, asked, effects) {
            Some(id) => (id, Known::Yes),
            None => {
                self.make_room(inner, asked, effects)?;
                (inner.begin(asked), Known::No)
            }
        };
        inner.last_link += 1;
        let number = inner.last_link;
        let (evict, evicted) = watch::channel(None);
        let session = inner
            .sessions
            .get_mut(&id)
            .expect("it was found or made under this lock");
        session.connect(Link { number, evict }, asked.expiry);
        let mailbox = Arc::clone(&session.mailbox);
        if session.stored {
            effects.changes.push(Change::Began {
                session: id.0,
                client_id: Arc::clone(&asked.owner.client_id),
                user: asked.owner.user.clone(),
                expiry_s: asked.expiry,
            });
        }
        self.hold_to(inner, id, asked.permit, &mut effects.changes);
        Ok(Attachment {
            publisher: Publisher {
                session: id,
                owner: asked.owner.clone(),
            },
            mailbox,
            link: number,
            present,
            router: Arc::clone(self),
            evicted,
            leaving: Leaving::default(),
        })
    }

    /// The session that a client left, if it wants it back and may have it. One that it does not want ends.
    fn resume(
        &self,
        inner: &mut Inner,
        asked: &Asked<'_>,
        effects: &mut Effects,
    ) -> Option<SessionId> {
        let id = inner.clients.get(asked.owner).copied()?;
        let session = inner.sessions.get(&id);
        if !asked.clean && session.is_some_and(|s| !s.is_over()) {
            return Some(id);
        }
        self.remove(inner, id, effects);
        None
    }

    /// Takes from a session what its client may not hear any more.
    fn hold_to(
        &self,
        inner: &mut Inner,
        id: SessionId,
        permit: &Permit,
        changes: &mut Vec<Change>,
    ) {
        let Some(session) = inner.sessions.get_mut(&id) else {
            return;
        };
        let denied = |text: &str| {
            let filter = super::split_share(text).1.parse::<Filter>();
            !filter.is_ok_and(|filter| permit.may_subscribe(&filter))
        };
        let gone: Vec<_> = session
            .filters
            .keys()
            .filter(|f| denied(f))
            .cloned()
            .collect();
        for filter in gone {
            session.filters.remove(&filter);
            inner.subscriptions.remove(&filter, id);
            changes.push(Change::Unsubscribed {
                session: id.0,
                filter,
            });
        }
        let may_hear = |topic: &str| permit.may_hear(topic);
        for delivery in session
            .mailbox
            .keep_only(|d| may_hear(&d.held.message.topic))
        {
            self.forget(id, &delivery);
        }
    }

    /// Makes room for one more session. Where its user has as many as it may, the one of them that has been away longest
    /// ends. Where as many last as may, the user with the most of them gives one way by the same rule: so nobody ends the
    /// sessions of others by beginning many.
    fn make_room(
        &self,
        inner: &mut Inner,
        asked: &Asked<'_>,
        effects: &mut Effects,
    ) -> Result<(), Unattached> {
        if let Some(most) = asked.permit.max_sessions {
            let user = asked.owner.user.as_ref();
            let all = inner.sessions.iter();
            let own = all.filter(|(_, s)| s.owner.user.as_ref() == user);
            if own.clone().count() >= most {
                let away = own.filter_map(|(id, s)| Some((s.left_at?, *id)));
                let (_, longest) = away.min().ok_or(Unattached::TooMany)?;
                self.drop_session(inner, longest, effects);
            }
        }
        if asked.expiry == 0 {
            return Ok(());
        }
        let lasting = inner.sessions.iter().filter(|(_, s)| s.expiry > 0);
        let mut of_user: HashMap<_, usize> = HashMap::new();
        for (_, session) in lasting.clone() {
            *of_user.entry(&session.owner.user).or_default() += 1;
        }
        if of_user.values().sum::<usize>() < self.config.max_sessions {
            return Ok(());
        }
        let away =
            lasting.filter_map(|(id, s)| Some((Reverse(of_user[&s.owner.user]), s.left_at?, *id)));
        if let Some((.., gives_way)) = away.min() {
            self.drop_session(inner, gives_way, effects);
        }
        Ok(())
    }

    /// Ends a session that has no room any more.
    fn drop_session(&self, inner: &mut Inner, id: SessionId, effects: &mut Effects) {
        self.counters.refuse(Reason::SessionDropped);
        self.remove(inner, id, effects);
    }

    fn remove(&self, inner: &mut Inner, id: SessionId, effects: &mut Effects) {
        if inner.sessions.get(&id).is_some_and(|s| s.stored) {
            effects.changes.push(Change::Ended { session: id.0 });
        }
        effects.last_words.extend(inner.remove(id));
    }

    /// Ends a connection of a session, and the session with it if it does not last.
    fn detach(&self, publisher: &Publisher, link: u64, leaving: Leaving) {
        let Leaving { expiry, mut will } = leaving;
        let id = publisher.session;
        let mut inner = self.lock();
        let current = inner.sessions.get_mut(&id);
        // If another connection has the session by now, only the last word of this one is left to do.
        if let Some(session) = current.filter(|s| s.link.as_ref().is_some_and(|l| l.number == link))
        {
            session.link = None;
            if let Some(expiry) = expiry {
                session.expiry = expiry.min(self.config.max_session_expiry);
            }
            if session.expiry > 0 {
                self.go_away(session, &mut will);
            } else {
                let mut effects = Effects::default();
                self.remove(&mut inner, id, &mut effects);
                self.note_all(effects.changes);
            }
        }
        drop(inner);
        if let Some(will) = will {
            self.speak(publisher, will);
        }
    }

    fn go_away(&self, session: &mut Session, will: &mut Option<Will>) {
        session.left_at = Some(Instant::now());
        session.ends = Some(in_seconds(session.expiry));
        let delay = will.as_ref().map_or(0, |will| will.delay);
        if delay > 0 {
            let delay = delay.min(session.expiry);
            session.will = will.take().map(|will| (in_seconds(delay), will));
        }
        self.note(Change::Left {
            session: session.mailbox.id.0,
            expiry_s: session.expiry,
            sent_to: session.mailbox.rewind(),
        });
        self.alarm.notify_one();
    }

    fn speak_all(&self, last_words: Vec<(Publisher, Will)>) {
        for (publisher, will) in last_words {
            self.speak(&publisher, will);
        }
    }

    /// Publishes a will. What was said at the log-in about room to retain it may not be true any more: then it is only passed on.
    fn speak(&self, publisher: &Publisher, will: Will) {
        let mut message = will.speak();
        let shelf = self.shelf_for(&message, None).unwrap_or_else(|Full| {
            self.counters.refuse(Reason::Quota);
            message.retain = false;
            None
        });
        let publication = Publication {
            message,
            shelf,
            dup: false,
            will: true,
            exact: None,
        };
        self.publish(publisher, publication, None, None);
    }

    /// Publishes wills whose delay is over, and ends sessions whose time is over; says when to look again.
    fn sweep(&self) -> Instant {
        let now = Instant::now();
        let mut inner = self.lock();
        let mut effects = Effects::default();
        let mut over = Vec::new();
        let mut next = now + ROUND;
        for (id, session) in &mut inner.sessions {
            if session.is_over() {
                over.push(*id);
                continue;
            }
            if let Some((_, will)) = session.will.take_if(|(at, _)| *at <= now) {
                let last_word = (session.publisher(*id), will);
                effects.last_words.push(last_word);
            }
            let will_at = session.will.as_ref().map(|(at, _)| *at);
            for due in [session.ends, will_at].into_iter().flatten() {
                next = next.min(due);
            }
        }
        for id in over {
            self.remove(&mut inner, id, &mut effects);
        }
        self.note_all(effects.changes);
        drop(inner);
        self.speak_all(effects.last_words);
        next
    }
}

/// Watches over delayed wills and the ends of sessions until the router has gone.
pub(crate) async fn keep_time(router: Weak<Router>) {
    let Some(alarm) = router.upgrade().map(|router| Arc::clone(&router.alarm)) else {
        return;
    };
    while let Some(router) = router.upgrade() {
        // A defect may cost one look, not all that would come after it.
        let look = catch_unwind(AssertUnwindSafe(|| router.sweep()));
        let next = look.unwrap_or_else(|_| {
            tracing::error!(
                "a look at the ends of MQTT sessions panicked: the next is in a minute"
            );
            Instant::now() + BREATH
        });
        drop(router);
        wait(&alarm, next).await;
    }
}

async fn wait(alarm: &Notify, next: Instant) {
    tokio::select! {
        () = alarm.notified() => {}
        () = sleep_until(next.into()) => {}
    }
}

impl Session {
    pub(super) fn publisher(&self, id: SessionId) -> Publisher {
        Publisher {
            session: id,
            owner: self.owner.clone(),
        }
    }

    /// Gives it a connection; it lasts for `expiry` seconds after that.
    fn connect(&mut self, link: Link, expiry: u32) {
        self.link = Some(link);
        self.ends = None;
        self.left_at = None;
        self.will = None;
        self.expiry = expiry;
        self.stored |= expiry > 0;
    }

    /// Whether its time is over.
    fn is_over(&self) -> bool {
        self.link.is_none() && self.ends.is_none_or(|at| at <= Instant::now())
    }
}

impl Inner {
    /// The connection that a client has already.
    fn connection_of(
        &self,
        owner: &Owner,
    ) -> Option<(Publisher, u64, watch::Sender<Option<Eviction>>)> {
        let id = *self.clients.get(owner)?;
        let session = self.sessions.get(&id)?;
        let link = session.link.as_ref()?;
        Some((session.publisher(id), link.number, link.evict.clone()))
    }

    fn begin(&mut self, asked: &Asked<'_>) -> SessionId {
        self.last += 1;
        let id = SessionId(self.last);
        let session = Session {
            owner: asked.owner.clone(),
            filters: HashMap::new(),
            mailbox: Arc::new(Mailbox::new(id)),
            expiry: asked.expiry,
            stored: false,
            link: None,
            ends: None,
            left_at: None,
            will: None,
        };
        self.sessions.insert(id, session);
        self.clients.insert(asked.owner.clone(), id);
        id
    }
}
