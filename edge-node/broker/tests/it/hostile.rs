//! Clients that mean harm, or are broken in ways that look like it: what they cost, and that nobody else notices.

use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_broker::{DoorConfig, Qos, Reason, Retain, Retained};
use mqtt_proto::v5;
use tokio::{
    io::AsyncWriteExt,
    net::TcpSocket,
    time::{interval, timeout},
};

use crate::{
    raw::{Raw, connect, connect_as, packet, publish_v4, publish_v5, string, subscribe_v4},
    support::{House, soon},
};

/// Impatient enough for a test, with room for a busy machine.
const IMPATIENT: Duration = Duration::from_millis(300);
/// How often a slow client says one byte: well within any patience.
const DRIP: Duration = Duration::from_millis(20);

fn impatient() -> DoorConfig {
    DoorConfig {
        connect_timeout: IMPATIENT,
        packet_timeout: IMPATIENT,
        ..DoorConfig::default()
    }
}

/// A client that may do everything.
async fn everyone(house: &House, level: u8, client: &str) -> Raw {
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&connect_as(level, client, "everyone")).await;
    let connack = raw.packet().await;
    assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02x?}");
    raw
}

/// Says one byte at a time for as long as the door listens.
async fn drip(raw: &mut Raw, bytes: impl Iterator<Item = u8>) {
    let mut pace = interval(DRIP);
    soon("the end of the door's patience", async {
        for byte in bytes {
            pace.tick().await;
            if raw.stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        unreachable!("there is always one more byte");
    })
    .await;
}

#[tokio::test]
async fn a_slow_loris_is_cut_before_and_after_its_log_in() {
    let house = House::open_with(impatient()).await;
    // A CONNECT that never ends: its client identifier is long, and comes a byte at a time.
    let mut body = string("MQTT");
    body.extend([4, 0b10, 0, 60]);
    body.extend(string(&"a".repeat(60_000)));
    let mut outside = Raw::dial(house.address()).await;
    drip(&mut outside, packet(0x10, &body).into_iter()).await;
    assert_eq!(house.refused(Reason::ConnectTimeout), 1);
    assert_eq!(house.door.stats().logins, 0);

    let mut inside = Raw::v4(house.address(), "inside").await;
    let publish = publish_v4(0x32, "farm/x", 7, &[b'1'; 60_000]);
    drip(&mut inside, publish.into_iter()).await;
    assert_eq!(house.refused(Reason::PacketTimeout), 1);
    assert_eq!(house.door.stats().accepted, 0, "half a publish is none");
}

#[tokio::test]
async fn many_slow_ones_keep_nobody_else_waiting() {
    let house = House::open().await;
    let mut slow = Vec::new();
    for n in 0..100 {
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&connect(4, &format!("slow-{n}"), 60)[..4]).await;
        slow.push(raw);
    }
    let started = Instant::now();
    let mut raw = Raw::v4(house.address(), "quick").await;
    raw.send(&publish_v4(0x32, "farm/x", 7, b"1")).await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 7]);
    let patience = DoorConfig::default().connect_timeout;
    assert!(started.elapsed() < patience, "it waited for the slow ones");
    assert_eq!(house.door.stats().connections, 101);
}

#[tokio::test]
async fn a_packet_that_is_too_large_is_refused_at_its_header() {
    let config = DoorConfig {
        max_packet: 1_000,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    // A megabyte is announced; not a byte of it is ever sent.
    let header = [0x30, 0x80, 0x80, 0x40];
    let mut old = Raw::v4(house.address(), "old").await;
    old.send(&header).await;
    assert!(old.until_close().await.is_empty());
    let mut new = Raw::v5(house.address(), "new").await;
    new.send(&header).await;
    let packets = new.until_close().await;
    assert_eq!((packets[0][0], packets[0][2]), (0xe0, 0x95));
    let mut stranger = Raw::dial(house.address()).await;
    stranger.send(&[0x10, 0x80, 0x80, 0x40]).await;
    stranger.until_close().await;
    assert_eq!(house.refused(Reason::TooLarge), 3);
    // What is just not too large is taken.
    let mut fits = Raw::v4(house.address(), "fits").await;
    let head = publish_v4(0x32, "farm/x", 7, b"").len();
    fits.send(&publish_v4(
        0x32,
        "farm/x",
        7,
        &vec![b'1'; 1_000 - head - 1],
    ))
    .await;
    assert_eq!(fits.packet().await, [0x40, 2, 0, 7]);
}

#[tokio::test]
async fn a_second_connect_ends_the_connection_and_lets_the_will_speak() {
    let mut house = House::open().await;
    for (level, told) in [(4, None), (5, Some(0x82))] {
        let mut body = string("MQTT");
        body.extend([level, 0b1110, 0, 60]);
        body.extend(vec![0; usize::from(level == 5)]);
        body.extend(string("twice"));
        body.extend(vec![0; usize::from(level == 5)]);
        body.extend([string("farm/will"), string("gone")].concat());
        let hello = packet(0x10, &body);
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&hello).await;
        assert_eq!(raw.packet().await[3], 0);
        raw.send(&hello).await;
        let packets = raw.until_close().await;
        let reason = packets.first().map(|p| p[2]);
        assert_eq!(reason, told, "{level}: {packets:02x?}");
        let will = house.next().await.publish;
        assert!(will.will && &*will.topic == "farm/will", "{will:?}");
    }
}

