//! ChirpStack's uplinks in, Home Assistant's discovery out.

use edge_decode::{
    chirpstack::{MAX_VALUES, UplinkReject, decode},
    homeassistant::{DiscoveryError, Series},
};
use farm_model::{
    observation::{Body, Flaw},
    quantity::{Milli, Quantity},
    time::UnixMillis,
};
use proptest::prelude::*;

const TOPIC: &str = "application/8f9e/device/24e124136d1f0a2b/event/up";

fn uplink(object: &str) -> String {
    format!(
        r#"{{"deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d", "time": "2026-11-20T09:34:15.775023242+00:00",
            "deviceInfo": {{"tenantId": "t", "applicationId": "8f9e", "deviceName": "collar", "devEui": "24E124136D1F0A2B", "tags": {{"k": "v"}}}},
            "devAddr": "00189440", "dr": 1, "fCnt": 4161, "fPort": 1, "data": "qg==", "object": {object},
            "rxInfo": [{{"gatewayId": "a", "rssi": -97, "snr": 6.5}}, {{"gatewayId": "b", "rssi": -48}}], "txInfo": {{}}}}"#
    )
}

#[test]
fn an_uplink_gives_its_numbers() {
    let object = r#"{"temperature": 27.4, "humidity": null, "BatV": 3.61, "door": true, "note": "x", "deep": {"1": {"steps": 412}}}"#;
    let said = decode(TOPIC, uplink(object).as_bytes()).unwrap();
    assert_eq!(said.dev_eui, "24e124136d1f0a2b");
    assert_eq!(
        said.key.as_deref(),
        Some("3ac7e3c4-4401-4b8d-9386-a5c902f9202d")
    );
    assert_eq!(
        (said.f_cnt, said.at),
        (Some(4161), Some(UnixMillis(1_795_167_255_775)))
    );
    let value = |name: &str| said.values.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
    assert_eq!(value("deep.1.steps"), Some(Some(Milli(412_000))));
    assert_eq!(value("humidity"), Some(None));
    assert_eq!((value("door"), value("note")), (None, None));

    let fields = [
        ("temperature".to_owned(), Quantity::Temperature),
        ("humidity".to_owned(), Quantity::Humidity),
        ("deep.1.steps".to_owned(), Quantity::Steps),
        ("rumination".to_owned(), Quantity::Rumination),
    ];
    assert_eq!(
        said.bodies(&fields),
        [
            Body::measured(Quantity::Temperature, Milli(27_400)),
            Body::missing(Quantity::Humidity, Flaw::NotANumber),
            Body::measured(Quantity::Steps, Milli(412_000)),
            Body::measured(Quantity::Battery, Milli(3610)),
            Body::measured(Quantity::SignalStrength, Milli(-48_000)),
        ]
    );
}

