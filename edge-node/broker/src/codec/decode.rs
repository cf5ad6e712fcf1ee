//! Frames to packets.

use std::sync::Arc;

use mqtt_proto::{
    Error, Protocol, QosPid, TopicFilter, v3,
    v5::{self, DisconnectReasonCode as Code, ErrorV5, PublishProperties, RetainHandling},
};

use super::{Connect, Inbound, Packet, Refusal, Taken, Version, Wish};
use crate::{
    frame::Frame,
    lasting::{Options, RetainedAtSubscribe},
    message::{Message, Qos, Will, in_seconds},
    rules::{Fault, check_connect_flags, check_frame},
};

/// Why a CONNECT was not understood, and in which version the client may be told so.
#[derive(Debug)]
pub(crate) struct ConnectFault {
    pub(crate) version: Option<Version>,
    pub(crate) refusal: Refusal,
    pub(crate) fault: Fault,
}

impl ConnectFault {
    fn new(version: Option<Version>, fault: Fault) -> Self {
        Self {
            version,
            refusal: Refusal::Fault(fault.code),
            fault,
        }
    }
}

/// Reads the first frame of a connection.
pub(crate) fn decode_connect(frame: &Frame) -> Result<Connect, ConnectFault> {
    if frame.kind() != 1 {
        let fault = Fault::protocol("the first packet must be a CONNECT");
        return Err(ConnectFault::new(None, fault));
    }
    let (protocol, flags) = sniff(frame.body())?;
    let version = if protocol == Protocol::V500 {
        Version::V5
    } else {
        Version::V3
    };
    let with = |fault| ConnectFault::new(Some(version), fault);
    check_connect_flags(flags, protocol as u8).map_err(with)?;
    let connect = match version {
        Version::V3 => v3_connect(frame),
        Version::V5 => v5_connect(frame),
    }
    .map_err(with)?;
    let names = [Some(&connect.client_id), connect.user.as_ref()];
    if names.into_iter().flatten().any(|name| name.contains('\0')) {
        return Err(with(Fault::malformed("a string holds a NUL character")));
    }
    Ok(connect)
}

/// Protocol and flags of a CONNECT, read before a codec is chosen.
fn sniff(body: &[u8]) -> Result<(Protocol, u8), ConnectFault> {
    let cut = || ConnectFault::new(None, cut_short());
    let (&length, rest) = body.split_first_chunk::<2>().ok_or_else(cut)?;
    let (name, rest) = rest
        .split_at_checked(usize::from(u16::from_be_bytes(length)))
        .ok_or_else(cut)?;
    let &[level, flags, ..] = rest else {
        return Err(cut());
    };
    if let Ok(protocol) = Protocol::new(name, level) {
        return Ok((protocol, flags));
    }
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(ConnectFault::new(None, Fault::protocol("this is not MQTT")));
    }
    let text = format!("protocol level {level} is not spoken here: use MQTT 3.1.1 or 5");
    Err(ConnectFault {
        version: Some(if level > 5 { Version::V5 } else { Version::V3 }),
        refusal: Refusal::Version,
        fault: Fault::protocol(text),
    })
}

fn v3_connect(frame: &Frame) -> Result<Connect, Fault> {
    let packet = v3::Packet::decode(&frame.bytes)?;
    let Some(packet @ v3::Packet::Connect(_)) = packet else {
        return Err(cut_short());
    };
    if packet.encode_len() != Ok(frame.bytes.len()) {
        return Err(trailing());
    }
    let v3::Packet::Connect(connect) = packet else {
        return Err(cut_short());
    };
    let will = connect.last_will.map(|will| Will {
        message: Message {
            topic: Arc::from(&*will.topic_name),
            payload: will.message,
            qos: will.qos.into(),
            retain: will.retain,
            properties: None,
            expires: None,
        },
        delay: 0,
        expiry: None,
    });
    Ok(Connect {
        version: Version::V3,
        client_id: connect.client_id,
        clean: connect.clean_session,
        keep_alive: connect.keep_alive,
        user: connect.username,
        password: connect.password,
        will,
        // Before MQTT 5 a session that is not clean lasts for as long as the server lets it.
        session_expiry: if connect.clean_session { 0 } else { u32::MAX },
        receive_max: u16::MAX,
        topic_alias_max: 0,
        max_packet: usize::MAX,
        problem_info: false,
        wants_response_info: false,
        wants_auth: false,
    })
}