#[tokio::test]
async fn what_only_a_server_sends_ends_its_sender_and_nobody_else() {
    let house = House::open().await;
    let mut other = Raw::v4(house.address(), "other").await;
    for kind in [2_u8, 9, 11, 13] {
        for flags in [0, 2, 0x0f] {
            for body in [&[][..], &[0], &[0, 0], &[0, 10, 0, 0], &[0xff; 20]] {
                let bytes = packet(kind << 4 | flags, body);
                let mut stranger = Raw::dial(house.address()).await;
                stranger.send(&bytes).await;
                let mut old = Raw::v4(house.address(), "old").await;
                old.send(&bytes).await;
                let mut new = Raw::v5(house.address(), "new").await;
                new.send(&bytes).await;
                assert!(stranger.until_close().await.is_empty(), "{bytes:02x?}");
                assert!(old.until_close().await.is_empty(), "{bytes:02x?}");
                let told = new.until_close().await;
                assert!(
                    matches!(told[0][..], [0xe0, _, 0x81 | 0x82, ..]),
                    "{told:02x?}"
                );
            }
        }
    }
    other.send(&[0xc0, 0]).await;
    assert_eq!(other.packet().await, [0xd0, 0]);
}

#[tokio::test]
async fn a_level_that_is_not_spoken_is_told_so() {
    let house = House::open().await;
    let levels = [
        ("MQTT", 0),
        ("MQTT", 1),
        ("MQTT", 2),
        ("MQTT", 6),
        ("MQTT", 255),
        ("MQIsdp", 4),
    ];
    for (name, level) in levels {
        let mut body = string(name);
        body.extend([level, 0b10, 0, 60]);
        body.extend(string("abc"));
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&packet(0x10, &body)).await;
        let packets = raw.until_close().await;
        // "Unacceptable protocol version" in MQTT 3.1.1, "unsupported protocol version" in MQTT 5.
        let told = packets.first().map(|p| (p[0], p[3]));
        assert!(
            matches!(told, Some((0x20, 0x01 | 0x84))),
            "{name} {level}: {packets:02x?}"
        );
    }
}

#[tokio::test]
async fn a_publisher_that_never_reads_is_held_back_and_then_cut() {
    let config = DoorConfig {
        packet_timeout: Duration::from_secs(1),
        ..DoorConfig::default()
    };
    let mut house = House::open_with(config).await;
    // Its machine has little room for what it does not read.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut deaf = Raw {
        stream: socket.connect(house.address()).await.unwrap(),
    };
    deaf.send(&connect(4, "deaf", 60)).await;
    assert_eq!(deaf.packet().await, [0x20, 2, 0, 0]);
    // Each publish is owed a PUBACK that is never taken: the door stops reading, so writing stops.
    let some = publish_v4(0x32, "farm/x", 7, b"1").repeat(100);
    // The system takes bytes on for a while, fewer and fewer; each of them is a sign of life.
    let patience = Duration::from_secs(60);
    let cut = timeout(patience, async {
        while deaf.stream.write_all(&some).await.is_ok() {
            while house.taken.try_recv().is_ok() {}
        }
    })
    .await;
    assert!(cut.is_ok(), "the door never cuts it");
    assert_eq!(house.refused(Reason::SlowSubscriber), 1);
    let mut next = Raw::v4(house.address(), "next").await;
    next.send(&[0xc0, 0]).await;
    assert_eq!(next.packet().await, [0xd0, 0]);
}

