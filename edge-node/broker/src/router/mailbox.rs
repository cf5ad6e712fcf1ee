//! What one session is still to be sent, what it has been sent and not acknowledged, and what it has published at QoS 2.
//!
//! It outlives the connection if the session does. Invariants: a packet identifier is taken from when a delivery enters until the
//! client's last word on it; deliveries are sent, and sent again, in the order in which they entered.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mqtt_proto::Pid;
use tokio::sync::Notify;

use crate::{
    codec::{Known, Taken},
    message::{Held, Qos, REFERENCE, SessionId},
};

/// Identifiers that may be reserved: the rest of the 65,535 is left to what waits and is in flight.
const MAX_TAKEN: usize = 50_000;

/// A message for one session.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) held: Arc<Held>,
    pub(crate) qos: Qos,
    /// None at QoS 0, and for a retained value that has not been sent.
    pub(crate) pid: Option<Pid>,
    pub(crate) retain: bool,
    pub(crate) ids: Vec<u32>,
    pub(crate) dup: bool,
    pub(crate) stage: Stage,
    /// It answers a subscription with a retained value.
    pub(crate) from_retained: bool,
}

/// What the client is sent of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// The message.
    Publish,
    /// PUBREL, once it is on disk that the client has the message.
    Releasing,
    /// PUBREL.
    Release,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// How far a publish of the client at QoS 2 has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exact {
    /// It waits for the gate, and its answer goes to this connection.
    Accepting(u64),
    /// It is durable.
    Durable,
}

/// What became of a publish of the client at QoS 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is on disk.
    Durable,
    /// It is not, and means nothing any more.
    Refused,
}

/// What to do with a QoS 2 publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// It is new.
    First,
    /// It is known, and its answer is on the way.
    Waits,
    /// It is known, and is to be answered in its turn.
    Again,
    /// There are too many that the client has not finished.
    TooMany,
}

/// What a PUBREC is answered with.
#[derive(Debug)]
pub(crate) enum Release {
    /// PUBREL, once it is on disk that the client has this letter.
    Record(u64),
    /// PUBREL at once.
    Now,
    /// Nothing: the answer is on the way.
    Waits,
    /// PUBREL for something that the door does not know.
    Unknown,
    /// Nothing: the client refuses the message.
    Refused(Delivery),
}

/// A session's deliveries.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) id: SessionId,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Delivery>,
    flight: VecDeque<Delivery>,
    taken: HashSet<Pid>,
    last: Pid,
    /// Of what waits.
    bytes: usize,
    /// Retained values among what waits: their number is bounded by that of the retained topics.
    retained: usize,
    exact: HashMap<Pid, Exact>,
}