fn v5_connect(frame: &Frame) -> Result<Connect, Fault> {
    let packet = v5::Packet::decode(&frame.bytes)?;
    let Some(packet @ v5::Packet::Connect(_)) = packet else {
        return Err(cut_short());
    };
    if packet.encode_len() != Ok(frame.bytes.len()) {
        return Err(trailing());
    }
    let v5::Packet::Connect(connect) = packet else {
        return Err(cut_short());
    };
    let asked = &connect.properties;
    if asked.receive_max == Some(0) {
        return Err(Fault::protocol("Receive Maximum cannot be 0"));
    }
    if asked.max_packet_size == Some(0) {
        return Err(Fault::protocol("Maximum Packet Size cannot be 0"));
    }
    let will = connect.last_will.map(|will| {
        let said = will.properties;
        let properties = PublishProperties {
            payload_is_utf8: said.payload_is_utf8,
            response_topic: said.response_topic,
            correlation_data: said.correlation_data,
            user_properties: said.user_properties,
            content_type: said.content_type,
            ..PublishProperties::default()
        };
        Will {
            message: Message {
                topic: Arc::from(&*will.topic_name),
                payload: will.payload,
                qos: will.qos.into(),
                retain: will.retain,
                properties: worth_passing_on(properties),
                expires: None,
            },
            delay: said.delay_interval.unwrap_or(0),
            expiry: said.message_expiry_interval,
        }
    });
    Ok(Connect {
        version: Version::V5,
        client_id: connect.client_id,
        clean: connect.clean_start,
        keep_alive: connect.keep_alive,
        user: connect.username,
        password: connect.password,
        will,
        session_expiry: asked.session_expiry_interval.unwrap_or(0),
        receive_max: asked.receive_max.unwrap_or(u16::MAX),
        topic_alias_max: asked.topic_alias_max.unwrap_or(0),
        max_packet: asked.max_packet_size.map_or(usize::MAX, |max| max as usize),
        problem_info: asked.request_problem_info.unwrap_or(true),
        wants_response_info: asked.request_response_info.unwrap_or(false),
        wants_auth: asked.auth_method.is_some() || asked.auth_data.is_some(),
    })
}

/// Reads a frame of a client that has connected.
pub(crate) fn decode(version: Version, frame: &Frame) -> Result<Packet, Fault> {
    check_frame(frame)?;
    match version {
        Version::V3 => v3_packet(frame),
        Version::V5 => v5_packet(frame),
    }
}

fn v3_packet(frame: &Frame) -> Result<Packet, Fault> {
    use v3::Packet as P;
    let packet = v3::Packet::decode(&frame.bytes)?.ok_or_else(cut_short)?;
    if packet.encode_len() != Ok(frame.bytes.len()) {
        return Err(trailing());
    }
    Ok(match packet {
        P::Publish(publish) => {
            if publish.topic_name.is_empty() {
                return Err(Fault::malformed("a PUBLISH without a topic"));
            }
            Packet::Publish(Inbound {
                dup: publish.dup,
                pid: publish.qos_pid.pid(),
                alias: None,
                message: Message {
                    topic: Arc::from(&*publish.topic_name),
                    payload: publish.payload,
                    qos: qos_of(publish.qos_pid),
                    retain: publish.retain,
                    properties: None,
                    expires: None,
                },
            })
        }
        P::Puback(pid) => Packet::Puback(pid),
        P::Pubrec(pid) => Packet::Pubrec(pid, Taken::Yes),
        P::Pubrel(pid) => Packet::Pubrel(pid),
        P::Pubcomp(pid) => Packet::Pubcomp(pid),
        P::Subscribe(subscribe) => {
            let wishes = subscribe.topics.into_iter().map(|(filter, qos)| {
                let options = Options {
                    qos: qos.into(),
                    no_local: false,
                    retain_as_published: false,
                    retained: RetainedAtSubscribe::Send,
                    id: None,
                };
                wish(&filter, options)
            });
            Packet::Subscribe(subscribe.pid, wishes.collect())
        }
        P::Unsubscribe(unsubscribe) => {
            Packet::Unsubscribe(unsubscribe.pid, texts(&unsubscribe.topics))
        }
        P::Pingreq => Packet::Ping,
        P::Disconnect => Packet::Disconnect {
            with_will: false,
            session_expiry: None,
        },
        _ => return Err(out_of_place()),
    })
}