#[tokio::test]
async fn an_alias_hides_no_topic_from_the_permit() {
    let mut house = House::open().await;
    let with_alias = |topic: &str, pid: u8| {
        let body = [&string(topic)[..], &[0, pid, 3, 0x23, 0, 1], b"secret"].concat();
        packet(0x32, &body)
    };
    // Denied under its own name, then by the alias alone; allowed first, then given another meaning.
    let tries = [
        vec![with_alias("barn/x", 1), with_alias("", 2)],
        vec![
            with_alias("farm/ok", 1),
            with_alias("barn/x", 2),
            with_alias("", 3),
        ],
    ];
    for (n, packets) in tries.iter().enumerate() {
        let mut raw = Raw::v5(house.address(), &format!("sly-{n}")).await;
        for packet in packets {
            raw.send(packet).await;
        }
        raw.send(&[0xe0, 0]).await;
        raw.until_close().await;
    }
    // Whoever comes last proves that all before has been judged.
    let mut last = Raw::v4(house.address(), "last").await;
    last.send(&publish_v4(0x32, "farm/last", 1, b"1")).await;
    last.packet().await;
    house
        .until("all gone but one", |stats| stats.connections == 1)
        .await;
    let mut reached = Vec::new();
    while let Ok(taken) = house.taken.try_recv() {
        reached.push(taken.publish.topic.to_string());
    }
    reached.retain(|topic| topic != "farm/last");
    assert!(
        reached.iter().all(|topic| topic == "farm/ok"),
        "{reached:?}"
    );
}

#[tokio::test]
async fn shared_filters_and_wills_reach_no_further_than_the_permit() {
    let house = House::open().await;
    let mut raw = Raw::v5(house.address(), "a").await;
    for filter in [
        "$share/g/#",
        "$share/g/barn/x",
        "$share/g/+/x",
        "$SYS/#",
        "+/x",
    ] {
        let body = [&[0, 10, 0][..], &string(filter), &[1]].concat();
        raw.send(&packet(0x82, &body)).await;
        let suback = raw.packet().await;
        // Not authorized, or shared subscriptions not supported: in no case granted.
        assert!(
            matches!(suback.last(), Some(0x87 | 0x9e)),
            "{filter}: {suback:02x?}"
        );
    }
    for topic in ["barn/x", "$SYS/x", "farm/#", ""] {
        let mut body = string("MQTT");
        body.extend([5, 0b1110, 0, 60, 0]);
        body.extend(string("w"));
        body.push(0);
        body.extend([string(topic), string("gone")].concat());
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&packet(0x10, &body)).await;
        let packets = raw.until_close().await;
        let told = (packets[0][0], packets[0][3]);
        assert!(told.0 == 0x20 && told.1 >= 0x80, "{topic}: {packets:02x?}");
    }
    assert_eq!(house.door.stats().logins, 1);
}

#[tokio::test]
async fn topics_of_the_server_are_not_reached_by_wildcards() {
    let retained = Retained {
        topic: "$SYS/version".into(),
        payload: Bytes::from_static(b"1"),
        qos: Qos::AtMostOnce,
        properties: Bytes::new(),
        expiry_s: None,
    };
    let house = House::open_holding(DoorConfig::default(), vec![retained]).await;
    let mut ears = everyone(&house, 4, "ears").await;
    for filter in ["#", "+/version", "+/#"] {
        ears.send(&subscribe_v4(1, filter, 0)).await;
        assert_eq!(ears.packet().await, [0x90, 3, 0, 1, 0], "{filter}");
    }
    // Who names them gets them.
    ears.send(&subscribe_v4(1, "$SYS/#", 0)).await;
    assert_eq!(ears.packet().await, [0x90, 3, 0, 1, 0]);
    assert_eq!(
        ears.packet().await,
        publish_v4(0x31, "$SYS/version", 0, b"1")
    );
    // And no client speaks for the server, whatever it is permitted.
    let mut mouth = everyone(&house, 5, "mouth").await;
    mouth.send(&publish_v5(0x32, "$SYS/version", 7, b"2")).await;
    assert_eq!(mouth.packet().await[2..5], [0, 7, 0x90]);
    ears.send(&[0xc0, 0]).await;
    assert_eq!(ears.packet().await, [0xd0, 0]);
}

