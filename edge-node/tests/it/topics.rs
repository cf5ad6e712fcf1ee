//! MQTT topics through the whole pipeline: what makes a place, what rings, what counts once.

use edge_node::ingest::Told;
use farm::{
    alerts::AlertKind,
    devices,
    logins::{Carrier, Login, Proof},
};
use farm_model::{DeviceId, DeviceKind, Link, Milli, PlaceKind, Quantity, place::PlaceDetails};

use crate::rig::Rig;

const MINUTE: i64 = 60;

#[tokio::test]
async fn a_milking_told_by_topic_is_recorded_once() {
    let rig = Rig::start();
    rig.cow("17", "050000000000017").await;
    let (topic, payload) = (
        "farm/milk/050000000000017/morning",
        r#"{"quantity": 12.4, "fat": 4.1}"#,
    );
    let first = rig.publish(topic, payload).await;
    let again = rig.publish(topic, payload).await;
    assert_eq!((first.stored, first.duplicates), (1, 0));
    assert_eq!((again.stored, again.duplicates), (0, 1));
    let milk = "SELECT sum(yield_ml) FROM visit WHERE animal IS NOT NULL AND session = 1";
    assert_eq!(rig.count(milk).await, 12_400);
    // No such session: kept as evidence, and acknowledged, because sending it again would not help.
    let unknown = rig
        .publish("farm/milk/050000000000017/midnight", payload)
        .await;
    assert_eq!(unknown.flagged, 1);
    let refused = "SELECT count(*) FROM quarantine WHERE reason = 'milking_refused'";
    assert_eq!(rig.count(refused).await, 1);
}

