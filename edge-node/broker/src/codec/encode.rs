//! Packets to bytes, in the client's version.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use mqtt_proto::{
    Pid, v3,
    v5::{
        self, ConnackProperties, ConnectReasonCode, DisconnectReasonCode, PubackReasonCode,
        PubrecReasonCode,
    },
};

use super::{Grant, Version};
use crate::{message::Qos, rules::Fault};

/// Longest text that tells a person why, in characters.
const MAX_TEXT: usize = 512;

/// Writes packets for one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoder {
    pub(crate) version: Version,
    /// The client wants reason strings.
    pub(crate) problem_info: bool,
    /// Largest packet it takes.
    pub(crate) max_packet: usize,
}

/// Why a publish has no success to tell of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Negative {
    pub(crate) code: PubackReasonCode,
    pub(crate) text: Arc<str>,
}

/// Why a CONNECT is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Version,
    ClientId,
    Credentials,
    NotAuthorized,
    Unavailable,
    Quota,
    AuthMethod,
    Fault(DisconnectReasonCode),
}

impl Encoder {
    /// CONNACK with success; `present` says whether the client finds the session that it left.
    pub(crate) fn welcome(
        &self,
        out: &mut BytesMut,
        present: Known,
        properties: ConnackProperties,
    ) {
        let present = present == Known::Yes;
        match self.version {
            Version::V3 => self.v3(
                out,
                &v3::Connack::new(present, v3::ConnectReturnCode::Accepted).into(),
            ),
            Version::V5 => {
                let mut connack = v5::Connack::new(present, ConnectReasonCode::Success);
                connack.properties = properties;
                self.v5(out, &connack.into());
            }
        }
    }

    /// CONNACK with a refusal.
    pub(crate) fn refuse(&self, out: &mut BytesMut, refusal: Refusal, text: &str) {
        match self.version {
            Version::V3 => {
                use v3::ConnectReturnCode as R;
                let code = match refusal {
                    Refusal::Version => R::UnacceptableProtocolVersion,
                    Refusal::ClientId => R::IdentifierRejected,
                    Refusal::Credentials => R::BadUserNameOrPassword,
                    Refusal::NotAuthorized => R::NotAuthorized,
                    Refusal::Unavailable | Refusal::Quota => R::ServerUnavailable,
                    // MQTT 3.1.1 has no code for these: the connection is closed without an answer.
                    Refusal::AuthMethod | Refusal::Fault(_) => return,
                };
                self.v3(out, &v3::Connack::new(false, code).into());
            }
            Version::V5 => {
                use ConnectReasonCode as R;
                let code = match refusal {
                    Refusal::Version => R::UnsupportedProtocolVersion,
                    Refusal::ClientId => R::ClientIdentifierNotValid,
                    Refusal::Credentials => R::BadUserNameOrPassword,
                    Refusal::NotAuthorized => R::NotAuthorized,
                    Refusal::Unavailable => R::ServerUnavailable,
                    Refusal::Quota => R::QuotaExceeded,
                    Refusal::AuthMethod => R::BadAuthMethod,
                    Refusal::Fault(code) => R::from_u8(code as u8).unwrap_or(R::UnspecifiedError),
                };
                self.explained(out, Some(text), |text| {
                    let mut connack = v5::Connack::new(false, code);
                    connack.properties.reason_string = text;
                    connack.into()
                });
            }
        }
    }

    /// PUBACK; MQTT 3.1.1 knows only success.
    pub(crate) fn puback(&self, out: &mut BytesMut, pid: Pid, negative: Option<&Negative>) {
        match self.version {
            Version::V3 => self.v3(out, &v3::Packet::Puback(pid)),
            Version::V5 => self.explained(out, self.reason(negative), |text| {
                let mut puback = v5::Puback::new_success(pid);
                if let Some(negative) = negative {
                    puback.reason_code = negative.code;
                    puback.properties.reason_string = text;
                }
                puback.into()
            }),
        }
    }

    /// PUBREC; MQTT 3.1.1 knows only success.
    pub(crate) fn pubrec(&self, out: &mut BytesMut, pid: Pid, negative: Option<&Negative>) {
        match self.version {
            Version::V3 => self.v3(out, &v3::Packet::Pubrec(pid)),
            Version::V5 => self.explained(out, self.reason(negative), |text| {
                let mut pubrec = v5::Pubrec::new_success(pid);
                if let Some(negative) = negative {
                    let code = PubrecReasonCode::from_u8(negative.code as u8);
                    pubrec.reason_code = code.unwrap_or(PubrecReasonCode::UnspecifiedError);
                    pubrec.properties.reason_string = text;
                }
                pubrec.into()
            }),
        }
    }

    /// PUBCOMP; `known` says whether the identifier was waiting for it.
    pub(crate) fn pubcomp(&self, out: &mut BytesMut, pid: Pid, known: Known) {
        match (self.version, known) {
            (Version::V3, _) => self.v3(out, &v3::Packet::Pubcomp(pid)),
            (Version::V5, Known::Yes) => self.v5(out, &v5::Pubcomp::new_success(pid).into()),
            (Version::V5, Known::No) => {
                self.v5(
                    out,
                    &v5::Pubcomp::new(pid, v5::PubcompReasonCode::PacketIdentifierNotFound).into(),
                );
            }
        }
    }

    /// PUBREL; `known` says whether the door has a message under this identifier.
    pub(crate) fn pubrel(&self, out: &mut BytesMut, pid: Pid, known: Known) {
        match (self.version, known) {
            (Version::V3, _) => self.v3(out, &v3::Packet::Pubrel(pid)),
            (Version::V5, Known::Yes) => self.v5(out, &v5::Pubrel::new_success(pid).into()),
            (Version::V5, Known::No) => {
                let code = v5::PubrelReasonCode::PacketIdentifierNotFound;
                self.v5(out, &v5::Pubrel::new(pid, code).into());
            }
        }
    }