#[tokio::test]
async fn bengali_topics_go_everywhere_that_others_go() {
    let house = House::open().await;
    let mut ears = everyone(&house, 4, "কান").await;
    for filter in ["গরু", "গরু/+/দুধ", "+/৩/#"] {
        ears.send(&subscribe_v4(1, filter, 0)).await;
        assert_eq!(ears.packet().await, [0x90, 3, 0, 1, 0], "{filter}");
    }
    let mut mouth = everyone(&house, 4, "মুখ").await;
    for topic in ["গরু", "গরু/১/দুধ", "ঘর/৩", "গরু/৩/দুধ"] {
        mouth
            .send(&publish_v4(0x33, topic, 1, "১১.৫".as_bytes()))
            .await;
        assert_eq!(mouth.packet().await, [0x40, 2, 0, 1], "{topic}");
        let heard = publish_v4(0x30, topic, 0, "১১.৫".as_bytes());
        assert_eq!(ears.packet().await, heard);
    }
    // The two filters that overlap gave one copy or two, both as sent; then nothing is left.
    ears.send(&[0xc0, 0]).await;
    let mut rest = ears.packet().await;
    if rest[0] == 0x30 {
        rest = ears.packet().await;
    }
    assert_eq!(rest, [0xd0, 0]);
    let mut late = everyone(&house, 4, "late").await;
    late.send(&subscribe_v4(1, "ঘর/#", 0)).await;
    assert_eq!(late.packet().await[0], 0x90);
    assert_eq!(
        late.packet().await,
        publish_v4(0x31, "ঘর/৩", 0, "১১.৫".as_bytes())
    );
}

#[tokio::test]
async fn an_empty_publish_that_is_not_retained_clears_nothing() {
    let house = House::open().await;
    house.door.publish("farm/r", "kept", Retain::Yes).unwrap();
    let mut raw = Raw::v4(house.address(), "a").await;
    raw.send(&publish_v4(0x32, "farm/r", 1, b"")).await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    raw.send(&publish_v4(0x30, "farm/r", 0, b"")).await;
    raw.send(&subscribe_v4(1, "farm/#", 0)).await;
    assert_eq!(raw.packet().await, [0x90, 3, 0, 1, 0]);
    assert_eq!(raw.packet().await, publish_v4(0x31, "farm/r", 0, b"kept"));
}

#[tokio::test]
async fn a_dead_client_is_cut_at_one_and_a_half_keep_alives_and_its_will_speaks() {
    let mut house = House::open().await;
    let mut body = string("MQTT");
    body.extend([4, 0b1110, 0, 1]);
    body.extend([string("dead"), string("farm/will"), string("gone")].concat());
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&packet(0x10, &body)).await;
    raw.packet().await;
    // It lives for as long as it says anything: half a second is soon enough.
    let mut pace = interval(Duration::from_millis(500));
    for _ in 0..5 {
        pace.tick().await;
        raw.send(&publish_v4(0x30, "farm/x", 0, b"1")).await;
    }
    let silent = Instant::now();
    assert!(raw.until_close().await.is_empty());
    let patience = silent.elapsed();
    assert!(
        patience >= Duration::from_millis(1_450),
        "cut after {patience:?}"
    );
    let will = soon("the will", async {
        loop {
            let publish = house.next().await.publish;
            if publish.will {
                break publish;
            }
        }
    })
    .await;
    assert_eq!(
        (&*will.topic, &will.payload[..]),
        ("farm/will", &b"gone"[..])
    );
}

#[tokio::test]
async fn a_client_that_was_never_here_has_no_session_and_stays_with_keep_alive_0() {
    let house = House::open().await;
    for level in [4, 5] {
        // Not clean: an old session would be taken up if there were one.
        let mut hello = connect(level, &format!("new-{level}"), 0);
        hello[9] = 0;
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&hello).await;
        let connack = raw.packet().await;
        assert_eq!(connack[2..4], [0, 0], "{connack:02x?}");
        assert!(timeout(IMPATIENT, raw.packet_or_close()).await.is_err());
        raw.send(&[0xc0, 0]).await;
        assert_eq!(raw.packet().await, [0xd0, 0]);
        raw.send(&[0xe0, 0]).await;
        raw.until_close().await;
    }
}

/// What a hundred thousand of them cost the appliance is measured end to end.
/// Bytes of memory that this process has.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next());
    kilobytes.and_then(|n| n.parse().ok()).unwrap_or(0) * 1024
}