#[tokio::test]
async fn a_tank_that_stays_warm_rings_once_and_cools_with_hysteresis() {
    let rig = Rig::start();
    let mut rung = Vec::new();
    for (minutes, celsius) in [(0, 9.0), (29, 9.0), (2, 9.5), (5, 7.8), (5, 7.0)] {
        rig.clock.pass(minutes * MINUTE);
        let payload = format!(r#"{{"value": {celsius}}}"#);
        rig.publish("farm/tank/1/temp", &payload).await;
        rung.push(rig.look().await);
    }
    use AlertKind::TankWarm;
    assert_eq!(
        rung,
        [vec![], vec![], vec![TankWarm], vec![TankWarm], vec![]]
    );
    let raised = rig
        .count("SELECT count(*) FROM alert WHERE kind = 'tank_warm'")
        .await;
    assert_eq!(raised, 1);
}

#[tokio::test]
async fn methane_rings_at_once() {
    let rig = Rig::start();
    rig.publish("farm/environment/biogas-room/methane", r#"{"value": 1.5}"#)
        .await;
    assert_eq!(rig.look().await, [AlertKind::Methane]);
    rig.publish("farm/environment/biogas-room/methane", r#"{"value": 0.1}"#)
        .await;
    assert_eq!(rig.look().await, []);
}

#[tokio::test]
async fn a_reading_that_stays_out_three_times_is_missed_until_it_comes() {
    let rig = Rig::start();
    for _ in 0..9 {
        assert_eq!(rig.look().await, [], "nothing is learnt yet");
        rig.clock.pass(5 * MINUTE);
        rig.publish("farm/environment/barn/temp", r#"{"value": 27.5}"#)
            .await;
    }
    rig.clock.pass(14 * MINUTE);
    assert_eq!(rig.look().await, []);
    rig.clock.pass(2 * MINUTE);
    assert_eq!(rig.look().await, [AlertKind::Silent]);
    assert_eq!(rig.look().await, [AlertKind::Silent], "one alert");
    rig.publish("farm/environment/barn/temp", r#"{"value": 27.0}"#)
        .await;
    assert_eq!(rig.look().await, []);
    assert_eq!(rig.count("SELECT count(*) FROM alert").await, 1);
}

#[tokio::test]
async fn a_room_that_speaks_hourly_is_taken_at_its_word() {
    let rig = Rig::start();
    for _ in 0..12 {
        rig.publish("farm/environment/barn/temp", r#"{"value": 27.5}"#)
            .await;
        rig.clock.pass(60 * MINUTE);
        assert_eq!(rig.look().await, []);
    }
    let device = rig.farm.read(|conn| devices::find(conn, "barn-mqtt")).await;
    let said = device.unwrap().expect("it made itself").expect_every_s;
    assert_eq!(said, None, "no person said how often");
    rig.clock.pass(121 * MINUTE);
    assert_eq!(rig.look().await, [AlertKind::Silent]);
}

#[tokio::test]
async fn a_tank_whose_level_goes_on_is_missed_for_its_temperature() {
    let rig = Rig::start();
    for n in 0..10 {
        rig.clock.pass(5 * MINUTE);
        rig.publish("farm/tank/1/temp", r#"{"value": 4}"#).await;
        if n % 2 == 1 {
            rig.publish("farm/tank/1/level", r#"{"value": 60}"#).await;
        }
    }
    rig.clock.pass(10 * MINUTE);
    rig.publish("farm/tank/1/level", r#"{"value": 61}"#).await;
    assert_eq!(rig.look().await, [], "levels come every ten minutes");
    rig.clock.pass(10 * MINUTE);
    rig.publish("farm/tank/1/level", r#"{"value": 62}"#).await;
    assert_eq!(rig.look().await, [AlertKind::Silent]);
    rig.publish("farm/tank/1/temp", r#"{"value": 4}"#).await;
    assert_eq!(rig.look().await, []);
}

#[tokio::test]
async fn a_distance_is_a_level_by_the_tanks_own_table_once() {
    let rig = Rig::start();
    let details = PlaceDetails {
        distance_to_level: vec![(1_500, Milli(0)), (500, Milli(100_000))],
        ..PlaceDetails::default()
    };
    rig.place(PlaceKind::Tank, "1", details).await;
    let payload = r#"{"value": 1000, "id": "n1"}"#;
    rig.publish("farm/tank/1/distance", payload).await;
    let level = "SELECT count(*) FROM reading_log r JOIN series s ON s.id = r.series WHERE s.quantity = 3 AND r.value = 50000";
    assert_eq!(
        rig.count(level).await,
        1,
        "the message that makes the device is heard"
    );
    let again = rig.publish("farm/tank/1/distance", payload).await;
    assert_eq!(again.duplicates, 1);
    assert_eq!(
        rig.count(level).await,
        1,
        "the same distance is the same level"
    );
}

#[tokio::test]
async fn an_unknown_lorawan_device_appears_and_counts_each_uplink_once() {
    let rig = Rig::start();
    let topic = "application/7/device/24e124136d490175/event/up";
    let payload = r#"{"deduplicationId": "4f5b1b7e-0d2f-4c5e-9d7e-3f0a6a6f2c11", "deviceInfo": {"devEui": "24e124136d490175"},
        "fCnt": 12, "object": {"temperature": 31.5, "humidity": 78, "steps": 240, "rumination": 9}}"#;
    assert_eq!(rig.publish(topic, payload).await.stored, 4);
    assert_eq!(rig.publish(topic, payload).await.duplicates, 4);
    let found = rig
        .farm
        .read(|conn| devices::find(conn, "lora-24e124136d490175"))
        .await;
    let device = found.unwrap().expect("a person can now place it");
    assert_eq!(device.kind, DeviceKind::Sensor);
    assert!(
        matches!(device.link, Link::ChirpStack { dev_eui, .. } if dev_eui == "24e124136d490175")
    );
    assert_eq!(rig.count("SELECT count(*) FROM reading_log").await, 4);
    // What is no uplink is neither a reading nor a fault.
    rig.publish("application/7/device/24e124136d490175/event/join", "{}")
        .await;
    assert_eq!(rig.count("SELECT count(*) FROM quarantine").await, 0);
}

#[tokio::test]
async fn a_zigbee_device_appears_and_what_its_bridge_repeats_counts_once() {
    let rig = Rig::start();
    let topic = "zigbee2mqtt/barn/air";
    let payload = r#"{"temperature": 31.5, "humidity": 78, "battery": 90, "voltage": 2950, "linkquality": 70,
        "last_seen": "2026-01-05T04:00:00.120Z"}"#;
    assert_eq!(rig.publish(topic, payload).await.stored, 3);
    assert_eq!(rig.publish(topic, payload).await.duplicates, 3);
    let found = rig
        .farm
        .read(|conn| devices::find(conn, "zigbee-barn-air"))
        .await;
    let device = found.unwrap().expect("a person can now place it");
    assert!(matches!(&device.link, Link::Zigbee { name } if name == "barn/air"));
    let value = |quantity| rig.farm.live().value(device.id, quantity).map(|v| v.value);
    assert_eq!(value(Quantity::Battery), Some(Some(Milli(2_950))));
    for (topic, payload) in [
        ("zigbee2mqtt/bridge/state", r#"{"state": "online"}"#),
        (
            "zigbee2mqtt/barn/air/availability",
            r#"{"state": "offline"}"#,
        ),
        ("zigbee2mqtt/button", r#"{"action": "single"}"#),
    ] {
        rig.publish(topic, payload).await;
    }
    assert_eq!(rig.count("SELECT count(*) FROM quarantine").await, 0);
    assert_eq!(rig.count("SELECT count(*) FROM device").await, 1);
    rig.publish(topic, r#"{"temperature": "warm"}"#).await;
    let refused = "SELECT count(*) FROM quarantine WHERE reason = 'not_a_number'";
    assert_eq!(rig.count(refused).await, 1);
}

#[tokio::test]
async fn a_flood_of_topics_does_not_flood_the_farm_with_devices() {
    let rig = Rig::start();
    rig.publish("farm/environment/barn/temp", r#"{"value": 27.5}"#)
        .await;
    let fill = |tx: &mut farm::Tx<'_>| -> Result<(), devices::DeviceError> {
        for n in 1..1_000 {
            let slug = format!("node-{n}");
            devices::add(
                tx,
                &devices::DeviceForm {
                    name: farm::text::Name::new(&slug).unwrap(),
                    slug: farm::text::Slug::new(&slug).unwrap(),
                    kind: DeviceKind::Sensor,
                    link: Link::Mqtt { client: None },
                    place: None,
                    expect_every_s: None,
                },
            )?;
        }
        Ok(())
    };
    rig.farm.write(farm::Actor::System, fill).await.unwrap();
    let devices = "SELECT count(*) FROM device";
    assert_eq!(rig.count(devices).await, 1_000);
    rig.publish("farm/environment/attic/temp", r#"{"value": 27.5}"#)
        .await;
    rig.publish("farm/environment/barn/temp", r#"{"value": 27.0}"#)
        .await;
    assert_eq!(rig.count(devices).await, 1_000);
    let refused = "SELECT count(*) FROM quarantine WHERE reason = 'too_many_devices'";
    assert_eq!(rig.count(refused).await, 1);
    let heard = "SELECT count(*) FROM reading_log";
    assert_eq!(rig.count(heard).await, 2, "those who were there are heard");
}

#[tokio::test]
async fn a_device_that_says_who_it_is_is_missed_itself_and_nobody_stands_in_for_it() {
    let rig = Rig::start();
    let tank = rig
        .place(PlaceKind::Tank, "1", PlaceDetails::default())
        .await;
    let probe = rig
        .device("probe-1", DeviceKind::TemperatureProbe, tank)
        .await;
    rig.execute("UPDATE device SET expect_every_s = 300").await;
    let payload = r#"{"value": 4.0}"#;
    for _ in 0..3 {
        rig.publish_by(probe, "farm/tank/1/temp", payload).await;
        rig.clock.pass(5 * MINUTE);
        assert_eq!(rig.look().await, []);
    }
    assert_eq!(rig.count("SELECT count(*) FROM device").await, 1);
    let value = rig.farm.live().value(probe, Quantity::Temperature);
    assert_eq!(value.map(|v| v.place), Some(Some(tank)));
    rig.clock.pass(16 * MINUTE);
    assert_eq!(rig.look().await, [AlertKind::Silent]);
    rig.publish_by(probe, "farm/tank/1/temp", payload).await;
    assert_eq!(rig.look().await, []);
    assert_eq!(rig.count("SELECT count(*) FROM alert").await, 1);
}

#[tokio::test]
async fn what_a_device_said_of_a_place_that_it_has_left_is_not_its_own() {
    let rig = Rig::start();
    let tank = rig
        .place(PlaceKind::Tank, "1", PlaceDetails::default())
        .await;
    let probe = rig.device("probe-1", DeviceKind::Sensor, tank).await;
    let payload = r#"{"value": 4.0}"#;
    rig.publish_by(probe, "farm/tank/2/temp", payload).await;
    assert_eq!(rig.farm.live().value(probe, Quantity::Temperature), None);
    let stands_in = "SELECT count(*) FROM device WHERE slug = 'tank-2-mqtt'";
    assert_eq!(rig.count(stands_in).await, 1);
}

#[tokio::test]
async fn a_meter_that_tells_whole_milkings_is_heard() {
    let rig = Rig::start();
    rig.cow("17", "050000000000017").await;
    let stall = rig
        .place(PlaceKind::Stall, "3", PlaceDetails::default())
        .await;
    let meter = rig.device("meter-3", DeviceKind::MilkMeter, stall).await;
    let told = rig
        .publish_by(meter, "farm/milk/17/morning", r#"{"quantity": 12.4}"#)
        .await;
    assert_eq!((told.stored, told.flagged), (1, 0));
    let newest = rig.farm.live().values();
    let rows = rig
        .farm
        .read(move |conn| devices::overview(conn, &newest))
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].heard_at, Some(rig.now()));
}

#[tokio::test]
async fn two_thousand_devices_that_log_in_at_once_share_a_few_commits() {
    let rig = Rig::start();
    let devices: Vec<DeviceId> = (0..2_000).map(|_| DeviceId::new()).collect();
    let login = Login {
        at: rig.now(),
        peer: "10.0.0.7".parse().unwrap(),
        carrier: Carrier::Tls,
        proof: Proof::Secret,
    };
    let before = rig.farm.commits();
    for device in &devices {
        rig.intake.note(vec![Told::Login(*device, login)]);
    }
    // Whoever waits for its own is behind them.
    rig.publish("farm/environment/barn/temp", r#"{"value": 21.5}"#)
        .await;
    let commits = rig.farm.commits() - before;
    assert!(commits < 20, "{commits} commits");
    let stored = "SELECT count(*) FROM device_login WHERE carrier = 'tls' AND proof = 'secret'";
    assert_eq!(rig.count(stored).await, 2_000);
    // A new start knows them, and that nobody is connected.
    let rig = rig.killed().await;
    let presence = rig.farm.live().presence(devices[7]);
    assert_eq!((presence.last, presence.connections), (Some(login), 0));
}