    /// SUBACK.
    pub(crate) fn suback(&self, out: &mut BytesMut, pid: Pid, grants: &[Grant]) {
        match self.version {
            Version::V3 => v3_suback(out, pid, grants),
            Version::V5 => {
                use v5::SubscribeReasonCode as R;
                let codes = grants.iter().map(|grant| match grant {
                    Grant::Qos(Qos::AtMostOnce) => R::GrantedQoS0,
                    Grant::Qos(Qos::AtLeastOnce) => R::GrantedQoS1,
                    Grant::Qos(Qos::ExactlyOnce) => R::GrantedQoS2,
                    Grant::NotAuthorized => R::NotAuthorized,
                    Grant::Invalid => R::TopicFilterInvalid,
                    Grant::Quota => R::QuotaExceeded,
                });
                self.v5(out, &v5::Suback::new(pid, codes.collect()).into());
            }
        }
    }

    /// UNSUBACK, one answer for each filter.
    pub(crate) fn unsuback(&self, out: &mut BytesMut, pid: Pid, known: &[Known]) {
        match self.version {
            Version::V3 => self.v3(out, &v3::Packet::Unsuback(pid)),
            Version::V5 => {
                use v5::UnsubscribeReasonCode as R;
                let codes = known.iter().map(|known| match known {
                    Known::Yes => R::Success,
                    Known::No => R::NoSubscriptionExisted,
                });
                self.v5(out, &v5::Unsuback::new(pid, codes.collect()).into());
            }
        }
    }

    /// PINGRESP.
    pub(crate) fn pong(&self, out: &mut BytesMut) {
        out.extend_from_slice(&[0xd0, 0]);
    }

    /// DISCONNECT with a reason; MQTT 3.1.1 has none, the connection just closes.
    pub(crate) fn disconnect(&self, out: &mut BytesMut, fault: &Fault) {
        if self.version == Version::V5 {
            self.explained(out, Some(&fault.text), |text| {
                let mut disconnect = v5::Disconnect::new(fault.code);
                disconnect.properties.reason_string = text;
                disconnect.into()
            });
        }
    }

    fn reason<'a>(&self, negative: Option<&'a Negative>) -> Option<&'a str> {
        negative.filter(|_| self.problem_info).map(|n| &*n.text)
    }

    /// Writes a packet with a text for a person, cut to a bearable length; without it if the client has no room for it.
    fn explained(
        &self,
        out: &mut BytesMut,
        text: Option<&str>,
        packet: impl Fn(Option<Arc<str>>) -> v5::Packet,
    ) {
        let text = text.map(|text| text.chars().take(MAX_TEXT).collect::<String>().into());
        let begin = out.len();
        self.v5(out, &packet(text));
        if out.len() - begin > self.max_packet {
            out.truncate(begin);
            self.v5(out, &packet(None));
        }
    }

    fn v3(&self, out: &mut BytesMut, packet: &v3::Packet) {
        let bytes = packet
            .encode()
            .expect("our own packets are within the standard's limits");
        out.extend_from_slice(bytes.as_ref());
    }

    fn v5(&self, out: &mut BytesMut, packet: &v5::Packet) {
        let bytes = packet
            .encode()
            .expect("our own packets are within the standard's limits");
        out.extend_from_slice(bytes.as_ref());
    }
}

/// SUBACK of MQTT 3.1.1, by hand: `mqtt-proto` 0.4 writes a failure as 3, the standard says 0x80.
fn v3_suback(out: &mut BytesMut, pid: Pid, grants: &[Grant]) {
    out.put_u8(0x90);
    let mut length = 2 + grants.len();
    while length > 0x7f {
        out.put_u8(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    out.put_u8(length as u8);
    out.put_u16(pid.value());
    for grant in grants {
        out.put_u8(match grant {
            Grant::Qos(qos) => *qos as u8,
            _ => 0x80,
        });
    }
}

/// Whether the door knew what a packet speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_is_left_out_where_it_has_no_room() {
        let fault = Fault::protocol("গরু".repeat(40_000));
        let written = |max_packet| {
            let encoder = Encoder {
                version: Version::V5,
                problem_info: true,
                max_packet,
            };
            let mut out = BytesMut::new();
            encoder.disconnect(&mut out, &fault);
            let Ok(Some(v5::Packet::Disconnect(said))) = v5::Packet::decode(&out) else {
                panic!("not a DISCONNECT: {out:02x?}");
            };
            said.properties
                .reason_string
                .map(|text| text.chars().count())
        };
        assert_eq!(written(usize::MAX), Some(MAX_TEXT));
        assert_eq!(written(100), None);
    }

    #[test]
    fn a_suback_says_0x80_for_no() {
        let mut out = BytesMut::new();
        let grants = [
            [Grant::Qos(Qos::AtLeastOnce); 100],
            [Grant::NotAuthorized; 100],
        ]
        .concat();
        v3_suback(&mut out, Pid::default(), &grants);
        let Ok(Some(v3::Packet::Suback(suback))) = v3::Packet::decode(&out) else {
            panic!("not a SUBACK: {out:02x?}");
        };
        let granted =
            |code: &&v3::SubscribeReturnCode| **code == v3::SubscribeReturnCode::MaxLevel1;
        assert_eq!(suback.topics.iter().filter(granted).count(), 100);
        let failed = |code: &&v3::SubscribeReturnCode| **code == v3::SubscribeReturnCode::Failure;
        assert_eq!(suback.topics.iter().filter(failed).count(), 100);
    }
}
