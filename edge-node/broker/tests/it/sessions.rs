//! Log-in, wills, retained values, take-over, keep-alive, slow subscribers, the door's closing.

use std::time::Duration;

use bytes::Bytes;
use edge_broker::{DoorConfig, Qos, Reason, Retain, Retained};
use tokio::time::timeout;

use crate::{
    raw::{Raw, connect, connect_as, packet, publish_v4, publish_v5, string, subscribe_v4},
    support::{House, soon},
};

/// An MQTT 3.1.1 CONNECT that keeps alive for `keep_alive` seconds and leaves a will.
fn connect_with_will(client: &str, keep_alive: u16, topic: &str, retain: Retain) -> Vec<u8> {
    let retain = if retain == Retain::Yes { 0x20 } else { 0 };
    let mut body = string("MQTT");
    body.extend([4, 0b1110 | retain]);
    body.extend(keep_alive.to_be_bytes());
    body.extend([string(client), string(topic), string("offline")].concat());
    packet(0x10, &body)
}

/// A client that hears `farm/#` at `qos`.
async fn listener(house: &House, qos: u8) -> Raw {
    let mut raw = Raw::v4(house.address(), "listener").await;
    raw.send(&subscribe_v4(1, "farm/#", qos)).await;
    assert_eq!(raw.packet().await, [0x90, 3, 0, 1, qos]);
    raw
}

#[tokio::test]
async fn who_may_not_enter_is_told_why() {
    let house = House::open().await;
    for (level, user, code) in [
        (4, "mallory", 4),
        (4, "banned", 5),
        (5, "mallory", 0x86),
        (5, "banned", 0x87),
    ] {
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&connect_as(level, "a", user)).await;
        let packets = raw.until_close().await;
        assert_eq!((packets.len(), packets[0][3]), (1, code), "{level} {user}");
    }
    for (level, code) in [(4, 2), (5, 0x85)] {
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&connect_as(level, &"n".repeat(257), "u")).await;
        let packets = raw.until_close().await;
        assert_eq!((packets.len(), packets[0][3]), (1, code), "a long name");
    }
    assert_eq!(house.refused(Reason::Login), 6);
}

#[tokio::test]
async fn a_client_without_a_name_gets_one_where_the_standard_allows() {
    let house = House::open().await;
    let mut new = Raw::dial(house.address()).await;
    new.send(&connect(5, "", 60)).await;
    let connack = new.packet().await;
    assert_eq!(connack[3], 0);
    assert!(
        String::from_utf8_lossy(&connack).contains("auto-"),
        "assigned: {connack:02x?}"
    );

    let _clean = Raw::v4(house.address(), "").await;
    let mut lasting = Raw::dial(house.address()).await;
    let mut bytes = connect(4, "", 60);
    bytes[9] = 0;
    lasting.send(&bytes).await;
    assert_eq!(lasting.until_close().await, [[0x20, 2, 0, 2]]);
}

#[tokio::test]
async fn a_will_speaks_when_the_connection_breaks_and_not_when_the_client_leaves() {
    let mut house = House::open().await;
    let mut ears = listener(&house, 1).await;
    let mut leaves = Raw::dial(house.address()).await;
    leaves
        .send(&connect_with_will("leaves", 60, "farm/leaves", Retain::No))
        .await;
    leaves.packet().await;
    leaves.send(&[0xe0, 0]).await;
    leaves.until_close().await;
    let mut breaks = Raw::dial(house.address()).await;
    breaks
        .send(&connect_with_will("breaks", 60, "farm/breaks", Retain::No))
        .await;
    breaks.packet().await;
    drop(breaks);
    let heard = ears.packet().await;
    assert_eq!(
        heard[2..],
        publish_v4(0x32, "farm/breaks", 2, b"offline")[2..]
    );
    let will = house.next().await.publish;
    assert!(will.will && &*will.client_id == "breaks");
}

#[tokio::test]
async fn a_will_that_is_not_allowed_keeps_its_client_out() {
    let house = House::open().await;
    for topic in ["barn/x", "$SYS/x"] {
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&connect_with_will("a", 60, topic, Retain::No))
            .await;
        assert_eq!(raw.until_close().await, [[0x20, 2, 0, 5]], "{topic}");
    }
}

