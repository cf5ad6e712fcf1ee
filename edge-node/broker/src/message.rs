//! A message on its way from a publisher to subscribers, in no version's clothes.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use mqtt_proto::{QoS, v5::PublishProperties};

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

/// Which connection, for as long as the door runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
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
    /// What an MQTT 5 publisher said besides; passed on as it is.
    pub(crate) properties: Option<Arc<PublishProperties>>,
    /// When it stops being worth delivering.
    pub(crate) expires: Option<Instant>,
}

impl Message {
    /// Whether its time has passed.
    pub(crate) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= Instant::now())
    }
}
