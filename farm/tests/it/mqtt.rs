//! MQTT sessions and retained values on disk: what a restart and a clock that jumps make of them.

use farm::{
    mqtt::{self, Delivery, Letter},
    retained::{self, Retained},
};
use farm_model::{ClockQuality, UnixMillis};

use crate::support::{DAY, Fixture, HOUR, HandClock, NOW};

/// Where the clock of a machine without a battery begins.
const EPOCH: UnixMillis = UnixMillis(0);
/// How long everything in these tests lasts.
const WEEK_S: u32 = 7 * 86_400;

fn post(f: &Fixture, number: i64, session: i64, expiry_s: Option<u32>) {
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
        expiry_s,
        deliveries: vec![delivery],
    };
    f.write(move |tx| mqtt::post(tx, &letter)).unwrap();
}

/// Up to which letter the one session may have been sent something, after a restart.
fn sent_to(f: &Fixture) -> i64 {
    f.write(mqtt::recover).unwrap();
    let now = f.farm.clock().moment(f.now());
    f.read(move |conn| mqtt::sessions(conn, now))[0].sent_to
}

#[test]
fn a_crash_marks_what_was_there_as_sent_and_nothing_that_comes_later() {
    let f = Fixture::new();
    f.write(|tx| mqtt::begin(tx, 1, "ears", None, 3_600))
        .unwrap();
    post(&f, 7, 1, None);
    assert_eq!(sent_to(&f), 7, "it was connected: it may have been sent it");
    post(&f, 8, 1, None);
    assert_eq!(sent_to(&f), 7, "it was away: it was not sent the second");

    // All is delivered; numbers begin again above that of the session.
    f.write(|tx| mqtt::done(tx, 1, 7, 7)).unwrap();
    f.write(|tx| mqtt::done(tx, 1, 8, 8)).unwrap();
    f.write(|tx| mqtt::leave(tx, 1, 3_600, 8)).unwrap();
    assert_eq!(sent_to(&f), 0);
    post(&f, 2, 1, None);
    assert_eq!(sent_to(&f), 0, "the new letter was sent to nobody");
}

/// A session that has been left, a letter for it and a retained value, each of which lasts a week from now.
fn a_week_of_each(f: &Fixture) {
    f.write(|tx| mqtt::begin(tx, 1, "ears", None, WEEK_S))
        .unwrap();
    post(f, 7, 1, Some(WEEK_S));
    f.write(|tx| mqtt::leave(tx, 1, WEEK_S, 0)).unwrap();
    let value = Retained {
        topic: "farm/x".to_owned(),
        payload: b"1".to_vec(),
        qos: 1,
        properties: Vec::new(),
        expiry_s: Some(WEEK_S),
    };
    f.write(move |tx| retained::put(tx, &value)).unwrap();
}

/// Seconds that are left after a start, which are the same for each of the three.
fn left(f: &Fixture) -> i64 {
    f.write(mqtt::recover).unwrap();
    let now = f.farm.clock().moment(f.now());
    let session = f.read(|conn| mqtt::sessions(conn, now))[0].left_s;
    let letter = f.read(|conn| mqtt::letters(conn, now))[0].expiry_s;
    let value = f.read(|conn| retained::all(conn, now))[0].expiry_s;
    assert_eq!((letter, value), (Some(session), Some(session)));
    i64::from(session)
}

const WEEK: i64 = WEEK_S as i64;

#[test]
fn a_clock_that_begins_in_1970_ends_nothing_and_counts_on() {
    let f = Fixture::new();
    a_week_of_each(&f);
    f.clock.pass(HOUR);
    let f = f.reopen(EPOCH, ClockQuality::Unknown);
    assert_eq!(left(&f), WEEK - 3_600, "nobody knows how long it was off");
    f.clock.pass(HOUR);
    assert_eq!(left(&f), WEEK - 2 * 3_600);
    // The network tells the time: by the wall it was off for a day.
    f.clock.set(NOW.plus(DAY + 2 * HOUR), ClockQuality::Synced);
    assert_eq!(left(&f), WEEK - 86_400 - 2 * 3_600);
}

#[test]
fn a_clock_that_jumps_a_year_ahead_ends_nothing() {
    let f = Fixture::with(HandClock::new(EPOCH, ClockQuality::Unknown));
    a_week_of_each(&f);
    f.clock.set(NOW.plus(365 * DAY), ClockQuality::Synced);
    assert_eq!(left(&f), WEEK, "it was set, and no time passed");
    f.clock.pass(HOUR);
    let f = f.reopen(NOW.plus(366 * DAY), ClockQuality::Synced);
    assert_eq!(
        left(&f),
        WEEK - 3_600,
        "when it began no clock was right, though both are now"
    );
}

#[test]
fn what_lasts_a_week_ends_after_a_week_of_running_whatever_the_clock_says() {
    let mut f = Fixture::with(HandClock::new(EPOCH, ClockQuality::Unknown));
    a_week_of_each(&f);
    for day in 0..7 {
        assert_eq!(left(&f), WEEK - day * 86_400);
        f.clock.pass(DAY);
        f = f.reopen(EPOCH, ClockQuality::Unknown);
    }
    assert_eq!(left(&f), 0);
}

#[test]
fn time_in_which_it_was_off_counts_where_the_clock_is_trusted_at_both_ends() {
    let f = Fixture::new();
    a_week_of_each(&f);
    let f = f.reopen(NOW.plus(3 * DAY), ClockQuality::Synced);
    assert_eq!(left(&f), WEEK - 3 * 86_400);
    let f = f.reopen(NOW.plus(8 * DAY), ClockQuality::Synced);
    assert_eq!(left(&f), 0);
}

#[test]
fn a_session_without_a_word_of_its_end_is_away_from_the_start_on() {
    let f = Fixture::new();
    f.write(|tx| mqtt::begin(tx, 1, "ears", None, WEEK_S))
        .unwrap();
    let f = f.reopen(NOW.plus(30 * DAY), ClockQuality::Synced);
    f.write(mqtt::recover).unwrap();
    f.clock.pass(HOUR);
    let now = f.farm.clock().moment(f.now());
    let sessions = f.read(|conn| mqtt::sessions(conn, now));
    assert_eq!(i64::from(sessions[0].left_s), WEEK - 3_600);
}

#[test]
fn a_client_identifier_belongs_to_its_user() {
    let f = Fixture::new();
    for (session, user) in [(1, Some("device 1")), (2, Some("device 2")), (3, None)] {
        f.write(move |tx| mqtt::begin(tx, session, "meter", user, WEEK_S))
            .unwrap();
    }
    f.write(|tx| mqtt::begin(tx, 4, "meter", Some("device 2"), WEEK_S))
        .unwrap();
    let now = f.farm.clock().moment(f.now());
    let sessions = f.read(|conn| mqtt::sessions(conn, now));
    let numbers: Vec<_> = sessions.iter().map(|session| session.number).collect();
    assert_eq!(numbers, [1, 3, 4], "it ended its own, and nobody else's");
}
