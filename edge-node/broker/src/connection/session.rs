//! A client that has logged in: what its packets do.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use bytes::BytesMut;
use mqtt_proto::{
    Pid,
    v5::{DisconnectReasonCode as Code, PubackReasonCode},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{Ending, Shared, WRITE_LIMIT};
use crate::{
    acks::{Acks, Outcome, Owed, Settled},
    acl::{Filter, Permit},
    codec::{
        Aliases, Connect, Encoder, Grant, Inbound, Known, Negative, Outgoing, Packet, Taken,
        Version, Wish, decode,
    },
    frame,
    gate::{Refused, RefusedKind},
    message::{Message, Qos, Will},
    router::{
        Asking, Attachment, Leaving, Mailbox, Publication, Publisher, Release, Shelf, Stage, Step,
        Turn, Work, split_share,
    },
    rules::{Fault, check_topic, is_filter_bounded},
    stats::Reason,
};

/// QoS 2 publishes that a client may leave unfinished, if its version lets it send more than the window at once.
const MAX_EXACT: usize = 4_096;

/// The state of one connection after its log-in.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) encoder: Encoder,
    pub(crate) acks: Acks,
    /// Bytes to be written.
    pub(crate) output: BytesMut,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) clocks: super::Clocks,
    publisher: Publisher,
    link: u64,
    permit: Permit,
    will: Option<Will>,
    /// Seconds that the session lasts after the connection.
    expiry: u32,
    /// A packet for which the window has no room; while it is held the connection does not read.
    held: Option<Packet>,
    /// Topics that the client has given a number.
    known_aliases: HashMap<u16, Arc<str>>,
    /// Topics that were given a number towards the client.
    aliases: Aliases,
    max_in_flight: usize,
}

