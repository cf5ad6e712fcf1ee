//! Silence is news, once.

use farm::{
    alerts::{self, AlertKind},
    devices::{self, DeviceForm},
    readings,
    text::Slug,
};
use farm_model::{
    Body, ClockQuality, DeviceId, DeviceKind, Flaw, Link, Milli, Observation, PlaceKind, Quantity,
    place::PlaceDetails,
};

use crate::{
    support::{Fixture, MINUTE, name},
    watch::{device, look, measure},
};

const TEMPERATURE: Quantity = Quantity::Temperature;

/// A node that sends by itself and of which nobody said how often.
fn node(f: &Fixture, slug: &'static str) -> DeviceId {
    f.write(move |tx| {
        let form = DeviceForm {
            slug: Slug::new(slug).unwrap(),
            name: name(slug),
            kind: DeviceKind::Sensor,
            link: Link::Mqtt { client: None },
            place: None,
            expect_every_s: None,
        };
        devices::add(tx, &form)
    })
    .unwrap()
}

/// The device sends this now, and the rules look.
fn send(f: &Fixture, device: DeviceId, body: Body) -> Vec<AlertKind> {
    let observation = Observation {
        device,
        at: f.now(),
        body,
        raw: Vec::new(),
        key: None,
    };
    f.write(move |tx| readings::ingest(tx, &[observation]))
        .unwrap();
    look(f)
}

fn learnt(f: &Fixture, device: DeviceId) -> Option<u32> {
    let newest = f.farm.live().values();
    let rows = f.read(|conn| devices::overview(conn, &newest));
    let row = rows.into_iter().find(|r| r.device.id == device);
    row.unwrap().every_s()
}

fn raised(f: &Fixture) -> usize {
    f.read(|conn| alerts::history(conn, None, 1_000)).len()
}

#[test]
fn a_device_is_missed_after_three_intervals() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    assert!(measure(&f, probe, Quantity::Temperature, 4_000).is_empty());
    f.clock.pass(15 * MINUTE);
    assert!(look(&f).is_empty());
    f.clock.pass(1);
    assert_eq!(look(&f), [AlertKind::Silent]);
    assert_eq!(look(&f), [AlertKind::Silent]);
    assert!(measure(&f, probe, Quantity::Temperature, 4_000).is_empty());
    f.clock.pass(31 * MINUTE);
    assert_eq!(look(&f), [AlertKind::Silent]);
    f.write(move |tx| devices::set_enabled(tx, probe, devices::Enabled::No))
        .unwrap();
    assert!(look(&f).is_empty(), "switched off, not missed");
}

#[test]
fn a_clock_that_is_set_makes_nothing_silent_and_hides_no_silence() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    assert!(measure(&f, probe, TEMPERATURE, 4_000).is_empty());
    let set = |by: i64| {
        let wall = f.now().wall.plus(by);
        f.clock.set(wall, ClockQuality::Synced);
    };
    set(200 * 24 * 60 * MINUTE);
    assert!(look(&f).is_empty(), "the clock jumped, not the device");
    f.clock.pass(10 * MINUTE);
    assert!(look(&f).is_empty());
    set(-400 * 24 * 60 * MINUTE);
    assert!(look(&f).is_empty());
    f.clock.pass(6 * MINUTE);
    assert_eq!(
        look(&f),
        [AlertKind::Silent],
        "sixteen minutes by any clock"
    );
    set(-24 * 60 * MINUTE);
    assert_eq!(look(&f), [AlertKind::Silent]);
    assert!(measure(&f, probe, TEMPERATURE, 4_000).is_empty());
}

#[test]
fn a_new_device_has_its_three_intervals_however_long_the_appliance_has_run() {
    let f = Fixture::new();
    f.clock.pass(7 * 24 * 60 * MINUTE);
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    assert!(look(&f).is_empty());
    f.clock.pass(15 * MINUTE);
    assert!(look(&f).is_empty());
    f.write(move |tx| devices::set_enabled(tx, probe, devices::Enabled::No))
        .unwrap();
    f.clock.pass(60 * MINUTE);
    assert!(look(&f).is_empty());
    f.write(move |tx| devices::set_enabled(tx, probe, devices::Enabled::Yes))
        .unwrap();
    f.clock.pass(MINUTE);
    assert!(look(&f).is_empty(), "expected from now on");
    f.clock.pass(16 * MINUTE);
    assert_eq!(look(&f), [AlertKind::Silent], "never heard at all");
}

