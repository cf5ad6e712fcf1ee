//! Frames of nodes through the whole pipeline: stored once, answered each time, refused by name.

use edge_acquire::{Inbound, NodeFrame};
use edge_node::{
    ingest::{Errand, Told, read_publish},
    post::Route,
};
use farm::{
    Actor,
    devices::{self, Enabled},
};
use farm_model::{
    Body, Clock as _, ClockQuality, DeviceId, DeviceKind, Milli, Observation, Quantity,
};
use firmware_protocol::{
    Ack, Direction, Hello, Measure, Reading, Record, ResetReason, Sequence, Tag, TimeRequest, kind,
};

use crate::node::{Node, UP, ending};
use crate::rig::{NOW, Rig, until, within};

const STORED: &str = "SELECT count(*) FROM reading_log";
const REFUSED: &str = "SELECT count(*) FROM quarantine";

async fn reasons(rig: &Rig) -> Vec<(String, usize)> {
    let rows = rig
        .farm
        .read(|conn| farm::readings::quarantined(conn, None, 20));
    let mut rows: Vec<_> = rows
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.reason, row.raw.len()))
        .collect();
    rows.reverse();
    rows
}

#[tokio::test]
async fn a_batch_is_stored_once_however_often_it_is_sent() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    node.measure(4_100);
    node.measure(4_200);
    let first = node.frame();
    for (frame, stored) in [
        (first.clone(), 2),
        (first.clone(), 0),
        (node.frame(), 0),
        (first, 0),
    ] {
        assert_eq!(rig.publish(UP, frame).await.stored, stored);
        let ack = node.answer(&mut rig).await.ack.unwrap();
        assert_eq!(
            ack,
            Ack {
                queue: 1,
                through: 2,
                also: 0
            }
        );
    }
    node.flash.clear();
    node.measure(4_300);
    assert_eq!(rig.publish(UP, node.frame()).await.stored, 1);
    assert_eq!(rig.count(STORED).await, 3);
    assert_eq!(rig.count(REFUSED).await, 0);
}

#[tokio::test]
async fn an_edge_that_is_killed_knows_what_it_has() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    let mut highest = 0;
    for round in 1..=5 {
        node.measure(4_000 + round);
        node.measure(5_000 + round);
        let frame = node.frame();
        rig.publish(UP, frame.clone()).await;
        // The answer is lost; the edge dies, and the node sends the same bytes, then all of it in a new frame.
        rig = rig.killed().await;
        let again = rig.publish(UP, frame).await;
        assert_eq!(again.stored, 0, "round {round}");
        let seq = node.answer(&mut rig).await.seq;
        assert!(seq > highest, "a number is used twice: {seq}");
        highest = seq;
        rig.publish(UP, node.frame()).await;
        let ack = node.answer(&mut rig).await.ack.unwrap();
        node.flash
            .retain(|(number, _)| !ack.covers(node.queue, *number));
        assert!(node.flash.is_empty());
    }
    assert_eq!(rig.count(STORED).await, 10);
    assert_eq!(rig.count(REFUSED).await, 0);
}

#[tokio::test]
async fn a_batch_outlives_resets_of_its_node() {
    let rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    node.ticks = 60_000;
    node.measure(4_100);
    rig.publish(UP, node.frame()).await;
    rig.clock.pass(600);
    node.ticks = 660_000;
    let unheard = node.measure(4_200);
    // A brown-out; five minutes later it is up again.
    rig.clock.pass(300);
    node.start(2);
    node.ticks = 10_000;
    node.measure(4_300);
    assert_eq!(rig.publish(UP, node.frame()).await.stored, 2);
    assert_eq!(unheard, 2);
    let at = "SELECT (max(at) - min(at)) / 1000 FROM reading_log";
    assert_eq!(rig.count(at).await, 900);
    let between = "SELECT (at - 1795140000000) / 1000 FROM reading_log WHERE value = 4200";
    assert_eq!(
        rig.count(between).await,
        600,
        "placed by what was heard in its boot"
    );
    // The boot before is over, whatever it still says.
    let mut late = Node {
        sequence: Sequence::resume(Direction::Up, ending(node.device), 1, 500),
        ..node
    };
    let report = rig.publish(UP, late.frame()).await;
    assert_eq!(report.stored, 0);
    let reasons = reasons(&rig).await;
    assert_eq!(reasons[0].0, "frame_old_boot");
}

