//! The node's side of frames in tests: its flash, its counters, and what came down to it.

use farm::{Actor, credentials};
use farm_model::{DeviceId, DeviceKind, PlaceKind, place::PlaceDetails};
use firmware_protocol::{
    self as wire, Ack, Batch, Direction, FrameWriter, Held, Key, MAX_FRAME, Measure, Reading,
    ReadingsWriter, Record, Sequence, kind, open,
};

use crate::rig::{Rig, within};

/// Where its frames go up.
pub(crate) const UP: &str = "khamar/node/barn-node/up";

/// The node's side: what it has in flash, and its counters.
pub(crate) struct Node {
    pub(crate) device: DeviceId,
    pub(crate) key: Key,
    pub(crate) sequence: Sequence,
    pub(crate) boot: u32,
    pub(crate) ticks: u64,
    pub(crate) queue: u32,
    pub(crate) flash: Vec<(u32, Vec<u8>)>,
    pub(crate) next: u32,
}

impl Node {
    /// A device with a key, in its first boot.
    pub(crate) async fn add(rig: &Rig, kind: DeviceKind) -> Self {
        let place = rig
            .place(PlaceKind::Stall, "1", PlaceDetails::default())
            .await;
        let device = rig.device("barn-node", kind, place).await;
        let mut node = Self {
            device,
            key: Key::new([0; 32]),
            sequence: Sequence::start(Direction::Up, ending(device), 1),
            boot: 1,
            ticks: 0,
            queue: 1,
            flash: Vec::new(),
            next: 1,
        };
        node.get_key(rig).await;
        node
    }

    /// Is given another key.
    pub(crate) async fn get_key(&mut self, rig: &Rig) {
        let device = self.device;
        let issued = rig.farm.write(Actor::System, move |tx| {
            credentials::issue_frame_key(tx, device)
        });
        self.key = Key::new(issued.await.unwrap().0);
    }

    pub(crate) fn start(&mut self, boot: u32) {
        self.boot = boot;
        self.ticks = 0;
        self.sequence = Sequence::start(Direction::Up, ending(self.device), boot);
    }

    pub(crate) fn batch(&mut self, readings: &[Reading<'_>]) -> u32 {
        let batch = Batch {
            queue: self.queue,
            number: self.next,
            boot: self.boot,
            ticks: self.ticks,
            unix_ms: 0,
            clock: wire::ClockQuality::Unknown,
        };
        let mut buffer = [0; 500];
        let mut writer = ReadingsWriter::new(&mut buffer, &batch).unwrap();
        for reading in readings {
            writer.add(reading).unwrap();
        }
        self.flash.push((self.next, writer.finish().to_vec()));
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn measure(&mut self, milli_celsius: i64) -> u32 {
        self.batch(&[Reading::good(
            0,
            0,
            Measure::TemperatureMilliCelsius,
            milli_celsius,
        )])
    }

    /// A frame with everything in flash.
    pub(crate) fn frame(&mut self) -> Vec<u8> {
        let held = Held {
            ticks: self.ticks,
            queue: self.queue,
            oldest: self.flash.first().map_or(self.next, |(number, _)| *number),
            newest: self.next - 1,
        };
        let mut buffer = [0; MAX_FRAME];
        let mut frame = FrameWriter::new(&mut buffer, &mut self.sequence).unwrap();
        frame.add(&Record::Held(held)).unwrap();
        for (_, batch) in &self.flash {
            frame.add_stored(kind::READINGS, batch).unwrap();
        }
        frame.seal(&self.key).to_vec()
    }

    pub(crate) fn frame_of(&mut self, records: &[Record<'_>]) -> Vec<u8> {
        let mut buffer = [0; MAX_FRAME];
        let mut frame = FrameWriter::new(&mut buffer, &mut self.sequence).unwrap();
        for record in records {
            frame.add(record).unwrap();
        }
        frame.seal(&self.key).to_vec()
    }

    /// What came down for the frame that was published last.
    pub(crate) async fn answer(&self, rig: &mut Rig) -> Answer {
        let letter = within(rig.letters.recv()).await.unwrap();
        assert_eq!(letter.route().name(), UP);
        let mut bytes = letter.seal(&**rig.farm.clock()).unwrap();
        let opened = open(&mut bytes, &self.key).unwrap();
        assert_eq!(opened.header.direction, Direction::Down);
        assert_eq!(opened.header.boot, self.boot);
        let mut answer = Answer {
            seq: opened.header.seq,
            ack: None,
            time: None,
        };
        for record in opened.records() {
            match record.unwrap() {
                Record::Ack(ack) => answer.ack = Some(ack),
                Record::TimeAnswer(time) => answer.time = Some(time),
                other => panic!("nobody asked for {other:?}"),
            }
        }
        answer
    }
}

pub(crate) struct Answer {
    pub(crate) seq: u64,
    pub(crate) ack: Option<Ack>,
    pub(crate) time: Option<wire::TimeAnswer>,
}

pub(crate) fn ending(device: DeviceId) -> wire::DeviceId {
    wire::DeviceId(device.as_bytes()[8..].try_into().unwrap())
}
