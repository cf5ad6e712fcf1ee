//! Ending the connections of somebody who is not let in any more.

use edge_broker::Reason;

use crate::{
    raw::{Raw, connect_as, packet, string, subscribe_v4},
    support::{House, soon},
};

/// A CONNECT of a user with a will, at QoS 0.
fn connect_with_will(level: u8, client: &str, user: &str) -> Vec<u8> {
    let mut body = string("MQTT");
    body.extend([level, 0b1000_0110, 0, 60]);
    if level == 5 {
        body.push(0);
    }
    body.extend(string(client));
    if level == 5 {
        body.push(0);
    }
    body.extend([string("farm/gone"), string("gone"), string(user)].concat());
    packet(0x10, &body)
}

#[tokio::test]
async fn all_connections_of_one_end_and_nobody_elses() {
    let mut house = House::open().await;
    let mut listener = Raw::v4(house.address(), "listener").await;
    listener.send(&subscribe_v4(1, "farm/gone", 0)).await;
    listener.packet().await;
    let mut old = Raw::dial(house.address()).await;
    old.send(&connect_with_will(4, "old", "meter")).await;
    old.packet().await;
    let mut new = Raw::dial(house.address()).await;
    new.send(&connect_with_will(5, "new", "meter")).await;
    new.packet().await;
    let mut other = Raw::dial(house.address()).await;
    other.send(&connect_as(4, "other", "reader")).await;
    other.packet().await;

    assert_eq!(house.door.end("nobody"), 0);
    assert_eq!(house.door.end("meter"), 2);
    assert_eq!(old.until_close().await, Vec::<Vec<u8>>::new());
    let said = new.until_close().await;
    assert_eq!((said.len(), said[0][0], said[0][2]), (1, 0xe0, 0x87));
    house
        .until("both gone", |stats| stats.connections == 2)
        .await;
    assert_eq!(house.refused(Reason::Ended), 2);
    for still in [&mut other, &mut listener] {
        still.send(&[0xc0, 0]).await;
        assert_eq!(still.packet().await, [0xd0, 0], "no will before it");
    }
    assert!(house.taken.try_recv().is_err(), "no will reached the gate");

    let mut again = Raw::dial(house.address()).await;
    again.send(&connect_as(4, "old", "meter")).await;
    assert_eq!(again.packet().await, [0x20, 2, 0, 0], "the gate decides");
}

#[tokio::test]
async fn who_may_not_leave_a_session_behind_leaves_none() {
    let house = House::open().await;
    let lasting = |user: &str| {
        let head = [&string("MQTT")[..], &[4, 0b1000_0000, 0, 60]].concat();
        packet(0x10, &[head, string("c"), string(user)].concat())
    };
    for (user, present) in [("passing", 0), ("known", 1)] {
        for expected in [0, present] {
            let mut raw = Raw::dial(house.address()).await;
            raw.send(&lasting(user)).await;
            assert_eq!(raw.packet().await, [0x20, 2, expected, 0], "{user}");
            raw.send(&[0xe0, 0]).await;
            raw.until_close().await;
        }
    }
}

#[tokio::test]
async fn a_guest_neither_ends_nor_blocks_the_session_of_somebody_known() {
    let house = House::open().await;
    let come = async |user: &str| {
        let head = [&string("MQTT")[..], &[4, 0b1000_0000, 0, 60]].concat();
        let mut raw = Raw::dial(house.address()).await;
        raw.send(&packet(0x10, &[head, string("c"), string(user)].concat()))
            .await;
        let connack = raw.packet().await;
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{user}: {connack:?}");
        (raw, connack[2])
    };
    let (mut known, _) = come("known").await;
    known.send(&[0xe0, 0]).await;
    known.until_close().await;
    let (_guest, _) = come("passing").await;
    let (_known, present) = come("known").await;
    assert_eq!(present, 1, "the guest has taken the session");
    let (_other_guest, _) = come("passing").await;
}

#[tokio::test]
async fn who_logs_in_at_that_moment_does_not_slip_through() {
    let house = House::open().await;
    let mut raw = Raw::dial(house.address()).await;
    raw.send(&connect_as(4, "c", "late")).await;
    soon("the log-in at the gate", house.gate.asked.notified()).await;
    house.door.end("late");
    house.gate.late.notify_one();
    assert_eq!(raw.packet().await, [0x20, 2, 0, 5]);
    assert_eq!(house.door.stats().logins, 0);
}
