//! From observations to the milking engine's inputs, and from its outputs to what must be stored.
//!
//! Knows where each device stands and what each meter said last, because a meter tells one quantity at a time and only
//! what changed. Pure: time is in the observations.

use std::collections::{BTreeSet, HashMap};

use edge_decode::{modbus, tank};
use edge_milking::{Alarm, Engine, Input, MeterReading, Output};
use farm_model::{
    Body, Device, DeviceId, DeviceKind, Link, Milli, Observation, Place, Quality, Quantity, Stall,
    Stamp, Visit, place::PlaceDetails,
};

use crate::herd::HerdView;

/// What the engine concluded from a batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Visits that ended.
    pub(crate) visits: Vec<Visit>,
    /// Alarms that rose or ended.
    pub(crate) alarms: Vec<Alarm>,
    /// Stalls whose view changed.
    pub(crate) changed: BTreeSet<Stall>,
    /// Stalls whose state must be stored.
    pub(crate) touched: BTreeSet<Stall>,
}

impl Outcome {
    /// Whether a person waits for it.
    pub(crate) fn is_urgent(&self) -> bool {
        !self.visits.is_empty() || !self.alarms.is_empty()
    }

    /// Adds what came later.
    pub(crate) fn append(&mut self, mut later: Self) {
        self.visits.append(&mut later.visits);
        self.alarms.append(&mut later.alarms);
        self.changed.append(&mut later.changed);
        self.touched.append(&mut later.touched);
    }
}

/// Where a device stands, as far as the engine cares.
#[derive(Clone, Copy, Debug)]
struct Post {
    stall: Stall,
    total_wraps_ml: Option<i64>,
}

/// Where all devices stand.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    posts: HashMap<DeviceId, Post>,
    stalls: BTreeSet<Stall>,
    /// Tanks whose level is told as a distance, by the device that tells it.
    gauges: HashMap<DeviceId, PlaceDetails>,
}

impl Topology {
    /// From the farm's places and devices.
    pub(crate) fn new(places: &[Place], devices: &[Device]) -> Self {
        let stall_of: HashMap<_, _> = places
            .iter()
            .filter_map(|p| Some((p.id, p.stall()?)))
            .collect();
        let posts = devices
            .iter()
            .filter(|d| matches!(d.kind, DeviceKind::MilkMeter | DeviceKind::RfidReader))
            .filter_map(|d| {
                let stall = *stall_of.get(&d.place?)?;
                Some((
                    d.id,
                    Post {
                        stall,
                        total_wraps_ml: total_wraps_ml(&d.link),
                    },
                ))
            })
            .collect();
        let tanks: HashMap<_, _> = places
            .iter()
            .filter(|p| !p.details.distance_to_level.is_empty())
            .map(|p| (p.id, &p.details))
            .collect();
        let gauges = devices
            .iter()
            .filter_map(|d| Some((d.id, (*tanks.get(&d.place?)?).clone())))
            .collect();
        Self {
            posts,
            stalls: stall_of.into_values().collect(),
            gauges,
        }
    }

    /// Whether there is such a stall.
    pub(crate) fn has(&self, stall: Stall) -> bool {
        self.stalls.contains(&stall)
    }

    /// The stalls, in their order.
    pub(crate) fn stalls(&self) -> Vec<Stall> {
        self.stalls.iter().copied().collect()
    }
}

/// The volume at which a meter's running total starts again at 0, if its register map says so.
fn total_wraps_ml(link: &Link) -> Option<i64> {
    let (Link::ModbusRtu { map, .. } | Link::ModbusTcp { map, .. }) = link else {
        return None;
    };
    let field = map
        .fields
        .iter()
        .find(|f| f.quantity == Quantity::MilkTotal)?;
    let raw_range = modbus::range_of(field)? as f64 + 1.0;
    Milli::from_f64(raw_range * field.scale).map(|m| m.0)
}

/// Feeds one engine.
pub(crate) struct Feed {
    engine: Engine,
    topology: Topology,
    herd: HerdView,
    meters: HashMap<DeviceId, MeterReading>,
}

impl Feed {
    pub(crate) fn new(engine: Engine, topology: Topology, herd: HerdView) -> Self {
        Self {
            engine,
            topology,
            herd,
            meters: HashMap::new(),
        }
    }

    /// The engine, to read its parlour and states.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether the engine hears what this device says.
    pub(crate) fn listens_to(&self, device: DeviceId) -> bool {
        self.topology.posts.contains_key(&device)
    }

    /// Goes on with another engine, for other stalls, devices or sessions; what is known of the stalls that stay is kept.
    pub(crate) fn rebuild(&mut self, mut engine: Engine, topology: Topology) {
        for stall in topology.stalls() {
            if let Some(state) = self.engine.stall_state(stall) {
                engine.restore(state.clone());
            }
        }
        self.engine = engine;
        self.topology = topology;
    }

