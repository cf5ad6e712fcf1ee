//! Tanks and gas.

use farm::{
    LiveValue,
    alerts::{self, AlertKind},
    devices::{self, DeviceForm},
    places::{self, PlaceForm},
    readings,
    text::Slug,
    watch,
};
use farm_model::{
    Body, DeviceId, DeviceKind, Link, Milli, Observation, PlaceKind, Quantity, place::PlaceDetails,
};

use crate::support::{Fixture, MINUTE, name};

pub(crate) fn device(
    f: &Fixture,
    slug: &'static str,
    kind: PlaceKind,
    details: PlaceDetails,
) -> DeviceId {
    f.write(move |tx| {
        let slug = Slug::new(slug).unwrap();
        let place = places::add(
            tx,
            &PlaceForm {
                kind,
                slug: slug.clone(),
                name: name(slug.as_str()),
                details,
            },
        )
        .expect("the first of its name");
        let form = DeviceForm {
            name: name(slug.as_str()),
            slug,
            kind: DeviceKind::TemperatureProbe,
            link: Link::Http,
            place: Some(place),
            expect_every_s: Some(300),
        };
        devices::add(tx, &form)
    })
    .unwrap()
}

/// The device measures this now, and the rules look.
pub(crate) fn measure(
    f: &Fixture,
    device: DeviceId,
    quantity: Quantity,
    milli: i64,
) -> Vec<AlertKind> {
    let at = f.now();
    let observation = Observation {
        device,
        at,
        body: Body::measured(quantity, Milli(milli)),
        raw: Vec::new(),
        key: None,
    };
    f.write(move |tx| readings::ingest(tx, &[observation]))
        .unwrap();
    look(f)
}

pub(crate) fn look(f: &Fixture) -> Vec<AlertKind> {
    let newest: Vec<LiveValue> = f.farm.live().values();
    f.write(move |tx| {
        watch::values(tx, &newest)?;
        watch::silence(tx)
    })
    .unwrap();
    f.read(alerts::open).iter().map(|a| a.kind).collect()
}

#[test]
fn a_warm_tank_rings_once_after_its_minutes_and_clears_with_hysteresis() {
    let f = Fixture::new();
    let details = PlaceDetails {
        max_temperature: Some(Milli(6_000)),
        alarm_after_min: Some(10),
        ..PlaceDetails::default()
    };
    let probe = device(&f, "tank-1", PlaceKind::Tank, details);
    let at = |ms: i64, milli: i64| {
        f.clock.pass(ms);
        measure(&f, probe, Quantity::Temperature, milli)
    };
    assert!(at(0, 4_000).is_empty());
    assert!(at(MINUTE, 6_500).is_empty());
    assert!(at(5 * MINUTE, 7_000).is_empty());
    assert!(
        at(MINUTE, 5_900).is_empty(),
        "inside again: the minutes begin anew"
    );
    assert!(at(MINUTE, 7_000).is_empty());
    assert!(at(9 * MINUTE, 7_000).is_empty());
    assert_eq!(at(MINUTE, 7_000), [AlertKind::TankWarm]);
    assert_eq!(
        at(4 * MINUTE, 9_000),
        [AlertKind::TankWarm],
        "still the one"
    );
    assert_eq!(
        at(MINUTE, 5_800),
        [AlertKind::TankWarm],
        "hovers at the limit"
    );
    assert!(at(MINUTE, 5_500).is_empty());
}

#[test]
fn the_air_in_an_empty_tank_may_be_warm() {
    let f = Fixture::new();
    let probe = device(&f, "tank-2", PlaceKind::Tank, PlaceDetails::default());
    let at = |ms: i64, quantity, milli: i64| {
        f.clock.pass(ms);
        measure(&f, probe, quantity, milli)
    };
    assert!(at(0, Quantity::Level, 500).is_empty());
    assert!(at(0, Quantity::Temperature, 24_000).is_empty());
    assert!(at(60 * MINUTE, Quantity::Temperature, 24_000).is_empty());
    assert!(
        at(0, Quantity::Level, 30_000).is_empty(),
        "its minutes begin with the milk"
    );
    assert_eq!(
        at(31 * MINUTE, Quantity::Temperature, 24_000),
        [AlertKind::TankWarm]
    );
    assert!(
        at(MINUTE, Quantity::Level, 0).is_empty(),
        "the milk is gone, and the alarm with it"
    );
}

#[test]
fn a_restart_does_not_forget_how_long_a_tank_has_been_warm() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    assert!(measure(&f, probe, Quantity::Temperature, 12_000).is_empty());
    let now = f.now();
    let f = f.reopen(now.wall.plus(31 * MINUTE), now.clock);
    assert_eq!(
        measure(&f, probe, Quantity::Temperature, 12_000),
        [AlertKind::TankWarm]
    );
}

#[test]
fn a_broken_probe_judges_nothing_and_gas_rings_at_once() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    measure(&f, probe, Quantity::Temperature, 900_000);
    f.clock.pass(5 * MINUTE);
    assert!(measure(&f, probe, Quantity::Temperature, 900_000).is_empty());
    let gas = device(&f, "engine-room", PlaceKind::Room, PlaceDetails::default());
    assert_eq!(
        measure(&f, gas, Quantity::Methane, 1_500),
        [AlertKind::Methane]
    );
    assert_eq!(
        measure(&f, gas, Quantity::Methane, 1_050),
        [AlertKind::Methane]
    );
    assert!(measure(&f, gas, Quantity::Methane, 500).is_empty());
}

#[test]
fn a_value_from_the_future_does_not_hide_what_comes() {
    let f = Fixture::new();
    let probe = device(&f, "tank-1", PlaceKind::Tank, PlaceDetails::default());
    let told = |ahead: i64, milli: i64| {
        let mut at = f.now();
        at.wall = at.wall.plus(ahead);
        let observation = Observation {
            device: probe,
            at,
            body: Body::measured(Quantity::Temperature, Milli(milli)),
            raw: Vec::new(),
            key: None,
        };
        f.write(move |tx| readings::ingest(tx, &[observation]))
            .unwrap();
        let value = f.farm.live().value(probe, Quantity::Temperature);
        value.and_then(|v| v.value).unwrap().0
    };
    assert_eq!(told(365 * 24 * 60 * MINUTE, 3_900), 3_900);
    assert_eq!(told(0, 9_000), 9_000, "now, and the other said next year");
    assert_eq!(
        told(-MINUTE, 4_000),
        9_000,
        "late, and it is not the newest"
    );
    // Our own clock was wrong and is set back.
    f.clock.set(
        f.now().wall.plus(-60 * MINUTE),
        farm_model::ClockQuality::Synced,
    );
    assert_eq!(told(0, 4_100), 4_100);
}
