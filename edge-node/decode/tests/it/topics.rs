//! The farm's MQTT topics: what is read, and what is rejected with which reason.

use edge_decode::topics::{FILTERS, MAX_PAYLOAD, Target, TopicMessage, TopicReject, decode};
use farm_model::{
    observation::{Body, Flaw},
    place::Stall,
    quantity::{Milli, Quantity},
    time::UnixMillis,
};
use proptest::prelude::*;

fn read(topic: &str, payload: &str) -> TopicMessage {
    decode(topic, payload.as_bytes()).expect("a readable message")
}

fn rejected(payload: &str) -> TopicReject {
    decode("farm/tank/t1/temp", payload.as_bytes()).expect_err("an unreadable message")
}

#[test]
fn milk_of_one_animal() {
    let message = read(
        "farm/milk/050123456789012/morning",
        r#"{"quantity": 12.4, "fat": 4.31, "snf": 8.7, "timestamp": "2026-11-20T05:30:00+06:00", "id": "m-17"}"#,
    );
    let (animal, session) = ("050123456789012".to_owned(), "morning".to_owned());
    assert_eq!(
        message.target,
        Target::Milk {
            animal: animal.clone(),
            session: session.clone()
        }
    );
    assert_eq!(
        message.body,
        Body::Milked {
            animal,
            session,
            yield_ml: 12_400,
            fat: Some(Milli(4310)),
            snf: Some(Milli(8700))
        }
    );
    assert_eq!(message.at, Some(UnixMillis(1_795_131_000_000)));
    assert_eq!(message.key.as_deref(), Some("m-17"));
}

