//! Zigbee2MQTT's states: units, what is left out, what is refused.

use edge_decode::zigbee::{ReportReject, decode, name_of};
use farm_model::{
    observation::{Body, Flaw},
    quantity::{Milli, Quantity},
    time::UnixMillis,
};
use proptest::prelude::*;

#[test]
fn a_sensor_with_a_battery_gives_its_values_in_our_units() {
    let said = decode(
        "barn/air",
        br#"{"temperature": 27.34, "humidity": null, "pressure": 1000.6, "battery": 86, "voltage": 2985, "linkquality": 97,
            "soil_moisture": 40, "last_seen": "2026-11-20T10:34:15.775+01:00"}"#,
    );
    let said = said.unwrap();
    assert_eq!(said.name, "barn/air");
    assert_eq!(said.at, Some(UnixMillis(1_795_167_255_775)));
    assert_eq!(
        said.bodies,
        [
            Body::measured(Quantity::Temperature, Milli(27_340)),
            Body::missing(Quantity::Humidity, Flaw::NotANumber),
            Body::measured(Quantity::Battery, Milli(2_985)),
        ]
    );
}

#[test]
fn the_voltage_of_a_plug_is_no_battery() {
    let payload =
        br#"{"state": "ON", "power": 1520, "energy": 12.5, "voltage": 231, "current": 6.6, "co2": 850}"#;
    let said = decode("pump", payload).unwrap();
    assert_eq!(
        said.bodies,
        [
            Body::measured(Quantity::CarbonDioxide, Milli(85)),
            Body::measured(Quantity::Power, Milli(1_520)),
            Body::measured(Quantity::Energy, Milli(12_500)),
        ]
    );
}

#[test]
fn a_device_is_known_by_its_address_where_it_is_told() {
    let informed = br#"{"temperature": 4, "device": {"friendlyName": "tank", "ieeeAddr": "0x00158D00036C1821"}}"#;
    assert_eq!(decode("tank", informed).unwrap().name, "0x00158d00036c1821");
    let name = "0x00158D00036C1821";
    assert_eq!(decode(name, b"{}").unwrap().name, "0x00158d00036c1821");
    for odd in [r#"{"device": 1}"#, r#"{"device": {"ieeeAddr": "0x1"}}"#] {
        assert_eq!(decode("tank", odd.as_bytes()).unwrap().name, "tank");
    }
}

#[test]
fn what_is_the_bridge_s_own_business_is_no_state() {
    for (topic, name) in [
        ("zigbee2mqtt/barn", Some("barn")),
        ("zigbee2mqtt/barn/air", Some("barn/air")),
        ("zigbee2mqtt/set", Some("set")),
        ("zigbee2mqtt/bridge/state", None),
        ("zigbee2mqtt/bridge/devices", None),
        ("zigbee2mqtt/barn/availability", None),
        ("zigbee2mqtt/barn/set", None),
        ("zigbee2mqtt/barn/set/state", None),
        ("zigbee2mqtt/barn/get", None),
        ("farm/tank/1/temp", None),
    ] {
        assert_eq!(name_of(topic), name, "{topic}");
    }
}

#[test]
fn every_fault_has_its_reason() {
    let long = format!("{{\"x\": \"{}\"}}", "x".repeat(17_000));
    let name = "n".repeat(200);
    for (name, payload, reason) in [
        ("", "{}", ReportReject::BadName),
        ("a+", "{}", ReportReject::BadName),
        (name.as_str(), "{}", ReportReject::BadName),
        ("a", long.as_str(), ReportReject::TooLong),
        ("a", "{", ReportReject::NotJson),
        ("a", "", ReportReject::NotJson),
        ("a", "27.3", ReportReject::NotAnObject),
        (
            "a",
            r#"{"temperature": 1, "temperature": 2}"#,
            ReportReject::Duplicate,
        ),
        ("a", r#"{"temperature": "27.3"}"#, ReportReject::NotANumber),
        (
            "a",
            r#"{"temperature": {"value": 1}}"#,
            ReportReject::NotANumber,
        ),
        ("a", r#"{"temperature": 1e99}"#, ReportReject::OutOfRange),
        ("a", r#"{"temperature": 1e999}"#, ReportReject::OutOfRange),
        (
            "a",
            r#"{"temperature": 1, "last_seen": 0}"#,
            ReportReject::BadTimestamp,
        ),
    ] {
        assert_eq!(
            decode(name, payload.as_bytes()),
            Err(reason),
            "{payload:.40}"
        );
    }
    let keys: std::collections::BTreeSet<_> = ReportReject::ALL.iter().map(|r| r.key()).collect();
    assert_eq!(keys.len(), ReportReject::ALL.len());
}

proptest! {
    #[test]
    fn any_message_is_read_or_rejected(topic in "zigbee2mqtt/.{0,40}", payload in any::<Vec<u8>>(), value in "[\\[\\]{}:,\"a0-9. e-]{0,40}") {
        let name = name_of(&topic).unwrap_or("x");
        let _ = decode(name, &payload);
        let object = format!("{{\"temperature\": {value}, \"battery\": 1, \"voltage\": {value}, \"last_seen\": {value}, \"device\": {value}}}");
        let _ = decode(name, object.as_bytes());
    }
}
