//! What a client that is let in can make the door hold: retained values, wide subscriptions, properties, and a gate that breaks.

use edge_broker::{DoorConfig, Reason, Retain};

use crate::{
    raw::{Raw, connect_as, packet, publish_v4, publish_v5, string, subscribe_v4},
    support::{House, soon},
};

#[tokio::test]
async fn room_to_retain_is_taken_by_what_still_waits() {
    let config = DoorConfig {
        max_retained: 2,
        ..DoorConfig::default()
    };
    let mut house = House::open_with(config).await;
    house.hold();
    let mut raw = Raw::v5(house.address(), "a").await;
    for n in 1..=3 {
        let topic = format!("farm/{n}");
        raw.send(&publish_v5(0x33, &topic, n, b"x")).await;
    }
    let (one, two) = (house.next().await, house.next().await);
    assert!(
        house.taken.try_recv().is_err(),
        "the third reached the gate"
    );
    one.resolve(Ok(()));
    // What was refused gives its room back.
    let reason = "no".to_owned();
    two.resolve(Err(edge_broker::Refused {
        kind: edge_broker::RefusedKind::Quota,
        reason,
    }));
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    for pid in [2, 3] {
        assert_eq!(raw.packet().await[2..5], [0, pid, 0x97]);
    }
    raw.send(&publish_v5(0x33, "farm/4", 4, b"x")).await;
    house.next().await.resolve(Ok(()));
    assert_eq!(raw.packet().await, [0x40, 2, 0, 4]);
    assert_eq!(house.door.stats().retained, 2);
}

#[tokio::test]
async fn one_who_retains_too_much_takes_no_room_from_others() {
    let house = House::open().await;
    let mut device = Raw::dial(house.address()).await;
    device.send(&connect_as(5, "d", "device")).await;
    device.packet().await;
    for (pid, topic, size, expected) in [
        (1, "farm/mine/1", 10, 0),
        (2, "farm/mine/2", 10, 0),
        (3, "farm/mine/3", 10, 0x97),
        (4, "farm/mine/2", 20, 0),
        (5, "farm/mine/2", 900, 0x97),
    ] {
        device
            .send(&publish_v5(0x33, topic, pid, &vec![b'x'; size]))
            .await;
        let puback = device.packet().await;
        let code = puback.get(4).copied().unwrap_or(0);
        assert_eq!(code, expected, "{pid}: {topic}");
    }
    // It may clear, and then keep another; and others have all the room that there is.
    for (pid, topic, payload) in [(6, "farm/mine/1", ""), (7, "farm/mine/3", "x")] {
        device
            .send(&publish_v5(0x33, topic, pid, payload.as_bytes()))
            .await;
        assert_eq!(device.packet().await.len(), 4, "{topic}");
    }
    let mut other = Raw::v5(house.address(), "other").await;
    other
        .send(&publish_v5(0x33, "farm/others", 1, &[b'x'; 2_000]))
        .await;
    assert_eq!(other.packet().await, [0x40, 2, 0, 1]);
    assert_eq!(house.refused(Reason::Quota), 2);
}

