//! Frames to packets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mqtt_proto::{
    Error, Protocol, QosPid, TopicFilter, v3,
    v5::{self, DisconnectReasonCode as Code, ErrorV5, PublishProperties, RetainHandling},
};

use super::{Connect, Inbound, Options, Packet, Refusal, Version, Wish};
use crate::{
    frame::Frame,
    message::{Message, Qos},
    rules::{Fault, check_connect_flags, check_frame},
    stats::Reason,
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
    let will = connect.last_will.map(|will| Message {
        topic: Arc::from(&*will.topic_name),
        payload: will.message,
        qos: will.qos.into(),
        retain: will.retain,
        properties: None,
        expires: None,
    });
    Ok(Connect {
        version: Version::V3,
        client_id: connect.client_id,
        clean: connect.clean_session,
        keep_alive: connect.keep_alive,
        user: connect.username,
        password: connect.password,
        will,
        receive_max: u16::MAX,
        max_packet: usize::MAX,
        problem_info: false,
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
            message_expiry_interval: said.message_expiry_interval,
            response_topic: said.response_topic,
            correlation_data: said.correlation_data,
            user_properties: said.user_properties,
            content_type: said.content_type,
            ..PublishProperties::default()
        };
        Message {
            topic: Arc::from(&*will.topic_name),
            payload: will.payload,
            qos: will.qos.into(),
            retain: will.retain,
            expires: None,
            properties: Some(Arc::new(properties)),
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
        receive_max: asked.receive_max.unwrap_or(u16::MAX),
        max_packet: asked.max_packet_size.map_or(usize::MAX, |max| max as usize),
        problem_info: asked.request_problem_info.unwrap_or(true),
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
        P::Pubrel(pid) => Packet::Pubrel(pid),
        P::Subscribe(subscribe) => {
            let wishes = subscribe.topics.into_iter().map(|(filter, qos)| {
                let options = Options {
                    qos: qos.into(),
                    no_local: false,
                    retain_as_published: false,
                    retained: RetainHandling::SendAtSubscribe,
                };
                wish(&filter, options)
            });
            Packet::Subscribe(subscribe.pid, wishes.collect())
        }
        P::Unsubscribe(unsubscribe) => {
            Packet::Unsubscribe(unsubscribe.pid, texts(&unsubscribe.topics))
        }
        P::Pingreq => Packet::Ping,
        P::Disconnect => Packet::Disconnect { with_will: false },
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
        P::Pubrel(pubrel) => Packet::Pubrel(pubrel.pid),
        P::Subscribe(subscribe) => {
            if subscribe.properties.subscription_id.is_some() {
                let text = "subscription identifiers are not available here, as CONNACK said";
                let code = Code::SubscriptionIdentifiersNotSupported;
                return Err(Fault::new(Reason::Protocol, code, text));
            }
            let wishes = subscribe.topics.into_iter().map(|(filter, asked)| {
                let options = Options {
                    qos: asked.max_qos.into(),
                    no_local: asked.no_local,
                    retain_as_published: asked.retain_as_published,
                    retained: asked.retain_handling,
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
        },
        _ => return Err(out_of_place()),
    })
}

fn v5_publish(publish: v5::Publish) -> Result<Inbound, Fault> {
    let said = publish.properties;
    if said.topic_alias.is_some() {
        let text = "topic aliases are not available here, as CONNACK said: send the topic";
        return Err(Fault::new(Reason::Protocol, Code::TopicAliasInvalid, text));
    }
    if publish.topic_name.is_empty() {
        return Err(Fault::protocol("a PUBLISH without a topic"));
    }
    if said.subscription_id.is_some() {
        return Err(Fault::protocol(
            "only a server sends subscription identifiers in a PUBLISH",
        ));
    }
    let expires = said
        .message_expiry_interval
        .map(|s| Instant::now() + Duration::from_secs(s.into()));
    let properties = (said != PublishProperties::default()).then(|| Arc::new(said));
    Ok(Inbound {
        dup: publish.dup,
        pid: publish.qos_pid.pid(),
        message: Message {
            topic: Arc::from(&*publish.topic_name),
            payload: publish.payload,
            qos: qos_of(publish.qos_pid),
            retain: publish.retain,
            properties,
            expires,
        },
    })
}

fn qos_of(qos: QosPid) -> Qos {
    qos.qos().into()
}

fn wish(filter: &TopicFilter, options: Options) -> Wish {
    Wish {
        filter: Arc::from(&**filter),
        shared: filter.is_shared(),
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