#[tokio::test]
async fn frames_of_a_serial_port_are_answered_there() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    node.measure(4_100);
    node.measure(4_200);
    for _ in 0..2 {
        let frame = NodeFrame {
            port: "/dev/ttyUSB3".to_owned(),
            bytes: node.frame(),
            received: rig.farm.clock().now(),
        };
        let inbound = Inbound {
            frames: vec![frame],
            ..Inbound::default()
        };
        rig.drivers.send(inbound).await.unwrap();
        let letter = within(rig.letters.recv()).await.unwrap();
        assert_eq!(*letter.route(), Route::Port("/dev/ttyUSB3".to_owned()));
        assert_eq!(rig.count(STORED).await, 2);
    }
}

#[tokio::test]
async fn an_overheard_frame_that_comes_again_takes_nothing_elsewhere() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    node.measure(4_100);
    let frame = node.frame();
    rig.publish(UP, frame.clone()).await;
    node.answer(&mut rig).await;
    let elsewhere = "khamar/node/eavesdropper/up";
    rig.publish(elsewhere, frame).await;
    let answer = within(rig.letters.recv()).await.unwrap();
    assert_eq!(answer.route().name(), elsewhere);

    let errand = Errand {
        device: node.device,
        records: vec![(kind::CONFIG, vec![0])],
    };
    let told = rig.intake.submit(vec![Told::Errand(errand)]);
    within(told).await.unwrap();
    let letter = within(rig.letters.recv()).await.unwrap();
    assert_eq!(letter.route().name(), UP);
}

#[tokio::test]
async fn a_node_whose_device_is_switched_off_keeps_its_batches_until_it_is_on() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    node.measure(4_100);
    switch(&rig, node.device, Enabled::No).await;
    assert_eq!(rig.publish(UP, node.frame()).await.stored, 0);
    assert_eq!(reasons(&rig).await[0].0, "frame_switched_off");
    assert!(rig.letters.try_recv().is_err(), "nothing is acknowledged");
    switch(&rig, node.device, Enabled::Yes).await;
    assert_eq!(rig.publish(UP, node.frame()).await.stored, 1);
    assert!(node.answer(&mut rig).await.ack.is_some());
}

async fn switch(rig: &Rig, device: DeviceId, enabled: Enabled) {
    let switched = rig.farm.write(Actor::System, move |tx| {
        devices::set_enabled(tx, device, enabled)
    });
    switched.await.unwrap();
}

#[tokio::test]
async fn what_is_no_frame_of_a_known_node_is_set_aside_whole() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    node.measure(4_100);
    let good = node.frame();
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    let mut stranger = good.clone();
    stranger[5] ^= 1;
    let mut newer = good.clone();
    newer[0] = 0x20;
    let mut down = good.clone();
    down[1] = 1;
    let mut old_key = node.frame();
    node.get_key(&rig).await;
    let all = [
        changed,
        stranger,
        newer,
        down,
        good[..9].to_vec(),
        old_key.split_off(0),
    ];
    for frame in &all {
        assert_eq!(rig.publish(UP, frame).await.stored, 0);
    }
    let expected = [
        "frame_not_authentic",
        "frame_no_key",
        "frame_version",
        "frame_not_up",
        "frame_malformed",
        "frame_not_authentic",
    ];
    let expected: Vec<_> = expected
        .iter()
        .zip(&all)
        .map(|(reason, frame)| ((*reason).to_owned(), frame.len()))
        .collect();
    assert_eq!(reasons(&rig).await, expected);
    assert!(rig.letters.try_recv().is_err(), "none of them is answered");
    assert_eq!(rig.count(STORED).await, 0);
}

#[tokio::test]
async fn another_key_is_another_life() {
    let rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    node.start(9);
    node.measure(4_100);
    rig.publish(UP, node.frame()).await;
    node.get_key(&rig).await;
    // Its flash was lost: boots and numbers begin at 1.
    node.flash.clear();
    (node.next, node.queue) = (1, 1);
    node.start(1);
    node.measure(4_200);
    assert_eq!(rig.publish(UP, node.frame()).await.stored, 1);
    assert_eq!(rig.count(STORED).await, 2);
}

#[tokio::test]
async fn the_time_is_told_and_a_greeting_is_kept() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    let hello = Hello {
        ticks: 1_000,
        reset: ResetReason::BrownOut,
        firmware: "1.3.2",
        hardware: "esp32c3-probe-r2",
        heard: 1 << 40,
        refused: 0,
        config: 0,
        battery_mv: 3_700,
        room: 100,
    };
    let greeting = node.frame_of(&[
        Record::Hello(hello),
        Record::TimeRequest(TimeRequest { ticks: 1_000 }),
    ]);
    rig.publish(UP, greeting).await;
    let answer = node.answer(&mut rig).await;
    assert_eq!(answer.seq, (1 << 40) + 1, "above what the node has heard");
    let time = answer.time.unwrap();
    assert_eq!((time.ticks, time.unix_ms), (1_000, NOW.0 as u64));
    assert_eq!(time.clock.code(), ClockQuality::Synced as u8);
    let known = rig.farm.read(farm::nodes::list).await.unwrap();
    let greeting = known[0].greeting.as_ref().unwrap();
    assert_eq!((greeting.firmware.as_str(), greeting.reset), ("1.3.2", 2));
    node.measure(4_000);
    rig.publish(UP, node.frame()).await;
    let known = rig.farm.read(farm::nodes::list).await.unwrap();
    assert!(known[0].greeting.is_some(), "the newest greeting stays");
    assert_eq!(known[0].waiting, 1);
}

