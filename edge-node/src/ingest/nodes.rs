//! Frames of nodes: opened, told apart from what was seen, made observations, answered.
//!
//! Whatever way a frame came, its key says whose it is. What was seen of a node is stored in the transaction that stores
//! what its frame brought, and the answer leaves after that commit: so a batch is stored once, and acknowledged as often
//! as it is sent. Invariants: the number of a frame that goes down is on disk before the frame leaves; what was seen is
//! kept in memory only together with what is to be stored.

mod state;

use std::collections::HashMap;

use bytes::Bytes;
use edge_acquire::{NodeFrame, RejectRecord};
use edge_decode::node;
use farm::{
    Farm, StoreError,
    credentials::FrameKey,
    devices::{Enabled, Input},
    nodes::{self, KeyHolder},
};
use farm_model::{Clock, DeviceId, Observation, Stamp};
use firmware_protocol::{
    self as wire, Ack, Arrival, Direction, Header, Key, MAX_FRAME, Readings, Record, Replay,
    Sequence,
};

use self::state::NodeState;
pub(crate) use self::state::Sight;
use super::resolve::Resolved;
use crate::post::{Letter, Route};

/// A frame as it came.
#[derive(Clone, Debug)]
pub struct FrameIn {
    /// Which way it came, and the answer goes.
    pub route: Route,
    /// Its bytes.
    pub bytes: Bytes,
    /// When it was received.
    pub received: Stamp,
}

impl FrameIn {
    /// One that a serial port brought.
    pub(super) fn of_port(frame: NodeFrame) -> Self {
        Self {
            route: Route::Port(frame.port),
            bytes: frame.bytes.into(),
            received: frame.received,
        }
    }
}

/// What shall go down to a node beside answers: contents of records, as many as one frame holds.
#[derive(Clone, Debug)]
pub struct Errand {
    /// To whom.
    pub device: DeviceId,
    /// Kinds and contents.
    pub records: Vec<(u8, Vec<u8>)>,
}

/// Room for the largest record that goes down.
const RECORD: usize = 1_024;

impl Errand {
    /// One record.
    ///
    /// # Errors
    /// When it is too long for any frame.
    pub fn of(device: DeviceId, record: &Record<'_>) -> Result<Self, wire::Full> {
        Ok(Self {
            device,
            records: vec![Self::record(record)?],
        })
    }

    /// Kind and contents of a record.
    ///
    /// # Errors
    /// When it is too long for any frame.
    pub fn record(record: &Record<'_>) -> Result<(u8, Vec<u8>), wire::Full> {
        let mut contents = vec![0; RECORD];
        let length = record.contents(&mut contents)?;
        contents.truncate(length);
        Ok((record.kind(), contents))
    }
}

/// A record of a node that is not the pipeline's own business, after the commit that notes that its frame was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeSaid {
    /// Who said it.
    pub device: DeviceId,
    /// Its kind.
    pub kind: u8,
    /// Its contents.
    pub contents: Vec<u8>,
}

/// The nodes that were heard.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    /// As it will be on disk once what was sealed is written.
    known: HashMap<DeviceId, NodeState>,
    /// As it will be if what is being resolved is taken.
    pending: HashMap<DeviceId, NodeState>,
    routes: HashMap<DeviceId, Route>,
    /// Inputs that are devices of their own, as far as they were read.
    inputs: Option<Inputs>,
}

type Inputs = HashMap<(DeviceId, u8), Input>;

impl Nodes {
    /// Forgets which inputs are devices of their own: devices have changed.
    pub(super) fn forget_inputs(&mut self) {
        self.inputs = None;
    }

