//! A session's connections: how it gets one, how it loses it, and how it ends.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    time::{sleep_until, timeout},
};

use super::{
    Ends, Eviction, Inner, Link, Mailbox, Publication, Publisher, Router, Session, Unattached,
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

/// A client that wants a place.
pub(crate) struct Asked<'a> {
    pub(crate) client_id: &'a Arc<str>,
    pub(crate) user: Option<&'a Arc<str>>,
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

impl Router {
    /// Gives a client its place. A connection of the same client is ended first, and given `patience` to say its last.
    ///
    /// What comes with it resolves when the place is on disk, if it lasts.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        asked: Asked<'_>,
        patience: Duration,
    ) -> Result<(Attachment, Option<BoxFuture<'static, Result<(), Refused>>>), Unattached> {
        loop {
            let (publisher, number, evict) = {
                let mut inner = self.lock();
                if inner.ended.holds(asked.user, asked.since) {
                    return Err(Unattached::Ended);
                }
                let id = inner.clients.get(asked.client_id).copied();
                let session = id.and_then(|id| inner.sessions.get(&id));
                let link = session.and_then(|s| s.link.as_ref());
                let (Some(id), Some(session), Some(link)) = (id, session, link) else {
                    let (attachment, recorded, last_words) = self.enter(&mut inner, &asked);
                    drop(inner);
                    for (publisher, will) in last_words {
                        self.speak(&publisher, will);
                    }
                    return Ok((attachment, recorded));
                };
                if session.user.as_ref() != asked.user {
                    return Err(Unattached::InUse);
                }
                (session.publisher(id), link.number, link.evict.clone())
            };
            evict.send_replace(Some(Eviction::TakenOver));
            if timeout(patience, evict.closed()).await.is_err() {
                self.detach(&publisher, number, Leaving::default());
            }
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "what one locked step hands to the next"
    )]
    fn enter(
        self: &Arc<Self>,
        inner: &mut Inner,
        asked: &Asked<'_>,
    ) -> (
        Attachment,
        Option<BoxFuture<'static, Result<(), Refused>>>,
        Vec<(Publisher, Will)>,
    ) {
        let mut changes = Vec::new();
        let mut last_words = Vec::new();
        let known = inner.clients.get(asked.client_id).copied();
        let resumed = known.filter(|id| {
            let session = inner.sessions.get(id);
            session.is_some_and(|s| !asked.clean && s.user.as_ref() == asked.user && !s.is_over())
        });
        if let (Some(id), None) = (known, resumed) {
            last_words.extend(self.remove(inner, id, &mut changes));
        }
        let id = resumed.unwrap_or_else(|| {
            if asked.expiry > 0 {
                last_words.extend(self.make_room(inner, &mut changes));
            }
            inner.begin(asked)
        });
        inner.last_link += 1;
        let number = inner.last_link;
        let (evict, evicted) = watch::channel(None);
        let session = inner
            .sessions
            .get_mut(&id)
            .expect("it was found or made under this lock");
        session.link = Some(Link { number, evict });
        session.ends = None;
        session.left_at = None;
        session.will = None;
        session.expiry = asked.expiry;
        let lasts = asked.expiry > 0 || session.stored;
        session.stored |= lasts;
        let mailbox = Arc::clone(&session.mailbox);
        if lasts {
            changes.push(Change::Began {
                session: id.0,
                client_id: Arc::clone(asked.client_id),
                user: asked.user.cloned(),
                expiry_s: asked.expiry,
            });
        }
        self.hold_to(inner, id, asked.permit, &mut changes);
        let attachment = Attachment {
            publisher: Publisher {
                session: id,
                client_id: Arc::clone(asked.client_id),
                user: asked.user.cloned(),
            },
            mailbox,
            link: number,
            present: if resumed.is_some() {
                Known::Yes
            } else {
                Known::No
            },
            router: Arc::clone(self),
            evicted,
            leaving: Leaving::default(),
        };
        let recorded = (!changes.is_empty()).then(|| self.gate.record(changes));
        (attachment, recorded, last_words)
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

    /// Ends the session that has been away longest, if there are as many as may be.
    fn make_room(&self, inner: &mut Inner, changes: &mut Vec<Change>) -> Option<(Publisher, Will)> {
        let lasting = inner.sessions.iter().filter(|(_, s)| s.expiry > 0);
        if lasting.clone().count() < self.config.max_sessions {
            return None;
        }
        let away = lasting.filter_map(|(id, s)| Some((s.left_at?, *id)));
        let (_, longest) = away.min()?;
        self.counters.refuse(Reason::SessionDropped);
        self.remove(inner, longest, changes)
    }

    fn remove(
        &self,
        inner: &mut Inner,
        id: SessionId,
        changes: &mut Vec<Change>,
    ) -> Option<(Publisher, Will)> {
        if inner.sessions.get(&id).is_some_and(|s| s.stored) {
            changes.push(Change::Ended { session: id.0 });
        }
        inner.remove(id)
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
                let mut changes = Vec::new();
                self.remove(&mut inner, id, &mut changes);
                for change in changes {
                    self.gate.note(change);
                }
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
        self.gate.note(Change::Left {
            session: session.mailbox.id.0,
            expiry_s: session.expiry,
            sent_to: session.mailbox.rewind(),
        });
        self.alarm.notify_one();
    }

    /// Publishes a will.
    fn speak(&self, publisher: &Publisher, will: Will) {
        let publication = Publication {
            message: will.speak(),
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
        let mut last_words = Vec::new();
        let mut over = Vec::new();
        let mut next = now + ROUND;
        for (id, session) in &mut inner.sessions {
            if session.is_over() {
                over.push(*id);
                continue;
            }
            if let Some((_, will)) = session.will.take_if(|(at, _)| *at <= now) {
                last_words.push((session.publisher(*id), will));
            }
            let will_at = session.will.as_ref().map(|(at, _)| *at);
            for due in [session.ends, will_at].into_iter().flatten() {
                next = next.min(due);
            }
        }
        let mut changes = Vec::new();
        for id in over {
            last_words.extend(self.remove(&mut inner, id, &mut changes));
        }
        for change in changes {
            self.gate.note(change);
        }
        drop(inner);
        for (publisher, will) in last_words {
            self.speak(&publisher, will);
        }
        next
    }
}

/// Watches over delayed wills and the ends of sessions until the router has gone.
pub(crate) async fn keep_time(router: Weak<Router>) {
    let Some(alarm) = router.upgrade().map(|router| Arc::clone(&router.alarm)) else {
        return;
    };
    while let Some(next) = router.upgrade().map(|router| router.sweep()) {
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
            client_id: Arc::clone(&self.client_id),
            user: self.user.clone(),
        }
    }

    /// Whether its time is over.
    fn is_over(&self) -> bool {
        self.link.is_none() && self.ends.is_none_or(|at| at <= Instant::now())
    }
}

impl Inner {
    fn begin(&mut self, asked: &Asked<'_>) -> SessionId {
        self.last += 1;
        let id = SessionId(self.last);
        let session = Session {
            client_id: Arc::clone(asked.client_id),
            user: asked.user.cloned(),
            filters: std::collections::HashMap::new(),
            mailbox: Arc::new(Mailbox::new(id)),
            expiry: asked.expiry,
            stored: false,
            link: None,
            ends: None,
            left_at: None,
            will: None,
        };
        self.sessions.insert(id, session);
        self.clients.insert(Arc::clone(asked.client_id), id);
        id
    }
}
