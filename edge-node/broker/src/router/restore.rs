//! What an earlier run has left: sessions with their queues, and retained values.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Instant,
};

use mqtt_proto::Pid;
use tokio::sync::{Notify, mpsc};

use super::{
    Delivery, Inner, Mailbox, Owner, Router, Session, Stage, Step,
    mailbox::{Fate, Limits},
};
use crate::{
    codec::properties_from,
    config::DoorConfig,
    gate::{Gate, Retained},
    lasting::{Letter, Stored, StoredSession},
    message::{Held, Message, Qos, SessionId, in_seconds},
    stats::Counters,
};

impl Router {
    /// A router that goes on where an earlier one ended, and the steps that [`super::run`] is to do.
    pub(crate) fn new(
        config: &DoorConfig,
        counters: Arc<Counters>,
        gate: Arc<dyn Gate>,
        retained: Vec<Retained>,
        stored: Stored,
    ) -> (Self, mpsc::UnboundedReceiver<Step>) {
        let (steps, queue) = mpsc::unbounded_channel();
        let held = Arc::new(AtomicUsize::new(0));
        let mut inner = Inner::default();
        for value in retained {
            inner.retained.put(&message_of(value));
        }
        inner.restore(stored, &held);
        let router = Self {
            inner: Mutex::new(inner),
            gate,
            counters,
            steps,
            alarm: Arc::new(Notify::new()),
            held,
            limits: Limits {
                count: config.queue,
                bytes: config.queue_bytes,
            },
            config: config.clone(),
            shelves: Arc::default(),
        };
        (router, queue)
    }
}

fn message_of(value: Retained) -> Message {
    Message {
        topic: value.topic,
        payload: value.payload,
        qos: value.qos,
        retain: true,
        properties: properties_from(&value.properties),
        expires: value.expiry_s.map(in_seconds),
    }
}

impl Inner {
    fn restore(&mut self, stored: Stored, held: &Arc<AtomicUsize>) {
        self.last = stored.used_to;
        let mut sent_to = HashMap::new();
        for session in stored.sessions {
            self.last = self.last.max(session.session);
            sent_to.insert(session.session, session.sent_to);
            self.restore_session(session);
        }
        let letters: BTreeMap<u64, Letter> =
            stored.letters.into_iter().map(|l| (l.number, l)).collect();
        for letter in letters.into_values() {
            self.last = self.last.max(letter.number);
            self.restore_letter(letter, &sent_to, held);
        }
    }

    fn restore_session(&mut self, stored: StoredSession) {
        let id = SessionId(stored.session);
        let mailbox = Mailbox::new(id);
        for pid in stored.accepted {
            if let Ok(pid) = Pid::try_from(pid) {
                mailbox.end_exact(pid, Fate::Durable);
            }
        }
        for (filter, options) in &stored.subscriptions {
            self.subscriptions.insert(filter, id, *options);
        }
        let owner = Owner {
            user: stored.user,
            client_id: stored.client_id,
        };
        self.clients.insert(owner.clone(), id);
        let session = Session {
            owner,
            filters: stored.subscriptions.into_iter().collect(),
            mailbox: Arc::new(mailbox),
            expiry: stored.left_s.max(1),
            stored: true,
            link: None,
            left_at: Some(Instant::now()),
            ends: Some(in_seconds(stored.left_s)),
            will: None,
        };
        self.sessions.insert(id, session);
    }

    fn restore_letter(
        &mut self,
        letter: Letter,
        sent_to: &HashMap<u64, u64>,
        held: &Arc<AtomicUsize>,
    ) {
        let message = Message {
            topic: letter.topic,
            payload: letter.payload,
            qos: Qos::ExactlyOnce,
            retain: false,
            properties: properties_from(&letter.properties),
            expires: letter.expiry_s.map(in_seconds),
        };
        let held = Held::new(message, letter.number, held);
        for addressee in letter.addressees {
            let session = self.sessions.get(&SessionId(addressee.session));
            let (Some(session), Ok(pid)) = (session, Pid::try_from(addressee.pid)) else {
                continue;
            };
            let sent = sent_to.get(&addressee.session).copied().unwrap_or(0);
            session.mailbox.restore(Delivery {
                held: Arc::clone(&held),
                qos: addressee.qos,
                pid: Some(pid),
                retain: addressee.retain,
                ids: addressee.ids,
                dup: letter.number <= sent,
                stage: if addressee.received {
                    Stage::Release
                } else {
                    Stage::Publish
                },
                from_retained: false,
            });
        }
    }
}