#[test]
fn noise_neither_ends_an_alarm_nor_keeps_one_away() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    measure(&f, probe, TEMPERATURE, 4_000);
    let garbage = Body::bad(TEMPERATURE, Milli(85_000), Flaw::Jump);
    let mut rung = Vec::new();
    for _ in 0..8 {
        f.clock.pass(2 * MINUTE);
        rung = send(&f, probe, garbage.clone());
        f.write(move |tx| {
            readings::noise(tx, probe);
            Ok::<_, farm::StoreError>(())
        })
        .unwrap();
    }
    assert_eq!(rung, [AlertKind::Silent]);
    let alert = f.read(alerts::open).remove(0);
    assert_eq!(alert.detail["noisy"], true);
    assert_eq!(
        measure(&f, probe, TEMPERATURE, 900_000),
        [AlertKind::Silent]
    );
    assert!(measure(&f, probe, TEMPERATURE, 4_000).is_empty());
    f.clock.pass(31 * MINUTE);
    look(&f);
    let alert = f.read(alerts::open).remove(0);
    assert_eq!(alert.detail["noisy"], false, "now it is quiet");
}

#[test]
fn a_device_that_comes_and_goes_rings_ever_more_rarely_until_it_is_steady() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    // A word every 20 minutes where one is due every 5: each gap is a silence.
    for _ in 0..20 {
        measure(&f, probe, TEMPERATURE, 4_000);
        for _ in 0..5 {
            f.clock.pass(4 * MINUTE);
            look(&f);
        }
    }
    assert_eq!(
        raised(&f),
        1,
        "hours of dropouts; after the first alarm it waits for half an hour"
    );
    // It goes for hours again and again.
    for _ in 0..8 {
        measure(&f, probe, TEMPERATURE, 4_000);
        for _ in 0..15 {
            f.clock.pass(4 * MINUTE);
            look(&f);
        }
    }
    assert_eq!(raised(&f), 2, "an hour is six and then twelve intervals");
    measure(&f, probe, TEMPERATURE, 4_000);
    for _ in 0..30 {
        f.clock.pass(5 * MINUTE);
        assert!(measure(&f, probe, TEMPERATURE, 4_000).is_empty());
    }
    f.clock.pass(16 * MINUTE);
    assert_eq!(look(&f), [AlertKind::Silent], "it was steady: three again");
}

#[test]
fn a_silence_that_somebody_has_closed_does_not_ring_again() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    measure(&f, probe, TEMPERATURE, 4_000);
    f.clock.pass(16 * MINUTE);
    look(&f);
    let id = f.read(alerts::open)[0].id;
    f.write(move |tx| alerts::settle(tx, id, None)).unwrap();
    f.clock.pass(MINUTE);
    assert!(look(&f).is_empty(), "they know");
    measure(&f, probe, TEMPERATURE, 4_000);
    f.clock.pass(31 * MINUTE);
    assert_eq!(look(&f), [AlertKind::Silent], "another silence");
}

#[test]
fn what_nobody_said_is_learnt_kept_and_overruled_by_a_person() {
    let f = Fixture::new();
    let node = node(&f, "gate-node");
    let temperature = Body::measured(TEMPERATURE, Milli(20_000));
    for _ in 0..9 {
        assert!(send(&f, node, temperature.clone()).is_empty());
        // Its other values come at other times.
        f.clock.pass(20_000);
        send(&f, node, Body::measured(Quantity::Battery, Milli(3_700)));
        f.clock.pass(40_000);
    }
    assert_eq!(learnt(&f, node), Some(60));
    let now = f.now();
    let f = f.reopen(now.wall.plus(MINUTE), now.clock);
    assert!(look(&f).is_empty());
    f.clock.pass(3 * MINUTE + 1);
    assert_eq!(
        look(&f),
        [AlertKind::Silent],
        "it did not survive the power cut"
    );
    assert!(send(&f, node, temperature).is_empty());
    for (said, expected) in [
        (Some(3_600), Some(3_600)),
        (Some(0), None),
        (None, Some(60)),
    ] {
        f.write(move |tx| {
            let d = devices::get(tx.conn(), node)?.unwrap();
            let form = DeviceForm {
                slug: Slug::new(&d.slug).unwrap(),
                name: name(&d.name),
                kind: d.kind,
                link: d.link,
                place: d.place,
                expect_every_s: said,
            };
            devices::edit(tx, node, &form)
        })
        .unwrap();
        assert_eq!(learnt(&f, node), expected);
        assert!(look(&f).is_empty());
        f.clock.pass(20 * MINUTE);
        assert_eq!(look(&f).is_empty(), said.is_some(), "{said:?}");
    }
}