/// Why a message may not be published.
struct Objection {
    reason: Reason,
    /// The code where the publish has an answer,
    puback: PubackReasonCode,
    /// and where the connection ends.
    disconnect: Code,
    text: String,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        attachment: &Attachment,
        encoder: Encoder,
        connect: Connect,
        permit: Permit,
    ) -> Self {
        let config = &shared.config;
        Self {
            acks: Acks::new(config.window, config.window_bytes),
            max_in_flight: usize::from(config.in_flight.min(connect.receive_max)),
            aliases: Aliases::new(config.topic_aliases.min(connect.topic_alias_max)),
            clocks: super::Clocks::new(connect.keep_alive, config.packet_timeout),
            known_aliases: HashMap::new(),
            shared,
            encoder,
            output: BytesMut::new(),
            mailbox: Arc::clone(&attachment.mailbox),
            publisher: attachment.publisher.clone(),
            link: attachment.link,
            permit,
            will: connect.will,
            expiry: connect.session_expiry,
            held: None,
        }
    }

    /// Whether the connection reads: not while a packet is held, nor while the client does not take its answers.
    pub(super) fn is_listening(&self) -> bool {
        self.held.is_none() && self.output.len() < WRITE_LIMIT
    }

    /// The room that a held publish needs among those of all connections, if its own window has room for it.
    pub(super) fn wanted_room(&self) -> Option<u32> {
        let Some(Packet::Publish(inbound)) = &self.held else {
            return None;
        };
        let size = inbound.message.size();
        self.acks.has_room(size).then(|| share(size))
    }

    /// Acts on every whole packet of the input, until one must be held.
    pub(super) fn take_packets(&mut self, input: &mut BytesMut) -> Result<(), Ending> {
        if let Some(held) = self.held.take() {
            self.act(held)?;
            if self.held.is_some() {
                return Ok(());
            }
            // The silence while the door did not listen was not the client's.
            self.clocks.heard();
        }
        while self.is_listening() {
            let Some(frame) =
                frame::next(input, self.shared.config.max_packet).map_err(Fault::from)?
            else {
                break;
            };
            self.clocks.packet();
            let packet = decode(self.encoder.version, &frame)?;
            self.act(packet)?;
        }
        if !input.is_empty() && self.held.is_none() {
            self.clocks.begun();
        } else {
            self.clocks.between_packets();
        }
        Ok(())
    }

    fn act(&mut self, packet: Packet) -> Result<(), Ending> {
        match packet {
            Packet::Publish(inbound) => return self.publish(inbound),
            Packet::Puback(pid) => {
                if let Some(delivery) = self.mailbox.acknowledged(pid) {
                    self.shared.router.forget(self.mailbox.id, &delivery);
                }
            }
            Packet::Pubrec(pid, taken) => self.pubrec(pid, taken),
            Packet::Pubcomp(pid) => {
                if let Some(delivery) = self.mailbox.done(pid) {
                    self.shared.router.forget(self.mailbox.id, &delivery);
                }
            }
            Packet::Ping => self.encoder.pong(&mut self.output),
            Packet::Disconnect {
                with_will,
                session_expiry,
            } => {
                if self.expiry == 0 && session_expiry.is_some_and(|seconds| seconds > 0) {
                    let text =
                        "a session that was to end with its connection cannot be kept after all";
                    return Err(Fault::protocol(text).into());
                }
                return Err(Ending::Left {
                    with_will,
                    session_expiry,
                });
            }
            packet if !self.acks.has_room(0) => self.held = Some(packet),
            Packet::Pubrel(pid) => self.pubrel(pid),
            Packet::Subscribe(pid, wishes) => self.subscribe(pid, wishes),
            Packet::Unsubscribe(pid, filters) => {
                let acks = &mut self.acks;
                self.shared
                    .router
                    .unsubscribe(self.mailbox.id, filters, |known| {
                        acks.begin(Owed::Unsuback(pid, known), 0)
                    });
            }
        }
        Ok(())
    }

    fn publish(&mut self, mut inbound: Inbound) -> Result<(), Ending> {
        self.resolve_alias(&mut inbound)?;
        let Inbound {
            message, pid, dup, ..
        } = &inbound;
        let owed = match (message.qos, *pid) {
            (Qos::AtLeastOnce, Some(pid)) => Owed::Puback(pid),
            (Qos::ExactlyOnce, Some(pid)) => Owed::Pubrec(pid),
            _ => Owed::Nothing,
        };
        if self.encoder.version == Version::V5 && !self.acks.is_within_receive_maximum(&owed) {
            let text = "more publishes are open than the Receive Maximum that CONNACK told";
            return Err(Fault::new(Reason::Protocol, Code::ReceiveMaximumExceeded, text).into());
        }
        let size = message.size();
        let room = self
            .acks
            .has_room(size)
            .then(|| room(&self.shared.room, size));
        let Some(room) = room.flatten() else {
            if owed == Owed::Nothing {
                self.shared.counters.refuse(Reason::Overload);
            } else {
                self.held = Some(Packet::Publish(inbound));
            }
            return Ok(());
        };
        let shelf = match self.examine(message) {
            Ok(shelf) => shelf,
            Err(objection) => return self.deny(owed, objection),
        };
        let exact = match owed {
            Owed::Pubrec(pid) => Some(pid),
            _ => None,
        };
        if let Some(pid) = exact
            && self.came_before(pid)? == Known::Yes
        {
            return Ok(());
        }
        let reply = self.acks.begin(owed, size);
        let publication = Publication {
            dup: *dup,
            message: inbound.message,
            shelf,
            will: false,
            exact,
        };
        self.shared
            .router
            .publish(&self.publisher, publication, Some(reply), Some(room));
        Ok(())
    }

    /// Whether a QoS 2 publish is known; then its answer is on the way.
    fn came_before(&mut self, pid: Pid) -> Result<Known, Fault> {
        match self.mailbox.begin_exact(pid, self.link, MAX_EXACT) {
            Turn::First => Ok(Known::No),
            Turn::Waits => Ok(Known::Yes),
            Turn::Again => {
                let work = Work::Again(Arc::clone(&self.mailbox), pid);
                self.send(work, Owed::Pubrec(pid));
                Ok(Known::Yes)
            }
            Turn::TooMany => {
                let text = "too many publishes at QoS 2 are not finished: send PUBREL for them";
                Err(Fault::new(Reason::Quota, Code::QuotaExceeded, text))
            }
        }
    }

    /// Gives a publish its topic, before anything is decided by it.
    fn resolve_alias(&mut self, inbound: &mut Inbound) -> Result<(), Fault> {
        let Some(alias) = inbound.alias.take() else {
            return Ok(());
        };
        let invalid = |text: String| Fault::new(Reason::Protocol, Code::TopicAliasInvalid, text);
        let max = self.shared.config.topic_aliases;
        if alias == 0 || alias > max {
            return Err(invalid(format!(
                "topic alias {alias} is not between 1 and {max}, as CONNACK told"
            )));
        }
        let topic = &mut inbound.message.topic;
        if !topic.is_empty() {
            self.known_aliases.insert(alias, Arc::clone(topic));
            return Ok(());
        }
        let known = self.known_aliases.get(&alias);
        *topic = Arc::clone(known.ok_or_else(|| {
            invalid(format!(
                "topic alias {alias} was not set on this connection"
            ))
        })?);
        Ok(())
    }

    /// Whether a message may be published; with its room among the retained values, if it is to be one.
    fn examine(&self, message: &Message) -> Result<Option<Shelf>, Objection> {
        check_topic(&message.topic).map_err(|error| Objection {
            reason: Reason::TopicInvalid,
            puback: PubackReasonCode::TopicNameInvalid,
            disconnect: Code::TopicNameInvalid,
            text: error.to_string(),
        })?;
        if !self.permit.may_publish(&message.topic) {
            let client = &self.publisher.owner.client_id;
            return Err(Objection {
                reason: Reason::NotAuthorized,
                puback: PubackReasonCode::NotAuthorized,
                disconnect: Code::NotAuthorized,
                text: format!("`{client}` may not publish to `{}`", message.topic),
            });
        }
        let shelf = self.shared.router.shelf_for(message, Some(&self.permit));
        shelf.map_err(|full| Objection {
            reason: Reason::Quota,
            puback: PubackReasonCode::QuotaExceeded,
            disconnect: Code::QuotaExceeded,
            text: full.to_string(),
        })
    }

    /// Says no to a publish: by its acknowledgement where there is one that can say so, else by closing.
    fn deny(&mut self, owed: Owed, objection: Objection) -> Result<(), Ending> {
        let Objection {
            reason,
            puback,
            disconnect,
            text,
        } = objection;
        if self.encoder.version == Version::V5 && owed != Owed::Nothing {
            self.shared.counters.refuse(reason);
            tracing::debug!(client = %self.publisher.owner.client_id, reason = reason.key(), "MQTT publish denied: {text}");
            let negative = Negative {
                code: puback,
                text: text.as_str().into(),
            };
            self.send(Work::Deny(negative), owed);
            return Ok(());
        }
        Err(Fault::new(reason, disconnect, text).into())
    }

    /// Lets something be done, and answered, in its turn.
    fn send(&mut self, work: Work, owed: Owed) {
        let reply = self.acks.begin(owed, 0);
        self.shared.router.send(Step {
            verdict: None,
            work,
            reply: Some(reply),
            room: None,
        });
    }

    /// The client has finished a QoS 2 publish. A lasting session remembers that before the client may use the identifier again.
    fn pubrel(&mut self, pid: Pid) {
        let known = self.mailbox.finish_exact(pid);
        self.acks.finish(pid);
        if self.expiry == 0 {
            self.encoder.pubcomp(&mut self.output, pid, known);
            return;
        }
        let reply = self.acks.begin(Owed::Pubcomp(pid, known), 0);
        self.shared.router.finish(self.mailbox.id, pid, reply);
    }

    /// The client has a QoS 2 message. A lasting session remembers that before the client may forget it.
    fn pubrec(&mut self, pid: Pid, taken: Taken) {
        match self.mailbox.received(pid, taken) {
            Release::Record(letter) => {
                let reply = self.acks.begin(Owed::Pubrel(pid), 0);
                self.shared
                    .router
                    .release(&self.mailbox, letter, pid, reply);
            }
            Release::Now => self.encoder.pubrel(&mut self.output, pid, Known::Yes),
            Release::Unknown => self.encoder.pubrel(&mut self.output, pid, Known::No),
            Release::Waits => {}
            Release::Refused(delivery) => self.shared.router.forget(self.mailbox.id, &delivery),
        }
    }

    fn subscribe(&mut self, pid: Pid, wishes: Vec<Wish>) {
        let asked = wishes.into_iter().map(|wish| self.judge(wish)).collect();
        let acks = &mut self.acks;
        self.shared
            .router
            .subscribe(self.mailbox.id, asked, |grants| {
                acks.begin(Owed::Suback(pid, grants), 0)
            });
    }

    /// Whether the client may subscribe so.
    fn judge(&self, wish: Wish) -> Result<Asking, Grant> {
        let denied = |reason, grant| {
            self.shared.counters.refuse(reason);
            tracing::debug!(client = %self.publisher.owner.client_id, filter = %wish.filter, "MQTT subscription denied: {grant:?}");
            grant
        };
        let (_, inner) = split_share(&wish.filter);
        let filter = match inner.parse::<Filter>() {
            Ok(filter) if is_filter_bounded(&wish.filter) => filter,
            _ => return Err(denied(Reason::TopicInvalid, Grant::Invalid)),
        };
        if !self.permit.may_subscribe(&filter) {
            return Err(denied(Reason::NotAuthorized, Grant::NotAuthorized));
        }
        Ok(Asking {
            filter,
            options: wish.options,
            text: wish.filter,
        })
    }

    /// Sends what waits for the client, as far as there is room.
    pub(super) fn deliver(&mut self) {
        while self.output.len() < WRITE_LIMIT
            && let Some(delivery) = self.mailbox.take(self.max_in_flight)
        {
            if let (Stage::Release, Some(pid)) = (delivery.stage, delivery.pid) {
                self.encoder.pubrel(&mut self.output, pid, Known::Yes);
                continue;
            }
            let outgoing = Outgoing {
                message: &delivery.held.message,
                qos: delivery.qos,
                pid: delivery.pid,
                retain: delivery.retain,
                dup: delivery.dup,
                ids: &delivery.ids,
            };
            let sent = self.permit.may_hear(&outgoing.message.topic)
                && self
                    .encoder
                    .publish(&mut self.output, outgoing, &mut self.aliases)
                    .is_ok();
            if sent {
                let delivered = &self.shared.counters.delivered;
                delivered.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.shared.counters.refuse(Reason::DeliveryDropped);
            if let Some(pid) = delivery.pid {
                self.mailbox.done(pid);
                self.shared.router.forget(self.mailbox.id, &delivery);
            }
        }
    }

    /// Writes the answer to a packet whose turn has come.
    pub(super) fn settled(&mut self, settled: Settled) -> Result<(), Ending> {
        let negative = match settled.outcome {
            Outcome::Durable => None,
            Outcome::Denied(negative) => Some(negative),
            Outcome::Refused(refused) => Some(self.refused(&settled.owed, &refused)?),
        };
        let (encoder, output) = (&self.encoder, &mut self.output);
        match settled.owed {
            Owed::Nothing => {}
            Owed::Puback(pid) => encoder.puback(output, pid, negative.as_ref()),
            Owed::Pubrec(pid) => encoder.pubrec(output, pid, negative.as_ref()),
            Owed::Pubcomp(pid, known) => encoder.pubcomp(output, pid, known),
            Owed::Pubrel(pid) => encoder.pubrel(output, pid, Known::Yes),
            Owed::Suback(pid, grants) => encoder.suback(output, pid, &grants),
            Owed::Unsuback(pid, known) => encoder.unsuback(output, pid, &known),
        }
        Ok(())
    }

    /// Writes every further answer whose turn has come already.
    pub(super) fn settle_ready(&mut self) -> Result<(), Ending> {
        while let Some(settled) = self.acks.try_next() {
            self.settled(settled)?;
        }
        Ok(())
    }

    /// The answer to a publish that the gate refused. What cannot be stored now must be sent again: the connection closes.
    fn refused(&self, owed: &Owed, refused: &Refused) -> Result<Negative, Ending> {
        self.shared.counters.refuse(Reason::Refused);
        tracing::debug!(client = %self.publisher.owner.client_id, "MQTT packet refused: {refused}");
        let code = match refused.kind {
            RefusedKind::NotAuthorized => PubackReasonCode::NotAuthorized,
            RefusedKind::TopicInvalid => PubackReasonCode::TopicNameInvalid,
            RefusedKind::PayloadInvalid => PubackReasonCode::PayloadFormatInvalid,
            RefusedKind::Quota => PubackReasonCode::QuotaExceeded,
            RefusedKind::Unavailable => PubackReasonCode::ImplementationSpecificError,
        };
        let has_answer = self.encoder.version == Version::V5
            && refused.kind != RefusedKind::Unavailable
            && matches!(owed, Owed::Puback(_) | Owed::Pubrec(_));
        if has_answer || *owed == Owed::Nothing {
            let text = refused.reason.as_str().into();
            return Ok(Negative { code, text });
        }
        let code = Code::from_u8(code as u8).unwrap_or(Code::ImplementationSpecificError);
        Err(Fault::new(Reason::Refused, code, refused.reason.as_str()).into())
    }

    /// Notes that the client took bytes.
    pub(super) fn wrote(&mut self) {
        self.clocks.wrote();
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }

    /// When something is due next.
    pub(super) fn deadline(&mut self) -> Instant {
        if !self.output.is_empty() {
            self.clocks.waits_to_write();
        }
        self.clocks.deadline(self.ear())
    }

    /// Ends the connection if something is overdue.
    pub(super) fn check_clocks(&self) -> Result<(), Ending> {
        Ok(self.clocks.check(self.ear())?)
    }

    /// What is held back for a while keeps the door from reading on.
    fn ear(&self) -> super::Ear {
        match self.held {
            Some(_) => super::Ear::Shut,
            None => super::Ear::Open,
        }
    }

    /// Waits for everything that waits, and writes its answer.
    pub(super) async fn settle_and_answer(&mut self) {
        while !self.acks.is_empty() {
            let settled = self.acks.next().await;
            if self.settled(settled).is_err() {
                return;
            }
        }
    }

    /// Writes the last packet.
    pub(super) fn say_goodbye(&mut self, ending: &Ending) {
        match ending {
            Ending::Fault(fault) => self.encoder.disconnect(&mut self.output, fault),
            Ending::Closing => {
                let text = "the server is closing: come back in a moment";
                let fault = Fault::new(Reason::Protocol, Code::ServerShuttingDown, text);
                self.encoder.disconnect(&mut self.output, &fault);
            }
            Ending::Left { .. } | Ending::Broken => {}
        }
    }

    /// What is to be done when the connection ends so.
    pub(super) fn leaving(&mut self, ending: &Ending) -> Leaving {
        let expiry = match ending {
            Ending::Left { session_expiry, .. } => *session_expiry,
            _ => None,
        };
        let silent = match ending {
            Ending::Left { with_will, .. } => !with_will,
            Ending::Fault(fault) => fault.reason == Reason::Ended,
            Ending::Closing => true,
            Ending::Broken => false,
        };
        Leaving {
            expiry,
            will: self.will.take().filter(|_| !silent),
        }
    }

    /// Tells the log, and the counters, how the connection ended.
    pub(super) fn log(&self, ending: &Ending) {
        let client = &self.publisher.owner.client_id;
        if let Ending::Fault(fault) = ending {
            if fault.reason != Reason::Refused {
                self.shared.counters.refuse(fault.reason);
            }
            tracing::warn!(%client, reason = fault.reason.key(), "MQTT connection closed: {fault}");
        } else {
            tracing::debug!(%client, ?ending, "MQTT connection ended");
        }
    }
}

/// Room for a publish of `size` bytes among those of all connections, if there is any.
fn room(all: &Arc<Semaphore>, size: usize) -> Option<OwnedSemaphorePermit> {
    Arc::clone(all).try_acquire_many_owned(share(size)).ok()
}

fn share(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
