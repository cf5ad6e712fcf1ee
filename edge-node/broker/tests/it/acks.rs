//! The promise: acknowledged means durable, in order of arrival, and a gate that stalls disconnects nobody.

use std::time::Duration;

use edge_broker::{DoorConfig, Qos, Reason, Refused, RefusedKind};
use rumqttc::{Event, Packet};
use tokio::time::timeout;

use crate::{
    raw::{Raw, packet, publish_v4, publish_v5},
    support::{House, soon},
};

/// Long enough for an acknowledgement that must not come to have come.
const SILENCE: Duration = Duration::from_millis(100);

fn refused(kind: RefusedKind) -> Refused {
    Refused {
        kind,
        reason: "the disk is full: free some space".to_owned(),
    }
}

#[tokio::test]
async fn a_puback_waits_for_the_gate() {
    let mut house = House::open().await;
    house.hold();
    let mut raw = Raw::v4(house.address(), "a").await;
    raw.send(&publish_v4(0x32, "farm/x", 7, b"1")).await;
    let taken = house.next().await;
    assert_eq!(
        (taken.publish.qos, &taken.publish.payload[..]),
        (Qos::AtLeastOnce, &b"1"[..])
    );
    assert!(
        timeout(SILENCE, raw.packet()).await.is_err(),
        "no PUBACK before the gate resolves"
    );
    taken.resolve(Ok(()));
    assert_eq!(raw.packet().await, [0x40, 2, 0, 7]);
}

#[tokio::test]
async fn acknowledgements_leave_in_order_of_arrival_though_the_gate_resolves_backwards() {
    let mut house = House::open().await;
    house.hold();
    let mut raw = Raw::v4(house.address(), "a").await;
    let mut waiting = Vec::new();
    for pid in 1..=20 {
        raw.send(&publish_v4(0x32, "farm/x", pid, b"1")).await;
    }
    // All twenty are with the gate before the first is durable.
    for _ in 1..=20 {
        waiting.push(house.next().await);
    }
    for taken in waiting.into_iter().rev() {
        taken.resolve(Ok(()));
    }
    for pid in 1..=20_u8 {
        assert_eq!(raw.packet().await, [0x40, 2, 0, pid]);
    }
}

#[tokio::test]
async fn qos_2_is_accepted_once_however_often_it_is_sent() {
    let mut house = House::open().await;
    house.hold();
    let mut raw = Raw::v4(house.address(), "a").await;
    raw.send(&publish_v4(0x34, "farm/x", 7, b"1")).await;
    raw.send(&publish_v4(0x3c, "farm/x", 7, b"1")).await;
    raw.send(&[0xc0, 0]).await;
    assert_eq!(raw.packet().await, [0xd0, 0], "both have been read");
    house.next().await.resolve(Ok(()));
    assert_eq!(raw.packet().await, [0x50, 2, 0, 7]);
    raw.send(&publish_v4(0x3c, "farm/x", 7, b"1")).await;
    assert_eq!(raw.packet().await, [0x50, 2, 0, 7], "the PUBREC again");
    raw.send(&[0x62, 2, 0, 7]).await;
    assert_eq!(raw.packet().await, [0x70, 2, 0, 7]);
    assert_eq!(house.door.stats().accepted, 1);
    // After PUBREL the identifier is free, and means another message.
    raw.send(&publish_v4(0x34, "farm/x", 7, b"2")).await;
    let taken = house.next().await;
    assert_eq!(&taken.publish.payload[..], b"2");
    taken.resolve(Ok(()));
    assert_eq!(raw.packet().await, [0x50, 2, 0, 7]);
}

#[tokio::test]
async fn a_stalled_gate_disconnects_nobody() {
    let mut house = House::open().await;
    house.hold();
    let mut options = rumqttc::MqttOptions::new("meter", "127.0.0.1", house.port());
    // Pings each second, closed by the door after 1.5 s of silence: the stall lasts three of them.
    options
        .set_keep_alive(Duration::from_secs(1))
        .set_inflight(50);
    let (client, mut events) = rumqttc::AsyncClient::new(options, 100);
    for i in 0..80 {
        let qos = rumqttc::QoS::AtLeastOnce;
        client
            .try_publish("farm/x", qos, false, i.to_string())
            .unwrap();
    }
    let mut pongs = 0;
    soon("three pings answered during the stall", async {
        while pongs < 3 {
            match events.poll().await.expect("the publisher stays connected") {
                Event::Incoming(Packet::PingResp) => pongs += 1,
                Event::Incoming(Packet::PubAck(_)) => panic!("acknowledged before it was durable"),
                _ => {}
            }
        }
    })
    .await;
    let mut acknowledged = 0;
    soon("all acknowledgements after the stall", async {
        while acknowledged < 80 {
            tokio::select! {
                Some(taken) = house.taken.recv() => taken.resolve(Ok(())),
                event = events.poll() => {
                    if let Event::Incoming(Packet::PubAck(_)) = event.expect("the publisher stays connected") {
                        acknowledged += 1;
                    }
                }
            }
        }
    })
    .await;
    assert_eq!(house.door.stats().accepted, 80);
}

