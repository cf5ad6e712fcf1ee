//! Retained values: what each topic holds, and how much room there is for more.
//!
//! Invariant: room is taken when a publish comes and given back when it stands among the values or was refused, so that what
//! waits for the gate counts too.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Delivery, Eviction, Router, Stage, subscribe::Looks};
use crate::{
    acl::{Filter, Permit},
    message::{Held, Message},
};

/// What each topic holds.
#[derive(Debug, Default)]
pub(super) struct RetainedValues {
    values: BTreeMap<Arc<str>, Message>,
    bytes: usize,
}

impl RetainedValues {
    /// How many topics hold something.
    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    /// Keeps a message in place of the topic's older one; an empty payload leaves none.
    pub(super) fn put(&mut self, message: &Message) {
        let old = if message.payload.is_empty() {
            self.values.remove(&message.topic)
        } else {
            self.bytes += message.size();
            self.values
                .insert(Arc::clone(&message.topic), message.clone())
        };
        self.bytes -= old.map_or(0, |old| old.size());
    }

    /// The values of the topics that a filter names.
    fn matching<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Message> {
        let prefix = filter.prefix();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let candidates = self.values.range::<str, _>(from);
        candidates
            .take_while(move |(topic, _)| topic.starts_with(prefix))
            .map(|(_, message)| message)
            .filter(|message| filter.matches(&message.topic))
    }

    /// How many values, and bytes, stand on the topics that somebody may publish to.
    fn within_reach(&self, permit: &Permit) -> (usize, usize) {
        let filters = permit.publish.iter().enumerate();
        let within = filters.flat_map(|(i, filter)| {
            let earlier = &permit.publish[..i];
            let values = self.matching(filter);
            values.filter(move |m| !earlier.iter().any(|f| f.matches(&m.topic)))
        });
        within.fold((0, 0), |(count, bytes), message| {
            (count + 1, bytes + message.size())
        })
    }

    fn drop_expired(&mut self) {
        let mut gone = 0;
        self.values.retain(|_, message| {
            let stays = !message.is_expired();
            if !stays {
                gone += message.size();
            }
            stays
        });
        self.bytes -= gone;
    }
}

/// Room that is taken by what waits for the gate.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    topics: AtomicUsize,
    bytes: AtomicUsize,
}

/// Room for one retained value, until this is dropped.
#[derive(Debug)]
pub(crate) struct Shelf {
    all: Arc<Shelves>,
    /// 1 if the topic holds nothing yet.
    topics: usize,
    bytes: usize,
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.all.topics.fetch_sub(self.topics, Ordering::Relaxed);
        self.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// No value more can be retained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no room for one more retained value: clear some with an empty retained message")]
pub(crate) struct Full;

impl Router {
    /// Room for a message among the retained values, if it is to be one; `permit` is that of whoever publishes it.
    pub(crate) fn shelf_for(
        &self,
        message: &Message,
        permit: Option<&Permit>,
    ) -> Result<Option<Shelf>, Full> {
        if !message.retain || message.payload.is_empty() {
            return Ok(None);
        }
        let mut inner = self.lock();
        let has_room = |values: &RetainedValues| self.has_room(values, message, permit);
        if !has_room(&inner.retained) {
            inner.retained.drop_expired();
            if !has_room(&inner.retained) {
                return Err(Full);
            }
        }
        let is_new = !inner.retained.values.contains_key(&message.topic);
        let shelf = Shelf {
            all: Arc::clone(&self.shelves),
            topics: usize::from(is_new),
            bytes: message.size(),
        };
        shelf.all.topics.fetch_add(shelf.topics, Ordering::Relaxed);
        shelf.all.bytes.fetch_add(shelf.bytes, Ordering::Relaxed);
        Ok(Some(shelf))
    }

    fn has_room(
        &self,
        values: &RetainedValues,
        message: &Message,
        permit: Option<&Permit>,
    ) -> bool {
        let known = values.values.get(&message.topic).map(Message::size);
        let new = usize::from(known.is_none());
        let more = message.size().saturating_sub(known.unwrap_or(0));
        let waiting = self.shelves.topics.load(Ordering::Relaxed);
        let waiting_bytes = self.shelves.bytes.load(Ordering::Relaxed);
        let fits = values.count() + waiting + new <= self.config.max_retained
            && values.bytes + waiting_bytes + more <= self.config.max_retained_bytes;
        let own = permit.and_then(|permit| Some((permit, permit.max_retained?)));
        fits && own.is_none_or(|(permit, most)| {
            let (count, bytes) = values.within_reach(permit);
            count + new <= most.values && bytes + more <= most.bytes
        })
    }

    /// Puts the retained values that match new subscriptions into their session's mailbox. Subscriptions overlap, and each is
    /// owed its values: who asks for far more than there are topics is sent away.
    pub(super) fn look(&self, looks: &Looks) {
        if looks.filters.is_empty() {
            return;
        }
        let mut inner = self.lock();
        inner.retained.drop_expired();
        let Some(session) = inner.sessions.get(&looks.session) else {
            return;
        };
        let (.., waiting) = session.mailbox.waiting();
        let mut room = (2 * self.config.max_retained).saturating_sub(waiting);
        let wanted = looks.filters.iter().flat_map(|(filter, options)| {
            let values = inner.retained.matching(filter);
            values.map(move |message| (message, options))
        });
        for (message, options) in wanted {
            if room == 0 {
                session.evict(Eviction::TooSlow);
                break;
            }
            room -= 1;
            let delivery = Delivery {
                qos: message.qos.min(options.qos),
                held: Held::retained(message.clone(), &self.held),
                pid: None,
                retain: true,
                ids: options.id.into_iter().collect(),
                dup: false,
                stage: Stage::Publish,
                from_retained: true,
            };
            // The room for retained values is counted here alone.
            let _ = session.mailbox.push(delivery, self.limits);
        }
        self.shed_if_too_much(&mut inner);
    }
}
