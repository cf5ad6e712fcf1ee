//! Sessions that outlive their connection, and what MQTT 5 says about subscriptions.

use edge_broker::{Change, DoorConfig, Reason, Retain};

use crate::{
    raw::{Raw, packet, publish_v4, publish_v5, string, subscribe_v4},
    support::House,
};

/// Connects a client of MQTT 3.1.1 that wants its session kept; whether it finds one.
async fn lasting(house: &House, client: &str) -> (Raw, bool) {
    let mut raw = Raw::dial(house.address()).await;
    let body = [&string("MQTT")[..], &[4, 0, 0, 60], &string(client)].concat();
    raw.send(&packet(0x10, &body)).await;
    let connack = raw.packet().await;
    assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02x?}");
    (raw, connack[2] == 1)
}

/// Connects a client of MQTT 5 with these properties; it wants a new session.
async fn new(house: &House, client: &str, properties: &[u8]) -> Raw {
    let mut raw = Raw::dial(house.address()).await;
    let length = u8::try_from(properties.len()).expect("short");
    let mut body = string("MQTT");
    body.extend([5, 0b10, 0, 60, length]);
    body.extend_from_slice(properties);
    body.extend(string(client));
    raw.send(&packet(0x10, &body)).await;
    let connack = raw.packet().await;
    assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02x?}");
    raw
}

async fn leave(house: &House, mut raw: Raw) {
    raw.send(&[0xe0, 0]).await;
    raw.until_close().await;
    house.until("its end", |stats| stats.connections == 0).await;
}

