//! What a client is owed: an answer to each packet that changes something, in the order in which they came.
//!
//! The router sends the answers, in that order, once what they stand for is durable. Here is counted what waits, so that a client
//! is not listened to beyond its window.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mqtt_proto::Pid;
use tokio::sync::Notify;

use crate::{
    codec::{Grant, Known, Negative},
    gate::Refused,
};

/// The answer that a packet calls for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Owed {
    /// None: a publish at QoS 0.
    Nothing,
    /// To a publish at QoS 1.
    Puback(Pid),
    /// To a publish at QoS 2.
    Pubrec(Pid),
    /// To a PUBREL, for a publish that was known or not.
    Pubcomp(Pid, Known),
    /// To a PUBREC.
    Pubrel(Pid),
    /// To a SUBSCRIBE.
    Suback(Pid, Vec<Grant>),
    /// To an UNSUBSCRIBE.
    Unsuback(Pid, Vec<Known>),
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is durable.
    Durable,
    /// The door denied it, with this answer.
    Denied(Negative),
    /// The gate refused it.
    Refused(Refused),
}

/// A packet whose turn has come.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) owed: Owed,
    pub(crate) outcome: Outcome,
    pub(crate) size: usize,
}

/// Packets of one connection whose turn has come. A connection that waits for nothing holds no room for them.
#[derive(Debug, Default)]
struct Answers {
    queue: Mutex<VecDeque<Settled>>,
    wake: Notify,
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Settled>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the answer to one packet goes.
#[derive(Debug)]
pub(crate) struct Reply {
    to: Arc<Answers>,
    owed: Owed,
    size: usize,
}

impl Reply {
    /// Sends the answer; a client that has gone needs none.
    pub(crate) fn send(self, outcome: Outcome) {
        self.to.lock().push_back(Settled {
            owed: self.owed,
            outcome,
            size: self.size,
        });
        self.to.wake.notify_one();
    }
}

/// What one connection waits for.
pub(crate) struct Acks {
    answers: Arc<Answers>,
    waiting: usize,
    /// How many of those that wait are publishes at QoS 1.
    simple: usize,
    bytes: usize,
    window: usize,
    window_bytes: usize,
    /// QoS 2 publishes of this connection that are not finished.
    exact: HashSet<Pid>,
}

impl Acks {
    pub(crate) fn new(window: u16, window_bytes: usize) -> Self {
        Self {
            answers: Arc::default(),
            waiting: 0,
            simple: 0,
            bytes: 0,
            window: usize::from(window),
            window_bytes,
            exact: HashSet::new(),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether one more packet of `size` bytes may wait.
    pub(crate) fn has_room(&self, size: usize) -> bool {
        self.waiting < self.window && (self.bytes == 0 || self.bytes + size <= self.window_bytes)
    }

    /// Whether a client that respects Receive Maximum could send the publish that owes this.
    pub(crate) fn is_within_receive_maximum(&self, owed: &Owed) -> bool {
        let open = self.simple + self.exact.len();
        match owed {
            Owed::Puback(_) => open < self.window,
            Owed::Pubrec(pid) => open < self.window || self.exact.contains(pid),
            _ => true,
        }
    }

    /// Notes that a packet waits; what comes back takes its answer.
    pub(crate) fn begin(&mut self, owed: Owed, size: usize) -> Reply {
        self.waiting += 1;
        self.bytes += size;
        match owed {
            Owed::Puback(_) => self.simple += 1,
            Owed::Pubrec(pid) => {
                self.exact.insert(pid);
            }
            _ => {}
        }
        Reply {
            to: Arc::clone(&self.answers),
            owed,
            size,
        }
    }

    /// Notes that a QoS 2 publish is finished.
    pub(crate) fn finish(&mut self, pid: Pid) {
        self.exact.remove(&pid);
    }

    /// The next packet whose turn has come.
    pub(crate) async fn next(&mut self) -> Settled {
        loop {
            if let Some(settled) = self.try_next() {
                return settled;
            }
            self.answers.wake.notified().await;
        }
    }

    /// The same, if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Settled> {
        let settled = self.answers.lock().pop_front()?;
        self.note(&settled);
        Some(settled)
    }

    fn note(&mut self, settled: &Settled) {
        self.waiting -= 1;
        self.bytes -= settled.size;
        if self.waiting == 0 {
            *self.answers.lock() = VecDeque::new();
        }
        match (&settled.owed, &settled.outcome) {
            (Owed::Puback(_), _) => self.simple -= 1,
            (Owed::Pubrec(pid), Outcome::Denied(_) | Outcome::Refused(_)) => self.finish(*pid),
            _ => {}
        }
    }
}
