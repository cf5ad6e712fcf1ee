//! What the standard demands for 46 byte strings on which MQTT decoders disagree: each is one row here, sent over a socket.
//!
//! A row says what must become of the client, not how this door happens to do it: where the standard leaves room (two reason
//! codes, a feature that a server may lack), every outcome that it allows passes.

use crate::{
    raw::{Raw, connect, packet, publish_v4, publish_v5, string, subscribe_v4},
    support::House,
};

/// What must happen to a client that sends some bytes.
#[derive(Clone, Copy, Debug)]
enum Demand {
    /// It is welcomed.
    Welcome,
    /// It stays, and is sent a packet that begins with these bytes once the length is left out.
    Answer(&'static [u8]),
    /// It stays; nothing need be said.
    Stay,
    /// It leaves: closed without a word.
    Leave,
    /// It is closed. MQTT 3.1.1 says nothing; MQTT 5 says one of these reasons.
    Reject(&'static [u8]),
}

use Demand::{Answer, Leave, Reject, Stay, Welcome};

/// When the bytes are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    /// As the first packet of a connection.
    First,
    /// After an MQTT 3.1.1 CONNECT.
    V4,
    /// After an MQTT 5 CONNECT.
    V5,
}

type Row = (When, &'static str, Vec<u8>, Demand);

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const ALIAS_INVALID: u8 = 0x94;
const NO_SUBSCRIPTION_IDS: u8 = 0xa1;
/// MQTT 3.1.1 has no reasons.
const SILENT: Demand = Reject(&[]);

/// The body of a CONNECT up to the client identifier.
fn head(name: &str, level: u8, flags: u8) -> Vec<u8> {
    [&string(name)[..], &[level, flags, 0, 60]].concat()
}

/// A CONNECT of MQTT 3 with some bytes after the client identifier.
fn old(name: &str, level: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    packet(
        0x10,
        &[&head(name, level, flags), &string("abc")[..], rest].concat(),
    )
}

/// A CONNECT of MQTT 5 with these properties, and some bytes after the client identifier.
fn new(flags: u8, properties: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = [u8::try_from(properties.len()).expect("short")];
    let parts = [
        &head("MQTT", 5, flags)[..],
        &length,
        properties,
        &string("abc"),
        rest,
    ];
    packet(0x10, &parts.concat())
}

/// A PUBLISH of MQTT 5 at QoS 0 with these bytes where its properties are.
fn publish_with(topic: &str, properties: &[u8]) -> Vec<u8> {
    packet(0x30, &[&string(topic), properties, b"hi"].concat())
}

/// A SUBSCRIBE of MQTT 5 with these bytes where its properties are.
fn subscribe_with(properties: &[u8], filter: &str) -> Vec<u8> {
    let parts = [&[0, 10][..], properties, &string(filter), &[1]];
    packet(0x82, &parts.concat())
}

fn connects() -> Vec<Row> {
    use When::First;
    let expiry = [0x11, 0, 0, 0, 1];
    let twice = [expiry, expiry].concat();
    vec![
        (First, "v4 CONNECT", old("MQTT", 4, 0b10, &[]), Welcome),
        (
            First,
            "v4 CONNECT with the reserved flag",
            old("MQTT", 4, 0b11, &[]),
            SILENT,
        ),
        (
            First,
            "CONNECT of MQTT 3.1",
            old("MQIsdp", 3, 0b10, &[]),
            Welcome,
        ),
        (
            First,
            "v4 CONNECT with a password and no user",
            old("MQTT", 4, 0b0100_0010, &string("pw")),
            SILENT,
        ),
        (
            First,
            "v4 CONNECT with trailing bytes",
            old("MQTT", 4, 0b10, b"junk"),
            SILENT,
        ),
        (
            First,
            "v5 CONNECT where a v4 one may come",
            connect(5, "abc", 60),
            Welcome,
        ),
        (
            First,
            "v5 CONNECT without properties",
            new(0b10, &[], &[]),
            Welcome,
        ),
        (
            First,
            "v5 CONNECT with a session expiry twice",
            new(0b10, &twice, &[]),
            Reject(&[PROTOCOL]),
        ),
        (
            First,
            "v5 CONNECT with Receive Maximum 0",
            new(0b10, &[0x21, 0, 0], &[]),
            Reject(&[PROTOCOL]),
        ),
        (
            First,
            "v5 CONNECT with a password and no user",
            new(0b0100_0010, &[], &string("pw")),
            Welcome,
        ),
    ]
}

fn v4() -> Vec<Row> {
    use When::V4;
    let mut not_utf8 = publish_v4(0x30, "farm/a", 0, b"hi");
    not_utf8[6] = 0xff;
    let mut wrong_flags = subscribe_v4(10, "farm/#", 1);
    wrong_flags[0] = 0x80;
    vec![
        (
            V4,
            "PUBLISH at QoS 0",
            publish_v4(0x30, "farm/a", 0, b"hi"),
            Stay,
        ),
        (
            V4,
            "PUBLISH at QoS 1",
            publish_v4(0x32, "farm/a", 10, b"hi"),
            Answer(&[0x40, 0, 10]),
        ),
        (
            V4,
            "PUBLISH at QoS 1 again",
            publish_v4(0x3a, "farm/a", 10, b"hi"),
            Answer(&[0x40, 0, 10]),
        ),
        (
            V4,
            "PUBLISH at QoS 3",
            publish_v4(0x36, "farm/a", 10, b"hi"),
            SILENT,
        ),
        (
            V4,
            "PUBLISH at QoS 0 again",
            publish_v4(0x38, "farm/a", 0, b"hi"),
            SILENT,
        ),
        (
            V4,
            "PUBLISH to a wildcard",
            publish_v4(0x30, "farm/#", 0, b"hi"),
            SILENT,
        ),
        (
            V4,
            "PUBLISH to a topic with NUL",
            publish_v4(0x30, "farm/\0a", 0, b"hi"),
            SILENT,
        ),
        (V4, "PUBLISH to a topic that is not UTF-8", not_utf8, SILENT),
        (
            V4,
            "PUBLISH at QoS 1 with identifier 0",
            publish_v4(0x32, "farm/a", 0, b"hi"),
            SILENT,
        ),
        (
            V4,
            "PUBLISH to an empty topic",
            publish_v4(0x30, "", 0, b"hi"),
            SILENT,
        ),
        (
            V4,
            "SUBSCRIBE",
            subscribe_v4(10, "farm/#", 1),
            Answer(&[0x90, 0, 10, 1]),
        ),
        (V4, "SUBSCRIBE with flags 0", wrong_flags, SILENT),
        (
            V4,
            "SUBSCRIBE with reserved bits in its options",
            subscribe_v4(10, "farm/#", 0x81),
            SILENT,
        ),
        (
            V4,
            "SUBSCRIBE with identifier 0",
            subscribe_v4(0, "farm/#", 1),
            SILENT,
        ),
        (
            V4,
            "SUBSCRIBE to what is no filter",
            subscribe_v4(10, "farm#/bc", 1),
            SILENT,
        ),
        (
            V4,
            "a length of five bytes",
            vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x7f],
            SILENT,
        ),
        (V4, "PINGREQ", vec![0xc0, 0], Answer(&[0xd0])),
        (V4, "DISCONNECT", vec![0xe0, 0], Leave),
        (V4, "packet type 15", vec![0xf0, 0], SILENT),
    ]
}

fn v5() -> Vec<Row> {
    use When::V5;
    let either = Reject(&[MALFORMED, PROTOCOL]);
    let alias = Reject(&[PROTOCOL, ALIAS_INVALID]);
    vec![
        (
            V5,
            "PUBLISH at QoS 1",
            publish_v5(0x32, "farm/a", 10, b"hi"),
            Answer(&[0x40, 0, 10]),
        ),
        // An alias that was never given a topic names none, however many aliases there may be.
        (
            V5,
            "PUBLISH by an alias alone",
            publish_with("", &[3, 0x23, 0, 1]),
            alias,
        ),
        (
            V5,
            "PUBLISH with alias 0",
            publish_with("farm/a", &[3, 0x23, 0, 0]),
            alias,
        ),
        (
            V5,
            "PUBLISH whose properties overrun",
            publish_with("farm/a", &[50]),
            Reject(&[MALFORMED]),
        ),
        (
            V5,
            "PUBLISH with a session expiry",
            publish_with("farm/a", &[5, 0x11, 0, 0, 0, 1]),
            either,
        ),
        (
            V5,
            "SUBSCRIBE",
            subscribe_with(&[0], "farm/#"),
            Answer(&[0x90, 0, 10, 0, 1]),
        ),
        // Granted, or "not supported": either way by SUBACK.
        (
            V5,
            "SUBSCRIBE to a shared filter",
            subscribe_with(&[0], "$share/g/farm/t"),
            Answer(&[0x90, 0, 10]),
        ),
        (
            V5,
            "SUBSCRIBE with identifier 0",
            subscribe_with(&[2, 0x0b, 0], "farm/#"),
            Reject(&[PROTOCOL, NO_SUBSCRIPTION_IDS]),
        ),
        (V5, "DISCONNECT of length 0", vec![0xe0, 0], Leave),
        (V5, "DISCONNECT with a reason", vec![0xe0, 1, 0], Leave),
        // These clients asked for no enhanced authentication.
        (V5, "AUTH of length 0", vec![0xf0, 0], Reject(&[PROTOCOL])),
        (V5, "AUTH that goes on", vec![0xf0, 2, 0x18, 0], either),
        (V5, "PUBACK", vec![0x40, 2, 0, 10], Stay),
        (V5, "PUBACK with a reason", vec![0x40, 3, 0, 10, 0x10], Stay),
        (V5, "CONNACK", vec![0x20, 3, 0, 0, 0], either),
        (V5, "UNSUBACK", vec![0xb0, 4, 0, 10, 0, 0], either),
        (V5, "SUBACK", vec![0x90, 4, 0, 10, 0, 0], either),
    ]
}

/// What a packet says, its length left out.
fn without_length(packet: &[u8]) -> Vec<u8> {
    [&packet[..1], &packet[2..]].concat()
}

/// Whether a client of this fate got what the standard demands.
async fn is_met(raw: &mut Raw, demand: Demand) -> Result<(), String> {
    match demand {
        Welcome => {
            let connack = raw.packet().await;
            let welcomed = connack[0] == 0x20 && connack[3] == 0;
            welcomed.then_some(()).ok_or(format!("{connack:02x?}"))
        }
        Answer(_) | Stay => {
            raw.send(&[0xc0, 0]).await;
            let mut heard = vec![raw.packet().await];
            let answered = |heard: &[Vec<u8>]| match demand {
                Answer(wanted) => heard.iter().any(|p| without_length(p).starts_with(wanted)),
                _ => true,
            };
            // The pong may overtake what waits for the disk.
            while !heard.contains(&vec![0xd0, 0]) || !answered(&heard) {
                heard.push(raw.packet().await);
            }
            Ok(())
        }
        Leave | Reject([]) => {
            let packets = raw.until_close().await;
            packets
                .is_empty()
                .then_some(())
                .ok_or(format!("{packets:02x?}"))
        }
        Reject(reasons) => {
            let packets = raw.until_close().await;
            let told = packets.last().and_then(|p| match p[0] {
                0x20 => p.get(3),
                0xe0 => p.get(2),
                _ => None,
            });
            let met = told.is_some_and(|reason| reasons.contains(reason));
            met.then_some(()).ok_or(format!("{packets:02x?}"))
        }
    }
}

#[tokio::test]
async fn all_46_byte_strings_meet_what_the_standard_demands() {
    let house = House::open().await;
    let rows: Vec<Row> = [connects(), v4(), v5()].concat();
    assert_eq!(rows.len(), 46);
    let mut wrong = Vec::new();
    for (when, name, bytes, demand) in &rows {
        println!("{when:?} {name}");
        let mut raw = match when {
            When::First => Raw::dial(house.address()).await,
            When::V4 => Raw::v4(house.address(), "abc").await,
            When::V5 => Raw::v5(house.address(), "abc").await,
        };
        raw.send(bytes).await;
        if let Err(what) = is_met(&mut raw, *demand).await {
            wrong.push(format!("{when:?} {name}: {demand:?}, but {what}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    house
        .until("everyone gone", |stats| stats.connections == 0)
        .await;
}
