//! MQTT sessions on disk: what a restart makes of them.

use farm::mqtt::{self, Delivery, Letter};

use crate::support::Fixture;

fn post(f: &Fixture, number: i64, session: i64) {
    let delivery = Delivery {
        session,
        pid: u16::try_from(number).unwrap(),
        qos: 1,
        retain: false,
        ids: Vec::new(),
        received: false,
    };
    let letter = Letter {
        number,
        topic: "farm/x".to_owned(),
        payload: b"1".to_vec(),
        properties: Vec::new(),
        expiry_s: None,
        deliveries: vec![delivery],
    };
    f.write(move |tx| mqtt::post(tx, &letter)).unwrap();
}

/// Up to which letter the one session may have been sent something, after a restart.
fn sent_to(f: &Fixture) -> i64 {
    f.write(mqtt::recover).unwrap();
    let now = f.now();
    f.read(move |conn| mqtt::sessions(conn, now))[0].sent_to
}

#[test]
fn a_crash_marks_what_was_there_as_sent_and_nothing_that_comes_later() {
    let f = Fixture::new();
    f.write(|tx| mqtt::begin(tx, 1, "ears", None, 3_600))
        .unwrap();
    post(&f, 7, 1);
    assert_eq!(sent_to(&f), 7, "it was connected: it may have been sent it");
    post(&f, 8, 1);
    assert_eq!(sent_to(&f), 7, "it was away: it was not sent the second");

    // All is delivered; numbers begin again above that of the session.
    f.write(|tx| mqtt::done(tx, 1, 7, 7)).unwrap();
    f.write(|tx| mqtt::done(tx, 1, 8, 8)).unwrap();
    f.write(|tx| mqtt::leave(tx, 1, 3_600, 8)).unwrap();
    assert_eq!(sent_to(&f), 0);
    post(&f, 2, 1);
    assert_eq!(sent_to(&f), 0, "the new letter was sent to nobody");
}
