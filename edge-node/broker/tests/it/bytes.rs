//! Bytes that nobody should send, and bytes that everybody may: each one's fate is written here.

use std::time::Duration;

use edge_broker::{DoorConfig, Reason};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    raw::{Raw, connect, packet, publish_v4, publish_v5, string, subscribe_v4},
    support::House,
};

/// What becomes of a client that sends some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// It stays, and its next ping is answered.
    Stays,
    /// It is closed without a word.
    Leaves,
    /// It is told this code, then closed: by CONNACK before log-in, by DISCONNECT after (MQTT 5).
    Told(u8),
}

use Fate::{Leaves, Stays, Told};

type Case = (&'static str, Vec<u8>, Fate);

/// A CONNECT with everything to choose.
fn any_connect(
    name: &str,
    level: u8,
    flags: u8,
    properties: Option<&[u8]>,
    rest: &[u8],
) -> Vec<u8> {
    let mut body = string(name);
    body.extend([level, flags, 0, 60]);
    if let Some(properties) = properties {
        body.push(u8::try_from(properties.len()).expect("short"));
        body.extend_from_slice(properties);
    }
    body.extend(string("abc"));
    body.extend_from_slice(rest);
    packet(0x10, &body)
}

/// A PUBLISH of MQTT 5 at QoS 0 with these property bytes, their length included.
fn publish_with(topic: &str, properties: &[u8]) -> Vec<u8> {
    packet(0x30, &[&string(topic), properties, b"hi"].concat())
}

/// A SUBSCRIBE of MQTT 5 with these property bytes, their length included.
fn subscribe_with(properties: &[u8], filter: &str) -> Vec<u8> {
    packet(
        0x82,
        &[&[0, 10][..], properties, &string(filter), &[1]].concat(),
    )
}

fn v4_connects() -> Vec<Case> {
    vec![
        ("CONNECT", any_connect("MQTT", 4, 0b10, None, &[]), Stays),
        (
            "reserved flag",
            any_connect("MQTT", 4, 0b11, None, &[]),
            Leaves,
        ),
        ("MQTT 3.1", any_connect("MQIsdp", 3, 0b10, None, &[]), Stays),
        (
            "password without user",
            any_connect("MQTT", 4, 0b0100_0010, None, &string("pw")),
            Leaves,
        ),
        (
            "trailing bytes",
            any_connect("MQTT", 4, 0b10, None, b"junk"),
            Leaves,
        ),
        ("MQTT 5 bytes", connect(5, "abc", 60), Stays),
        (
            "will QoS without will",
            any_connect("MQTT", 4, 0b1010, None, &[]),
            Leaves,
        ),
        (
            "will retain without will",
            any_connect("MQTT", 4, 0b10_0010, None, &[]),
            Leaves,
        ),
        (
            "another protocol",
            any_connect("HTTP", 4, 0b10, None, &[]),
            Leaves,
        ),
        ("level 2", any_connect("MQTT", 2, 0b10, None, &[]), Told(1)),
        (
            "level 6",
            any_connect("MQTT", 6, 0b10, None, &[]),
            Told(0x84),
        ),
        ("PINGREQ first", vec![0xc0, 0], Leaves),
        ("nothing but zeros", vec![0; 64], Leaves),
        (
            "an HTTP request",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            Leaves,
        ),
    ]
}

fn v5_connects() -> Vec<Case> {
    let expiry = [0x11, 0, 0, 0, 1];
    vec![
        (
            "CONNECT",
            any_connect("MQTT", 5, 0b10, Some(&[]), &[]),
            Stays,
        ),
        (
            "session expiry twice",
            any_connect("MQTT", 5, 0b10, Some(&[expiry, expiry].concat()), &[]),
            Told(0x82),
        ),
        (
            "receive maximum 0",
            any_connect("MQTT", 5, 0b10, Some(&[0x21, 0, 0]), &[]),
            Told(0x82),
        ),
        (
            "maximum packet 0",
            any_connect("MQTT", 5, 0b10, Some(&[0x27, 0, 0, 0, 0]), &[]),
            Told(0x82),
        ),
        (
            "password without user",
            any_connect("MQTT", 5, 0b0100_0010, Some(&[]), &string("pw")),
            Stays,
        ),
        (
            "enhanced authentication",
            any_connect("MQTT", 5, 0b10, Some(&[0x15, 0, 1, b'x']), &[]),
            Told(0x8c),
        ),
        (
            "trailing bytes",
            any_connect("MQTT", 5, 0b10, Some(&[]), b"junk"),
            Told(0x81),
        ),
    ]
}

fn v4_packets() -> Vec<Case> {
    let mut not_utf8 = publish_v4(0x30, "farm/a", 0, b"hi");
    not_utf8[6] = 0xff;
    vec![
        ("PUBLISH QoS 0", publish_v4(0x30, "farm/a", 0, b"hi"), Stays),
        (
            "PUBLISH QoS 1",
            publish_v4(0x32, "farm/a", 10, b"hi"),
            Stays,
        ),
        (
            "PUBLISH QoS 1 again",
            publish_v4(0x3a, "farm/a", 10, b"hi"),
            Stays,
        ),
        (
            "PUBLISH QoS 3",
            publish_v4(0x36, "farm/a", 10, b"hi"),
            Leaves,
        ),
        (
            "PUBLISH QoS 0 with DUP",
            publish_v4(0x38, "farm/a", 0, b"hi"),
            Leaves,
        ),
        (
            "PUBLISH to a filter",
            publish_v4(0x30, "farm/#", 0, b"hi"),
            Leaves,
        ),
        (
            "PUBLISH with NUL",
            publish_v4(0x30, "farm/\0a", 0, b"hi"),
            Leaves,
        ),
        ("PUBLISH not UTF-8", not_utf8, Leaves),
        (
            "PUBLISH with id 0",
            publish_v4(0x32, "farm/a", 0, b"hi"),
            Leaves,
        ),
        (
            "PUBLISH without topic",
            publish_v4(0x30, "", 0, b"hi"),
            Leaves,
        ),
        (
            "PUBLISH to $SYS",
            publish_v4(0x30, "$SYS/a", 0, b"hi"),
            Leaves,
        ),
        (
            "PUBLISH that is not allowed",
            publish_v4(0x30, "barn/a", 0, b"hi"),
            Leaves,
        ),
        (
            "PUBLISH to a Bengali topic that is not allowed",
            publish_v4(0x30, "গরু", 0, b"hi"),
            Leaves,
        ),
        (
            "PUBLISH to a Bengali topic",
            publish_v4(0x30, "farm/গরু", 0, b"hi"),
            Stays,
        ),
        (
            "PUBLISH of 40 levels",
            publish_v4(0x30, &"farm/".repeat(40), 0, b"hi"),
            Leaves,
        ),
        ("SUBSCRIBE", subscribe_v4(10, "farm/#", 1), Stays),
        (
            "SUBSCRIBE that is not allowed",
            subscribe_v4(10, "#", 1),
            Stays,
        ),
        (
            "SUBSCRIBE with flags 0",
            packet(0x80, &subscribe_v4(10, "farm/#", 1)[2..]),
            Leaves,
        ),
        (
            "SUBSCRIBE with reserved bits",
            subscribe_v4(10, "farm/#", 0x81),
            Leaves,
        ),
        ("SUBSCRIBE with id 0", subscribe_v4(0, "farm/#", 1), Leaves),
        (
            "SUBSCRIBE to no filter",
            subscribe_v4(10, "farm#/bc", 1),
            Leaves,
        ),
        ("SUBSCRIBE to nothing", packet(0x82, &[0, 10]), Leaves),
        (
            "UNSUBSCRIBE from what was not there",
            packet(0xa2, &[&[0, 11][..], &string("farm/#")].concat()),
            Stays,
        ),
        (
            "length of 5 bytes",
            vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x7f],
            Leaves,
        ),
        (
            "length beyond the limit",
            vec![0x30, 0xff, 0xff, 0xff, 0x7f],
            Leaves,
        ),
        ("PINGREQ", vec![0xc0, 0], Stays),
        ("PINGREQ with a body", vec![0xc0, 1, 0], Leaves),
        ("DISCONNECT", vec![0xe0, 0], Leaves),
        ("PUBACK of nothing", vec![0x40, 2, 0, 9], Stays),
        ("PUBACK cut short", vec![0x40, 1, 0], Leaves),
        ("PUBREL of nothing", vec![0x62, 2, 0, 9], Stays),
        ("type 0", vec![0, 0], Leaves),
        ("type 15", vec![0xf0, 0], Leaves),
        ("a second CONNECT", connect(4, "abc", 60), Leaves),
    ]
}