    /// Takes up a newer copy of the herd.
    pub(crate) fn set_herd(&mut self, herd: HerdView) {
        self.herd = herd;
    }

    /// Takes what was observed, in the order of the batch.
    pub(crate) fn observe(&mut self, batch: &[Observation]) -> Outcome {
        let mut outcome = Outcome::default();
        let mut i = 0;
        while i < batch.len() {
            let first = &batch[i];
            // One answer of a meter is several observations of one moment.
            let run = batch[i..]
                .iter()
                .take_while(|o| o.device == first.device && o.at == first.at)
                .count();
            if let Some(post) = self.topology.posts.get(&first.device).copied() {
                for input in self.inputs(post, &batch[i..i + run]) {
                    self.handle(&input, &mut outcome);
                }
            }
            i += run;
        }
        outcome
    }

    /// Levels of the tanks whose sensors tell a distance, by each tank's own calibration.
    pub(crate) fn levels(&self, batch: &[Observation]) -> Vec<Observation> {
        batch.iter().filter_map(|o| self.level(o)).collect()
    }

    fn level(&self, observation: &Observation) -> Option<Observation> {
        let Body::Measured {
            quantity: Quantity::Distance,
            value: Some(distance),
            quality: Quality::Good,
            ..
        } = observation.body
        else {
            return None;
        };
        let details = self.topology.gauges.get(&observation.device)?;
        let level = tank::level_from_distance(details, distance)?;
        Some(Observation {
            body: Body::measured(Quantity::Level, level),
            // A distance sent again is the same level again.
            key: observation.key.as_ref().map(|key| format!("{key}/level")),
            ..observation.clone()
        })
    }

    /// Lets time pass.
    pub(crate) fn tick(&mut self, at: Stamp) -> Outcome {
        let mut outcome = Outcome::default();
        self.handle(&Input::Tick { at }, &mut outcome);
        outcome
    }

    fn inputs(&mut self, post: Post, answer: &[Observation]) -> Vec<Input> {
        let Post {
            stall,
            total_wraps_ml,
        } = post;
        let (meter, at) = (answer[0].device, answer[0].at);
        let mut inputs = Vec::new();
        let mut heard = false;
        for observation in answer {
            match &observation.body {
                Body::Identified { tag } => inputs.push(Input::Tag {
                    stall,
                    tag: tag.clone(),
                    at,
                }),
                Body::Measured {
                    quantity,
                    value,
                    quality,
                    ..
                } => {
                    let reading = self.meters.entry(meter).or_default();
                    reading.total_wraps_ml = total_wraps_ml;
                    heard |= take_note(
                        reading,
                        *quantity,
                        value.filter(|_| *quality == Quality::Good),
                    );
                }
                Body::Silent { for_ms } => inputs.push(Input::MeterSilent {
                    stall,
                    for_ms: *for_ms,
                    at,
                }),
                Body::Milked { .. } | Body::Heard => {}
            }
        }
        if heard && let Some(reading) = self.meters.get(&meter) {
            inputs.push(Input::Meter {
                stall,
                meter,
                reading: *reading,
                at,
            });
        }
        inputs
    }

    fn handle(&mut self, input: &Input, outcome: &mut Outcome) {
        let stall = match input {
            Input::Tag { stall, .. }
            | Input::Meter { stall, .. }
            | Input::MeterSilent { stall, .. } => Some(*stall),
            Input::Tick { .. } => None,
        };
        outcome.touched.extend(stall);
        for output in self.engine.handle(input, &self.herd) {
            match output {
                Output::Visit(visit) => {
                    self.herd.note(&visit);
                    outcome.touched.extend(visit.stall);
                    outcome.visits.push(visit);
                }
                Output::Stall(view) => {
                    outcome.touched.insert(view.stall);
                    outcome.changed.insert(view.stall);
                }
                Output::Alarm(alarm) => {
                    outcome.touched.insert(alarm.stall);
                    outcome.alarms.push(alarm);
                }
            }
        }
    }
}

/// Puts a value into its place; false when the quantity says nothing about milk.
fn take_note(reading: &mut MeterReading, quantity: Quantity, value: Option<Milli>) -> bool {
    let ml = value.map(|v| v.0);
    match quantity {
        // Litres in thousandths are millilitres.
        Quantity::MilkFlow => reading.flow_ml_min = ml,
        Quantity::MilkTotal => reading.total_ml = ml,
        Quantity::VisitYield => reading.visit_ml = ml,
        Quantity::VisitCount => reading.visit_count = ml.map(|v| v / 1000),
        Quantity::LastYield => reading.last_ml = ml,
        Quantity::Conductivity => reading.conductivity = value,
        Quantity::Fat => reading.fat = value,
        Quantity::Snf => reading.snf = value,
        _ => return false,
    }
    true
}