fn v5_packet(frame: &Frame) -> Result<Packet, Fault> {
    use v5::Packet as P;
    let packet = v5::Packet::decode(&frame.bytes)?.ok_or_else(cut_short)?;
    let canonical = packet.encode_len()?;
    // Acknowledgements may spell out "success" and "no properties": two bytes that the shortest form leaves out.
    let spare = frame.bytes.len().checked_sub(canonical);
    let spelt_out = matches!(frame.kind(), 4..=7 | 14) && frame.body().len() <= 4;
    if spare != Some(0) && !(spelt_out && matches!(spare, Some(1 | 2))) {
        return Err(trailing());
    }
    Ok(match packet {
        P::Publish(publish) => Packet::Publish(v5_publish(publish)?),
        P::Puback(puback) => Packet::Puback(puback.pid),
        P::Pubrec(pubrec) => {
            let refused = pubrec.reason_code as u8 >= 0x80;
            Packet::Pubrec(pubrec.pid, if refused { Taken::No } else { Taken::Yes })
        }
        P::Pubrel(pubrel) => Packet::Pubrel(pubrel.pid),
        P::Pubcomp(pubcomp) => Packet::Pubcomp(pubcomp.pid),
        P::Subscribe(subscribe) => {
            let id = subscribe.properties.subscription_id.map(|id| id.value());
            if id == Some(0) {
                return Err(Fault::protocol("a subscription identifier cannot be 0"));
            }
            let mut topics = subscribe.topics.iter();
            if topics.any(|(filter, asked)| asked.no_local && filter.starts_with("$share/")) {
                return Err(Fault::protocol(
                    "a shared subscription cannot be without one's own",
                ));
            }
            let wishes = subscribe.topics.into_iter().map(|(filter, asked)| {
                let options = Options {
                    qos: asked.max_qos.into(),
                    no_local: asked.no_local,
                    retain_as_published: asked.retain_as_published,
                    retained: match asked.retain_handling {
                        RetainHandling::SendAtSubscribe => RetainedAtSubscribe::Send,
                        RetainHandling::SendAtSubscribeIfNotExist => RetainedAtSubscribe::SendIfNew,
                        RetainHandling::DoNotSend => RetainedAtSubscribe::Not,
                    },
                    id,
                };
                wish(&filter, options)
            });
            Packet::Subscribe(subscribe.pid, wishes.collect())
        }
        P::Unsubscribe(unsubscribe) => {
            Packet::Unsubscribe(unsubscribe.pid, texts(&unsubscribe.topics))
        }
        P::Pingreq => Packet::Ping,
        P::Disconnect(disconnect) => Packet::Disconnect {
            with_will: disconnect.reason_code != Code::NormalDisconnect,
            session_expiry: disconnect.properties.session_expiry_interval,
        },
        _ => return Err(out_of_place()),
    })
}

fn v5_publish(publish: v5::Publish) -> Result<Inbound, Fault> {
    let mut said = publish.properties;
    let alias = said.topic_alias.take();
    if publish.topic_name.is_empty() && alias.is_none() {
        return Err(Fault::protocol("a PUBLISH without a topic"));
    }
    if said.subscription_id.is_some() {
        return Err(Fault::protocol(
            "only a server sends subscription identifiers in a PUBLISH",
        ));
    }
    let expires = said.message_expiry_interval.take().map(in_seconds);
    Ok(Inbound {
        dup: publish.dup,
        pid: publish.qos_pid.pid(),
        alias,
        message: Message {
            topic: Arc::from(&*publish.topic_name),
            payload: publish.payload,
            qos: qos_of(publish.qos_pid),
            retain: publish.retain,
            properties: worth_passing_on(said),
            expires,
        },
    })
}

fn worth_passing_on(said: PublishProperties) -> Option<Arc<PublishProperties>> {
    (said != PublishProperties::default()).then(|| Arc::new(said))
}

fn qos_of(qos: QosPid) -> Qos {
    qos.qos().into()
}

fn wish(filter: &TopicFilter, options: Options) -> Wish {
    Wish {
        filter: Arc::from(&**filter),
        options,
    }
}

fn texts(filters: &[TopicFilter]) -> Vec<Arc<str>> {
    filters.iter().map(|filter| Arc::from(&**filter)).collect()
}

fn cut_short() -> Fault {
    Fault::malformed("the packet is shorter than it says")
}

fn trailing() -> Fault {
    Fault::malformed("the packet is longer than what it holds")
}

fn out_of_place() -> Fault {
    Fault::protocol("this packet has no place here")
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::malformed(error.to_string())
    }
}

impl From<ErrorV5> for Fault {
    fn from(error: ErrorV5) -> Self {
        match error {
            // The standard calls these errors of protocol, though the bytes can be read.
            ErrorV5::DuplicatedProperty(_) | ErrorV5::InvalidByteProperty(..) => {
                Self::protocol(error.to_string())
            }
            _ => Self::malformed(error.to_string()),
        }
    }
}