fn v5_packets() -> Vec<Case> {
    vec![
        (
            "PUBLISH QoS 1",
            publish_v5(0x32, "farm/a", 10, b"hi"),
            Stays,
        ),
        (
            "PUBLISH that is not allowed, QoS 1",
            publish_v5(0x32, "barn/a", 10, b"hi"),
            Stays,
        ),
        (
            "PUBLISH that is not allowed, QoS 0",
            publish_v5(0x30, "barn/a", 0, b"hi"),
            Told(0x87),
        ),
        (
            "PUBLISH by alias only",
            publish_with("", &[3, 0x23, 0, 1]),
            Told(0x94),
        ),
        (
            "PUBLISH with alias 0",
            publish_with("farm/a", &[3, 0x23, 0, 0]),
            Told(0x94),
        ),
        ("PUBLISH without topic", publish_with("", &[0]), Told(0x82)),
        (
            "PUBLISH whose properties overrun",
            publish_with("farm/a", &[50]),
            Told(0x81),
        ),
        (
            "PUBLISH with a session expiry",
            publish_with("farm/a", &[5, 0x11, 0, 0, 0, 1]),
            Told(0x81),
        ),
        (
            "PUBLISH with a subscription id",
            publish_with("farm/a", &[2, 0x0b, 1]),
            Told(0x82),
        ),
        ("SUBSCRIBE", subscribe_with(&[0], "farm/#"), Stays),
        (
            "SUBSCRIBE shared",
            subscribe_with(&[0], "$share/g/farm/t"),
            Stays,
        ),
        (
            "SUBSCRIBE with id 0",
            subscribe_with(&[2, 0x0b, 0], "farm/#"),
            Told(0x82),
        ),
        (
            "SUBSCRIBE with id 1",
            subscribe_with(&[2, 0x0b, 1], "farm/#"),
            Stays,
        ),
        ("DISCONNECT", vec![0xe0, 0], Leaves),
        ("DISCONNECT with a reason", vec![0xe0, 1, 0], Leaves),
        ("AUTH", vec![0xf0, 0], Told(0x82)),
        ("AUTH going on", vec![0xf0, 2, 0x18, 0], Told(0x82)),
        ("PUBACK", vec![0x40, 2, 0, 10], Stays),
        ("PUBACK with a reason", vec![0x40, 3, 0, 10, 0x10], Stays),
        ("PUBACK spelt out", vec![0x40, 4, 0, 10, 0, 0], Stays),
        (
            "PUBACK with bytes behind it",
            vec![0x40, 6, 0, 10, 0, 0, 0, 0],
            Told(0x81),
        ),
        ("CONNACK", vec![0x20, 3, 0, 0, 0], Told(0x82)),
        ("UNSUBACK", vec![0xb0, 4, 0, 10, 0, 0], Told(0x82)),
        ("SUBACK", vec![0x90, 4, 0, 10, 0, 0], Told(0x82)),
        ("PINGRESP", vec![0xd0, 0], Told(0x82)),
        ("a second CONNECT", connect(5, "abc", 60), Told(0x82)),
        (
            "length beyond the limit",
            vec![0x30, 0xff, 0xff, 0xff, 0x7f],
            Told(0x95),
        ),
    ]
}