    /// Forgets what was begun and not taken.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
    }

    /// Takes what was begun: it goes into a batch now.
    pub(super) fn take(&mut self, into: &mut Resolved) {
        for (device, mut state) in self.pending.drain() {
            into.nodes.extend(state.sight(device));
            self.known.insert(device, state);
        }
    }

    /// What a frame brings.
    ///
    /// # Errors
    /// When the store can't be read; then nothing has changed.
    pub(super) async fn frame(
        &mut self,
        frame: FrameIn,
        farm: &Farm,
        into: &mut Resolved,
    ) -> Result<(), StoreError> {
        let holder = match holder_of(&frame, farm).await? {
            Ok(holder) => holder,
            Err(reason) => {
                into.rejects.push(refused(None, &frame, reason));
                return Ok(());
            }
        };
        let (device, key) = (holder.device, Key::new(holder.key.0));
        let mut opening = frame.bytes.to_vec();
        let answered = match wire::open(&mut opening, &key) {
            Err(_) => Err("frame_not_authentic"),
            Ok(_) if holder.enabled == Enabled::No => Err("frame_switched_off"),
            Ok(opened) => self.opened(&frame, &holder, &opened, farm, into).await?,
        };
        match answered {
            Ok(answer) => into.letters.push(Letter {
                to: frame.route,
                key,
                sequence: answer.sequence,
                ack: Some(answer.ack),
                time: answer.time,
                records: Vec::new(),
            }),
            Err(reason) => into.rejects.push(refused(Some(device), &frame, reason)),
        }
        Ok(())
    }

    /// What an opened frame brings, and what is answered to it; or why it is refused.
    async fn opened(
        &mut self,
        frame: &FrameIn,
        holder: &KeyHolder,
        opened: &wire::Opened<'_>,
        farm: &Farm,
        into: &mut Resolved,
    ) -> Result<Result<Answer, &'static str>, StoreError> {
        let device = holder.device;
        let mut state = self.state(device, &holder.key, farm).await?;
        let inputs = match &mut self.inputs {
            Some(inputs) => inputs,
            unread => unread.insert(farm.read(farm::devices::inputs).await?),
        };
        let mut visit = Visit {
            device,
            inputs,
            state: &mut state,
            frame,
            rate: farm.clock().rate(),
            into,
            time: None,
        };
        match visit.state.take(&opened.header, frame.received) {
            Replay::OldBoot => return Ok(Err("frame_old_boot")),
            // Whoever overheard it can send it again from elsewhere: nothing but this answer goes there.
            Replay::Seen => {}
            Replay::New => {
                self.routes.insert(device, frame.route.clone());
                for record in opened.records() {
                    match record {
                        Ok(record) => visit.record(&record),
                        Err(_) => visit.refuse("frame_malformed_record"),
                    }
                }
            }
        }
        let time = visit.time;
        let answer = Answer {
            sequence: state.next_down(opened.header.device),
            ack: state.acks.ack(),
            time,
        };
        self.pending.insert(device, state);
        Ok(Ok(answer))
    }

    /// What somebody wants to tell a node; nothing comes of it when the node was not heard since the appliance started.
    ///
    /// # Errors
    /// When the store can't be read; then nothing has changed.
    pub(super) async fn errand(
        &mut self,
        errand: Errand,
        farm: &Farm,
        into: &mut Resolved,
    ) -> Result<(), StoreError> {
        let Errand { device, records } = errand;
        let key = farm
            .read(move |conn| farm::credentials::frame_key(conn, device))
            .await?;
        let (Some(route), Some(key)) = (self.routes.get(&device).cloned(), key) else {
            metrics::counter!("node_errands_undelivered_total").increment(1);
            return Ok(());
        };
        let mut state = self.state(device, &key, farm).await?;
        let sequence = state.next_down(ending(device));
        into.letters.push(Letter {
            to: route,
            sequence,
            key: Key::new(key.0),
            ack: None,
            time: None,
            records,
        });
        self.pending.insert(device, state);
        Ok(())
    }

    /// What was seen of a node under this key.
    async fn state(
        &self,
        device: DeviceId,
        key: &FrameKey,
        farm: &Farm,
    ) -> Result<NodeState, StoreError> {
        let print = state::print_of(key);
        let known = self
            .pending
            .get(&device)
            .or_else(|| self.known.get(&device));
        let state = match known {
            Some(state) => Some(state.clone()),
            None => {
                let stored = farm.read(move |conn| nodes::get(conn, device)).await?;
                stored.and_then(|node| NodeState::restore(&node))
            }
        };
        // Another key is another life: boots, queues and numbers begin again.
        Ok(state
            .filter(|state| state.print == print)
            .unwrap_or_else(|| NodeState::new(print)))
    }
}

/// What is answered to a frame.
struct Answer {
    sequence: Sequence,
    ack: Ack,
    /// Ticks of the time request that it answers.
    time: Option<u64>,
}

/// Whose frame it says that it is, before its seal is tried; or why it is nobody's.
async fn holder_of(
    frame: &FrameIn,
    farm: &Farm,
) -> Result<Result<KeyHolder, &'static str>, StoreError> {
    let ending = match header_of(frame) {
        Ok(header) => header.device.0,
        Err(reason) => return Ok(Err(reason)),
    };
    let found = farm
        .read(move |conn| nodes::by_ending(conn, ending))
        .await?;
    Ok(found.ok_or("frame_no_key"))
}

/// One frame of one node.
struct Visit<'a> {
    device: DeviceId,
    inputs: &'a Inputs,
    state: &'a mut NodeState,
    frame: &'a FrameIn,
    rate: f64,
    into: &'a mut Resolved,
    /// Ticks of a time request.
    time: Option<u64>,
}