#[tokio::test]
async fn a_full_window_stops_the_reading_and_its_silence_is_not_the_clients() {
    let config = DoorConfig {
        window: 2,
        ..DoorConfig::default()
    };
    let mut house = House::open_with(config).await;
    house.hold();
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&crate::raw::connect(4, "a", 1)).await;
    raw.packet().await;
    for pid in 1..=5 {
        raw.send(&publish_v4(0x32, "farm/x", pid, b"1")).await;
    }
    let (first, second) = (house.next().await, house.next().await);
    assert!(
        timeout(SILENCE, house.taken.recv()).await.is_err(),
        "the window is two"
    );
    // Longer than the keep-alive allows: the door is not listening, so it must not count.
    assert!(
        timeout(Duration::from_millis(2_000), raw.packet())
            .await
            .is_err()
    );
    first.resolve(Ok(()));
    second.resolve(Ok(()));
    for _ in 3..=5 {
        house.next().await.resolve(Ok(()));
    }
    for pid in 1..=5_u8 {
        assert_eq!(raw.packet().await, [0x40, 2, 0, pid]);
    }
}

#[tokio::test]
async fn qos_0_beyond_the_window_is_dropped_and_counted_while_pings_are_answered() {
    let config = DoorConfig {
        window: 2,
        ..DoorConfig::default()
    };
    let mut house = House::open_with(config).await;
    house.hold();
    let mut raw = Raw::v4(house.address(), "a").await;
    for _ in 0..5 {
        raw.send(&publish_v4(0x30, "farm/x", 0, b"1")).await;
    }
    raw.send(&[0xc0, 0]).await;
    assert_eq!(raw.packet().await, [0xd0, 0]);
    assert_eq!(house.refused(Reason::Overload), 3);
    house.next().await.resolve(Ok(()));
    house.next().await.resolve(Ok(()));
    house
        .until("two publishes", |stats| stats.accepted == 2)
        .await;
}

#[tokio::test]
async fn a_refused_publish_is_told_in_mqtt_5_and_closes_mqtt_3() {
    let mut house = House::open().await;
    house.hold();
    let mut new = Raw::v5(house.address(), "new").await;
    new.send(&publish_v5(0x32, "farm/x", 1, b"1")).await;
    house.next().await.resolve(Err(refused(RefusedKind::Quota)));
    let puback = new.packet().await;
    assert_eq!(
        (&puback[..2], &puback[2..5]),
        (&[0x40, puback[1]][..], &[0, 1, 0x97][..])
    );
    assert!(String::from_utf8_lossy(&puback).contains("free some space"));

    let mut old = Raw::v4(house.address(), "old").await;
    old.send(&publish_v4(0x32, "farm/x", 1, b"1")).await;
    house.next().await.resolve(Err(refused(RefusedKind::Quota)));
    assert!(old.until_close().await.is_empty(), "no PUBACK");
    assert_eq!(house.refused(Reason::Refused), 2);
}

#[tokio::test]
async fn what_cannot_be_stored_now_is_not_acknowledged_in_either_version() {
    let mut house = House::open().await;
    house.hold();
    let mut new = Raw::v5(house.address(), "new").await;
    new.send(&publish_v5(0x32, "farm/x", 1, b"1")).await;
    house
        .next()
        .await
        .resolve(Err(refused(RefusedKind::Unavailable)));
    let packets = new.until_close().await;
    assert_eq!(
        (packets.len(), packets[0][0], packets[0][2]),
        (1, 0xe0, 0x83),
        "{packets:02x?}"
    );
}

#[tokio::test]
async fn what_was_sent_before_leaving_becomes_durable_and_is_passed_on() {
    let mut house = House::open().await;
    let mut subscriber = Raw::v4(house.address(), "s").await;
    subscriber
        .send(&crate::raw::subscribe_v4(1, "farm/#", 0))
        .await;
    assert_eq!(subscriber.packet().await, [0x90, 3, 0, 1, 0]);
    house.hold();
    let mut raw = Raw::v4(house.address(), "a").await;
    raw.send(&publish_v4(0x30, "farm/x", 0, b"1")).await;
    raw.send(&packet(0xe0, &[])).await;
    assert!(raw.until_close().await.is_empty());
    house.next().await.resolve(Ok(()));
    assert_eq!(
        subscriber.packet().await,
        publish_v4(0x30, "farm/x", 0, b"1")
    );
}
