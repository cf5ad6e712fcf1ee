//! What the standard or this door forbids and the codec lets pass.
//!
//! Invariant: a frame that leaves here means exactly one thing; nothing trails, nothing reserved is set.

use mqtt_proto::v5::DisconnectReasonCode as Code;

use crate::{
    frame::{Frame, FrameError},
    stats::Reason,
};

/// Longest topic or filter, in bytes.
pub(crate) const MAX_TOPIC_BYTES: usize = 1_024;
/// Most levels of a topic or filter.
pub(crate) const MAX_TOPIC_LEVELS: usize = 32;

/// Why the door ends a connection.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Fault {
    /// Under which name it is counted.
    pub(crate) reason: Reason,
    /// What an MQTT 5 client is told as a code; CONNACK and DISCONNECT share their numbers.
    pub(crate) code: Code,
    /// What a person reads.
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(reason: Reason, code: Code, text: impl Into<String>) -> Self {
        Self {
            reason,
            code,
            text: text.into(),
        }
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self::new(Reason::Malformed, Code::MalformedPacket, text)
    }

    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::new(Reason::Protocol, Code::ProtocolError, text)
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Length => Self::malformed(error.to_string()),
            FrameError::TooLarge(_) => {
                Self::new(Reason::TooLarge, Code::PacketTooLarge, error.to_string())
            }
        }
    }
}

/// Not a topic to publish to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{topic}` is not a topic to publish to: {why}")]
pub struct InvalidTopic {
    topic: String,
    why: &'static str,
}

/// Whether `topic` may be published to at all.
pub(crate) fn check_topic(topic: &str) -> Result<(), InvalidTopic> {
    let why = if topic.is_empty() {
        "it is empty"
    } else if ["$SYS", "$share"].contains(&topic.split('/').next().unwrap_or(topic)) {
        "it belongs to the server"
    } else if topic.len() > MAX_TOPIC_BYTES {
        "it is longer than 1,024 bytes"
    } else if topic.split('/').count() > MAX_TOPIC_LEVELS {
        "it has more than 32 levels"
    } else if topic.contains(['+', '#', '\0']) {
        "it holds a wildcard"
    } else {
        return Ok(());
    };
    let shown = topic.chars().take(80).collect();
    Err(InvalidTopic { topic: shown, why })
}

/// Whether a filter is within the door's limits.
pub(crate) fn is_filter_bounded(filter: &str) -> bool {
    filter.len() <= MAX_TOPIC_BYTES && filter.split('/').count() <= MAX_TOPIC_LEVELS
}

/// Judges what the header of a frame says, before the codec sees it.
pub(crate) fn check_frame(frame: &Frame) -> Result<(), Fault> {
    match frame.kind() {
        0 => Err(Fault::malformed("packet type 0 is reserved")),
        2 | 9 | 11 | 13 => Err(Fault::protocol("only a server sends this packet")),
        3 if frame.bytes[0] & 0b1110 == 0b1000 => {
            Err(Fault::malformed("a PUBLISH at QoS 0 cannot be a duplicate"))
        }
        12 if !frame.body().is_empty() => Err(Fault::malformed("a PINGREQ has no body")),
        _ => Ok(()),
    }
}

/// Judges the flags of a CONNECT: `level` 5 has looser rules for passwords.
pub(crate) fn check_connect_flags(flags: u8, level: u8) -> Result<(), Fault> {
    const WILL: u8 = 0b0000_0100;
    const WILL_DETAILS: u8 = 0b0011_1000;
    const PASSWORD: u8 = 0b0100_0000;
    const USER: u8 = 0b1000_0000;
    if flags & WILL == 0 && flags & WILL_DETAILS != 0 {
        return Err(Fault::malformed("will flags without a will"));
    }
    if level < 5 && flags & PASSWORD != 0 && flags & USER == 0 {
        return Err(Fault::malformed(
            "a password needs a user name before MQTT 5",
        ));
    }
    Ok(())
}
