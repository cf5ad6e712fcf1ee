//! A node against an edge of a few lines: whatever was in its flash arrives exactly once, after any mix of misfortunes.

use std::collections::{BTreeMap, BTreeSet};

use firmware_protocol::{
    AckWindow, Arrival, Command, Config, ConfigWriter, DeviceId, Direction, FrameWriter, Header,
    Key, MAX_FRAME, Measure, Record, Replay, ReplayWindow, ResetReason, Sequence, Setting,
    TimeAnswer, What, kind, open,
};
use proptest::prelude::*;
use virtual_farm::{
    node::{Node, Profile, Wish},
    rng::Rng,
};

const DEVICE: DeviceId = DeviceId(*b"node-001");

fn key() -> Key {
    Key::new([0x42; 32])
}

fn node(rng: Rng) -> Node {
    let profile = Profile {
        device: DEVICE,
        key: key(),
        firmware: "1.0.0".to_owned(),
        hardware: "virtual-node".to_owned(),
    };
    Node::new(profile, 40, rng)
}

/// What the edge has on disk.
#[derive(Clone, Default)]
struct Disk {
    replay: ReplayWindow,
    batches: AckWindow,
    stored: BTreeMap<i64, u32>,
    lost: u32,
}

/// The edge's side of the protocol, with a disk that it writes to before it answers.
#[derive(Default)]
struct Edge {
    disk: Disk,
    sent: u64,
}

impl Edge {
    /// Takes a frame; the answer, if there is one. With `crash` it forgets what was not on disk yet.
    fn take(&mut self, mut frame: Vec<u8>, unix_ms: u64, crash: Crash) -> Option<Vec<u8>> {
        let opened = open(&mut frame, &key()).expect("the node seals with its key");
        let mut disk = self.disk.clone();
        let replay = disk.replay.take(&opened.header);
        if replay == Replay::OldBoot {
            return None;
        }
        let mut asked = None;
        for record in opened.records() {
            match record.expect("the node writes whole records") {
                Record::Held(held) => disk.lost += disk.batches.held(&held),
                Record::Readings(readings) => {
                    let batch = readings.batch;
                    if disk.batches.take(batch.queue, batch.number) == Arrival::New {
                        for reading in readings.iter() {
                            if let What::Measured(Measure::Pulses, value) = reading.what {
                                *disk.stored.entry(value).or_default() += 1;
                            }
                        }
                    }
                }
                Record::TimeRequest(request) => asked = Some(request.ticks),
                _ => {}
            }
        }
        if crash == Crash::BeforeCommit {
            return None;
        }
        self.disk = disk;
        if crash == Crash::AfterCommit {
            return None;
        }
        let time = asked.map(|ticks| {
            Record::TimeAnswer(TimeAnswer {
                ticks,
                unix_ms,
                clock: firmware_protocol::ClockQuality::Synced,
            })
        });
        let ack = Record::Ack(self.disk.batches.ack());
        Some(self.say(&opened.header, [Some(ack), time].into_iter().flatten()))
    }

