//! Readings of nodes: every measure of the wire ends in a quantity of the farm, in its unit.

use edge_decode::node::{NodeReject, body};
use farm_model::{Body, Flaw, Milli, Quality, Quantity};
use firmware_protocol::{self as wire, Measure, Reading, State, What};

fn reading(what: What<'_>) -> Reading<'_> {
    Reading {
        after_ms: 0,
        channel: 0,
        state: State::GOOD,
        what,
    }
}

#[test]
fn every_measure_is_a_quantity_and_every_quantity_can_be_measured() {
    let of = |measure: &Measure| match body(&reading(What::Measured(*measure, 1))) {
        Ok(Body::Measured { quantity, .. }) => quantity,
        other => panic!("{measure:?}: {other:?}"),
    };
    let measured: Vec<_> = Measure::ALL.iter().map(of).collect();
    // The index of heat is computed of two others.
    let told = Quantity::ALL.iter().filter(|q| **q != Quantity::Thi);
    assert_eq!(measured, told.copied().collect::<Vec<_>>());
}

#[test]
fn units_are_those_of_the_farm() {
    let cases = [
        (Measure::TemperatureMilliCelsius, 4_125, "4.125 °C"),
        (Measure::DistanceMillimetre, 812, "812 mm"),
        (Measure::FlowMillilitrePerMinute, 3_400, "3.4 L/min"),
        (Measure::TotalMillilitre, 12_345, "12.345 L"),
        (Measure::ConductivityMicrosiemensPerCm, 5_200, "5.2 mS/cm"),
        (Measure::PressurePascal, 1_500, "1.5 kPa"),
        (Measure::GasFlowLitrePerHour, 750, "0.75 m³/h"),
        (Measure::Steps, 210, "210 "),
        (Measure::RuminationMinute, 9, "9 min"),
        (Measure::BatteryMillivolt, 3_700, "3.7 V"),
        (Measure::WeightGram, 450_000, "450 kg"),
        (Measure::SignalDbm, -97, "-97 dBm"),
        (Measure::EnergyWattHour, 1_200, "1.2 kWh"),
        (Measure::Pulses, 77, "77 "),
    ];
    for (measure, value, text) in cases {
        let Ok(Body::Measured {
            quantity,
            value: Some(value),
            quality: Quality::Good,
            flaw: None,
        }) = body(&reading(What::Measured(measure, value)))
        else {
            panic!("{measure:?} is no good value");
        };
        assert_eq!(format!("{value} {}", quantity.unit()), text);
    }
}

#[test]
fn flaws_are_kept_and_what_physics_forbids_is_flagged() {
    let temperature = What::Measured(Measure::TemperatureMilliCelsius, 85_000);
    let mut flawed = reading(temperature);
    flawed.state = State {
        quality: wire::Quality::Bad,
        flaw: wire::Flaw::PowerOnReset,
    };
    assert_eq!(
        body(&flawed),
        Ok(Body::bad(
            Quantity::Temperature,
            Milli(85_000),
            Flaw::PowerOnReset
        ))
    );
    let missing = Reading::missing(0, 0, Measure::LevelMilliPercent, wire::Flaw::Timeout);
    assert_eq!(
        body(&missing),
        Ok(Body::missing(Quantity::Level, Flaw::Timeout))
    );
    let hot = reading(What::Measured(Measure::TemperatureMilliCelsius, i64::MAX));
    assert_eq!(
        body(&hot),
        Ok(Body::bad(
            Quantity::Temperature,
            Milli(i64::MAX),
            Flaw::OutOfPhysics
        ))
    );
}

#[test]
fn tags_are_tags_or_refused() {
    let good = [
        (
            wire::Tag::Iso {
                country: 50,
                national: 123_456_789_012,
            },
            "050123456789012",
        ),
        (wire::Tag::Epc(&[0xe2, 0, 0x47, 1]), "epc:E2004701"),
        (wire::Tag::Em4100(77), "em:77"),
    ];
    for (tag, text) in good {
        let tag_text = match body(&reading(What::Tag(tag))) {
            Ok(Body::Identified { tag }) => tag.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(tag_text, text);
    }
    for tag in [
        wire::Tag::Iso {
            country: 1_000,
            national: 1,
        },
        wire::Tag::Iso {
            country: 50,
            national: 1 << 38,
        },
        wire::Tag::Epc(&[1]),
        wire::Tag::Em4100(1 << 40),
    ] {
        assert_eq!(body(&reading(What::Tag(tag))), Err(NodeReject::BadTag));
    }
    let unknown = What::Unknown {
        kind: 200,
        contents: &[],
    };
    assert_eq!(body(&reading(unknown)), Err(NodeReject::UnknownReading));
    let other = What::Measured(Measure::Other(57), 1);
    assert_eq!(body(&reading(other)), Err(NodeReject::UnknownReading));
}
