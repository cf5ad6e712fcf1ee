//! Inputs of a node that are devices of their own: each reading of a frame is that of the device at its input.

use farm::{
    Actor,
    alerts::AlertKind,
    devices::{self, DeviceForm, Enabled},
    text::{Name, Slug},
};
use farm_model::{DeviceId, DeviceKind, Link, PlaceId, PlaceKind, Quantity, place::PlaceDetails};
use firmware_protocol::{Measure, Reading};

use crate::{
    node::{Node, UP},
    rig::Rig,
};

fn form(slug: &str, kind: DeviceKind, channel: u8, place: PlaceId) -> DeviceForm {
    DeviceForm {
        slug: Slug::new(slug).unwrap(),
        name: Name::new(slug).unwrap(),
        kind,
        link: Link::Input {
            node: "barn-node".to_owned(),
            channel,
        },
        place: Some(place),
        expect_every_s: Some(300),
    }
}

async fn add(rig: &Rig, form: DeviceForm) -> DeviceId {
    let added = rig
        .farm
        .write(Actor::System, move |tx| devices::add(tx, &form));
    added.await.unwrap()
}

/// The battery on input 0, a probe on 1, a meter's pulses on 2, in one batch.
fn all_inputs(node: &mut Node, milli_celsius: i64) {
    node.flash.clear();
    node.batch(&[
        Reading::good(0, 0, Measure::BatteryMillivolt, 3_700),
        Reading::good(0, 1, Measure::TemperatureMilliCelsius, milli_celsius),
        Reading::good(0, 2, Measure::Pulses, 41),
    ]);
}

fn newest(rig: &Rig, device: DeviceId) -> Vec<(Quantity, Option<i64>, Option<PlaceId>)> {
    let values = rig.farm.live().values();
    let own = values.into_iter().filter(|v| v.device == device);
    own.map(|v| (v.quantity, v.value.map(|m| m.0), v.place))
        .collect()
}

#[tokio::test]
async fn each_input_of_a_node_is_a_device_in_its_own_place() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    let tank = rig
        .place(PlaceKind::Tank, "1", PlaceDetails::default())
        .await;
    let pump = rig
        .place(PlaceKind::Room, "pump", PlaceDetails::default())
        .await;
    let probe = add(
        &rig,
        form("tank-1-probe", DeviceKind::TemperatureProbe, 1, tank),
    )
    .await;
    let meter = add(&rig, form("water-meter", DeviceKind::Sensor, 2, pump)).await;

    all_inputs(&mut node, 4_100);
    let frame = node.frame();
    assert_eq!(rig.publish(UP, frame.clone()).await.stored, 3);
    assert_eq!(node.answer(&mut rig).await.ack.unwrap().through, 1);
    assert_eq!(
        newest(&rig, probe),
        [(Quantity::Temperature, Some(4_100), Some(tank))]
    );
    assert_eq!(
        newest(&rig, meter),
        [(Quantity::Pulses, Some(41_000), Some(pump))]
    );
    let own = newest(&rig, node.device);
    assert_eq!(own.len(), 1, "the battery is the node's own: {own:?}");
    assert_eq!(rig.publish(UP, frame).await.stored, 0, "known again");

    // Another short name for the node: its inputs follow.
    let moved = node.device;
    let rename = rig.farm.write(Actor::System, move |tx| {
        let device = devices::get(tx.conn(), moved)?.unwrap();
        let form = DeviceForm {
            slug: Slug::new("north-node").unwrap(),
            name: Name::new("North").unwrap(),
            kind: device.kind,
            link: device.link,
            place: device.place,
            expect_every_s: None,
        };
        devices::edit(tx, moved, &form)
    });
    rename.await.unwrap();
    // Switched off, the meter's input is passed over, and the batch is acknowledged all the same.
    let off = rig.farm.write(Actor::System, move |tx| {
        devices::set_enabled(tx, meter, Enabled::No)
    });
    off.await.unwrap();
    all_inputs(&mut node, 4_300);
    assert_eq!(rig.publish(UP, node.frame()).await.stored, 2);
    assert_eq!(newest(&rig, probe)[0].1, Some(4_300));
}

#[tokio::test]
async fn a_probe_on_a_node_s_input_is_silent_by_itself() {
    let rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    let tank = rig
        .place(PlaceKind::Tank, "1", PlaceDetails::default())
        .await;
    add(
        &rig,
        form("tank-1-probe", DeviceKind::TemperatureProbe, 1, tank),
    )
    .await;
    for round in 0..12 {
        node.ticks = (round + 1) * 300_000;
        all_inputs(&mut node, 4_100);
        rig.publish(UP, node.frame()).await;
        assert!(rig.look().await.is_empty());
        rig.clock.pass(300);
    }
    for round in 12..17 {
        node.ticks = (round + 1) * 300_000;
        node.flash.clear();
        node.batch(&[Reading::good(0, 0, Measure::BatteryMillivolt, 3_700)]);
        rig.publish(UP, node.frame()).await;
        rig.clock.pass(300);
    }
    assert_eq!(rig.look().await, [AlertKind::Silent], "the probe alone");
}
