//! What drivers hand on.

use farm_model::{DeviceId, Observation, Stamp};

/// A batch of what drivers heard, in the order in which they heard it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inbound {
    /// What was understood.
    pub observations: Vec<Observation>,
    /// What was not.
    pub rejects: Vec<RejectRecord>,
    /// Sealed frames of nodes, for whoever has their keys.
    pub frames: Vec<NodeFrame>,
}

impl Inbound {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.observations.is_empty() && self.rejects.is_empty() && self.frames.is_empty()
    }
}

/// A frame that a serial port brought; nothing of it is believed yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeFrame {
    /// The port.
    pub port: String,
    /// Its bytes, without the line's stuffing.
    pub bytes: Vec<u8>,
    /// When it was complete.
    pub received: Stamp,
}

/// Bytes that could not be believed, for the quarantine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectRecord {
    /// The device they came from, if that is known.
    pub device: Option<DeviceId>,
    /// Where they came from: a port, an endpoint, a file.
    pub source: String,
    /// Why they were rejected; a short key, also the name under which it is counted.
    pub reason: &'static str,
    /// The bytes, at most [`RejectRecord::MAX_RAW`] of them.
    pub raw: Vec<u8>,
}

impl RejectRecord {
    /// Longest raw evidence kept.
    pub const MAX_RAW: usize = 256;

    /// A record of `raw`, cut to [`RejectRecord::MAX_RAW`].
    pub fn new(device: Option<DeviceId>, source: &str, reason: &'static str, raw: &[u8]) -> Self {
        Self {
            device,
            source: source.to_owned(),
            reason,
            raw: raw[..raw.len().min(Self::MAX_RAW)].to_vec(),
        }
    }
}
