//! Each kind, at each place, with each verb: what it may say (as a will too) and hear, and that it may nothing else.

use edge_broker::Filter;
use farm::{
    Actor, Farm, Options, StoreError, Tx, credentials,
    devices::{self, DeviceForm},
    places,
    text::{Name, Slug},
};
use farm_model::{DeviceKind, Link, PlaceKind};

use super::*;

/// One of every topic that somebody may want to speak on, each with the word by which the table calls it.
const TOPICS: &[(&str, &str)] = &[
    ("own value", "farm/device/me/temperature"),
    ("own frames", "khamar/node/me/up"),
    ("own request", "khamar/node/me/csr"),
    ("milk", "farm/milk/050123456789012/1"),
    ("my stall", "farm/stall/3/tag"),
    ("my tank temp", "farm/tank/mine/temp"),
    ("my tank temperature", "farm/tank/mine/temperature"),
    ("my tank level", "farm/tank/mine/level"),
    ("my tank distance", "farm/tank/mine/distance"),
    ("my tank other", "farm/tank/mine/ph"),
    ("my room temp", "farm/environment/mine/temp"),
    ("my room temperature", "farm/environment/mine/temperature"),
    ("my room other", "farm/environment/mine/humidity"),
    // From here on nobody may.
    ("", "farm/device/other/temperature"),
    ("", "farm/device/me"),
    ("", "farm/device/me/a/b"),
    ("", "farm/stall/4/tag"),
    ("", "farm/tank/other/temp"),
    ("", "farm/tank/other/level"),
    ("", "farm/environment/other/temp"),
    ("", "khamar/node/me/down"),
    ("", "khamar/node/me/certificate"),
    ("", "khamar/node/other/up"),
    ("", "khamar/node/other/csr"),
    ("", "khamar/join/key"),
    ("", "khamar/join/ask/KM-1"),
    ("", "khamar/join/answer/KM-1"),
    ("", "application/1/device/2/event/up"),
    ("", "zigbee2mqtt/me"),
    ("", "zigbee2mqtt/bridge/state"),
    ("", "homeassistant/sensor/x/config"),
    ("", "$SYS/x"),
    ("", "me"),
];

/// What everybody may say of itself.
const OWN: &[&str] = &["own value", "own frames", "own request"];

fn may_say(permit: &Permit) -> Vec<&'static str> {
    let said = TOPICS.iter().filter(|(_, topic)| permit.may_publish(topic));
    said.map(|(name, topic)| if name.is_empty() { *topic } else { *name })
        .collect()
}

fn may_hear(permit: &Permit, filter: &str) -> bool {
    permit.may_subscribe(&filter.parse::<Filter>().unwrap())
}

/// A farm with one device, `me`, and what it may do at each place.
struct Rig {
    farm: Farm,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let farm = Farm::open(&dir.path().join("farm.db"), Options::default()).unwrap();
        Self { farm, _dir: dir }
    }

    fn permit(&self, kind: DeviceKind, stands: Option<(PlaceKind, &str)>) -> Permit {
        let stands = stands.map(|(kind, slug)| (kind, Slug::new(slug).unwrap()));
        let make = move |tx: &mut Tx<'_>| {
            let place = stands.map(|(kind, slug)| places::ensure(tx, kind, &slug).unwrap());
            let form = DeviceForm {
                slug: Slug::new("me").unwrap(),
                name: Name::new("me").unwrap(),
                kind,
                link: Link::Mqtt { client: None },
                place,
                expect_every_s: None,
            };
            let id = devices::import(tx, &[form]).unwrap()[0];
            Ok::<_, StoreError>(credentials::basis(tx.conn(), id)?.unwrap())
        };
        let basis = self.farm.write_blocking(Actor::System, make).unwrap();
        of_device(&Who::Device(basis.device.id), &basis)
    }
}

