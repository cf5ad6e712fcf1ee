//! A message on its way from a publisher to subscribers, in no version's clothes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use mqtt_proto::{QoS, v5::PublishProperties};

/// What a message in a queue costs beside its payload and its topic, about.
const OVERHEAD: usize = 128;
/// What a user property costs beside its text, about: on the wire it is five bytes, in memory two allocations.
const PAIR: usize = 144;
/// What a retained value on its way to one subscriber costs, about.
pub(crate) const REFERENCE: usize = 256;

/// Quality of service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Qos {
    /// QoS 0: sent and forgotten.
    AtMostOnce,
    /// QoS 1: sent until acknowledged.
    AtLeastOnce,
    /// QoS 2: acknowledged in two steps.
    ExactlyOnce,
}

impl From<QoS> for Qos {
    fn from(qos: QoS) -> Self {
        match qos {
            QoS::Level0 => Self::AtMostOnce,
            QoS::Level1 => Self::AtLeastOnce,
            QoS::Level2 => Self::ExactlyOnce,
        }
    }
}

impl Qos {
    /// The quality of service with this number; what is beyond 2 counts as 2.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::AtMostOnce,
            1 => Self::AtLeastOnce,
            _ => Self::ExactlyOnce,
        }
    }
}

/// A client's session: the number under which a store knows it, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct SessionId(pub(crate) u64);

/// A message; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Topic.
    pub(crate) topic: Arc<str>,
    /// Payload.
    pub(crate) payload: Bytes,
    /// Quality of service it was published with.
    pub(crate) qos: Qos,
    /// It is, or sets, the topic's retained value.
    pub(crate) retain: bool,
    /// What an MQTT 5 publisher said besides, to be passed on; without aliases, identifiers of subscriptions and expiry.
    pub(crate) properties: Option<Arc<PublishProperties>>,
    /// When it stops being worth delivering.
    pub(crate) expires: Option<Instant>,
}

impl Message {
    /// Whether its time has passed.
    pub(crate) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= Instant::now())
    }

    /// Seconds for which it is still worth delivering.
    pub(crate) fn seconds_left(&self) -> Option<u32> {
        let left = self.expires?.saturating_duration_since(Instant::now());
        Some(u32::try_from(left.as_secs()).unwrap_or(u32::MAX))
    }

    /// What it costs to keep, in bytes.
    pub(crate) fn size(&self) -> usize {
        let said = self.properties.as_ref().map_or(0, |said| {
            let pairs = said.user_properties.iter();
            pairs
                .map(|pair| pair.name.len() + pair.value.len() + PAIR)
                .sum::<usize>()
                + said.correlation_data.as_ref().map_or(0, Bytes::len)
                + said.content_type.as_ref().map_or(0, |text| text.len())
                + said.response_topic.as_ref().map_or(0, |topic| topic.len())
        });
        self.payload.len() + self.topic.len() + said + OVERHEAD
    }
}

/// When something that begins now and lasts `seconds` ends.
pub(crate) fn in_seconds(seconds: u32) -> Instant {
    Instant::now() + Duration::from_secs(seconds.into())
}

/// A message that queues hold. It counts once among the bytes that all queues hold, until the last of them lets go of it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) message: Message,
    /// Its number among the messages on disk; 0 if it is not there.
    pub(crate) number: u64,
    /// Its share of the bytes that its queue may hold.
    size: usize,
    /// Its share of what all queues may.
    cost: usize,
    total: Arc<AtomicUsize>,
}

impl Held {
    /// Holds a message for queues; `total` is what all of them hold.
    pub(crate) fn new(message: Message, number: u64, total: &Arc<AtomicUsize>) -> Arc<Self> {
        let size = message.size();
        total.fetch_add(size, Ordering::Relaxed);
        Arc::new(Self {
            message,
            number,
            size,
            cost: size,
            total: Arc::clone(total),
        })
    }

    /// A retained value on its way to a subscriber: what it says is counted where it is retained.
    pub(crate) fn retained(message: Message, total: &Arc<AtomicUsize>) -> Arc<Self> {
        total.fetch_add(REFERENCE, Ordering::Relaxed);
        Arc::new(Self {
            message,
            number: 0,
            size: 0,
            cost: REFERENCE,
            total: Arc::clone(total),
        })
    }

    /// What it costs, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

/// A client's last word, published when its connection breaks.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) message: Message,
    /// Seconds to wait for the client to come back.
    pub(crate) delay: u32,
    /// Seconds for which it is worth delivering, once published.
    pub(crate) expiry: Option<u32>,
}

impl Will {
    /// The message, published now.
    pub(crate) fn speak(self) -> Message {
        Message {
            expires: self.expiry.map(in_seconds),
            ..self.message
        }
    }
}