/// Sends `bytes` as a client that has connected if `level` says how, and watches what becomes of it.
async fn check(house: &House, level: Option<u8>, (name, bytes, fate): &Case) {
    let mut raw = match level {
        Some(4) => Raw::v4(house.address(), "abc").await,
        Some(_) => Raw::v5(house.address(), "abc").await,
        None => Raw::dial(house.address()).await,
    };
    raw.send(bytes).await;
    if *fate == Stays {
        raw.send(&[0xc0, 0]).await;
        while raw.packet().await != [0xd0, 0] {}
        raw.send(&[0xe0, 0]).await;
        raw.until_close().await;
        return;
    }
    let packets = raw.until_close().await;
    let told = packets.last().map(|last| match last[0] {
        0x20 => Told(last[3]),
        0xe0 => Told(last[2]),
        _ => Stays,
    });
    assert_eq!(told.unwrap_or(Leaves), *fate, "{name}: {packets:02x?}");
}

#[tokio::test]
async fn each_packet_has_the_fate_that_is_written() {
    let house = House::open().await;
    let tables = [
        (None, v4_connects()),
        (None, v5_connects()),
        (Some(4), v4_packets()),
        (Some(5), v5_packets()),
    ];
    for (level, cases) in tables {
        for case in &cases {
            println!("{level:?} {}", case.0);
            check(&house, level, case).await;
        }
    }
    house
        .until("everyone gone", |stats| {
            stats.connections == 0 && stats.subscriptions == 0
        })
        .await;
}

