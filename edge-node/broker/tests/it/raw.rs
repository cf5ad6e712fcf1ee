//! A client made of bytes, and the packets it sends.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::soon;

/// A client that sends what it is told.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.expect("the door listens"),
        }
    }

    /// A connected MQTT 3.1.1 client.
    pub(crate) async fn v4(address: SocketAddr, client: &str) -> Self {
        let mut raw = Self::dial(address).await;
        raw.send(&connect(4, client, 60)).await;
        assert_eq!(raw.packet().await, [0x20, 2, 0, 0]);
        raw
    }

    /// A connected MQTT 5 client.
    pub(crate) async fn v5(address: SocketAddr, client: &str) -> Self {
        let mut raw = Self::dial(address).await;
        raw.send(&connect(5, client, 60)).await;
        let connack = raw.packet().await;
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02x?}");
        raw
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the connection is open");
    }

    /// The next whole packet; panics if the door closes first.
    pub(crate) async fn packet(&mut self) -> Vec<u8> {
        soon("a packet", self.packet_or_close())
            .await
            .expect("the door closed the connection")
    }

    /// The next whole packet, or `None` when the door has closed.
    pub(crate) async fn packet_or_close(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![self.stream.read_u8().await.ok()?];
        let mut length = 0_usize;
        for shift in [0, 7, 14, 21] {
            let byte = self.stream.read_u8().await.ok()?;
            packet.push(byte);
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let header = packet.len();
        packet.resize(header + length, 0);
        self.stream.read_exact(&mut packet[header..]).await.ok()?;
        Some(packet)
    }

    /// Everything up to the end of the connection, which must come.
    pub(crate) async fn until_close(&mut self) -> Vec<Vec<u8>> {
        soon("the end of the connection", async {
            let mut packets = Vec::new();
            while let Some(packet) = self.packet_or_close().await {
                packets.push(packet);
            }
            packets
        })
        .await
    }
}

/// A packet: first byte, then what follows the length.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut rest = body.len();
    loop {
        let low = u8::try_from(rest & 0x7f).expect("it fits");
        rest >>= 7;
        bytes.push(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// A string with its length before it.
pub(crate) fn string(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len())
        .expect("it fits")
        .to_be_bytes()
        .to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A CONNECT of MQTT 3.1.1 (`level` 4) or 5.
pub(crate) fn connect(level: u8, client: &str, keep_alive: u16) -> Vec<u8> {
    let mut body = string("MQTT");
    body.extend([level, 0b10]);
    body.extend(keep_alive.to_be_bytes());
    if level == 5 {
        body.push(0);
    }
    body.extend(string(client));
    packet(0x10, &body)
}

/// A CONNECT with a user's name.
pub(crate) fn connect_as(level: u8, client: &str, user: &str) -> Vec<u8> {
    let mut body = string("MQTT");
    body.extend([level, 0b1000_0010, 0, 60]);
    if level == 5 {
        body.push(0);
    }
    body.extend([string(client), string(user)].concat());
    packet(0x10, &body)
}

/// A PUBLISH at QoS 1 (or 2 with `first` 0x34) in MQTT 3.1.1.
pub(crate) fn publish_v4(first: u8, topic: &str, pid: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = string(topic);
    if first & 0b110 != 0 {
        body.extend(pid.to_be_bytes());
    }
    body.extend_from_slice(payload);
    packet(first, &body)
}

/// A PUBLISH without properties in MQTT 5.
pub(crate) fn publish_v5(first: u8, topic: &str, pid: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = string(topic);
    if first & 0b110 != 0 {
        body.extend(pid.to_be_bytes());
    }
    body.push(0);
    body.extend_from_slice(payload);
    packet(first, &body)
}

/// A SUBSCRIBE to one filter in MQTT 3.1.1.
pub(crate) fn subscribe_v4(pid: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = pid.to_be_bytes().to_vec();
    body.extend(string(filter));
    body.push(qos);
    packet(0x82, &body)
}
