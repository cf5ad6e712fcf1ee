//! Between frames and what they mean: one set of packets for MQTT 3.1, 3.1.1 and 5.
//!
//! The bytes are read and written by `mqtt-proto`; what it lets pass is judged by [`crate::rules`].

mod decode;
mod encode;
mod publish;

pub(crate) use decode::{decode, decode_connect};
pub(crate) use encode::{Encoder, Known, Negative, Refusal};
pub(crate) use publish::{Aliases, Outgoing, properties_from, properties_of};

use std::sync::Arc;

use bytes::Bytes;
use mqtt_proto::Pid;

use crate::{
    lasting::Options,
    message::{Message, Qos, Will},
};

/// Which clothes a packet wears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// MQTT 3.1 and 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

/// The first packet of a connection.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: Arc<str>,
    pub(crate) clean: bool,
    /// Seconds; 0 for none.
    pub(crate) keep_alive: u16,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) password: Option<Bytes>,
    pub(crate) will: Option<Will>,
    /// Seconds that it wants its session to last after the connection.
    pub(crate) session_expiry: u32,
    /// QoS 1 and 2 messages it takes before it acknowledges.
    pub(crate) receive_max: u16,
    /// Topic aliases it takes.
    pub(crate) topic_alias_max: u16,
    /// Largest packet it takes.
    pub(crate) max_packet: usize,
    /// It wants reason strings.
    pub(crate) problem_info: bool,
    /// It wants to be told where to listen for responses.
    pub(crate) wants_response_info: bool,
    /// It asks for enhanced authentication.
    pub(crate) wants_auth: bool,
}

/// A publish as it came.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Its topic may be empty if there is an alias.
    pub(crate) message: Message,
    pub(crate) pid: Option<Pid>,
    pub(crate) dup: bool,
    pub(crate) alias: Option<u16>,
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) filter: Arc<str>,
    pub(crate) options: Options,
}

/// A packet from a client that has connected.
#[derive(Debug)]
pub(crate) enum Packet {
    Publish(Inbound),
    Puback(Pid),
    /// The client has a QoS 2 message, or will not take it.
    Pubrec(Pid, Taken),
    Pubrel(Pid),
    Pubcomp(Pid),
    Subscribe(Pid, Vec<Wish>),
    Unsubscribe(Pid, Vec<Arc<str>>),
    Ping,
    /// The client leaves; its will is wanted all the same if `with_will`.
    Disconnect {
        with_will: bool,
        /// Seconds that its session is to last after all.
        session_expiry: Option<u32>,
    },
}

/// Whether a client takes a QoS 2 message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    Yes,
    No,
}

/// The answer to one filter of a SUBSCRIBE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grant {
    Qos(Qos),
    NotAuthorized,
    Invalid,
    Quota,
}