async fn subscribe(raw: &mut Raw, filter: &str, qos: u8) {
    raw.send(&subscribe_v4(1, filter, qos)).await;
    assert_eq!(raw.packet().await, [0x90, 3, 0, 1, qos]);
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_waited_and_what_it_did_not_acknowledge() {
    let house = House::open().await;
    let (mut ears, found) = lasting(&house, "ears").await;
    assert!(!found);
    subscribe(&mut ears, "farm/#", 1).await;
    leave(&house, ears).await;
    for payload in ["1", "2"] {
        house.door.publish("farm/x", payload, Retain::No).unwrap();
    }
    house
        .until("two messages", |stats| stats.accepted == 2)
        .await;
    assert_eq!(house.door.stats().away, 1);

    let (mut ears, found) = lasting(&house, "ears").await;
    assert!(found);
    let sent = [ears.packet().await, ears.packet().await];
    assert_eq!(sent[0], publish_v4(0x32, "farm/x", 2, b"1"));
    assert_eq!(sent[1], publish_v4(0x32, "farm/x", 3, b"2"));
    ears.send(&[0x40, 2, 0, 2]).await;
    leave(&house, ears).await;

    let (mut ears, _) = lasting(&house, "ears").await;
    let again = ears.packet().await;
    assert_eq!(
        again,
        publish_v4(0x3a, "farm/x", 3, b"2"),
        "marked as sent before"
    );
    leave(&house, ears).await;

    // A clean session ends the lasting one.
    let clean = Raw::v4(house.address(), "ears").await;
    leave(&house, clean).await;
    let (_ears, found) = lasting(&house, "ears").await;
    assert!(!found);
}

#[tokio::test]
async fn a_letter_is_handed_over_with_its_publish_and_only_for_sessions_that_last() {
    let mut house = House::open().await;
    let mut live = Raw::v4(house.address(), "live").await;
    subscribe(&mut live, "farm/#", 2).await;
    let mut meter = Raw::v4(house.address(), "meter").await;
    meter.send(&publish_v4(0x32, "farm/x", 7, b"1")).await;
    assert_eq!(house.next().await.publish.changes, []);
    assert_eq!(meter.packet().await, [0x40, 2, 0, 7]);

    let (mut first, _) = lasting(&house, "first").await;
    subscribe(&mut first, "farm/#", 1).await;
    let (mut second, _) = lasting(&house, "second").await;
    subscribe(&mut second, "farm/+", 2).await;
    meter.send(&publish_v4(0x34, "farm/x", 8, b"2")).await;
    let changes = house.next().await.publish.changes;
    let [Change::Posted(letter)] = &changes[..] else {
        panic!("one letter: {changes:?}");
    };
    let mut qualities: Vec<_> = letter.addressees.iter().map(|a| a.qos as u8).collect();
    qualities.sort_unstable();
    assert_eq!((&letter.payload[..], qualities), (&b"2"[..], vec![1, 2]));
}

#[tokio::test]
async fn a_handshake_at_qos_2_goes_on_where_it_broke() {
    let house = House::open().await;
    let (mut ears, _) = lasting(&house, "ears").await;
    subscribe(&mut ears, "farm/#", 2).await;
    let mut meter = Raw::v4(house.address(), "meter").await;
    meter.send(&publish_v4(0x34, "farm/x", 7, b"1")).await;
    assert_eq!(meter.packet().await, [0x50, 2, 0, 7]);
    meter.send(&[0x62, 2, 0, 7]).await;
    assert_eq!(meter.packet().await, [0x70, 2, 0, 7]);
    leave_one(meter).await;

    assert_eq!(ears.packet().await, publish_v4(0x34, "farm/x", 2, b"1"));
    ears.send(&[0x50, 2, 0, 2]).await;
    assert_eq!(ears.packet().await, [0x62, 2, 0, 2]);
    leave(&house, ears).await;
    let (mut ears, _) = lasting(&house, "ears").await;
    assert_eq!(
        ears.packet().await,
        [0x62, 2, 0, 2],
        "not the message again"
    );
    ears.send(&[0x70, 2, 0, 2, 0xc0, 0]).await;
    assert_eq!(ears.packet().await, [0xd0, 0]);
    leave(&house, ears).await;
    let (mut ears, _) = lasting(&house, "ears").await;
    ears.send(&[0xc0, 0]).await;
    assert_eq!(ears.packet().await, [0xd0, 0], "nothing is left");
}

async fn leave_one(mut raw: Raw) {
    raw.send(&[0xe0, 0]).await;
    raw.until_close().await;
}

#[tokio::test]
async fn a_publish_at_qos_2_counts_once_though_the_client_comes_back_with_it() {
    let house = House::open().await;
    let (mut meter, _) = lasting(&house, "meter").await;
    meter.send(&publish_v4(0x34, "farm/x", 7, b"1")).await;
    assert_eq!(meter.packet().await, [0x50, 2, 0, 7]);
    leave(&house, meter).await;
    let (mut meter, _) = lasting(&house, "meter").await;
    meter.send(&publish_v4(0x3c, "farm/x", 7, b"1")).await;
    assert_eq!(meter.packet().await, [0x50, 2, 0, 7]);
    assert_eq!(house.door.stats().accepted, 1);
    meter.send(&[0x62, 2, 0, 7]).await;
    assert_eq!(meter.packet().await, [0x70, 2, 0, 7]);
}

#[tokio::test]
async fn a_lasting_session_that_has_too_much_loses_the_oldest() {
    let config = DoorConfig {
        queue: 3,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let (mut ears, _) = lasting(&house, "ears").await;
    subscribe(&mut ears, "farm/#", 1).await;
    leave(&house, ears).await;
    for payload in ["1", "2", "3", "4", "5"] {
        house.door.publish("farm/x", payload, Retain::No).unwrap();
    }
    house
        .until("five messages", |stats| stats.accepted == 5)
        .await;
    assert_eq!(house.refused(Reason::QueueOverflow), 2);
    let (mut ears, _) = lasting(&house, "ears").await;
    for payload in ["3", "4", "5"] {
        assert_eq!(ears.packet().await.last(), payload.as_bytes().last());
    }
}

#[tokio::test]
async fn all_queues_together_are_bounded_and_the_fullest_gives_way() {
    let config = DoorConfig {
        total_queue_bytes: 100_000,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let (mut greedy, _) = lasting(&house, "greedy").await;
    subscribe(&mut greedy, "farm/big", 1).await;
    leave(&house, greedy).await;
    let (mut modest, _) = lasting(&house, "modest").await;
    subscribe(&mut modest, "farm/small", 1).await;
    leave(&house, modest).await;
    house.door.publish("farm/small", "1", Retain::No).unwrap();
    for _ in 0..40 {
        let payload = vec![b'x'; 10_000];
        house.door.publish("farm/big", payload, Retain::No).unwrap();
    }
    house
        .until("all messages", |stats| stats.accepted == 41)
        .await;
    assert!(house.door.stats().queued_bytes <= 100_000);
    assert!(house.refused(Reason::QueueOverflow) > 0);
    let (mut modest, _) = lasting(&house, "modest").await;
    assert_eq!(modest.packet().await.last(), Some(&b'1'));
}

#[tokio::test]
async fn too_many_lasting_sessions_end_the_one_that_is_away_longest() {
    let config = DoorConfig {
        max_sessions: 2,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    for client in ["1", "2", "3"] {
        let (raw, _) = lasting(&house, client).await;
        leave(&house, raw).await;
    }
    assert_eq!(house.refused(Reason::SessionDropped), 1);
    assert!(lasting(&house, "3").await.1 && lasting(&house, "2").await.1);
}

#[tokio::test]
async fn those_who_share_a_subscription_are_served_in_turn() {
    let house = House::open().await;
    let mut members = [
        Raw::v4(house.address(), "1").await,
        Raw::v4(house.address(), "2").await,
    ];
    for member in &mut members {
        subscribe(member, "$share/stalls/farm/#", 1).await;
    }
    for payload in ["1", "2", "3", "4"] {
        house.door.publish("farm/x", payload, Retain::No).unwrap();
    }
    for (member, payloads) in members.iter_mut().zip([["1", "3"], ["2", "4"]]) {
        for payload in payloads {
            assert_eq!(member.packet().await.last(), payload.as_bytes().last());
        }
        member.send(&[0xc0, 0]).await;
        assert_eq!(member.packet().await, [0xd0, 0], "and no more");
    }
    // What may not be heard may not be shared.
    members[0].send(&subscribe_v4(2, "$share/g/#", 1)).await;
    assert_eq!(members[0].packet().await, [0x90, 3, 0, 2, 0x80]);
}

#[tokio::test]
async fn one_message_answers_all_subscriptions_with_their_identifiers() {
    let house = House::open().await;
    let mut raw = new(&house, "a", &[]).await;
    for (id, filter) in [(2, "farm/x"), (3, "farm/#")] {
        let body = [&[0, 1, 2, 0x0b, id][..], &string(filter), &[0]].concat();
        raw.send(&packet(0x82, &body)).await;
        raw.packet().await;
    }
    house.door.publish("farm/x", "1", Retain::No).unwrap();
    let heard = raw.packet().await;
    let mut ids = [heard[12], heard[14]];
    ids.sort_unstable();
    assert_eq!((heard[10], ids), (4, [2, 3]), "{heard:02x?}");
}

#[tokio::test]
async fn aliases_stand_for_topics_in_both_directions() {
    let mut house = House::open().await;
    // Takes one alias.
    let mut raw = new(&house, "a", &[0x22, 0, 1]).await;
    let filter = [&[0, 1, 0][..], &string("farm/#"), &[0]].concat();
    raw.send(&packet(0x82, &filter)).await;
    raw.packet().await;
    for topic in ["farm/x", ""] {
        let body = [&string(topic)[..], &[3, 0x23, 0, 5], b"1"].concat();
        raw.send(&packet(0x30, &body)).await;
        assert_eq!(&*house.next().await.publish.topic, "farm/x");
    }
    for topic in ["farm/x", ""] {
        let body = [&string(topic)[..], &[3, 0x23, 0, 1], b"1"].concat();
        assert_eq!(raw.packet().await, packet(0x30, &body));
    }
    house.door.publish("farm/y", "1", Retain::No).unwrap();
    assert_eq!(raw.packet().await, publish_v5(0x30, "farm/y", 0, b"1"));
}

#[tokio::test]
async fn a_delayed_will_is_not_spoken_if_the_client_comes_back() {
    let mut house = House::open().await;
    for comes_back in [true, false] {
        let mut raw = Raw::dial(house.address()).await;
        let mut body = string("MQTT");
        // A will, a session that lasts a minute, a delay of one second.
        body.extend([5, 0b100, 0, 60, 5, 0x11, 0, 0, 0, 60]);
        body.extend(string("a"));
        body.extend([5, 0x18, 0, 0, 0, 1]);
        body.extend([string("farm/a"), string("gone")].concat());
        raw.send(&packet(0x10, &body)).await;
        assert_eq!(raw.packet().await[3], 0);
        drop(raw);
        house.until("its end", |stats| stats.connections == 0).await;
        if comes_back {
            let (back, found) = lasting(&house, "a").await;
            assert!(found);
            leave(&house, back).await;
        }
    }
    // One will, of the client that stayed away.
    let will = house.next().await.publish;
    assert!(will.will && &will.payload[..] == b"gone");
    assert_eq!(house.door.stats().accepted, 1);
}