    fn say<'a>(&mut self, to: &Header, records: impl Iterator<Item = Record<'a>>) -> Vec<u8> {
        self.sent += 1;
        let mut sequence = Sequence::resume(Direction::Down, DEVICE, to.boot, self.sent);
        let mut buffer = [0; MAX_FRAME];
        let mut frame = FrameWriter::new(&mut buffer, &mut sequence).expect("an empty frame fits");
        for record in records {
            frame.add(&record).expect("an answer fits");
        }
        frame.seal(&key()).to_vec()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Crash {
    No,
    BeforeCommit,
    AfterCommit,
}

/// A node, an edge, and a line between them that loses, repeats and delays.
struct Story {
    rng: Rng,
    node: Node,
    edge: Edge,
    now_ms: u64,
    started_ms: u64,
    drift_ppm: i64,
    under_way: Vec<Vec<u8>>,
    measured: i64,
    sure: BTreeSet<i64>,
    unsure: BTreeSet<i64>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::keyed(seed, &[1]);
        Self {
            node: node(Rng::keyed(seed, &[2])),
            edge: Edge::default(),
            now_ms: 0,
            started_ms: 0,
            drift_ppm: rng.whole(-200, 200),
            under_way: Vec::new(),
            measured: 0,
            sure: BTreeSet::new(),
            unsure: BTreeSet::new(),
            rng,
        }
    }

    /// What the node's own clock shows.
    fn ticks(&self) -> u64 {
        let since = self.now_ms - self.started_ms;
        since.saturating_add_signed(since as i64 * self.drift_ppm / 1_000_000)
    }

    fn restart(&mut self, reset: ResetReason) {
        self.node.reset();
        if self.rng.chance(0.3) {
            self.node.flash.fail_after(self.rng.whole(0, 40) as u64);
        }
        self.started_ms = self.now_ms;
        // A supply that fails while it starts: once more, with power.
        if self.node.start(reset).is_err() {
            self.node.reset();
            self.node
                .start(ResetReason::BrownOut)
                .expect("the boot number is still there");
        }
    }

    fn measure(&mut self) {
        self.measured += 1;
        match self
            .node
            .measure(self.ticks(), &[(0, Measure::Pulses, self.measured)])
        {
            Ok(_) => self.sure.insert(self.measured),
            Err(_) => self.unsure.insert(self.measured),
        };
    }

    fn exchange(&mut self, trouble: f64) {
        if let Some(frame) = self.node.send(self.ticks()) {
            let copies = if self.rng.chance(trouble) {
                self.rng.whole(0, 2)
            } else {
                1
            };
            for _ in 0..copies {
                self.under_way.push(frame.clone());
            }
        }
        if self.rng.chance(trouble) {
            self.rng.shuffle(&mut self.under_way);
            return;
        }
        for frame in std::mem::take(&mut self.under_way) {
            let crash = match self.rng.unit() / trouble.max(f64::EPSILON) {
                0.0..0.3 => Crash::BeforeCommit,
                0.3..0.6 => Crash::AfterCommit,
                _ => Crash::No,
            };
            let answer = self
                .edge
                .take(frame, 1_800_000_000_000 + self.now_ms, crash);
            self.now_ms += self.rng.whole(10, 900) as u64;
            if let Some(answer) = answer.filter(|_| !self.rng.chance(trouble)) {
                let heard = self.node.hear(self.ticks(), answer);
                if heard.is_err() {
                    self.restart(ResetReason::BrownOut);
                }
            }
        }
    }

    fn step(&mut self, trouble: f64) {
        self.now_ms += self.rng.whole(100, 60_000) as u64;
        if self.rng.chance(trouble / 4.0) {
            self.node.flash.fail_after(self.rng.whole(0, 2_000) as u64);
        }
        if self.rng.chance(trouble / 4.0) {
            self.restart(ResetReason::Watchdog);
        }
        if self.rng.chance(0.7) {
            self.measure();
        }
        if self.unsure.last() == Some(&self.measured) {
            self.restart(ResetReason::BrownOut);
        }
        self.exchange(trouble);
    }

    fn tell(mut self, steps: usize, trouble: f64) -> Self {
        self.restart(ResetReason::PowerOn);
        for _ in 0..steps {
            self.step(trouble);
        }
        self.restart(ResetReason::PowerOn);
        self.node.flash.power_up();
        for _ in 0..2_000 {
            self.now_ms += 1_000;
            self.exchange(0.0);
            if self.node.waiting().0 == 0 {
                break;
            }
        }
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_in_flash_arrives_exactly_once(seed: u64, steps in 1..400usize, trouble in 0.0..0.7) {
        let story = Story::new(seed).tell(steps, trouble);
        prop_assert_eq!(story.node.waiting(), (0, 0), "all is told, nothing was dropped");
        let stored = &story.edge.disk.stored;
        prop_assert!(stored.values().all(|&times| times == 1), "once: {:?}", stored);
        let arrived: BTreeSet<i64> = stored.keys().copied().collect();
        let lost: Vec<_> = story.sure.difference(&arrived).collect();
        prop_assert!(lost.is_empty(), "lost: {:?}", lost);
        let invented: Vec<_> = arrived
            .iter()
            .filter(|n| !story.sure.contains(n) && !story.unsure.contains(n))
            .collect();
        prop_assert!(invented.is_empty(), "invented: {:?}", invented);
        prop_assert_eq!(story.edge.disk.lost, 0);
    }
}

#[test]
fn a_command_is_done_once_and_its_result_told_each_time() {
    let mut node = node(Rng::stream(1, "node"));
    node.start(ResetReason::PowerOn).unwrap();
    let mut edge = Edge::default();
    let hello = node.send(0).expect("it greets");
    let header = Header::read(&hello).unwrap();
    let blink = Command {
        id: 3,
        action: firmware_protocol::Action::Identify,
        channel: 0,
        value: 5,
    };
    for _ in 0..2 {
        let told = edge.say(&header, [Record::Command(blink)].into_iter());
        node.hear(10, told).unwrap();
    }
    assert_eq!(node.wishes(), [Wish::Blink(5)]);
    let mut answer = node.send(1_000_000).expect("it tells the result");
    let opened = open(&mut answer, &key()).unwrap();
    let results = opened
        .records()
        .flatten()
        .filter(|r| matches!(r, Record::CommandResult(r) if r.id == 3));
    assert_eq!(results.count(), 1);
}

#[test]
fn a_configuration_outlives_a_reset() {
    let mut node = node(Rng::stream(1, "node"));
    node.start(ResetReason::PowerOn).unwrap();
    assert_eq!(node.setting(Setting::SampleEveryS), 300);
    let mut edge = Edge::default();
    let header = Header::read(&node.send(0).expect("it greets")).unwrap();
    let mut buffer = [0; 64];
    let mut writer = ConfigWriter::new(&mut buffer, 4).unwrap();
    writer.add(Setting::SampleEveryS, 30).unwrap();
    let Ok(Record::Config(config)) = Record::read(kind::CONFIG, writer.finish()) else {
        panic!("a configuration is read as one");
    };
    let config: Config<'_> = config;
    let told = edge.say(&header, [Record::Config(config)].into_iter());
    node.hear(10, told).unwrap();
    node.reset();
    node.start(ResetReason::BrownOut).unwrap();
    assert_eq!(node.setting(Setting::SampleEveryS), 30);
}

#[test]
fn a_forged_or_replayed_frame_is_counted_and_changes_nothing() {
    let mut node = node(Rng::stream(1, "node"));
    node.start(ResetReason::PowerOn).unwrap();
    node.measure(5, &[(0, Measure::Pulses, 1)]).unwrap();
    let sent = node.send(10).expect("it sends");
    let mut edge = Edge::default();
    let mut forged = edge.take(sent.clone(), 1, Crash::No).expect("an answer");
    *forged.last_mut().unwrap() ^= 1;
    node.hear(20, forged).unwrap();
    node.hear(20, sent).unwrap();
    assert_eq!(
        node.waiting().0,
        1,
        "not acknowledged by what is not from the farm"
    );
}