#[test]
fn a_bare_uplink_is_enough() {
    let said = decode(TOPIC, br#"{"deviceInfo": {"devEui": "24e124136d1f0a2b"}}"#).unwrap();
    assert_eq!((said.key.clone(), said.at, said.f_cnt), (None, None, None));
    assert_eq!(said.bodies(&[]), []);
}

#[test]
fn every_fault_has_its_reason() {
    let rejected = |topic: &str, payload: &str| decode(topic, payload.as_bytes()).unwrap_err();
    let whole = uplink("{}");
    for (topic, payload, reason) in [
        (
            "application/8f9e/device/24e124136d1f0a2b/event/join",
            whole.as_str(),
            UplinkReject::UnknownTopic,
        ),
        (
            "application/8f9e/device/24e1/event/up",
            &whole,
            UplinkReject::BadDevEui,
        ),
        (
            "application/8f9e/device/24e124136d1f0a2c/event/up",
            &whole,
            UplinkReject::OtherDevice,
        ),
        (TOPIC, "{}", UplinkReject::NotJson),
        (
            TOPIC,
            &whole.replace("2026", "1970"),
            UplinkReject::BadTimestamp,
        ),
        (
            TOPIC,
            &whole.replace("3ac7e3c4-4401-4b8d-9386-a5c902f9202d", ""),
            UplinkReject::BadId,
        ),
        (
            TOPIC,
            &whole.replace("\"24E1", "\"24G1"),
            UplinkReject::BadDevEui,
        ),
        (
            TOPIC,
            &uplink(&format!("\"{}\"", "x".repeat(70_000))),
            UplinkReject::TooLong,
        ),
        (TOPIC, &uplink(&"[".repeat(5000)), UplinkReject::NotJson),
    ] {
        assert_eq!(rejected(topic, payload), reason, "{topic}");
    }
    let keys: std::collections::BTreeSet<_> = UplinkReject::ALL.iter().map(|r| r.key()).collect();
    assert_eq!(keys.len(), UplinkReject::ALL.len());
}

#[test]
fn an_object_of_any_size_gives_a_bounded_list() {
    let many: Vec<String> = (0..1000).map(|i| format!("\"k{i}\": {i}")).collect();
    let said = decode(TOPIC, uplink(&format!("{{{}}}", many.join(","))).as_bytes()).unwrap();
    assert_eq!(said.values.len(), MAX_VALUES);
    let deep = format!("{}1{}", "{\"a\":".repeat(20), "}".repeat(20));
    let said = decode(TOPIC, uplink(&deep).as_bytes()).unwrap();
    assert_eq!(said.values, []);
}

const SERIES: Series<'_> = Series {
    device: "tank-1-probe",
    device_name: "ট্যাংক ১",
    quantity: Quantity::Temperature,
    name: "তাপমাত্রা",
    state_topic: "khamar/tank-1-probe/temperature",
    availability_topic: "khamar/status",
    expire_after_s: 900,
};

#[test]
fn a_series_is_announced_and_withdrawn() {
    let said = SERIES.announce().unwrap();
    assert_eq!(
        said.topic,
        "homeassistant/sensor/tank-1-probe/temperature/config"
    );
    let config: serde_json::Value = serde_json::from_str(&said.payload).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap(), @r#"
    {
      "availability_topic": "khamar/status",
      "device": {
        "identifiers": [
          "khamar_tank-1-probe"
        ],
        "name": "ট্যাংক ১"
      },
      "device_class": "temperature",
      "expire_after": 900,
      "name": "তাপমাত্রা",
      "origin": {
        "name": "Khamar"
      },
      "state_class": "measurement",
      "state_topic": "khamar/tank-1-probe/temperature",
      "unique_id": "khamar_tank-1-probe_temperature",
      "unit_of_measurement": "°C",
      "value_template": "{{ value_json.value }}"
    }
    "#);
    let gone = SERIES.withdraw().unwrap();
    assert_eq!((gone.topic, gone.payload.as_str()), (said.topic, ""));
}

#[test]
fn every_quantity_can_be_announced() {
    for quantity in Quantity::ALL {
        let said = Series {
            quantity: *quantity,
            ..SERIES
        }
        .announce()
        .unwrap();
        assert!(said.topic.is_ascii());
        let config: serde_json::Value = serde_json::from_str(&said.payload).unwrap();
        let total = config["state_class"] == "total_increasing";
        assert_eq!(total, quantity.is_counter());
    }
}

#[test]
fn ids_and_topics_are_ascii() {
    for device in ["", "ট্যাংক", "a/b", "a b", "a+"] {
        let series = Series { device, ..SERIES };
        assert_eq!(series.announce(), Err(DiscoveryError::Id), "{device}");
        assert_eq!(series.withdraw(), Err(DiscoveryError::Id));
    }
    let series = Series {
        state_topic: "khamar/#",
        ..SERIES
    };
    assert_eq!(series.announce(), Err(DiscoveryError::Topic));
}

proptest! {
    #[test]
    fn any_payload_is_read_or_rejected(payload in any::<Vec<u8>>(), object in "[\\[\\]{}:,\"a0-9. e-]{0,60}") {
        let _ = decode(TOPIC, &payload);
        let _ = decode(TOPIC, uplink(&object).as_bytes());
    }
}