#[tokio::test]
async fn topics_and_filters_leave_nothing_behind() {
    const TOPICS: u32 = 100_000;
    const BATCH: u32 = 100;
    let mut house = House::open().await;
    let mut ears = Raw::v4(house.address(), "ears").await;
    ears.send(&subscribe_v4(1, "farm/#", 0)).await;
    ears.packet().await;
    let mut raw = Raw::v4(house.address(), "a").await;
    let mut warm = 0;
    for first in (0..TOPICS).step_by(BATCH as usize) {
        let batch = first..first + BATCH;
        let pid = |n: u32| (n % 60_000) as u16 + 1;
        let publish = |n| publish_v4(0x32, &format!("farm/milk/{n}/1"), pid(n), b"1");
        let sent: Vec<u8> = batch.clone().flat_map(publish).collect();
        raw.send(&sent).await;
        for n in batch {
            let puback = [&[0x40, 2][..], &pid(n).to_be_bytes()].concat();
            assert_eq!(raw.packet().await, puback);
            assert_eq!(ears.packet().await[0], 0x30);
            house.next().await;
        }
        if first == TOPICS / 5 {
            warm = memory();
        }
    }
    let grown = memory().saturating_sub(warm);
    assert!(grown < 2 * 1024 * 1024, "it has kept {grown} bytes");
    for n in 0..1_000_u16 {
        let filter = format!("farm/milk/{n}/+");
        raw.send(&subscribe_v4(n + 1, &filter, 0)).await;
        raw.packet().await;
        let body = [&(n + 1).to_be_bytes()[..], &string(&filter)].concat();
        raw.send(&packet(0xa2, &body)).await;
        raw.packet().await;
    }
    let stats = house.door.stats();
    assert_eq!((stats.subscriptions, stats.retained), (1, 0));
    assert_eq!(stats.accepted, u64::from(TOPICS));
}

#[tokio::test]
async fn what_connack_promises_holds() {
    let config = DoorConfig {
        max_packet: 1_000,
        window: 20,
        ..DoorConfig::default()
    };
    let mut house = House::open_with(config).await;
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&connect(5, "", 60)).await;
    let bytes = raw.packet().await;
    let Ok(Some(v5::Packet::Connack(connack))) = v5::Packet::decode(&bytes) else {
        panic!("not a CONNACK: {bytes:02x?}");
    };
    let said = connack.properties;
    assert_eq!(
        (said.max_packet_size, said.receive_max),
        (Some(1_000), Some(20))
    );
    assert_ne!(said.retain_available, Some(false));
    let name = said.assigned_client_id.expect("a name for who gave none");

    // Every alias up to the promised one names what it was given; the next one is none.
    let with_alias = |topic: &str, alias: u16| {
        let [high, low] = alias.to_be_bytes();
        packet(
            0x32,
            &[&string(topic)[..], &[0, 7, 3, 0x23, high, low], b"1"].concat(),
        )
    };
    let most = said.topic_alias_max.unwrap_or(0);
    for alias in 1..=most {
        for topic in [&*format!("farm/{alias}"), ""] {
            raw.send(&with_alias(topic, alias)).await;
            assert_eq!(raw.packet().await, [0x40, 2, 0, 7]);
            let publish = house.next().await.publish;
            assert_eq!(*publish.topic, *format!("farm/{alias}"));
            assert_eq!(publish.client_id, name);
        }
    }
    // What it promises of QoS 2 and retained values, too.
    raw.send(&publish_v5(0x35, "farm/kept", 9, b"1")).await;
    assert_eq!(raw.packet().await, [0x50, 2, 0, 9]);
    raw.send(&[0x62, 2, 0, 9]).await;
    assert_eq!(raw.packet().await, [0x70, 2, 0, 9]);
    assert_eq!(house.door.stats().retained, 1);

    raw.send(&with_alias("farm/x", most + 1)).await;
    let told = raw.until_close().await;
    assert_eq!((told[0][0], told[0][2]), (0xe0, 0x94), "{told:02x?}");
    let mut named = Raw::v5(house.address(), "named").await;
    named
        .send(&publish_v5(0x30, "farm/x", 0, &[b'1'; 1_000]))
        .await;
    let told = named.until_close().await;
    assert_eq!((told[0][0], told[0][2]), (0xe0, 0x95), "{told:02x?}");
}