#[tokio::test]
async fn what_a_newer_node_says_beside_is_kept_as_evidence() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    node.batch(&[
        Reading::good(0, 0, Measure::Other(57), 5),
        Reading::good(0, 0, Measure::TemperatureMilliCelsius, 4_000),
        Reading::tag(0, 0, Tag::Em4100(1 << 40)),
    ]);
    let (_, batch) = node.flash[0].clone();
    let unknown = Record::Unknown {
        kind: 40,
        contents: b"unheard of",
    };
    let wrong_way = Record::Ack(Ack {
        queue: 1,
        through: 1,
        also: 0,
    });
    let malformed = Record::Unknown {
        kind: kind::HELLO,
        contents: &[0xff],
    };
    let batch = Record::read(kind::READINGS, &batch).unwrap();
    let frame = node.frame_of(&[unknown, wrong_way, malformed, batch]);
    assert_eq!(rig.publish(UP, frame).await.stored, 1);
    assert_eq!(node.answer(&mut rig).await.ack.unwrap().through, 1);
    let mut reasons: Vec<_> = reasons(&rig)
        .await
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    reasons.sort();
    let expected = [
        "frame_bad_tag",
        "frame_malformed_record",
        "frame_unknown_reading",
        "frame_unknown_record",
        "frame_wrong_way",
    ];
    assert_eq!(reasons, expected);
}

#[tokio::test]
async fn a_node_at_a_stall_milks_a_cow() {
    let rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::MilkMeter).await;
    rig.cow("17", "050000000000017").await;
    let mut rig = rig.killed().await;
    let tag = Tag::Iso {
        country: 50,
        national: 17,
    };
    let steps = [
        (0, 0, 1_000_000),
        (5, 2_000, 1_000_200),
        (20, 3_000, 1_001_200),
        (20, 3_000, 1_002_200),
        (25, 3_600, 1_006_000),
        (25, 2_000, 1_009_000),
        (20, 0, 1_009_000),
        (25, 0, 1_009_000),
    ];
    for (step, (seconds, flow, total)) in steps.into_iter().enumerate() {
        rig.clock.pass(seconds);
        node.ticks += seconds as u64 * 1_000;
        let mut readings = vec![
            Reading::good(0, 0, Measure::FlowMillilitrePerMinute, flow),
            Reading::good(0, 0, Measure::TotalMillilitre, total),
        ];
        if step < 3 {
            readings.insert(0, Reading::tag(0, 0, tag));
        }
        node.batch(&readings);
        // Each second answer is lost, so that batches come again while the milk flows.
        rig.publish(UP, node.frame()).await;
        let ack = node.answer(&mut rig).await.ack.unwrap();
        if step % 2 == 1 {
            node.flash
                .retain(|(number, _)| !ack.covers(node.queue, *number));
        }
    }
    let visits = rig
        .count("SELECT count(*) FROM visit WHERE animal IS NOT NULL")
        .await;
    let yield_ml = rig.count("SELECT sum(yield_ml) FROM visit").await;
    assert_eq!((visits, yield_ml), (1, 9_000));
}

#[tokio::test]
async fn while_the_disk_is_full_no_node_is_told_that_it_may_forget() {
    let mut rig = Rig::start();
    let mut node = Node::add(&rig, DeviceKind::Sensor).await;
    rig.limit(Some(0)).await;
    node.measure(4_000);
    let mut told: Vec<_> = read_publish(UP, &node.frame(), rig.farm.clock().now())
        .into_iter()
        .collect();
    // What does not fit the pages that the file has.
    told.extend((0..4_000).map(|_| {
        let observation = rig.observation(
            node.device,
            Body::measured(Quantity::Temperature, Milli(4_000)),
        );
        Told::Observed(Observation {
            raw: vec![7; 64],
            ..observation
        })
    }));
    let stored = rig.intake.submit(told);
    let before = rig.farm.commits();
    until(|| rig.farm.commits() >= before + 3).await;
    assert!(
        rig.letters.try_recv().is_err(),
        "nothing leaves before the commit"
    );
    rig.limit(None).await;
    assert_eq!(within(stored).await.unwrap().stored, 4_001);
    assert_eq!(node.answer(&mut rig).await.ack.unwrap().through, 1);
}