#[tokio::test]
async fn silence_beyond_the_keep_alive_ends_the_connection_and_lets_the_will_speak() {
    let house = House::open().await;
    let mut ears = listener(&house, 0).await;
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&connect_with_will("a", 1, "farm/a", Retain::No))
        .await;
    raw.packet().await;
    assert!(raw.until_close().await.is_empty());
    assert_eq!(
        ears.packet().await,
        publish_v4(0x30, "farm/a", 0, b"offline")
    );
    assert_eq!(house.refused(Reason::KeepAlive), 1);
}

#[tokio::test]
async fn keep_alive_0_means_never() {
    let house = House::open().await;
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&connect(4, "a", 0)).await;
    raw.packet().await;
    assert!(
        timeout(Duration::from_millis(300), raw.packet_or_close())
            .await
            .is_err()
    );
    raw.send(&[0xc0, 0]).await;
    assert_eq!(raw.packet().await, [0xd0, 0]);
}

#[tokio::test]
async fn retained_values_are_kept_replaced_and_cleared() {
    let first = Retained {
        topic: "farm/loaded".into(),
        payload: Bytes::from_static(b"before"),
        qos: Qos::AtLeastOnce,
        properties: Bytes::new(),
        expiry_s: None,
    };
    let house = House::open_holding(DoorConfig::default(), vec![first]).await;
    house
        .door
        .publish("homeassistant/x/config", "{}", Retain::Yes)
        .unwrap();
    let mut raw = Raw::v4(house.address(), "a").await;
    for (first, payload) in [(0x33, "one"), (0x33, "two"), (0x32, "")] {
        // The last is empty and not retained: it clears nothing.
        raw.send(&publish_v4(first, "farm/r", 1, payload.as_bytes()))
            .await;
        assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    }
    let mut ears = listener(&house, 0).await;
    assert_eq!(
        ears.packet().await,
        publish_v4(0x31, "farm/loaded", 0, b"before")
    );
    assert_eq!(ears.packet().await, publish_v4(0x31, "farm/r", 0, b"two"));
    assert_eq!(house.door.stats().retained, 3);
    raw.send(&publish_v4(0x33, "farm/r", 1, b"")).await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    assert_eq!(
        ears.packet().await,
        publish_v4(0x30, "farm/r", 0, b""),
        "live, so not marked as retained"
    );
    assert_eq!(house.door.stats().retained, 2);
}

