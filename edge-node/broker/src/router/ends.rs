//! Whoever is not let in any more: connections that are ended, and log-ins that are under way meanwhile.

use std::{collections::VecDeque, sync::Arc};

use super::{Eviction, Router};

/// How many users have been ended so far; what a log-in remembers until it has its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Ends(u64);

/// The users ended last are remembered, so that a log-in that began before does not slip through.
const ENDED: usize = 256;

/// The users ended last.
#[derive(Debug, Default)]
pub(super) struct Ended {
    last: VecDeque<(Ends, Arc<str>)>,
    ends: Ends,
}

impl Ended {
    fn add(&mut self, user: &str) {
        self.ends.0 += 1;
        if self.last.len() == ENDED {
            self.last.pop_front();
        }
        self.last.push_back((self.ends, user.into()));
    }

    /// Whether a user was ended after `asked`, as far as is remembered; what is forgotten may have been this one.
    pub(super) fn holds(&self, user: Option<&Arc<str>>, asked: Ends) -> bool {
        let forgotten = self.ends.0 - self.last.len() as u64;
        asked.0 < forgotten
            || self
                .last
                .iter()
                .any(|(ends, ended)| *ends > asked && Some(ended) == user)
    }
}

impl Router {
    /// Ends every connection of a user, those included that logged in and have no place yet. Sessions that last stay, without
    /// the wills that were still to be published: who comes back is held to what it may do then.
    pub(crate) fn end(&self, user: &str) -> usize {
        let mut inner = self.lock();
        inner.ended.add(user);
        let mut connections = 0;
        for session in inner.sessions.values_mut() {
            if session.owner.user.as_deref() != Some(user) {
                continue;
            }
            session.will = None;
            if let Some(link) = &session.link {
                link.evict.send_replace(Some(Eviction::Ended));
                connections += 1;
            }
        }
        connections
    }

    /// What a log-in must remember from before it asks the gate.
    pub(crate) fn ends(&self) -> Ends {
        self.lock().ended.ends
    }
}
