//! A client that has logged in: what its packets do, and what it is sent.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use bytes::BytesMut;
use futures_util::FutureExt;
use mqtt_proto::{
    Pid,
    v5::{DisconnectReasonCode as Code, PubackReasonCode},
};
use tokio::time::{Duration, Instant, timeout};

use super::{Ending, Shared, WRITE_LIMIT};
use crate::{
    acks::{Acks, Outcome, Owed, Settled, Turn},
    acl::{Filter, Permit},
    codec::{Connect, Encoder, Grant, Inbound, Known, Negative, Packet, Version, Wish, decode},
    frame,
    gate::{Publish, Refused, RefusedKind},
    message::{Message, Qos, SessionId},
    router::Subscribed,
    rules::{Fault, check_topic, is_filter_bounded},
    stats::Reason,
};

/// When nothing is due: far enough.
const IDLE: Duration = Duration::from_secs(3_600);

/// The state of one connection after its log-in.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) encoder: Encoder,
    pub(crate) acks: Acks,
    /// Bytes to be written.
    pub(crate) output: BytesMut,
    id: SessionId,
    client_id: Arc<str>,
    user: Option<Arc<str>>,
    permit: Permit,
    will: Option<Message>,
    /// A publish for which the window has no room; while it is held the connection does not read.
    held: Option<Inbound>,
    /// Retained values that a new subscription is still to be sent.
    backlog: VecDeque<Message>,
    in_flight: HashSet<Pid>,
    max_in_flight: usize,
    last_pid: Pid,
    keep_alive: Option<Duration>,
    /// When the last whole packet came.
    heard: Instant,
    /// Since when a packet is incomplete.
    incomplete: Option<Instant>,
    /// Since when the client has taken no bytes though some wait.
    stuck: Option<Instant>,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: SessionId,
        encoder: Encoder,
        connect: Connect,
        permit: Permit,
    ) -> Self {
        let config = &shared.config;
        let keep_alive = Duration::from_secs(connect.keep_alive.into()) * 3 / 2;
        Self {
            acks: Acks::new(config.window, config.window_bytes),
            max_in_flight: usize::from(config.in_flight.min(connect.receive_max)),
            shared,
            encoder,
            output: BytesMut::new(),
            id,
            client_id: connect.client_id,
            user: connect.user,
            permit,
            will: connect.will,
            held: None,
            backlog: VecDeque::new(),
            in_flight: HashSet::new(),
            last_pid: Pid::default(),
            keep_alive: (!keep_alive.is_zero()).then_some(keep_alive),
            heard: Instant::now(),
            incomplete: None,
            stuck: None,
        }
    }

    /// Whether the connection reads: not while a publish is held, nor while the client does not take its answers.
    pub(super) fn is_listening(&self) -> bool {
        self.held.is_none() && self.output.len() < WRITE_LIMIT
    }

    /// Whether the client can be sent one more message.
    pub(super) fn has_room_to_deliver(&self) -> bool {
        self.output.len() < WRITE_LIMIT
            && self.in_flight.len() < self.max_in_flight
            && self.backlog.is_empty()
    }

    /// Acts on every whole packet of the input, until one must be held.
    pub(super) fn take_packets(&mut self, input: &mut BytesMut) -> Result<(), Ending> {
        if let Some(held) = self.held.take() {
            self.publish(held)?;
            if self.held.is_some() {
                return Ok(());
            }
            // The silence while the door did not listen was not the client's.
            self.heard = Instant::now();
        }
        while self.is_listening() {
            let Some(frame) =
                frame::next(input, self.shared.config.max_packet).map_err(Fault::from)?
            else {
                break;
            };
            self.heard = Instant::now();
            self.incomplete = None;
            let packet = decode(self.encoder.version, &frame)?;
            self.act(packet)?;
        }
        if input.is_empty() || self.held.is_some() {
            self.incomplete = None;
        } else {
            self.incomplete.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn act(&mut self, packet: Packet) -> Result<(), Ending> {
        match packet {
            Packet::Publish(inbound) => self.publish(inbound)?,
            Packet::Puback(pid) => {
                self.in_flight.remove(&pid);
            }
            Packet::Pubrel(pid) => {
                let known = self.acks.release(pid);
                self.encoder.pubcomp(&mut self.output, pid, known);
            }
            Packet::Subscribe(pid, wishes) => self.subscribe(pid, &wishes),
            Packet::Unsubscribe(pid, filters) => {
                let router = &self.shared.router;
                let known: Vec<Known> = filters
                    .iter()
                    .map(|filter| router.unsubscribe(self.id, filter))
                    .collect();
                self.encoder.unsuback(&mut self.output, pid, &known);
            }
            Packet::Ping => self.encoder.pong(&mut self.output),
            Packet::Disconnect { with_will } => return Err(Ending::Left { with_will }),
        }
        Ok(())
    }

    fn publish(&mut self, inbound: Inbound) -> Result<(), Ending> {
        let Inbound { message, pid, dup } = &inbound;
        let owed = match (message.qos, *pid) {
            (Qos::AtLeastOnce, Some(pid)) => Owed::Puback(pid),
            (Qos::ExactlyOnce, Some(pid)) => Owed::Pubrec(pid),
            _ => Owed::Nothing,
        };
        if let Err(error) = check_topic(&message.topic) {
            let codes = (PubackReasonCode::TopicNameInvalid, Code::TopicNameInvalid);
            return self.deny(owed, Reason::TopicInvalid, codes, &error.to_string());
        }
        if !self.permit.may_publish(&message.topic) {
            let text = format!(
                "`{}` may not publish to `{}`",
                self.client_id, message.topic
            );
            let codes = (PubackReasonCode::NotAuthorized, Code::NotAuthorized);
            return self.deny(owed, Reason::NotAuthorized, codes, &text);
        }
        let retains = message.retain && !message.payload.is_empty();
        if retains && !self.shared.router.has_room_to_retain(&message.topic) {
            let text =
                "no room for one more retained topic: clear some with an empty retained message";
            let codes = (PubackReasonCode::QuotaExceeded, Code::QuotaExceeded);
            return self.deny(owed, Reason::Quota, codes, text);
        }
        if !self.acks.has_room(message.payload.len()) {
            if owed == Owed::Nothing {
                self.shared.counters.refuse(Reason::Overload);
            } else {
                self.held = Some(inbound);
            }
            return Ok(());
        }
        if let Owed::Pubrec(pid) = owed
            && self.acks.begin_exact(pid) == Turn::Again
        {
            return Ok(());
        }
        let accepted = self.shared.gate.accept(self.for_gate(message, *dup));
        self.acks.push(inbound.message, owed, accepted);
        Ok(())
    }

    fn for_gate(&self, message: &Message, dup: bool) -> Publish {
        Publish {
            client_id: Arc::clone(&self.client_id),
            user: self.user.clone(),
            topic: Arc::clone(&message.topic),
            payload: message.payload.clone(),
            qos: message.qos,
            retain: message.retain,
            dup,
            will: false,
        }
    }

    /// Says no to a publish: by its acknowledgement where there is one that can say so, else by closing.
    fn deny(
        &mut self,
        owed: Owed,
        reason: Reason,
        codes: (PubackReasonCode, Code),
        text: &str,
    ) -> Result<(), Ending> {
        if self.encoder.version == Version::V5 && owed != Owed::Nothing {
            self.shared.counters.refuse(reason);
            tracing::debug!(client = %self.client_id, reason = reason.key(), "MQTT publish denied: {text}");
            self.acks.push_denied(owed, codes.0, text);
            return Ok(());
        }
        Err(Fault::new(reason, codes.1, text).into())
    }

    fn subscribe(&mut self, pid: Pid, wishes: &[Wish]) {
        let grants: Vec<Grant> = wishes.iter().map(|wish| self.grant(wish)).collect();
        self.encoder.suback(&mut self.output, pid, &grants);
    }

    fn grant(&mut self, wish: &Wish) -> Grant {
        let denied = |reason, grant| {
            self.shared.counters.refuse(reason);
            tracing::debug!(client = %self.client_id, filter = %wish.filter, "MQTT subscription denied: {grant:?}");
            grant
        };
        if wish.shared {
            return denied(Reason::Protocol, Grant::SharedUnavailable);
        }
        let filter = match wish.filter.parse::<Filter>() {
            Ok(filter) if is_filter_bounded(&wish.filter) => filter,
            _ => return denied(Reason::TopicInvalid, Grant::Invalid),
        };
        if !self.permit.may_subscribe(&filter) {
            return denied(Reason::NotAuthorized, Grant::NotAuthorized);
        }
        if self.backlog.len() > self.shared.config.max_retained {
            return denied(Reason::Quota, Grant::Quota);
        }
        let mut options = wish.options;
        options.qos = options.qos.min(Qos::AtLeastOnce);
        match self
            .shared
            .router
            .subscribe(self.id, &filter, &wish.filter, options)
        {
            Subscribed::Yes(retained) => {
                self.backlog.extend(retained);
                Grant::Qos(options.qos)
            }
            Subscribed::TooMany => denied(Reason::Quota, Grant::Quota),
        }
    }

    /// Sends retained values to new subscriptions, as far as there is room.
    pub(super) fn send_backlog(&mut self) {
        while self.output.len() < WRITE_LIMIT
            && self.in_flight.len() < self.max_in_flight
            && let Some(message) = self.backlog.pop_front()
        {
            self.deliver(&message);
        }
    }

    /// Writes a message to the client.
    pub(super) fn deliver(&mut self, message: &Message) {
        let pid = (message.qos != Qos::AtMostOnce).then(|| self.next_pid());
        if self
            .encoder
            .publish(&mut self.output, message, pid)
            .is_none()
        {
            self.shared.counters.refuse(Reason::DeliveryDropped);
            return;
        }
        self.in_flight.extend(pid);
        self.shared
            .counters
            .delivered
            .fetch_add(1, Ordering::Relaxed);
    }

    fn next_pid(&mut self) -> Pid {
        // Ends: at most `max_in_flight` of the 65,535 identifiers are in use, and the caller checked for room.
        loop {
            self.last_pid += 1;
            if !self.in_flight.contains(&self.last_pid) {
                return self.last_pid;
            }
        }
    }

    /// Passes on a publish whose turn has come, and writes its acknowledgement.
    pub(super) fn settled(&mut self, settled: Settled) -> Result<(), Ending> {
        let negative = match settled.outcome {
            Outcome::Durable(message) => {
                self.shared
                    .counters
                    .accepted
                    .fetch_add(1, Ordering::Relaxed);
                self.shared.router.publish(&message, Some(self.id));
                None
            }
            Outcome::Repeated => None,
            Outcome::Denied(negative) => Some(negative),
            Outcome::Refused(refused) => Some(self.refused(settled.owed, &refused)?),
        };
        match settled.owed {
            Owed::Nothing => {}
            Owed::Puback(pid) => self
                .encoder
                .puback(&mut self.output, pid, negative.as_ref()),
            Owed::Pubrec(pid) => self
                .encoder
                .pubrec(&mut self.output, pid, negative.as_ref()),
        }
        Ok(())
    }

    /// Passes on every further publish whose turn has come already.
    pub(super) fn settle_ready(&mut self) -> Result<(), Ending> {
        while let Some(Some(settled)) = self.acks.next().now_or_never() {
            self.settled(settled)?;
        }
        Ok(())
    }

    /// The answer to a publish that the gate refused. What cannot be stored now must be sent again: the connection closes.
    fn refused(&self, owed: Owed, refused: &Refused) -> Result<Negative, Ending> {
        self.shared.counters.refuse(Reason::Refused);
        tracing::debug!(client = %self.client_id, "MQTT publish refused: {refused}");
        let code = match refused.kind {
            RefusedKind::NotAuthorized => PubackReasonCode::NotAuthorized,
            RefusedKind::TopicInvalid => PubackReasonCode::TopicNameInvalid,
            RefusedKind::PayloadInvalid => PubackReasonCode::PayloadFormatInvalid,
            RefusedKind::Quota => PubackReasonCode::QuotaExceeded,
            RefusedKind::Unavailable => PubackReasonCode::ImplementationSpecificError,
        };
        let has_answer =
            self.encoder.version == Version::V5 && refused.kind != RefusedKind::Unavailable;
        if has_answer || owed == Owed::Nothing {
            let text = refused.reason.as_str().into();
            return Ok(Negative { code, text });
        }
        let code = Code::from_u8(code as u8).unwrap_or(Code::ImplementationSpecificError);
        Err(Fault::new(Reason::Refused, code, refused.reason.as_str()).into())
    }

    /// Notes that the client took bytes.
    pub(super) fn wrote(&mut self) {
        self.stuck = None;
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
    }

    /// Notes a sign of life of a client to which the door does not listen.
    pub(super) fn is_alive(&mut self) {
        self.heard = Instant::now();
    }

    /// When something is due next.
    pub(super) fn deadline(&mut self) -> Instant {
        let now = Instant::now();
        if !self.output.is_empty() {
            self.stuck.get_or_insert(now);
        }
        let due = [self.keep_alive_due(), self.packet_due(), self.write_due()];
        due.into_iter().flatten().min().unwrap_or(now + IDLE)
    }

    fn keep_alive_due(&self) -> Option<Instant> {
        let counts = self.held.is_none();
        self.keep_alive
            .filter(|_| counts)
            .map(|allowed| self.heard + allowed)
    }

    fn packet_due(&self) -> Option<Instant> {
        self.incomplete
            .map(|since| since + self.shared.config.packet_timeout)
    }

    fn write_due(&self) -> Option<Instant> {
        self.stuck
            .map(|since| since + self.shared.config.packet_timeout)
    }

    /// Ends the connection if something is overdue.
    pub(super) fn check_clocks(&self, now: Instant) -> Result<(), Ending> {
        let overdue = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if overdue(self.keep_alive_due()) {
            let text = "nothing was heard for one and a half times the keep-alive";
            return Err(Fault::new(Reason::KeepAlive, Code::KeepAliveTimeout, text).into());
        }
        if overdue(self.packet_due()) {
            let text = "a packet was begun and not finished in time";
            return Err(Fault::new(Reason::PacketTimeout, Code::KeepAliveTimeout, text).into());
        }
        if overdue(self.write_due()) {
            let text = "the client does not take what it is sent";
            return Err(Fault::new(Reason::SlowSubscriber, Code::QuotaExceeded, text).into());
        }
        Ok(())
    }

    /// Waits for every publish that waits, and writes its acknowledgement.
    pub(super) async fn settle_and_answer(&mut self) {
        while let Some(settled) = self.acks.next().await {
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

    /// After the connection is gone: what it sent still becomes durable and is passed on, then its will.
    pub(super) async fn end(mut self, ending: &Ending) {
        let patience = self.shared.config.drain_timeout;
        let _ = timeout(patience, async {
            while let Some(settled) = self.acks.next().await {
                if let Outcome::Durable(message) = settled.outcome {
                    self.shared
                        .counters
                        .accepted
                        .fetch_add(1, Ordering::Relaxed);
                    self.shared.router.publish(&message, Some(self.id));
                }
            }
        })
        .await;
        let has_no_will = match ending {
            Ending::Left { with_will } => !with_will,
            Ending::Fault(fault) => fault.reason == Reason::Ended,
            Ending::Closing => true,
            Ending::Broken => false,
        };
        if has_no_will {
            return;
        }
        let Some(mut will) = self.will.take() else {
            return;
        };
        let expiry = will
            .properties
            .as_ref()
            .and_then(|said| said.message_expiry_interval);
        will.expires = expiry.map(|s| std::time::Instant::now() + Duration::from_secs(s.into()));
        let publish = Publish {
            will: true,
            ..self.for_gate(&will, false)
        };
        match timeout(patience, self.shared.gate.accept(publish)).await {
            Ok(Ok(())) => {
                self.shared
                    .counters
                    .accepted
                    .fetch_add(1, Ordering::Relaxed);
                self.shared.router.publish(&will, Some(self.id));
            }
            Ok(Err(refused)) => {
                tracing::warn!(client = %self.client_id, "MQTT will refused: {refused}");
            }
            Err(_) => {
                tracing::warn!(client = %self.client_id, "MQTT will given up: the gate did not answer");
            }
        }
    }

    /// Tells the log, and the counters, how the connection ended.
    pub(super) fn log(&self, ending: &Ending) {
        if let Ending::Fault(fault) = ending {
            if fault.reason != Reason::Refused {
                self.shared.counters.refuse(fault.reason);
            }
            tracing::warn!(client = %self.client_id, reason = fault.reason.key(), "MQTT connection closed: {fault}");
        } else {
            tracing::debug!(client = %self.client_id, ?ending, "MQTT connection ended");
        }
    }
}
