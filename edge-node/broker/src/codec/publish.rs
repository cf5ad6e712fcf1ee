//! PUBLISH towards a subscriber, by hand: `mqtt-proto` 0.4 writes one subscription identifier where the standard allows many,
//! and a message goes to many subscribers.

use std::{collections::HashMap, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use mqtt_proto::{
    Pid,
    v5::{PacketType, PublishProperties},
};

use super::{Encoder, Version};
use crate::message::{Message, Qos};

/// A message as one subscriber is sent it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) message: &'a Message,
    pub(crate) qos: Qos,
    pub(crate) pid: Option<Pid>,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    /// Identifiers of the subscriptions that it answers.
    pub(crate) ids: &'a [u32],
}

/// Why a message is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unsendable {
    /// The client takes no packet so large.
    TooLarge,
    /// Its time has passed.
    Expired,
}

/// Topics that have a number on this connection.
#[derive(Debug)]
pub(crate) struct Aliases {
    max: u16,
    numbers: HashMap<Arc<str>, u16>,
}

impl Aliases {
    /// For a client that takes `max` of them.
    pub(crate) fn new(max: u16) -> Self {
        Self {
            max,
            numbers: HashMap::new(),
        }
    }

    /// The alias of a topic, and whether the client knows it.
    fn of(&self, topic: &str) -> Option<(u16, bool)> {
        if let Some(&number) = self.numbers.get(topic) {
            return Some((number, true));
        }
        let next = u16::try_from(self.numbers.len() + 1).ok()?;
        (next <= self.max).then_some((next, false))
    }
}

impl Encoder {
    /// PUBLISH to a subscriber.
    pub(crate) fn publish(
        &self,
        out: &mut BytesMut,
        outgoing: Outgoing<'_>,
        aliases: &mut Aliases,
    ) -> Result<(), Unsendable> {
        let message = outgoing.message;
        // What was sent once is sent to its end.
        if message.is_expired() && !outgoing.dup {
            return Err(Unsendable::Expired);
        }
        let mut topic = &*message.topic;
        let mut alias = None;
        let mut properties = BytesMut::new();
        if self.version == Version::V5 {
            alias = aliases.of(topic);
            if alias.is_some_and(|(_, known)| known) {
                topic = "";
            }
            write_said(&mut properties, message.properties.as_deref());
            if let Some(seconds) = message.seconds_left() {
                properties.put_u8(0x02);
                properties.put_u32(seconds);
            }
            for &id in outgoing.ids {
                properties.put_u8(0x0b);
                put_length(&mut properties, id as usize);
            }
            if let Some((number, _)) = alias {
                properties.put_u8(0x23);
                properties.put_u16(number);
            }
        }
        let mut head = BytesMut::new();
        put_text(&mut head, topic);
        if let Some(pid) = outgoing.pid {
            head.put_u16(pid.value());
        }
        if self.version == Version::V5 {
            put_length(&mut head, properties.len());
        }
        let body = head.len() + properties.len() + message.payload.len();
        if 5 + body > self.max_packet && 1 + length_of(body) + body > self.max_packet {
            return Err(Unsendable::TooLarge);
        }
        out.put_u8(
            0x30 | u8::from(outgoing.dup) << 3
                | (outgoing.qos as u8) << 1
                | u8::from(outgoing.retain),
        );
        put_length(out, body);
        out.extend_from_slice(&head);
        out.extend_from_slice(&properties);
        out.extend_from_slice(&message.payload);
        if let Some((number, false)) = alias {
            aliases.numbers.insert(Arc::clone(&message.topic), number);
        }
        Ok(())
    }
}

/// What a publisher said, as bytes for a store; without the length before it.
pub(crate) fn properties_of(message: &Message) -> Bytes {
    let mut bytes = BytesMut::new();
    write_said(&mut bytes, message.properties.as_deref());
    bytes.freeze()
}

/// What a publisher said, from the bytes of a store; nothing if they cannot be read.
pub(crate) fn properties_from(bytes: &[u8]) -> Option<Arc<PublishProperties>> {
    if bytes.is_empty() {
        return None;
    }
    let mut whole = BytesMut::new();
    put_length(&mut whole, bytes.len());
    whole.extend_from_slice(bytes);
    let said = PublishProperties::decode(&whole, &mut 0, PacketType::Publish).ok()?;
    Some(Arc::new(said))
}

fn write_said(out: &mut BytesMut, said: Option<&PublishProperties>) {
    let Some(said) = said else { return };
    if let Some(is_utf8) = said.payload_is_utf8 {
        out.extend_from_slice(&[0x01, u8::from(is_utf8)]);
    }
    if let Some(text) = &said.content_type {
        out.put_u8(0x03);
        put_text(out, text);
    }
    if let Some(topic) = &said.response_topic {
        out.put_u8(0x08);
        put_text(out, topic);
    }
    if let Some(data) = &said.correlation_data {
        out.put_u8(0x09);
        put_data(out, data);
    }
    for pair in &said.user_properties {
        out.put_u8(0x26);
        put_text(out, &pair.name);
        put_text(out, &pair.value);
    }
}

fn put_text(out: &mut BytesMut, text: &str) {
    put_data(out, text.as_bytes());
}

fn put_data(out: &mut BytesMut, data: &[u8]) {
    let length = u16::try_from(data.len()).expect("it was read from a field of two length bytes");
    out.put_u16(length);
    out.extend_from_slice(data);
}

/// Writes a number as MQTT writes lengths: seven bits a byte.
pub(super) fn put_length(out: &mut BytesMut, mut length: usize) {
    while length > 0x7f {
        out.put_u8(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    out.put_u8(length as u8);
}

/// How many bytes [`put_length`] writes.
fn length_of(length: usize) -> usize {
    match length {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}