#[tokio::test]
async fn one_byte_at_a_time_is_as_good_as_all_at_once() {
    let mut house = House::open().await;
    let mut raw = Raw::dial(house.address()).await;
    raw.stream.set_nodelay(true).unwrap();
    let bytes = [
        connect(4, "a", 60),
        publish_v4(0x32, "farm/গরু", 7, b"11.5"),
        vec![0xc0, 0],
    ]
    .concat();
    for byte in bytes {
        raw.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.packet().await, [0x20, 2, 0, 0]);
    let mut answers = [raw.packet().await, raw.packet().await];
    answers.sort();
    assert_eq!(answers, [vec![0x40, 2, 0, 7], vec![0xd0, 0]]);
    assert_eq!(&house.next().await.publish.payload[..], b"11.5");
}

#[tokio::test]
async fn a_client_that_does_not_say_what_it_wants_is_closed() {
    let config = DoorConfig {
        connect_timeout: Duration::from_millis(200),
        packet_timeout: Duration::from_millis(200),
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let mut silent = Raw::dial(house.address()).await;
    let mut slow = Raw::dial(house.address()).await;
    slow.send(&connect(4, "slow", 60)[..5]).await;
    assert!(silent.until_close().await.is_empty());
    assert!(slow.until_close().await.is_empty());
    assert_eq!(house.refused(Reason::ConnectTimeout), 2);

    let mut half = Raw::v4(house.address(), "half").await;
    half.send(&publish_v4(0x32, "farm/x", 7, b"1")[..4]).await;
    assert!(half.until_close().await.is_empty());
    assert_eq!(house.refused(Reason::PacketTimeout), 1);
}

#[tokio::test]
async fn more_connections_than_allowed_are_closed_at_once() {
    let config = DoorConfig {
        max_connections: 2,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let _first = Raw::v4(house.address(), "1").await;
    let mut second = Raw::v4(house.address(), "2").await;
    let mut third = Raw::dial(house.address()).await;
    assert!(third.until_close().await.is_empty());
    assert_eq!(house.refused(Reason::TooManyConnections), 1);
    second.send(&[0xe0, 0]).await;
    second.until_close().await;
    house.until("a place", |stats| stats.connections == 1).await;
    let _fourth = Raw::v4(house.address(), "4").await;
}

/// Whatever follows a log-in, the door lives, and the next client is served.
#[test]
fn no_bytes_break_the_door() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let house = runtime.block_on(House::open());
    let first = prop_oneof![
        Just(0x30_u8),
        Just(0x32),
        Just(0x82),
        Just(0xa2),
        Just(0x62),
        Just(0x40),
        Just(0xe0),
        any::<u8>()
    ];
    let frame = (first, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(first, body)| packet(first, &body));
    let input = (any::<bool>(), prop::collection::vec(frame, 0..6));
    TestRunner::new(ProptestConfig::with_cases(200))
        .run(&input, |(new, frames)| {
            runtime.block_on(async {
                let mut raw = if new {
                    Raw::v5(house.address(), "p").await
                } else {
                    Raw::v4(house.address(), "p").await
                };
                raw.send(&frames.concat()).await;
                drop(raw);
                let mut next = Raw::v4(house.address(), "next").await;
                next.send(&[0xc0, 0]).await;
                assert_eq!(next.packet().await, [0xd0, 0]);
            });
            Ok(())
        })
        .unwrap();
}