#[test]
fn a_device_says_what_its_kind_measures_where_it_stands() {
    const STALL: Option<(PlaceKind, &str)> = Some((PlaceKind::Stall, "3"));
    const TANK: Option<(PlaceKind, &str)> = Some((PlaceKind::Tank, "mine"));
    const ROOM: Option<(PlaceKind, &str)> = Some((PlaceKind::Room, "mine"));
    const DIGESTER: Option<(PlaceKind, &str)> = Some((PlaceKind::Digester, "mine"));
    const NOWHERE: Option<(PlaceKind, &str)> = None;
    let places = [NOWHERE, STALL, TANK, ROOM, DIGESTER];
    let tank_temp: &[&str] = &["my tank temp", "my tank temperature"];
    let room_temp: &[&str] = &["my room temp", "my room temperature"];
    let tank_level: &[&str] = &["my tank level", "my tank distance"];
    let whole_tank: &[&str] = &[
        "my tank temp",
        "my tank temperature",
        "my tank level",
        "my tank distance",
        "my tank other",
    ];
    let whole_room: &[&str] = &["my room temp", "my room temperature", "my room other"];
    // Besides its own topics: nowhere, at a stall, a tank, a room, a digester.
    let table: &[(DeviceKind, [&[&str]; 5])] = &[
        (DeviceKind::RfidReader, [&[], &["my stall"], &[], &[], &[]]),
        (DeviceKind::MilkMeter, [&["milk"]; 5]),
        (
            DeviceKind::TemperatureProbe,
            [&[], &[], tank_temp, room_temp, &[]],
        ),
        (DeviceKind::LevelSensor, [&[], &[], tank_level, &[], &[]]),
        (DeviceKind::BiogasMonitor, [&[], &[], &[], whole_room, &[]]),
        (DeviceKind::Collar, [&[]; 5]),
        (DeviceKind::Sensor, [&[], &[], whole_tank, whole_room, &[]]),
    ];
    let rig = Rig::new();
    let kinds: Vec<DeviceKind> = table.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, DeviceKind::ALL, "every kind has its line");
    for (kind, besides) in table {
        for (place, besides) in places.iter().zip(besides) {
            let permit = rig.permit(*kind, *place);
            let expected = [OWN, besides].concat();
            assert_eq!(may_say(&permit), expected, "{kind:?} at {place:?}");
        }
    }
}

#[test]
fn a_device_of_any_kind_hears_what_is_said_to_it_alone() {
    let rig = Rig::new();
    for kind in DeviceKind::ALL {
        let permit = rig.permit(*kind, Some((PlaceKind::Tank, "mine")));
        for filter in [
            "khamar/node/me/down",
            "khamar/node/me/certificate",
            "khamar/node/me/#",
        ] {
            assert!(may_hear(&permit, filter), "{kind:?} {filter}");
        }
        for filter in [
            "#",
            "+/+/me/down",
            "khamar/#",
            "khamar/node/+/down",
            "khamar/node/other/down",
            "khamar/node/me2/down",
            "farm/#",
            "farm/device/me/temperature",
            "farm/tank/mine/temp",
            "khamar/join/#",
            "zigbee2mqtt/#",
            "homeassistant/#",
            "$SYS/#",
        ] {
            assert!(!may_hear(&permit, filter), "{kind:?} {filter}");
        }
    }
}

#[test]
fn who_asks_to_join_may_do_nothing_else() {
    let address = "10.0.0.1".parse().unwrap();
    let who = Who::Joining {
        address,
        serial: "KM-1".to_owned(),
    };
    let permit = of_joining(&who, "KM-1");
    assert_eq!(may_say(&permit), ["khamar/join/ask/KM-1"]);
    for (filter, allowed) in [
        ("khamar/join/key", true),
        ("khamar/join/answer/KM-1", true),
        ("khamar/join/answer/KM-2", false),
        ("khamar/join/answer/+", false),
        ("khamar/join/#", false),
        ("farm/#", false),
        ("#", false),
    ] {
        assert_eq!(may_hear(&permit, filter), allowed, "{filter}");
    }
}

#[test]
fn tokens_keep_what_they_had() {
    let who = Who::Token(uuid::Uuid::now_v7());
    for (scope, tells) in [
        (Scope::Read, false),
        (Scope::Observe, true),
        (Scope::Manage, true),
    ] {
        let permit = of_scope(&who, scope);
        for (topic, allowed) in [
            ("farm/tank/1/temp", tells),
            ("application/1/device/2/event/up", tells),
            ("zigbee2mqtt/barn", tells),
            ("zigbee2mqtt/bridge/state", tells),
            ("khamar/node/me/down", false),
            ("khamar/join/key", false),
            ("homeassistant/status", false),
        ] {
            assert_eq!(permit.may_publish(topic), allowed, "{scope:?} {topic}");
        }
        for (filter, allowed) in [
            ("farm/#", true),
            ("khamar/#", true),
            ("zigbee2mqtt/+/set", true),
            ("#", false),
        ] {
            assert_eq!(may_hear(&permit, filter), allowed, "{scope:?} {filter}");
        }
    }
}

#[test]
fn a_name_that_is_no_single_level_opens_nothing() {
    let rig = Rig::new();
    let basis = rig
        .farm
        .write_blocking(Actor::System, |tx| {
            let form = DeviceForm {
                slug: Slug::new("me").unwrap(),
                name: Name::new("me").unwrap(),
                kind: DeviceKind::Sensor,
                link: Link::Mqtt { client: None },
                place: None,
                expect_every_s: None,
            };
            let id = devices::add(tx, &form).unwrap();
            // As another site's row could say it.
            tx.conn().execute("UPDATE device SET slug = '+'", [])?;
            Ok::<_, StoreError>(credentials::basis(tx.conn(), id)?.unwrap())
        })
        .unwrap();
    let permit = of_device(&Who::Device(basis.device.id), &basis);
    assert_eq!(permit.publish, []);
    assert_eq!(permit.subscribe, []);
}
