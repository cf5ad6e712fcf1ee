//! The one order of everything that is stored: steps wait here for the gate, and are done one after the other.

use std::{
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak, atomic::Ordering},
};

use futures_util::FutureExt;
use mqtt_proto::Pid;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Mailbox, Post, Router, mailbox::Fate, subscribe::Looks};
use crate::{
    acks::{Outcome, Reply},
    codec::Negative,
    gate::{BoxFuture, Publish, Refused, RefusedKind},
    lasting::Change,
};

/// What the gate will say.
pub(super) type Verdict = BoxFuture<'static, Result<(), Refused>>;

/// Something that is done when its turn has come and the gate has answered.
pub(crate) struct Step {
    /// What the gate says; none if it was not asked.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) work: Work,
    /// Who is answered.
    pub(crate) reply: Option<Reply>,
    /// Its share of what all connections may have waiting.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// What is done.
#[derive(Debug)]
pub(crate) enum Work {
    /// A message is passed on.
    Post(Post),
    /// Retained values are looked up for new subscriptions.
    Look(Looks),
    /// PUBREL may be sent.
    Release(Arc<Mailbox>, Pid),
    /// A QoS 2 publish that came again is answered.
    Again(Arc<Mailbox>, Pid),
    /// A publish is denied.
    Deny(Negative),
    /// Only the answer is sent.
    Answer,
}

/// Does what is to be done until the router has gone.
pub(crate) async fn run(mut steps: mpsc::UnboundedReceiver<Step>, router: Weak<Router>) {
    while let Some(step) = steps.recv().await {
        let verdict = match step.verdict {
            None => Ok(()),
            Some(verdict) => AssertUnwindSafe(verdict)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(gate_failed())),
        };
        let Some(router) = router.upgrade() else {
            return;
        };
        // One message may be lost to a defect, not all that come after it.
        let settle = AssertUnwindSafe(|| router.settle(step.work, step.reply, verdict));
        if catch_unwind(settle).is_err() {
            tracing::error!("a step of the MQTT door panicked: what it was about is not answered");
        }
        drop(step.room);
    }
}

fn gate_failed() -> Refused {
    tracing::error!("the gate panicked");
    Refused {
        kind: RefusedKind::Unavailable,
        reason: "it could not be stored: try again".to_owned(),
    }
}

impl Router {
    fn settle(&self, work: Work, reply: Option<Reply>, verdict: Result<(), Refused>) {
        let outcome = match (work, verdict) {
            (Work::Post(post), Ok(())) => {
                self.counters.accepted.fetch_add(1, Ordering::Relaxed);
                if let Some((mailbox, pid)) = &post.exact {
                    mailbox.end_exact(*pid, Fate::Durable);
                }
                self.deliver(post);
                Outcome::Durable
            }
            (Work::Post(post), Err(refused)) => {
                self.take_back(&post);
                Outcome::Refused(refused)
            }
            (Work::Look(looks), Ok(())) => {
                // The answer goes first, the values after it.
                if let Some(reply) = reply {
                    reply.send(Outcome::Durable);
                }
                return self.look(&looks);
            }
            (Work::Release(mailbox, pid), Ok(())) => {
                mailbox.may_release(pid);
                Outcome::Durable
            }
            (Work::Again(mailbox, pid), _) if !mailbox.is_exact(pid) => Outcome::Refused(Refused {
                kind: RefusedKind::Unavailable,
                reason: "it was not stored when it came first: send it again".to_owned(),
            }),
            (Work::Deny(negative), _) => Outcome::Denied(negative),
            (_, Ok(())) => Outcome::Durable,
            (_, Err(refused)) => Outcome::Refused(refused),
        };
        if let Some(reply) = reply {
            reply.send(outcome);
        }
    }

    /// A message was refused: what was reserved for it is free again, on disk too if some of it got there.
    fn take_back(&self, post: &Post) {
        let mut changes = Vec::new();
        if let Some((mailbox, pid)) = &post.exact {
            mailbox.end_exact(*pid, Fate::Refused);
            changes.push(Change::Released {
                session: mailbox.id.0,
                pid: pid.value(),
            });
        }
        let inner = self.lock();
        for target in &post.targets {
            let Some(pid) = target.pid else { continue };
            if let Some(session) = inner.sessions.get(&target.session) {
                session.mailbox.free(pid);
            }
            changes.push(Change::Done {
                session: target.session.0,
                letter: post.number,
                pid: pid.value(),
            });
        }
        drop(inner);
        self.note_all(changes);
    }

    /// [`Gate::accept`](crate::gate::Gate::accept). A gate that panics is one that cannot store: that ends no connection and
    /// no watch.
    pub(super) fn accept(&self, publish: Publish) -> Verdict {
        catch_unwind(AssertUnwindSafe(|| self.gate.accept(publish)))
            .unwrap_or_else(|_| Box::pin(ready(Err(gate_failed()))))
    }

    /// [`Gate::record`](crate::gate::Gate::record), in the same way.
    pub(super) fn record(&self, changes: Vec<Change>) -> Verdict {
        catch_unwind(AssertUnwindSafe(|| self.gate.record(changes)))
            .unwrap_or_else(|_| Box::pin(ready(Err(gate_failed()))))
    }

    /// [`Gate::note`](crate::gate::Gate::note), in the same way.
    pub(super) fn note(&self, change: Change) {
        if catch_unwind(AssertUnwindSafe(|| self.gate.note(change))).is_err() {
            gate_failed();
        }
    }

    pub(super) fn note_all(&self, changes: Vec<Change>) {
        for change in changes {
            self.note(change);
        }
    }
}
