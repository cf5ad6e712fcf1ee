//! What one publisher is owed: its publishes go to the gate as they come, and its acknowledgements leave in that order.
//!
//! Invariant: an acknowledgement exists only after the gate's future for that publish, and those of all before it, resolved.

use std::collections::HashMap;

use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};
use mqtt_proto::{Pid, v5::PubackReasonCode};

use crate::{
    codec::{Known, Negative},
    gate::{BoxFuture, Refused},
    message::Message,
};

/// What a publish expects in return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owed {
    /// Nothing: QoS 0.
    Nothing,
    /// A PUBACK: QoS 1.
    Puback(Pid),
    /// A PUBREC: QoS 2.
    Pubrec(Pid),
}

/// How a publish ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is durable, and may be passed on.
    Durable(Message),
    /// It was durable before: QoS 2, sent again.
    Repeated,
    /// The door denied it, with this answer.
    Denied(Negative),
    /// The gate refused it.
    Refused(Refused),
}

/// A publish whose turn has come.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) owed: Owed,
    pub(crate) outcome: Outcome,
    size: usize,
}

/// The publishes of one connection that wait for the gate.
pub(crate) struct Acks {
    waiting: FuturesOrdered<BoxFuture<'static, Settled>>,
    bytes: usize,
    window: usize,
    window_bytes: usize,
    exact: HashMap<Pid, Exact>,
}

/// How far a QoS 2 publish has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exact {
    Accepting,
    Durable,
}

/// What to do with a QoS 2 publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// It is new.
    First,
    /// It is known; its answer is on the way.
    Again,
}

impl Acks {
    pub(crate) fn new(window: u16, window_bytes: usize) -> Self {
        Self {
            waiting: FuturesOrdered::new(),
            bytes: 0,
            window: usize::from(window),
            window_bytes,
            exact: HashMap::new(),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether one more publish of `size` bytes may wait.
    pub(crate) fn has_room(&self, size: usize) -> bool {
        self.waiting.len() < self.window
            && (self.bytes == 0 || self.bytes + size <= self.window_bytes)
    }

    /// Notes a QoS 2 publish. One that is known already gets its PUBREC again, in its turn, and is not accepted twice.
    pub(crate) fn begin_exact(&mut self, pid: Pid) -> Turn {
        match self.exact.get(&pid) {
            None => {
                self.exact.insert(pid, Exact::Accepting);
                return Turn::First;
            }
            Some(Exact::Accepting) => {}
            Some(Exact::Durable) => self.push_ready(Owed::Pubrec(pid), Outcome::Repeated),
        }
        Turn::Again
    }

    /// Takes a PUBREL: the identifier is free again.
    pub(crate) fn release(&mut self, pid: Pid) -> Known {
        if self.exact.get(&pid) == Some(&Exact::Durable) {
            self.exact.remove(&pid);
            return Known::Yes;
        }
        Known::No
    }

    /// Lets a publish wait for the gate.
    pub(crate) fn push(
        &mut self,
        message: Message,
        owed: Owed,
        accepted: BoxFuture<'static, Result<(), Refused>>,
    ) {
        let size = message.payload.len();
        self.bytes += size;
        self.waiting.push_back(
            accepted
                .map(move |result| Settled {
                    owed,
                    size,
                    outcome: match result {
                        Ok(()) => Outcome::Durable(message),
                        Err(refused) => Outcome::Refused(refused),
                    },
                })
                .boxed(),
        );
    }

    /// Lets the answer to a publish that the door denied wait for its turn.
    pub(crate) fn push_denied(&mut self, owed: Owed, code: PubackReasonCode, text: &str) {
        let negative = Negative {
            code,
            text: text.into(),
        };
        self.push_ready(owed, Outcome::Denied(negative));
    }

    fn push_ready(&mut self, owed: Owed, outcome: Outcome) {
        let settled = Settled {
            owed,
            outcome,
            size: 0,
        };
        self.waiting.push_back(std::future::ready(settled).boxed());
    }

    /// The oldest publish, when it is settled; `None` if nothing waits.
    pub(crate) async fn next(&mut self) -> Option<Settled> {
        let settled = self.waiting.next().await?;
        self.bytes -= settled.size;
        if let Owed::Pubrec(pid) = settled.owed {
            match settled.outcome {
                Outcome::Durable(_) => {
                    self.exact.insert(pid, Exact::Durable);
                }
                Outcome::Refused(_) => {
                    self.exact.remove(&pid);
                }
                Outcome::Repeated | Outcome::Denied(_) => {}
            }
        }
        Some(settled)
    }
}