#[tokio::test]
async fn retained_topics_are_bounded() {
    let config = DoorConfig {
        max_retained: 1,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let mut raw = Raw::v5(house.address(), "a").await;
    raw.send(&publish_v5(0x33, "farm/1", 1, b"x")).await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    raw.send(&publish_v5(0x33, "farm/2", 2, b"x")).await;
    assert_eq!(raw.packet().await[2..5], [0, 2, 0x97]);
    raw.send(&publish_v5(0x33, "farm/1", 3, b"y")).await;
    assert_eq!(
        raw.packet().await,
        [0x40, 2, 0, 3],
        "what is there may change"
    );
}

#[tokio::test]
async fn the_newer_of_two_clients_with_one_name_stays_and_the_olders_will_speaks_first() {
    let house = House::open().await;
    let mut old = Raw::dial(house.address()).await;
    old.send(&connect_with_will("a", 60, "farm/a", Retain::Yes))
        .await;
    old.packet().await;
    let mut new = Raw::v4(house.address(), "a").await;
    // Its CONNACK came after the will: what it says now is the last word.
    new.send(&publish_v4(0x33, "farm/a", 1, b"online")).await;
    assert_eq!(new.packet().await, [0x40, 2, 0, 1]);
    assert!(old.until_close().await.is_empty());
    assert_eq!(house.refused(Reason::TakenOver), 1);
    let mut ears = listener(&house, 0).await;
    assert_eq!(
        ears.packet().await,
        publish_v4(0x31, "farm/a", 0, b"online")
    );
}

#[tokio::test]
async fn a_stalled_gate_does_not_keep_a_client_from_coming_back() {
    let config = DoorConfig {
        connect_timeout: Duration::from_millis(200),
        ..DoorConfig::default()
    };
    let mut house = House::open_with(config).await;
    house.hold();
    let mut old = Raw::v4(house.address(), "a").await;
    old.send(&publish_v4(0x32, "farm/x", 7, b"1")).await;
    let first = house.next().await;
    drop(old);
    // Not acknowledged, so it is sent again; the gate sees both and tells them apart.
    let mut new = Raw::v4(house.address(), "a").await;
    new.send(&publish_v4(0x3a, "farm/x", 7, b"1")).await;
    let second = house.next().await;
    assert!(second.publish.dup && !first.publish.dup);
    first.resolve(Ok(()));
    second.resolve(Ok(()));
    assert_eq!(new.packet().await, [0x40, 2, 0, 7]);
}

#[tokio::test]
async fn what_may_not_be_heard_is_denied_filter_by_filter() {
    let house = House::open().await;
    let mut body = vec![0, 1];
    for filter in ["farm/+/x", "#", "+/milk", "$SYS/#", "barn/x", "farm/#"] {
        body.extend(string(filter));
        body.push(1);
    }
    let mut raw = Raw::v4(house.address(), "a").await;
    raw.send(&packet(0x82, &body)).await;
    assert_eq!(
        raw.packet().await,
        [0x90, 8, 0, 1, 1, 0x80, 0x80, 0x80, 0x80, 1]
    );
    assert_eq!(house.refused(Reason::NotAuthorized), 4);
    assert_eq!(house.door.stats().subscriptions, 2);
}

#[tokio::test]
async fn an_ended_subscription_hears_nothing() {
    let house = House::open().await;
    let mut ears = listener(&house, 0).await;
    ears.send(&packet(0xa2, &[&[0, 2][..], &string("farm/#")].concat()))
        .await;
    assert_eq!(ears.packet().await, [0xb0, 2, 0, 2]);
    house.door.publish("farm/x", "1", Retain::No).unwrap();
    ears.send(&[0xc0, 0]).await;
    assert_eq!(ears.packet().await, [0xd0, 0]);
}

#[tokio::test]
async fn mqtt_5_options_are_honoured() {
    let house = House::open().await;
    house.door.publish("farm/old", "kept", Retain::Yes).unwrap();
    let mut raw = Raw::v5(house.address(), "a").await;
    // QoS 1, no local, retain as published, no retained values at subscription.
    raw.send(&packet(
        0x82,
        &[&[0, 1, 0][..], &string("farm/#"), &[0b10_1101]].concat(),
    ))
    .await;
    assert_eq!(raw.packet().await, [0x90, 4, 0, 1, 0, 1]);
    raw.send(&publish_v5(0x32, "farm/own", 7, b"1")).await;
    assert_eq!(
        raw.packet().await,
        [0x40, 2, 0, 7],
        "and not its own message"
    );
    house.door.publish("farm/new", "2", Retain::Yes).unwrap();
    assert_eq!(raw.packet().await, publish_v5(0x33, "farm/new", 2, b"2"));
}

#[tokio::test]
async fn mqtt_5_limits_of_the_client_are_honoured() {
    let house = House::open().await;
    // Receive Maximum 1, Maximum Packet Size 40.
    let mut body = string("MQTT");
    body.extend([5, 0b10, 0, 60, 8, 0x21, 0, 1, 0x27, 0, 0, 0, 40]);
    body.extend(string("small"));
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&packet(0x10, &body)).await;
    assert_eq!(raw.packet().await[3], 0);
    raw.send(&packet(
        0x82,
        &[&[0, 1, 0][..], &string("farm/#"), &[1]].concat(),
    ))
    .await;
    raw.packet().await;
    for payload in ["too much for a packet of forty bytes", "1", "2"] {
        house.door.publish("farm/x", payload, Retain::No).unwrap();
    }
    let first = raw.packet().await;
    assert_eq!(first.last(), Some(&b'1'), "the large one is left out");
    assert!(
        timeout(Duration::from_millis(100), raw.packet())
            .await
            .is_err(),
        "one at a time"
    );
    raw.send(&[0x40, 2, first[10], first[11]]).await;
    assert_eq!(raw.packet().await.last(), Some(&b'2'));
    assert_eq!(house.refused(Reason::DeliveryDropped), 1);
}