#[tokio::test]
async fn a_will_that_finds_no_room_any_more_is_passed_on_and_not_kept() {
    let config = DoorConfig {
        max_retained: 1,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let mut ears = Raw::v4(house.address(), "ears").await;
    ears.send(&subscribe_v4(1, "farm/#", 0)).await;
    ears.packet().await;
    let mut wills = Vec::new();
    for n in ["1", "2"] {
        let mut raw = Raw::dial(house.address()).await;
        let head = [&string("MQTT")[..], &[4, 0b10_1110, 0, 60]].concat();
        let rest = [string(n), string(&format!("farm/{n}")), string("gone")].concat();
        raw.send(&packet(0x10, &[head, rest].concat())).await;
        assert_eq!(raw.packet().await, [0x20, 2, 0, 0], "there was room");
        wills.push(raw);
    }
    drop(wills);
    for _ in 0..2 {
        assert!(ears.packet().await.ends_with(b"gone"));
    }
    assert_eq!(house.door.stats().retained, 1);
    assert_eq!(house.refused(Reason::Quota), 1);
}

#[tokio::test]
async fn overlapping_subscriptions_are_not_sent_retained_values_without_end() {
    let config = DoorConfig {
        max_retained: 100,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    for n in 0..100 {
        let topic = format!("farm/a/b/c/{n}");
        house.door.publish(&topic, "x", Retain::Yes).unwrap();
    }
    let filters = [
        "farm/#",
        "farm/+/#",
        "farm/+/+/#",
        "farm/+/+/+/#",
        "farm/+/+/+/+",
        "farm/a/#",
        "farm/a/b/#",
    ];
    let mut body = vec![0, 1, 0];
    for filter in filters {
        body.extend(string(filter));
        body.push(0);
    }
    let mut raw = Raw::v5(house.address(), "greedy").await;
    raw.send(&packet(0x82, &body)).await;
    let said = raw.until_close().await;
    let last = said.last().expect("a goodbye");
    assert_eq!((last[0], last[2]), (0xe0, 0x97));
    assert!(said.len() <= 2 + 200, "{} packets", said.len());
    assert_eq!(house.refused(Reason::SlowSubscriber), 1);
    house
        .until("nothing is held", |stats| stats.queued_bytes == 0)
        .await;

    let mut modest = Raw::v4(house.address(), "modest").await;
    modest.send(&subscribe_v4(1, "farm/#", 0)).await;
    for _ in 0..=100 {
        modest.packet().await;
    }
}

#[tokio::test]
async fn user_properties_weigh_what_they_cost() {
    let config = DoorConfig {
        max_retained_bytes: 100_000,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let mut raw = Raw::v5(house.address(), "a").await;
    // 2,000 pairs: 14 KB on the wire, and many times that in memory.
    let pairs = [0x26, 0, 1, b'a', 0, 1, b'b'].repeat(2_000);
    let length = [0x80 | (14_000_u32 & 0x7f) as u8, (14_000_u32 >> 7) as u8];
    let body = [&string("farm/x")[..], &[0, 1], &length, &pairs, b"x"].concat();
    raw.send(&packet(0x33, &body)).await;
    assert_eq!(raw.packet().await[2..5], [0, 1, 0x97]);
}

#[tokio::test]
async fn a_gate_that_panics_ends_neither_the_watch_nor_the_door() {
    let mut house = House::open().await;
    // Two sessions that end a second after their connections, each with a will.
    let mut body = string("MQTT");
    body.extend([5, 0b100, 0, 60, 5, 0x11, 0, 0, 0, 1]);
    let will = [
        &[5, 0x18, 0, 0, 0, 1][..],
        &string("farm/a"),
        &string("gone"),
    ]
    .concat();
    for (client, broken) in [("1", true), ("2", false)] {
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&packet(0x10, &[&body[..], &string(client), &will].concat()))
            .await;
        assert_eq!(raw.packet().await[3], 0);
        house.gate.set_broken(broken);
        drop(raw);
        house
            .until("its end", |stats| stats.connections == 0 && stats.away == 0)
            .await;
        house.gate.set_broken(false);
    }
    let will = house.next().await.publish;
    assert!(
        will.will && &*will.client_id == "2",
        "the first was lost with the gate"
    );
    // A publish that the gate breaks at is not acknowledged; the next one is.
    let mut raw = Raw::v4(house.address(), "b").await;
    house.gate.set_broken(true);
    raw.send(&publish_v4(0x32, "farm/x", 1, b"1")).await;
    assert!(soon("the end", raw.packet_or_close()).await.is_none());
    house.gate.set_broken(false);
    let mut raw = Raw::v4(house.address(), "b").await;
    raw.send(&publish_v4(0x32, "farm/x", 1, b"1")).await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
}

#[tokio::test]
async fn filters_beyond_what_is_allowed_are_refused_one_by_one() {
    let config = DoorConfig {
        max_subscriptions: 2,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let (deep, long) = ("farm/".repeat(32), format!("farm/{}", "a".repeat(1_024)));
    let mut clients = Vec::new();
    let filters = ["farm/1", &deep, &long, "farm/2", "farm/3", "farm/1"];
    for (level, refused) in [(4, [0x80, 0x80, 0x80]), (5, [0x8f, 0x8f, 0x97])] {
        let mut raw = match level {
            4 => Raw::v4(house.address(), "4").await,
            _ => Raw::v5(house.address(), "5").await,
        };
        let mut body = vec![0, 1];
        body.extend((level == 5).then_some(0));
        for filter in filters {
            body.extend(string(filter));
            body.push(0);
        }
        raw.send(&packet(0x82, &body)).await;
        let [deep, long, third] = refused;
        let suback = raw.packet().await;
        assert_eq!(suback[suback.len() - 6..], [0, deep, long, 0, third, 0]);
        clients.push(raw);
    }
    assert_eq!(house.door.stats().subscriptions, 4);
    assert_eq!(house.refused(Reason::Quota), 2);
    assert_eq!(house.refused(Reason::TopicInvalid), 4);
}

#[tokio::test]
async fn publishes_at_qos_2_that_are_never_finished_are_bounded() {
    let house = House::open().await;
    let mut raw = Raw::v4(house.address(), "a").await;
    for pid in 1..=4_096 {
        raw.send(&publish_v4(0x34, "farm/x", pid, b"1")).await;
        let pubrec = [&[0x50, 2][..], &pid.to_be_bytes()].concat();
        assert_eq!(raw.packet().await, pubrec);
    }
    raw.send(&publish_v4(0x34, "farm/x", 4_097, b"1")).await;
    assert!(raw.until_close().await.is_empty());
    assert_eq!(house.refused(Reason::Quota), 1);
    assert_eq!(house.door.stats().accepted, 4_096);
}

#[tokio::test]
async fn a_will_is_delayed_no_longer_than_its_session_lasts() {
    let mut house = House::open().await;
    let mut body = string("MQTT");
    body.extend([5, 0b100, 0, 60, 5, 0x11, 0, 0, 0, 1]);
    body.extend(string("a"));
    body.extend([5, 0x18, 0xff, 0xff, 0xff, 0xff]);
    body.extend([string("farm/a"), string("gone")].concat());
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&packet(0x10, &body)).await;
    assert_eq!(raw.packet().await[3], 0);
    drop(raw);
    assert!(house.next().await.publish.will);
    assert_eq!(house.door.stats().away, 0);
}