#[test]
fn each_family_of_topics() {
    let value = r#"{"value": 27.5}"#;
    let measured = |quantity| Body::measured(quantity, Milli(27_500));
    for (topic, target, body) in [
        (
            "farm/environment/barn-a/temp",
            Target::Environment("barn-a".into()),
            measured(Quantity::Temperature),
        ),
        (
            "farm/environment/barn-a/humidity",
            Target::Environment("barn-a".into()),
            measured(Quantity::Humidity),
        ),
        (
            "farm/tank/t1/level",
            Target::Tank("t1".into()),
            measured(Quantity::Level),
        ),
        (
            "farm/tank/t1/temp",
            Target::Tank("t1".into()),
            measured(Quantity::Temperature),
        ),
        (
            "farm/tank/t1/distance",
            Target::Tank("t1".into()),
            measured(Quantity::Distance),
        ),
        (
            "farm/device/gas-1/gas_flow",
            Target::Device("gas-1".into()),
            measured(Quantity::GasFlow),
        ),
        (
            "farm/environment/গোয়াল/temp",
            Target::Environment("গোয়াল".into()),
            measured(Quantity::Temperature),
        ),
    ] {
        let message = read(topic, value);
        assert_eq!((message.target, message.body), (target, body), "{topic}");
        assert_eq!((message.at, message.key), (None, None));
    }
    let tag = read("farm/stall/3/tag", r#"{"tag": "050123456789012"}"#);
    assert_eq!(tag.target, Target::Stall(Stall(3)));
    assert_eq!(
        tag.body,
        Body::Identified {
            tag: "050123456789012".parse().unwrap()
        }
    );
}

#[test]
fn null_is_missing_and_never_zero() {
    assert_eq!(
        read("farm/tank/t1/temp", r#"{"value": null}"#).body,
        Body::missing(Quantity::Temperature, Flaw::NotANumber)
    );
    assert_eq!(rejected("{}"), TopicReject::NoValue);
    let milk = decode("farm/milk/7/am", br#"{"quantity": null}"#);
    assert_eq!(milk, Err(TopicReject::NoValue));
}

#[test]
fn what_physics_forbids_is_kept_and_flagged() {
    let body = read("farm/tank/t1/temp", r#"{"value": 300}"#).body;
    assert_eq!(
        body,
        Body::bad(Quantity::Temperature, Milli(300_000), Flaw::OutOfPhysics)
    );
    for payload in [
        r#"{"quantity": -1}"#,
        r#"{"quantity": 81}"#,
        r#"{"quantity": 5, "fat": 16}"#,
    ] {
        assert_eq!(
            decode("farm/milk/7/am", payload.as_bytes()),
            Err(TopicReject::OutOfRange)
        );
    }
}

#[test]
fn times_in_three_forms() {
    for time in [
        r#""2026-11-20T00:00:00Z""#,
        "1795132800",
        "1795132800000",
        "1795132800.0",
        r#""2026-11-20T06:00:00+06:00""#,
    ] {
        let message = read(
            "farm/tank/t1/temp",
            &format!(r#"{{"value": 4, "timestamp": {time}}}"#),
        );
        assert_eq!(message.at, Some(UnixMillis(1_795_132_800_000)), "{time}");
    }
    for time in [
        r#""yesterday""#,
        r#""2026-11-20T00:00:00""#,
        "0",
        "-5",
        "1e300",
        "true",
        r#""1795132800""#,
        "[1]",
        "99999999999999",
    ] {
        let reject = rejected(&format!(r#"{{"value": 4, "timestamp": {time}}}"#));
        assert_eq!(reject, TopicReject::BadTimestamp, "{time}");
    }
    let message = read("farm/tank/t1/temp", r#"{"value": 4, "timestamp": null}"#);
    assert_eq!(message.at, None);
}

#[test]
fn units_are_converted_or_refused() {
    let temp = |unit: &str, value: &str| {
        decode(
            "farm/tank/t1/temp",
            format!(r#"{{"value": {value}, "unit": {unit}}}"#).as_bytes(),
        )
    };
    for (unit, value) in [
        (r#""°C""#, "4.5"),
        (r#""C""#, "4.5"),
        (r#""°F""#, "40.1"),
        ("null", "4.5"),
    ] {
        assert_eq!(
            temp(unit, value).unwrap().body,
            Body::measured(Quantity::Temperature, Milli(4500))
        );
    }
    assert_eq!(temp(r#""kg""#, "4"), Err(TopicReject::BadUnit));
    assert_eq!(temp("7", "4"), Err(TopicReject::BadUnit));
    let milk = read("farm/milk/7/am", r#"{"quantity": 12400, "unit": "ml"}"#).body;
    assert!(matches!(
        milk,
        Body::Milked {
            yield_ml: 12_400,
            ..
        }
    ));
}

#[test]
fn every_fault_has_its_reason() {
    for (payload, reason) in [
        ("", TopicReject::NotJson),
        ("{", TopicReject::NotJson),
        (r#"{"value": 4} x"#, TopicReject::NotJson),
        (r#"{"value": NaN}"#, TopicReject::NotJson),
        ("4.5", TopicReject::NotAnObject),
        ("-4", TopicReject::NotAnObject),
        ("[4.5]", TopicReject::NotAnObject),
        ("null", TopicReject::NotAnObject),
        ("true", TopicReject::NotAnObject),
        (r#""4.5""#, TopicReject::NotAnObject),
        (r#"{"value": 4, "value": 5}"#, TopicReject::Duplicate),
        (r#"{"value": 4, "quantity": 4}"#, TopicReject::Duplicate),
        (r#"{"value": 1e999}"#, TopicReject::OutOfRange),
        (r#"{"value": 1e30}"#, TopicReject::OutOfRange),
        (r#"{"value": "4.5"}"#, TopicReject::NumberAsText),
        (r#"{"value": "warm"}"#, TopicReject::NotANumber),
        (r#"{"value": "NaN"}"#, TopicReject::NotANumber),
        (r#"{"value": true}"#, TopicReject::NotANumber),
        (r#"{"value": {"deep": 1}}"#, TopicReject::NotANumber),
        (r#"{"value": [4]}"#, TopicReject::NotANumber),
        (r#"{"value": 4, "id": ""}"#, TopicReject::BadId),
        (r#"{"value": 4, "id": 1.5}"#, TopicReject::BadId),
    ] {
        assert_eq!(rejected(payload), reason, "{payload}");
    }
    let long = format!(r#"{{"value": 4, "note": "{}"}}"#, "x".repeat(MAX_PAYLOAD));
    assert_eq!(rejected(&long), TopicReject::TooLong);
}

#[test]
fn unknown_keys_do_not_matter_whatever_they_hold() {
    let deep = format!("{}{}", "[".repeat(1500), "]".repeat(1500));
    let payload =
        format!(r#"{{"rssi": -70, "rssi": 1e999, "deep": {deep}, "value": 4, "id": 17}}"#);
    let message = read("farm/tank/t1/temp", &payload);
    assert_eq!(
        message.body,
        Body::measured(Quantity::Temperature, Milli(4000))
    );
    assert_eq!(message.key.as_deref(), Some("17"));
}

#[test]
fn tags_are_text() {
    let tag = |payload: &str| decode("farm/stall/3/tag", payload.as_bytes()).map(|m| m.body);
    assert_eq!(tag(r#"{"tag": 50123456789012}"#), Err(TopicReject::BadTag));
    assert_eq!(
        tag(r#"{"tag": "50123456789012"}"#),
        Err(TopicReject::BadTag)
    );
    assert_eq!(tag(r#"{"tag": null}"#), Err(TopicReject::NoValue));
    assert!(tag(r#"{"tag": "epc:30751FEB705C5904E3D50D70"}"#).is_ok());
}

#[test]
fn other_topics_are_refused() {
    let long = format!("farm/tank/{}/temp", "x".repeat(65));
    for (topic, reason) in [
        ("", TopicReject::UnknownTopic),
        ("farm/tank/t1", TopicReject::UnknownTopic),
        ("farm/tank/t1/temp/x", TopicReject::UnknownTopic),
        ("Farm/tank/t1/temp", TopicReject::UnknownTopic),
        ("farm/tank/t1/colour", TopicReject::UnknownTopic),
        ("farm/stall/3/weight", TopicReject::UnknownTopic),
        ("farm/tank//temp", TopicReject::BadName),
        ("farm/tank/+/temp", TopicReject::BadName),
        ("farm/tank/a\u{7}/temp", TopicReject::BadName),
        ("farm/stall/0/tag", TopicReject::BadName),
        ("farm/stall/+3/tag", TopicReject::BadName),
        ("farm/stall/70000/tag", TopicReject::BadName),
        (&long, TopicReject::BadName),
    ] {
        assert_eq!(decode(topic, br#"{"value": 4}"#), Err(reason), "{topic}");
    }
    assert_eq!(FILTERS.len(), 5);
}

#[test]
fn reasons_have_distinct_keys_and_texts() {
    let keys: std::collections::BTreeSet<_> = TopicReject::ALL.iter().map(|r| r.key()).collect();
    assert_eq!(keys.len(), TopicReject::ALL.len());
    insta::assert_snapshot!(TopicReject::NumberAsText, @"the number is written as text");
}

proptest! {
    #[test]
    fn anything_published_is_read_or_rejected(topic in "(farm/(milk|tank|stall|device)/[^/]{0,5}/(temp|tag|am))|.{0,20}", payload in any::<Vec<u8>>()) {
        let _ = decode(&topic, &payload);
    }

    #[test]
    fn a_value_written_is_the_value_read(milli in -40_000i64..110_000, at in 946_684_800_000i64..4_102_444_800_000, id in "[a-z0-9-]{1,64}") {
        let payload = format!(r#"{{"value": {}, "timestamp": {at}, "id": "{id}"}}"#, Milli(milli));
        let message = read("farm/tank/t1/temp", &payload);
        prop_assert_eq!(message.body, Body::measured(Quantity::Temperature, Milli(milli)));
        prop_assert_eq!(message.at, Some(UnixMillis(at)));
        prop_assert_eq!(message.key, Some(id));
    }
}
