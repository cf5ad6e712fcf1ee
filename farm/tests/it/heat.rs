//! The heat index of a room: from its own halves, in their time, and what rings.

use farm::{
    alerts::AlertKind,
    devices::{self, DeviceForm},
    places::{self, PlaceForm},
    readings,
    text::Slug,
};
use farm_model::{
    Body, DeviceId, DeviceKind, Flaw, Link, Milli, Observation, PlaceId, PlaceKind, Quality,
    Quantity::{self, Humidity, Temperature, Thi},
    place::PlaceDetails,
};

use crate::{
    support::{Fixture, MINUTE, name},
    watch::look,
};

fn room(f: &Fixture, kind: PlaceKind) -> PlaceId {
    let form = PlaceForm {
        kind,
        slug: Slug::new("barn").unwrap(),
        name: name("Barn"),
        details: PlaceDetails::default(),
    };
    f.write(move |tx| places::add(tx, &form)).unwrap()
}

fn node(f: &Fixture, slug: &'static str, place: PlaceId) -> DeviceId {
    let form = DeviceForm {
        slug: Slug::new(slug).unwrap(),
        name: name(slug),
        kind: DeviceKind::Sensor,
        link: Link::Http,
        place: Some(place),
        expect_every_s: Some(300),
    };
    f.write(move |tx| devices::add(tx, &form)).unwrap()
}

/// Told now, in one batch.
fn tell(f: &Fixture, told: &[(DeviceId, Body)]) {
    let at = f.now();
    let batch: Vec<_> = told
        .iter()
        .map(|(device, body)| Observation {
            device: *device,
            at,
            body: body.clone(),
            raw: Vec::new(),
            key: None,
        })
        .collect();
    f.write(move |tx| readings::ingest(tx, &batch)).unwrap();
}

fn good(quantity: Quantity, milli: i64) -> Body {
    Body::measured(quantity, Milli(milli))
}

fn thi(f: &Fixture, device: DeviceId) -> Option<(Option<i64>, Quality)> {
    let value = f.farm.live().value(device, Thi)?;
    Some((value.value.map(|v| v.0), value.quality))
}

fn stored(f: &Fixture) -> i64 {
    let sql =
        "SELECT count(*) FROM reading_log r JOIN series s ON s.id = r.series WHERE s.quantity = 27";
    f.read(|conn| Ok(conn.query_row(sql, [], |row| row.get(0))?))
}

#[test]
fn a_node_that_measures_both_makes_one_index_a_message() {
    let f = Fixture::new();
    let barn = node(&f, "barn-node", room(&f, PlaceKind::Room));
    tell(
        &f,
        &[
            (barn, good(Temperature, 30_000)),
            (barn, good(Humidity, 70_000)),
        ],
    );
    assert_eq!(thi(&f, barn), Some((Some(81_400), Quality::Good)));
    assert_eq!(stored(&f), 1);
    // Halves in messages of their own, as MQTT has them.
    f.clock.pass(5 * MINUTE);
    tell(&f, &[(barn, good(Temperature, 20_000))]);
    tell(&f, &[(barn, good(Humidity, 50_000))]);
    assert_eq!(thi(&f, barn), Some((Some(65_300), Quality::Good)));
    assert_eq!(stored(&f), 3);
    // A half that comes alone after an hour belongs to another air.
    f.clock.pass(60 * MINUTE);
    tell(&f, &[(barn, good(Temperature, 40_000))]);
    assert_eq!(thi(&f, barn), Some((Some(65_300), Quality::Good)));
    let old = f.farm.live().value(barn, Thi).unwrap();
    assert!(
        old.age_ms(f.now().wall) >= 60 * MINUTE,
        "and says how old it is"
    );
}