impl Visit<'_> {
    fn record(&mut self, record: &Record<'_>) {
        match record {
            Record::Held(held) => {
                self.state.held(held, self.frame.received);
                // Whoever has something to tell it knows by this that it is awake.
                self.say(record);
            }
            Record::Readings(readings) => self.readings(readings),
            Record::TimeRequest(request) => {
                self.state.ticks(request.ticks, self.frame.received);
                self.time = Some(request.ticks);
            }
            Record::Hello(hello) => {
                self.state.hello(hello, self.frame.received);
                self.say(record);
            }
            Record::ConfigReport(_)
            | Record::CommandResult(_)
            | Record::ChunkRequest(_)
            | Record::UpdateStatus(_) => self.say(record),
            // What goes down does not come up, and a newer node may say more than is understood here: kept, and told.
            Record::Ack(_)
            | Record::TimeAnswer(_)
            | Record::Config(_)
            | Record::Command(_)
            | Record::Offer(_)
            | Record::Chunk(_)
            | Record::Withdraw(_) => self.refuse("frame_wrong_way"),
            Record::Unknown { kind, contents } => {
                let raw = [&[*kind], *contents].concat();
                self.set_aside("frame_unknown_record", raw);
            }
        }
    }

    /// Hands a record on to whoever listens, once it is written down that its frame was seen.
    fn say(&mut self, record: &Record<'_>) {
        let mut contents = vec![0; MAX_FRAME];
        let Ok(length) = record.contents(&mut contents) else {
            return;
        };
        contents.truncate(length);
        self.into.said.push(NodeSaid {
            device: self.device,
            kind: record.kind(),
            contents,
        });
    }

    fn readings(&mut self, readings: &Readings<'_>) {
        let batch = readings.batch;
        match self.state.acks.take(batch.queue, batch.number) {
            Arrival::New => {}
            Arrival::Known => {
                metrics::counter!("node_batches_total", "fate" => "known").increment(1);
                return;
            }
            Arrival::TooFar => {
                metrics::counter!("node_batches_total", "fate" => "too_far").increment(1);
                return;
            }
            Arrival::OldQueue => return self.refuse("frame_old_queue"),
        }
        metrics::counter!("node_batches_total", "fate" => "new").increment(1);
        let print = self.state.print;
        for (i, reading) in readings.iter().enumerate() {
            let Some(device) = self.measurer(reading.channel) else {
                metrics::counter!("node_readings_switched_off_total").increment(1);
                continue;
            };
            match node::body(&reading) {
                Ok(body) => self.into.observations.push(Observation {
                    device,
                    at: self.state.clock.place(
                        &batch,
                        reading.after_ms,
                        self.frame.received,
                        self.rate,
                    ),
                    body,
                    raw: Vec::new(),
                    // The window tells what was seen; this holds should the store have to take a batch apart.
                    key: Some(format!("{print:08x}.{}.{}.{i}", batch.queue, batch.number)),
                }),
                Err(reject) => self.set_aside(reject.key(), format!("{reading:?}").into_bytes()),
            }
        }
    }

    /// Whose an input's readings are; nobody's while its device is switched off.
    fn measurer(&self, channel: u8) -> Option<DeviceId> {
        match self.inputs.get(&(self.device, channel)) {
            None => Some(self.device),
            Some(input) => (input.enabled == Enabled::Yes).then_some(input.device),
        }
    }

    fn refuse(&mut self, reason: &'static str) {
        let record = refused(Some(self.device), self.frame, reason);
        self.into.rejects.push(record);
    }

    fn set_aside(&mut self, reason: &'static str, raw: Vec<u8>) {
        self.into.rejects.push(RejectRecord {
            device: Some(self.device),
            source: self.frame.route.name().to_owned(),
            reason,
            raw,
        });
    }
}

/// The header of a frame that came up, or why it is none.
fn header_of(frame: &FrameIn) -> Result<Header, &'static str> {
    match Header::read(&frame.bytes) {
        Ok(header) if header.direction == Direction::Up => Ok(header),
        Ok(_) => Err("frame_not_up"),
        Err(wire::HeaderError::Version(_)) => Err("frame_version"),
        Err(_) => Err("frame_malformed"),
    }
}

/// The frame as evidence: whole, for its header tells whose it claims to be.
fn refused(device: Option<DeviceId>, frame: &FrameIn, reason: &'static str) -> RejectRecord {
    RejectRecord {
        device,
        source: frame.route.name().to_owned(),
        reason,
        raw: frame.bytes[..frame.bytes.len().min(MAX_FRAME)].to_vec(),
    }
}

/// How a device is called in frames.
pub(crate) fn ending(device: DeviceId) -> wire::DeviceId {
    let [.., a, b, c, d, e, f, g, h] = *device.as_bytes();
    wire::DeviceId([a, b, c, d, e, f, g, h])
}