#[test]
fn what_speaks_when_it_has_news_is_never_missed() {
    let f = Fixture::new();
    let door = node(&f, "door");
    for minutes in [1, 45, 3, 600, 2, 7, 130, 20, 1, 90, 4, 300, 15, 2] {
        f.clock.pass(minutes * MINUTE);
        send(&f, door, Body::measured(Quantity::Pulses, Milli(1_000)));
    }
    assert_eq!(learnt(&f, door), None);
    f.clock.pass(7 * 24 * 60 * MINUTE);
    assert!(look(&f).is_empty());
}

/// A frame of the node came, whatever it holds, and the rules look.
fn attend(f: &Fixture, node: DeviceId) -> Vec<AlertKind> {
    let at = f.now();
    f.write(move |tx| {
        readings::attended(tx, node, at);
        Ok::<_, farm::StoreError>(())
    })
    .unwrap();
    look(f)
}

#[test]
fn a_node_that_owes_no_value_is_heard_by_its_greetings() {
    let f = Fixture::new();
    let bare = node(&f, "bare-node");
    for _ in 0..9 {
        assert!(attend(&f, bare).is_empty());
        f.clock.pass(60 * MINUTE);
    }
    assert_eq!(learnt(&f, bare), Some(3_600), "its greetings have a rhythm");
    f.clock.pass(2 * 60 * MINUTE + 1);
    assert_eq!(look(&f), [AlertKind::Silent]);
    assert_eq!(f.read(alerts::open)[0].detail["there"], false);
    assert!(attend(&f, bare).is_empty(), "it greets again");
}

#[test]
fn a_node_that_tells_only_what_happens_is_heard_by_its_greetings() {
    let f = Fixture::new();
    let door = device(&f, "door", PlaceKind::Room, PlaceDetails::default());
    for minutes in [1, 45, 3, 600, 2, 7, 130, 20, 1, 90, 4, 300, 15, 2] {
        f.clock.pass(minutes * MINUTE);
        send(&f, door, Body::measured(Quantity::Pulses, Milli(1_000)));
    }
    for _ in 0..40 {
        f.clock.pass(5 * MINUTE);
        assert!(attend(&f, door).is_empty(), "no door opens at night");
    }
    f.clock.pass(61 * MINUTE);
    assert_eq!(look(&f), [AlertKind::Silent]);
}

#[test]
fn a_dead_sensor_does_not_hide_behind_its_node_s_greetings() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    for _ in 0..10 {
        measure(&f, probe, TEMPERATURE, 4_000);
        assert!(attend(&f, probe).is_empty());
        f.clock.pass(5 * MINUTE);
    }
    let mut rung = Vec::new();
    for _ in 0..4 {
        rung = attend(&f, probe);
        f.clock.pass(5 * MINUTE);
    }
    assert_eq!(rung, [AlertKind::Silent]);
    assert_eq!(f.read(alerts::open)[0].detail["there"], true);
    assert_eq!(attend(&f, probe), [AlertKind::Silent], "not by a greeting");
    assert_eq!(raised(&f), 1);
    assert!(measure(&f, probe, TEMPERATURE, 4_000).is_empty());
}

#[test]
fn a_node_owes_no_value_once_its_inputs_are_devices_of_their_own() {
    let f = Fixture::new();
    let bare = node(&f, "barn-node");
    let temperature = Body::measured(TEMPERATURE, Milli(4_000));
    for _ in 0..10 {
        send(&f, bare, temperature.clone());
        assert!(attend(&f, bare).is_empty());
        f.clock.pass(5 * MINUTE);
    }
    let probe = f
        .write(|tx| {
            let form = DeviceForm {
                slug: Slug::new("probe").unwrap(),
                name: name("probe"),
                kind: DeviceKind::TemperatureProbe,
                link: Link::Input {
                    node: "barn-node".to_owned(),
                    channel: 1,
                },
                place: None,
                expect_every_s: Some(300),
            };
            devices::add(tx, &form)
        })
        .unwrap();
    for _ in 0..6 {
        send(&f, probe, temperature.clone());
        assert!(attend(&f, bare).is_empty());
        f.clock.pass(5 * MINUTE);
    }
    send(&f, probe, temperature);
    f.clock.pass(16 * MINUTE);
    assert_eq!(look(&f), [AlertKind::Silent; 2], "both have gone");
    assert_eq!(attend(&f, bare), [AlertKind::Silent], "the node is back");
    let heard = f.read(|conn| devices::overview(conn, &[]));
    assert!(heard.iter().any(|row| row.device.id == bare));
}