impl Mailbox {
    pub(crate) fn new(id: SessionId) -> Self {
        Self {
            id,
            state: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Waits until something has been put in.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Takes a free packet identifier, unless far too many are in use.
    pub(crate) fn reserve(&self) -> Option<Pid> {
        let mut state = self.lock();
        (state.taken.len() < MAX_TAKEN).then(|| state.next_pid())
    }

    /// Gives an identifier back that was not used.
    pub(crate) fn free(&self, pid: Pid) {
        self.lock().taken.remove(&pid);
    }

    /// Puts a delivery in, or hands it back if there is no room.
    pub(crate) fn push(&self, mut delivery: Delivery, limits: Limits) -> Result<(), Delivery> {
        let mut state = self.lock();
        let size = delivery.held.size();
        let waiting = state.waiting.len() - state.retained;
        let fits = state.bytes == 0 || state.bytes + size <= limits.bytes;
        if !delivery.from_retained && (waiting >= limits.count || !fits) {
            return Err(delivery);
        }
        if delivery.qos != Qos::AtMostOnce && delivery.pid.is_none() && !delivery.from_retained {
            delivery.pid = Some(state.next_pid());
        }
        state.enter(delivery);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Puts in what a store has kept of an earlier run.
    pub(crate) fn restore(&self, delivery: Delivery) {
        let mut state = self.lock();
        state.taken.extend(delivery.pid);
        state.enter(delivery);
    }

    /// Removes the oldest message that has not been sent.
    pub(crate) fn drop_oldest(&self) -> Option<Delivery> {
        let mut state = self.lock();
        let fresh = |d: &Delivery| !d.dup && d.stage == Stage::Publish && !d.from_retained;
        let oldest = state.waiting.iter().position(fresh)?;
        let delivery = state.waiting.remove(oldest)?;
        state.forget(&delivery);
        Some(delivery)
    }

    /// How many bytes, and how many messages and retained values wait.
    pub(crate) fn waiting(&self) -> (usize, usize, usize) {
        let state = self.lock();
        let messages = state.waiting.len() - state.retained;
        (state.bytes, messages, state.retained)
    }

    /// What waits costs so many bytes of what all mailboxes may hold.
    pub(crate) fn cost(&self) -> usize {
        let (bytes, _, retained) = self.waiting();
        bytes + retained * REFERENCE
    }

    /// The next delivery to be sent, if the client may be sent one with `max_in_flight` unacknowledged; it is in flight from now.
    pub(crate) fn take(&self, max_in_flight: usize) -> Option<Delivery> {
        let mut state = self.lock();
        let next = state.waiting.front()?;
        let may_go = match next.stage {
            Stage::Publish => next.qos == Qos::AtMostOnce || state.flight.len() < max_in_flight,
            Stage::Releasing => false,
            Stage::Release => true,
        };
        if !may_go {
            return None;
        }
        let mut delivery = state.leave()?;
        if delivery.qos != Qos::AtMostOnce {
            if delivery.pid.is_none() {
                delivery.pid = Some(state.next_pid());
            }
            state.flight.push_back(delivery.clone());
        }
        Some(delivery)
    }

    /// Removes what the client has acknowledged, or will not be sent after all.
    pub(crate) fn done(&self, pid: Pid) -> Option<Delivery> {
        let mut state = self.lock();
        let at = state.flight.iter().position(|d| d.pid == Some(pid))?;
        let delivery = state.flight.remove(at)?;
        state.taken.remove(&pid);
        drop(state);
        self.wake.notify_one();
        Some(delivery)
    }

    /// Takes a PUBACK.
    pub(crate) fn acknowledged(&self, pid: Pid) -> Option<Delivery> {
        let simple = {
            let state = self.lock();
            let known = state.flight.iter().find(|d| d.pid == Some(pid));
            known.is_some_and(|d| d.qos == Qos::AtLeastOnce)
        };
        simple.then(|| self.done(pid)).flatten()
    }

    /// Takes a PUBREC.
    pub(crate) fn received(&self, pid: Pid, taken: Taken) -> Release {
        let mut state = self.lock();
        let known = state.flight.iter_mut().find(|d| d.pid == Some(pid));
        let Some(delivery) = known.filter(|d| d.qos == Qos::ExactlyOnce) else {
            return Release::Unknown;
        };
        let letter = delivery.held.number;
        if taken == Taken::No {
            drop(state);
            return self.done(pid).map_or(Release::Unknown, Release::Refused);
        }
        match delivery.stage {
            Stage::Releasing => Release::Waits,
            Stage::Release => Release::Now,
            Stage::Publish if letter == 0 => {
                delivery.stage = Stage::Release;
                Release::Now
            }
            Stage::Publish => {
                delivery.stage = Stage::Releasing;
                Release::Record(letter)
            }
        }
    }

    /// Notes that it is on disk that the client has a message.
    pub(crate) fn may_release(&self, pid: Pid) {
        let mut state = self.lock();
        let state = &mut *state;
        let mut all = state.flight.iter_mut().chain(&mut state.waiting);
        if let Some(delivery) = all.find(|d| d.pid == Some(pid)) {
            delivery.stage = Stage::Release;
        }
        self.wake.notify_one();
    }

    /// After the connection: what is in flight waits again, in order, and QoS 0 is forgotten. Returns the number of the newest
    /// letter that was sent.
    pub(crate) fn rewind(&self) -> u64 {
        let mut state = self.lock();
        let sent_to = state.flight.iter().map(|d| d.held.number).max();
        while let Some(mut delivery) = state.flight.pop_back() {
            delivery.dup = true;
            state.bytes += delivery.held.size();
            state.retained += usize::from(delivery.from_retained);
            state.waiting.push_front(delivery);
        }
        let (bytes, retained) = (state.bytes, state.retained);
        let mut gone = (0, 0);
        state.waiting.retain(|d| {
            let stays = d.qos != Qos::AtMostOnce;
            if !stays {
                gone.0 += d.held.size();
                gone.1 += usize::from(d.from_retained);
            }
            stays
        });
        state.bytes = bytes - gone.0;
        state.retained = retained - gone.1;
        sent_to.unwrap_or(0)
    }

    /// Removes what waits and is not wanted.
    pub(crate) fn keep_only(&self, wanted: impl Fn(&Delivery) -> bool) -> Vec<Delivery> {
        let mut state = self.lock();
        let mut gone = Vec::new();
        for _ in 0..state.waiting.len() {
            let Some(delivery) = state.waiting.pop_front() else {
                break;
            };
            if wanted(&delivery) {
                state.waiting.push_back(delivery);
            } else {
                state.forget(&delivery);
                gone.push(delivery);
            }
        }
        gone
    }

    /// Notes a QoS 2 publish that came over connection `link`; at most `max` may be open.
    pub(crate) fn begin_exact(&self, pid: Pid, link: u64, max: usize) -> Turn {
        let mut state = self.lock();
        match state.exact.get(&pid) {
            Some(Exact::Accepting(same)) if *same == link => Turn::Waits,
            Some(_) => Turn::Again,
            None if state.exact.len() >= max => Turn::TooMany,
            None => {
                state.exact.insert(pid, Exact::Accepting(link));
                Turn::First
            }
        }
    }

    /// Notes how a QoS 2 publish ended.
    pub(crate) fn end_exact(&self, pid: Pid, fate: Fate) {
        let mut state = self.lock();
        match fate {
            Fate::Durable => state.exact.insert(pid, Exact::Durable),
            Fate::Refused => state.exact.remove(&pid),
        };
    }

    /// Whether a QoS 2 publish is durable and not finished.
    pub(crate) fn is_exact(&self, pid: Pid) -> bool {
        self.lock().exact.get(&pid) == Some(&Exact::Durable)
    }

    /// Takes a PUBREL: the identifier is free again. Whether it was known.
    pub(crate) fn finish_exact(&self, pid: Pid) -> Known {
        let mut state = self.lock();
        if state.exact.get(&pid) != Some(&Exact::Durable) {
            return Known::No;
        }
        state.exact.remove(&pid);
        Known::Yes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, delivery: Delivery) {
        self.bytes += delivery.held.size();
        self.retained += usize::from(delivery.from_retained);
        self.waiting.push_back(delivery);
    }

    fn leave(&mut self) -> Option<Delivery> {
        let delivery = self.waiting.pop_front()?;
        self.bytes -= delivery.held.size();
        self.retained -= usize::from(delivery.from_retained);
        Some(delivery)
    }

    fn forget(&mut self, delivery: &Delivery) {
        self.bytes -= delivery.held.size();
        self.retained -= usize::from(delivery.from_retained);
        if let Some(pid) = delivery.pid {
            self.taken.remove(&pid);
        }
    }

    fn next_pid(&mut self) -> Pid {
        // Ends: what is reserved, waits and is in flight is bounded below the 65,535 identifiers.
        loop {
            self.last += 1;
            if self.taken.insert(self.last) {
                return self.last;
            }
        }
    }
}