#[test]
fn a_hygrometer_takes_the_temperature_of_its_room_but_not_of_a_tank() {
    let f = Fixture::new();
    let barn = room(&f, PlaceKind::Room);
    let (probe, hygrometer) = (node(&f, "probe", barn), node(&f, "hygrometer", barn));
    let tank = node(&f, "tank", room(&f, PlaceKind::Tank));
    tell(
        &f,
        &[
            (tank, good(Temperature, 4_000)),
            (tank, good(Humidity, 90_000)),
        ],
    );
    assert_eq!(thi(&f, tank), None, "milk does not pant");
    tell(
        &f,
        &[
            (hygrometer, good(Humidity, 70_000)),
            (probe, good(Temperature, 30_000)),
        ],
    );
    assert_eq!(thi(&f, hygrometer), Some((Some(81_400), Quality::Good)));
    assert_eq!(thi(&f, probe), None);
    // Another node that measures both keeps to its own.
    let corner = node(&f, "corner", barn);
    tell(
        &f,
        &[
            (corner, good(Temperature, 20_000)),
            (corner, good(Humidity, 50_000)),
        ],
    );
    assert_eq!(thi(&f, corner), Some((Some(65_300), Quality::Good)));
    f.clock.pass(MINUTE);
    tell(&f, &[(probe, good(Temperature, 35_000))]);
    assert_eq!(thi(&f, corner), Some((Some(65_300), Quality::Good)));
    assert_eq!(thi(&f, hygrometer), Some((Some(88_900), Quality::Good)));
}

#[test]
fn half_a_pair_that_is_not_to_be_believed_makes_a_missing_index_once() {
    let f = Fixture::new();
    let barn = node(&f, "barn-node", room(&f, PlaceKind::Room));
    tell(&f, &[(barn, Body::missing(Humidity, Flaw::Timeout))]);
    assert_eq!(thi(&f, barn), None, "there never was one");
    tell(
        &f,
        &[
            (barn, good(Temperature, 30_000)),
            (barn, good(Humidity, 70_000)),
        ],
    );
    for _ in 0..3 {
        f.clock.pass(MINUTE);
        tell(
            &f,
            &[
                (barn, good(Temperature, 30_000)),
                (barn, good(Humidity, 130_000)),
            ],
        );
    }
    assert_eq!(thi(&f, barn), Some((None, Quality::Missing)));
    assert_eq!(stored(&f), 2);
    f.clock.pass(MINUTE);
    tell(&f, &[(barn, good(Humidity, 70_000))]);
    assert_eq!(thi(&f, barn), Some((Some(81_400), Quality::Good)));
}

#[test]
fn what_was_kept_back_makes_the_indices_of_its_own_time() {
    let f = Fixture::new();
    let barn = node(&f, "barn-node", room(&f, PlaceKind::Room));
    let now = f.now();
    let queued: Vec<_> = (0..24)
        .flat_map(|hour| {
            let mut at = now;
            at.wall = now.wall.plus(-(24 - hour) * 60 * MINUTE);
            [(Temperature, 20_000 + hour * 500), (Humidity, 50_000)].map(|(quantity, milli)| {
                Observation {
                    device: barn,
                    at,
                    body: good(quantity, milli),
                    raw: Vec::new(),
                    key: Some(format!("{hour}/{quantity}")),
                }
            })
        })
        .collect();
    let again = queued.clone();
    f.write(move |tx| readings::ingest(tx, &queued)).unwrap();
    f.write(move |tx| readings::ingest(tx, &again)).unwrap();
    assert_eq!(stored(&f), 24, "one an hour, sent twice");
    let first = "SELECT r.value FROM reading_log r JOIN series s ON s.id = r.series WHERE s.quantity = 27 ORDER BY r.at LIMIT 1";
    let first: i64 = f.read(|conn| Ok(conn.query_row(first, [], |row| row.get(0))?));
    assert_eq!(first, 65_300);
}

#[test]
fn heat_warns_from_72_on_rings_from_90_and_clears_a_point_below() {
    let f = Fixture::new();
    let barn = node(&f, "barn-node", room(&f, PlaceKind::Room));
    let mut rung = Vec::new();
    // At full damp the index is 1.8·T + 32.
    for index in [
        71_900, 72_000, 71_100, 70_900, 85_000, 89_900, 90_100, 89_100, 88_900, 60_000,
    ] {
        f.clock.pass(MINUTE);
        let celsius = (index - 32_000) * 10 / 18;
        let halves = [
            (barn, good(Temperature, celsius)),
            (barn, good(Humidity, 100_000)),
        ];
        tell(&f, &halves);
        rung.push(look(&f));
    }
    use AlertKind::{HeatDanger, HeatStress};
    let (stress, danger) = (vec![HeatStress], vec![HeatDanger]);
    assert_eq!(
        rung,
        [
            vec![],
            stress.clone(),
            stress.clone(),
            vec![],
            stress.clone(),
            stress.clone(),
            danger.clone(),
            danger,
            stress,
            vec![]
        ]
    );
}
