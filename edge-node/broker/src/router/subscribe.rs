//! Subscribing and unsubscribing, and the retained values that a new subscription is sent.

use std::sync::Arc;

use super::{Router, Step, Work};
use crate::{
    acks::Reply,
    acl::Filter,
    codec::{Grant, Known},
    lasting::{Change, Options, RetainedAtSubscribe},
    message::SessionId,
    stats::Reason,
};

/// One filter that a client asks for.
#[derive(Debug)]
pub(crate) struct Asking {
    /// Its text, `$share/group/` included.
    pub(crate) text: Arc<str>,
    /// The filter itself.
    pub(crate) filter: Filter,
    pub(crate) options: Options,
}

/// Filters for which retained values are to be looked up.
#[derive(Debug)]
pub(crate) struct Looks {
    pub(super) session: SessionId,
    pub(super) filters: Vec<(Filter, Options)>,
}

impl Router {
    /// Subscribes a session; a filter it has already is replaced. Each filter comes with the door's own no, if there is one;
    /// `reply` is asked for the way back of the answer.
    pub(crate) fn subscribe(
        &self,
        id: SessionId,
        asked: Vec<Result<Asking, Grant>>,
        reply: impl FnOnce(Vec<Grant>) -> Reply,
    ) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(session) = inner.sessions.get_mut(&id) else {
            return;
        };
        let mut filters = Vec::new();
        let mut changes = Vec::new();
        let mut grants = Vec::new();
        let (.., retained) = session.mailbox.waiting();
        for asking in asked {
            let Asking {
                text,
                filter,
                options,
            } = match asking {
                Ok(asking) => asking,
                Err(grant) => {
                    grants.push(grant);
                    continue;
                }
            };
            let is_new = !session.filters.contains_key(&text);
            let too_many = is_new && session.filters.len() >= self.config.max_subscriptions;
            if too_many || retained > self.config.max_retained {
                self.counters.refuse(Reason::Quota);
                grants.push(Grant::Quota);
                continue;
            }
            session.filters.insert(Arc::clone(&text), options);
            inner.subscriptions.insert(&text, id, options);
            let is_shared = super::split_share(&text).0.is_some();
            if !is_shared && wants_retained(options, is_new) {
                filters.push((filter, options));
            }
            if session.expiry > 0 {
                changes.push(Change::Subscribed {
                    session: id.0,
                    filter: text,
                    options,
                });
            }
            grants.push(Grant::Qos(options.qos));
        }
        let looks = Looks {
            session: id,
            filters,
        };
        self.send(Step {
            verdict: (!changes.is_empty()).then(|| self.record(changes)),
            work: Work::Look(looks),
            reply: Some(reply(grants)),
            room: None,
        });
    }

    /// Ends subscriptions.
    pub(crate) fn unsubscribe(
        &self,
        id: SessionId,
        filters: Vec<Arc<str>>,
        reply: impl FnOnce(Vec<Known>) -> Reply,
    ) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(session) = inner.sessions.get_mut(&id) else {
            return;
        };
        let mut changes = Vec::new();
        let mut known = Vec::new();
        for filter in filters {
            if session.filters.remove(&filter).is_none() {
                known.push(Known::No);
                continue;
            }
            inner.subscriptions.remove(&filter, id);
            known.push(Known::Yes);
            if session.expiry > 0 {
                changes.push(Change::Unsubscribed {
                    session: id.0,
                    filter,
                });
            }
        }
        self.send(Step {
            verdict: (!changes.is_empty()).then(|| self.record(changes)),
            work: Work::Answer,
            reply: Some(reply(known)),
            room: None,
        });
    }
}

fn wants_retained(options: Options, is_new: bool) -> bool {
    match options.retained {
        RetainedAtSubscribe::Send => true,
        RetainedAtSubscribe::SendIfNew => is_new,
        RetainedAtSubscribe::Not => false,
    }
}