#[tokio::test]
async fn a_retained_value_whose_time_has_passed_is_gone() {
    let house = House::open().await;
    let mut raw = Raw::v5(house.address(), "a").await;
    for (topic, seconds) in [("farm/short", 0), ("farm/long", 100)] {
        let body = [&string(topic)[..], &[0, 9, 5, 0x02, 0, 0, 0, seconds], b"1"].concat();
        raw.send(&packet(0x33, &body)).await;
        assert_eq!(raw.packet().await, [0x40, 2, 0, 9]);
    }
    raw.send(&packet(
        0x82,
        &[&[0, 1, 0][..], &string("farm/#"), &[0]].concat(),
    ))
    .await;
    raw.packet().await;
    let heard = raw.packet().await;
    assert_eq!(heard[4..13], *b"farm/long");
    assert_eq!(heard[13..18], [5, 0x02, 0, 0, 0]);
    assert!(
        (98..=100).contains(&heard[18]),
        "what is left of its time: {}",
        heard[18]
    );
}

#[tokio::test]
async fn a_subscriber_that_does_not_keep_up_loses_qos_0_and_is_cut_at_qos_1() {
    let config = DoorConfig {
        queue: 10,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let mut lazy = Raw::v4(house.address(), "lazy").await;
    lazy.send(&subscribe_v4(1, "farm/0", 0)).await;
    lazy.packet().await;
    let mut lazier = Raw::v4(house.address(), "lazier").await;
    lazier.send(&subscribe_v4(1, "farm/1", 1)).await;
    lazier.packet().await;
    // Neither reads: their sockets fill, then their queues.
    let payload = vec![b'x'; 100_000];
    soon("a dropped message and a cut subscriber", async {
        while house.refused(Reason::DeliveryDropped) == 0
            || house.refused(Reason::SlowSubscriber) == 0
        {
            house
                .door
                .publish("farm/0", payload.clone(), Retain::No)
                .unwrap();
            house
                .door
                .publish("farm/1", payload.clone(), Retain::No)
                .unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    lazier.until_close().await;
    // The other one stays, and once it reads it is alive again.
    lazy.send(&[0xc0, 0]).await;
    soon("its pong", async {
        while lazy.packet().await != [0xd0, 0] {}
    })
    .await;
}

#[tokio::test]
async fn a_subscriber_is_sent_no_more_at_qos_1_than_it_may_have_in_flight() {
    let config = DoorConfig {
        in_flight: 2,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let mut ears = listener(&house, 1).await;
    for _ in 0..3 {
        house.door.publish("farm/x", "1", Retain::No).unwrap();
    }
    let first = ears.packet().await;
    ears.packet().await;
    assert!(
        timeout(Duration::from_millis(100), ears.packet())
            .await
            .is_err(),
        "two are not acknowledged"
    );
    let pid = &first[first.len() - 3..first.len() - 1];
    ears.send(&[0x40, 2, pid[0], pid[1]]).await;
    assert_eq!(ears.packet().await[0], 0x32);
}

#[tokio::test]
async fn the_closing_door_acknowledges_what_is_due_and_says_goodbye() {
    let mut house = House::open().await;
    house.hold();
    let address = house.address();
    let mut raw = Raw::v5(address, "a").await;
    raw.send(&publish_v5(0x32, "farm/x", 7, b"1")).await;
    let taken = house.next().await;
    let closing = tokio::spawn(house.door.shutdown());
    taken.resolve(Ok(()));
    let packets = raw.until_close().await;
    assert_eq!(packets[0], [0x40, 2, 0, 7]);
    assert_eq!((packets[1][0], packets[1][2]), (0xe0, 0x8b));
    soon("the door's end", closing).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let house = House::open().await;
    let config = DoorConfig {
        listen: vec![house.address()],
        ..DoorConfig::default()
    };
    let error = edge_broker::Door::start(config, house.gate.clone())
        .await
        .err()
        .expect("the address is in use");
    assert!(
        error.to_string().contains(&house.address().to_string()),
        "{error}"
    );
}
