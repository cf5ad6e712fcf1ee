//! A client identifier belongs to its user: what a client that is let in, and means harm, can do to the session of another.

use edge_broker::{DoorConfig, Reason, Retain};

use crate::{
    raw::{Raw, connect_as, packet, publish_v4, string, subscribe_v4},
    support::House,
};

/// Connects a client of MQTT 3.1.1 that wants its session kept; whether it finds one.
async fn lasting(house: &House, client: &str, user: &str) -> (Raw, bool) {
    let head = [&string("MQTT")[..], &[4, 0b1000_0000, 0, 60]].concat();
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&packet(
        0x10,
        &[head, string(client), string(user)].concat(),
    ))
    .await;
    let connack = raw.packet().await;
    assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:02x?}");
    (raw, connack[2] == 1)
}

async fn leave(house: &House, mut raw: Raw) {
    let connections = house.door.stats().connections;
    raw.send(&[0xe0, 0]).await;
    raw.until_close().await;
    house
        .until("its end", |stats| stats.connections < connections)
        .await;
}

async fn pings(raw: &mut Raw) {
    raw.send(&[0xc0, 0]).await;
    assert_eq!(raw.packet().await, [0xd0, 0]);
}

#[tokio::test]
async fn a_session_that_is_away_is_not_ended_by_another_user_of_its_name() {
    let house = House::open().await;
    let (mut meter, _) = lasting(&house, "meter", "anna").await;
    meter.send(&subscribe_v4(1, "farm/#", 1)).await;
    meter.packet().await;
    leave(&house, meter).await;
    house.door.publish("farm/x", "1", Retain::No).unwrap();
    // Eve comes under the same name: with a session of her own, and with a clean one that ends it again.
    let (eve, found) = lasting(&house, "meter", "eve").await;
    assert!(!found, "eve has found anna's session");
    leave(&house, eve).await;
    let mut eve = Raw::dial(house.address()).await;
    eve.send(&connect_as(5, "meter", "eve")).await;
    assert_eq!(eve.packet().await[2..4], [0, 0]);
    pings(&mut eve).await;
    leave(&house, eve).await;

    let (mut meter, found) = lasting(&house, "meter", "anna").await;
    assert!(found, "eve has ended anna's session");
    assert_eq!(
        meter.packet().await,
        publish_v4(0x32, "farm/x", 2, b"1"),
        "what waited for her"
    );
}

#[tokio::test]
async fn a_connection_is_neither_taken_over_nor_kept_out_by_another_user_of_its_name() {
    let house = House::open().await;
    for level in [4, 5] {
        // Eve is there first, and stays.
        let mut eve = Raw::dial(house.address()).await;
        eve.send(&connect_as(level, "meter", "eve")).await;
        assert_eq!(eve.packet().await[0], 0x20);
        let mut anna = Raw::dial(house.address()).await;
        anna.send(&connect_as(level, "meter", "anna")).await;
        assert_eq!(anna.packet().await[3], 0, "eve keeps anna out");
        pings(&mut anna).await;
        pings(&mut eve).await;
        // Her own older connection is taken over, as the standard has it.
        let mut again = Raw::dial(house.address()).await;
        again.send(&connect_as(level, "meter", "anna")).await;
        assert_eq!(again.packet().await[3], 0);
        anna.until_close().await;
        pings(&mut eve).await;
    }
    assert_eq!(house.refused(Reason::TakenOver), 2);
}

#[tokio::test]
async fn who_has_as_many_sessions_as_it_may_ends_its_own_alone() {
    let house = House::open().await;
    let (other, _) = lasting(&house, "other", "anna").await;
    leave(&house, other).await;
    for client in ["1", "2", "3"] {
        let (raw, _) = lasting(&house, client, "device").await;
        leave(&house, raw).await;
    }
    assert_eq!(house.refused(Reason::SessionDropped), 1);
    assert!(lasting(&house, "other", "anna").await.1);
    // Two that are connected leave no room for a third, in either version.
    let (_two, found) = lasting(&house, "2", "device").await;
    assert!(found);
    let (_three, found) = lasting(&house, "3", "device").await;
    assert!(found);
    for (level, code) in [(4, 3), (5, 0x97)] {
        let mut one = Raw::dial(house.address()).await;
        one.send(&connect_as(level, "1", "device")).await;
        assert_eq!(one.until_close().await[0][3], code);
    }
    assert_eq!(house.refused(Reason::Quota), 2);
}

#[tokio::test]
async fn where_too_many_sessions_last_those_of_who_has_most_give_way() {
    let config = DoorConfig {
        max_sessions: 4,
        ..DoorConfig::default()
    };
    let house = House::open_with(config).await;
    let (meter, _) = lasting(&house, "meter", "anna").await;
    leave(&house, meter).await;
    for n in 0..20 {
        let (raw, _) = lasting(&house, &n.to_string(), "eve").await;
        leave(&house, raw).await;
    }
    assert_eq!(house.refused(Reason::SessionDropped), 17);
    assert!(
        lasting(&house, "meter", "anna").await.1,
        "it has been away longest, and eve has most"
    );
}
