//! Shared subscriptions, as MQTT 5 has them in 4.8.2: each message goes to one member of a group and stays with it.

use edge_broker::{DoorConfig, Retain};

use crate::{
    raw::{Raw, packet, string, subscribe_v4},
    support::House,
};

const FILTER: &str = "$share/stalls/farm/#";

/// A client of MQTT 5 whose session lasts a minute.
async fn come(house: &House, client: &str) -> Raw {
    let mut raw = Raw::dial(house.address()).await;
    let mut body = string("MQTT");
    body.extend([5, 0, 0, 60, 5, 0x11, 0, 0, 0, 60]);
    body.extend(string(client));
    raw.send(&packet(0x10, &body)).await;
    assert_eq!(raw.packet().await[3], 0);
    raw
}

async fn member(house: &House, client: &str, qos: u8) -> Raw {
    let mut raw = come(house, client).await;
    let body = [&[0, 1, 0][..], &string(FILTER), &[qos]].concat();
    raw.send(&packet(0x82, &body)).await;
    assert_eq!(raw.packet().await, [0x90, 4, 0, 1, 0, qos]);
    raw
}

async fn hears_no_more(raw: &mut Raw) {
    raw.send(&[0xc0, 0]).await;
    assert_eq!(raw.packet().await, [0xd0, 0], "something else came");
}

fn tell(house: &House, payload: &str) {
    let told = house.door.publish("farm/x", payload.to_owned(), Retain::No);
    told.expect("a topic");
}

#[tokio::test]
async fn each_member_is_sent_at_the_quality_that_it_was_granted() {
    let house = House::open().await;
    let mut members = [
        member(&house, "at-0", 0).await,
        member(&house, "at-1", 1).await,
    ];
    for payload in ["1", "2"] {
        tell(&house, payload);
    }
    for (member, first) in members.iter_mut().zip([0x30, 0x32]) {
        assert_eq!(member.packet().await[0], first);
    }
}

#[tokio::test]
async fn what_a_member_refuses_is_offered_to_nobody_else() {
    let house = House::open().await;
    let mut one = member(&house, "1", 1).await;
    let mut two = member(&house, "2", 1).await;
    tell(&house, "1");
    let sent = one.packet().await;
    // PUBACK with "implementation specific error".
    one.send(&[0x40, 3, sent[10], sent[11], 0x83]).await;
    hears_no_more(&mut one).await;
    hears_no_more(&mut two).await;
}

#[tokio::test]
async fn what_was_meant_for_a_member_waits_for_it_and_ends_with_its_session() {
    let house = House::open().await;
    let mut one = member(&house, "1", 2).await;
    let mut two = member(&house, "2", 2).await;
    house.door.publish("farm/x", "1", Retain::No).unwrap();
    assert_eq!(one.packet().await[0], 0x32);
    // It breaks off without a word; its message is not for the other.
    drop(one);
    house.until("its end", |stats| stats.connections == 1).await;
    hears_no_more(&mut two).await;
    let mut one = come(&house, "1").await;
    assert_eq!(one.packet().await[0], 0x3a, "the same again");
    drop(one);
    house.until("its end", |stats| stats.connections == 1).await;
    // A clean start ends its session, and the message with it.
    let mut one = Raw::v5(house.address(), "1").await;
    hears_no_more(&mut one).await;
    hears_no_more(&mut two).await;
    tell(&house, "2");
    assert_eq!(two.packet().await.last(), Some(&b'2'), "it is alone now");
}

#[tokio::test]
async fn a_member_that_does_not_keep_up_is_served_last() {
    let config = DoorConfig {
        in_flight: 2,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let mut stuck = member(&house, "stuck", 1).await;
    let mut brisk = Raw::v4(house.address(), "brisk").await;
    brisk.send(&subscribe_v4(1, FILTER, 0)).await;
    brisk.packet().await;
    // Two in flight, then three that wait: from then on all are for the other.
    for n in 0..40 {
        tell(&house, &n.to_string());
        house
            .until("it is passed on", |stats| stats.accepted == n + 1)
            .await;
        brisk.send(&[0xc0, 0]).await;
        while brisk.packet().await != [0xd0, 0] {}
    }
    let mut sent = 0;
    stuck.send(&[0xc0, 0]).await;
    while stuck.packet().await != [0xd0, 0] {
        sent += 1;
    }
    assert_eq!(sent, 2, "it acknowledges nothing");
    assert_eq!(house.door.stats().delivered, 40 - 3);
}

#[tokio::test]
async fn who_shares_is_sent_no_retained_values_and_cannot_ask_for_not_its_own() {
    let house = House::open().await;
    house.door.publish("farm/x", "kept", Retain::Yes).unwrap();
    let mut one = member(&house, "1", 1).await;
    hears_no_more(&mut one).await;
    // No Local with a shared subscription is a protocol error (3.8.3.1).
    let body = [&[0, 2, 0][..], &string(FILTER), &[0b101]].concat();
    one.send(&packet(0x82, &body)).await;
    let said = one.until_close().await;
    assert_eq!((said.len(), said[0][0], said[0][2]), (1, 0xe0, 0x82));
}

#[tokio::test]
async fn a_name_of_a_group_is_one_level_without_wildcards() {
    let house = House::open().await;
    for filter in [
        "$share//farm/x",
        "$share/a+b/farm/x",
        "$share/#/farm/x",
        "$share/a",
        "$share/a/",
    ] {
        let mut raw = Raw::v5(house.address(), "a").await;
        let body = [&[0, 1, 0][..], &string(filter), &[0]].concat();
        raw.send(&packet(0x82, &body)).await;
        let answer = raw.packet().await;
        let is_refused = match answer[0] {
            0x90 => answer.last().is_some_and(|code| *code >= 0x80),
            first => first == 0xe0,
        };
        assert!(is_refused, "{filter}: {answer:02x?}");
    }
    assert_eq!(house.door.stats().subscriptions, 0);
}
