//! From what a client told to whose observation it is: a topic names a place or a device, the store an identity.
//!
//! What a registered device says is its own. For whoever else speaks (the holder of a token, an address that is trusted) a
//! device of the topic [stands in](super::stand_ins).

use std::collections::HashMap;

use bytes::Bytes;
use edge_acquire::RejectRecord;
use edge_broker::Change;
use edge_decode::{
    chirpstack::{self, Uplink},
    topics::{self, Target, TopicMessage},
    zigbee::{self, Report},
};
use farm::{Farm, StoreError, devices, logins::Login, places, retained::Retained};
use farm_model::{
    Body, Device, DeviceId, DeviceKind, Link, Observation, Place, PlaceKind, Quantity, Stamp,
    UnixMillis,
};
use rusqlite::Connection;

use super::{
    nodes::{Errand, FrameIn, NodeSaid, Nodes, Sight},
    repeats::Repeats,
    stand_ins::{self, Made, crowded, make},
};
use crate::{
    feed::Feed,
    post::{Letter, Route},
};

/// Something that a client told, and that is worth a place in the queue.
#[derive(Clone, Debug)]
pub enum Told {
    /// An observation of a device that is known.
    Observed(Observation),
    /// A message on one of the farm's own topics.
    Topic {
        /// What it says.
        message: TopicMessage,
        /// When it was received.
        received: Stamp,
        /// The device that said it, if it proved which one it is.
        speaker: Option<DeviceId>,
    },
    /// An uplink of a LoRaWAN device.
    Uplink {
        /// What it says.
        uplink: Uplink,
        /// When it was received.
        received: Stamp,
    },
    /// The state of a Zigbee device.
    Report {
        /// What it says.
        report: Report,
        /// When it was received.
        received: Stamp,
    },
    /// A frame of a node.
    Frame(FrameIn),
    /// What shall go down to a node.
    Errand(Errand),
    /// Bytes that made no sense.
    Reject(RejectRecord),
    /// A topic's retained value; an empty payload removes it.
    Retained(Retained),
    /// A change of MQTT sessions.
    Session(Change),
    /// A log-in of a device.
    Login(DeviceId, Login),
}

impl Told {
    /// The same, told by a device that proved which one it is.
    pub fn by(mut self, device: DeviceId) -> Self {
        if let Self::Topic { speaker, .. } = &mut self {
            *speaker = Some(device);
        }
        self
    }
}

/// What is to be stored of what was told.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) observations: Vec<Observation>,
    pub(crate) rejects: Vec<RejectRecord>,
    /// Milkings told as a whole by somebody who knows the cow.
    pub(crate) milkings: Vec<Observation>,
    pub(crate) retained: Vec<Retained>,
    pub(crate) sessions: Vec<Change>,
    pub(crate) logins: Vec<(DeviceId, Login)>,
    /// What was seen of nodes.
    pub(crate) nodes: Vec<Sight>,
    /// What leaves after the commit: to nodes, and to whoever listens to them.
    pub(crate) letters: Vec<Letter>,
    pub(crate) said: Vec<NodeSaid>,
}

impl Resolved {
    fn push(&mut self, observation: Observation) {
        match observation.body {
            Body::Milked { .. } => self.milkings.push(observation),
            _ => self.observations.push(observation),
        }
    }
}

/// Devices by what names them on topics.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    targets: HashMap<(Target, Option<Quantity>), DeviceId>,
    /// Whether a device is the one to speak of a target; few, because the door lets each speak of its own alone.
    voices: HashMap<(DeviceId, Target), Voice>,
    collars: HashMap<String, Device>,
    zigbee: HashMap<String, DeviceId>,
    nodes: Nodes,
    repeats: Repeats,
    /// Whether a message has made a device since somebody asked.
    has_made: bool,
}

impl Devices {
    /// Forgets what was known: devices have changed.
    pub(crate) fn forget(&mut self) {
        self.targets.clear();
        self.voices.clear();
        self.collars.clear();
        self.zigbee.clear();
        self.nodes.forget_inputs();
    }

    /// Whether a message has made a device since this was asked last.
    pub(crate) fn take_made(&mut self) -> bool {
        std::mem::take(&mut self.has_made)
    }

    /// Resolves all of `told`, and leaves out what the milking engine has heard before; says how many those were.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn resolve_all(
        &mut self,
        told: Vec<Told>,
        farm: &Farm,
        feed: &Feed,
        into: &mut Resolved,
    ) -> Result<usize, StoreError> {
        self.nodes.begin();
        for told in told {
            self.resolve(told, farm, into).await?;
        }
        let repeats = self
            .repeats
            .leave_out(&mut into.observations, farm, feed)
            .await?;
        self.nodes.take(into);
        Ok(repeats)
    }

    /// Whose it is and what is to be stored; makes the device of a new topic.
    ///
    /// # Errors
    /// When the store fails.
    async fn resolve(
        &mut self,
        told: Told,
        farm: &Farm,
        into: &mut Resolved,
    ) -> Result<(), StoreError> {
        match told {
            Told::Observed(observation) => into.push(observation),
            Told::Reject(reject) => into.rejects.push(reject),
            Told::Retained(retained) => into.retained.push(retained),
            Told::Session(change) => into.sessions.push(change),
            Told::Login(device, login) => into.logins.push((device, login)),
            Told::Frame(frame) => self.nodes.frame(frame, farm, into).await?,
            Told::Errand(errand) => self.nodes.errand(errand, farm, into).await?,
            Told::Uplink { uplink, received } => self.uplink(uplink, received, farm, into).await?,
            Told::Report { report, received } => self.report(report, received, farm, into).await?,
            Told::Topic {
                message,
                received,
                speaker,
            } => self.topic(message, received, speaker, farm, into).await?,
        }
        Ok(())
    }

    async fn topic(
        &mut self,
        message: TopicMessage,
        received: Stamp,
        speaker: Option<DeviceId>,
        farm: &Farm,
        resolved: &mut Resolved,
    ) -> Result<(), StoreError> {
        let TopicMessage {
            target,
            body,
            at,
            key,
        } = message;
        let target = match target {
            // Whatever the animal and session, it is the business of whoever tells it.
            Target::Milk { .. } => Target::Milk {
                animal: String::new(),
                session: String::new(),
            },
            other => other,
        };
        let own = match speaker {
            Some(speaker) => self.voice(speaker, &target, farm).await?,
            None => Voice::Anothers,
        };
        let device = match (own, speaker) {
            (Voice::Own, Some(speaker)) => Some(speaker),
            _ => self.stand_in(&target, &body, farm).await?,
        };
        let Some(device) = device else {
            let raw = format!("{target:?} {body:?}");
            resolved.rejects.push(crowded("farm", raw.as_bytes()));
            return Ok(());
        };
        resolved.push(Observation {
            device,
            at: at.map_or(received, |wall| Stamp { wall, ..received }),
            body,
            raw: Vec::new(),
            key,
        });
        Ok(())
    }

    /// Whether what `speaker` says of `target` is its own observation. The door asked when it came; it may have been moved since.
    async fn voice(
        &mut self,
        speaker: DeviceId,
        target: &Target,
        farm: &Farm,
    ) -> Result<Voice, StoreError> {
        let asked = (speaker, target.clone());
        if let Some(voice) = self.voices.get(&asked) {
            return Ok(*voice);
        }
        let wanted = asked.1.clone();
        let voice = farm.read(move |conn| voice(conn, speaker, &wanted)).await?;
        self.voices.insert(asked, voice);
        Ok(voice)
    }

    /// The device that stands in for whoever speaks of `target` without being one, made when there is none; none when there
    /// are too many.
    async fn stand_in(
        &mut self,
        target: &Target,
        body: &Body,
        farm: &Farm,
    ) -> Result<Option<DeviceId>, StoreError> {
        let quantity = match body {
            Body::Measured { quantity, .. } => Some(*quantity),
            _ => None,
        };
        let known = (target.clone(), quantity);
        if let Some(device) = self.targets.get(&known) {
            return Ok(Some(*device));
        }
        let wanted = target.clone();
        let Some((device, made)) = make(farm, move |tx| stand_ins::of_target(tx, &wanted)).await?
        else {
            return Ok(None);
        };
        self.targets.insert(known, device);
        self.has_made |= made == Made::Now;
        Ok(Some(device))
    }

    async fn uplink(
        &mut self,
        uplink: Uplink,
        received: Stamp,
        farm: &Farm,
        resolved: &mut Resolved,
    ) -> Result<(), StoreError> {
        let device = match self.collars.get(&uplink.dev_eui) {
            Some(device) => device.clone(),
            None => {
                let eui = uplink.dev_eui.clone();
                let device = make(farm, move |tx| stand_ins::of_uplink(tx, &eui)).await?;
                let Some(device) = device else {
                    let eui = uplink.dev_eui.as_bytes();
                    resolved.rejects.push(crowded("application", eui));
                    return Ok(());
                };
                self.collars.insert(uplink.dev_eui.clone(), device.clone());
                device
            }
        };
        let Link::ChirpStack { fields, .. } = &device.link else {
            return Ok(());
        };
        let at = uplink.at.map_or(received, |wall| received.told(wall));
        let bodies = uplink.bodies(fields);
        resolved
            .observations
            .extend(bodies.into_iter().enumerate().map(|(i, body)| Observation {
                device: device.id,
                at,
                body,
                raw: Vec::new(),
                // One uplink is several observations; each is redelivered with it.
                key: uplink.key.as_ref().map(|key| format!("{key}/{i}")),
            }));
        Ok(())
    }

    async fn report(
        &mut self,
        report: Report,
        received: Stamp,
        farm: &Farm,
        resolved: &mut Resolved,
    ) -> Result<(), StoreError> {
        if report.bodies.is_empty() {
            // Buttons and lamps: nothing here for a device to stand for.
            return Ok(());
        }
        let device = match self.zigbee.get(&report.name) {
            Some(device) => *device,
            None => {
                let name = report.name.clone();
                let Some(device) = make(farm, move |tx| stand_ins::of_zigbee(tx, &name)).await?
                else {
                    let name = report.name.as_bytes();
                    resolved.rejects.push(crowded("zigbee2mqtt", name));
                    return Ok(());
                };
                self.zigbee.insert(report.name, device);
                device
            }
        };
        let at = report.at.map_or(received, |wall| received.told(wall));
        let observed = report.bodies.into_iter().map(|body| Observation {
            device,
            at,
            // A bridge that starts tells again what it heard before it stopped, in the same words.
            key: report.at.map(|at| zigbee_key(at, &body)),
            body,
            raw: Vec::new(),
        });
        resolved.observations.extend(observed);
        Ok(())
    }
}

/// Which message a publish on `topic` is, if the farm listens to it at all.
pub fn read_publish(topic: &str, payload: &[u8], received: Stamp) -> Option<Told> {
    let reject = |reason| Told::Reject(RejectRecord::new(None, topic, reason, payload));
    if let Some(route) = Route::of_topic(topic) {
        return Some(Told::Frame(FrameIn {
            route,
            bytes: Bytes::copy_from_slice(payload),
            received,
        }));
    }
    if topic.starts_with("application/") {
        // Joins, acknowledgements and states are ChirpStack's own business.
        if !topic.ends_with("/event/up") {
            return None;
        }
        return Some(match chirpstack::decode(topic, payload) {
            Ok(uplink) => Told::Uplink { uplink, received },
            Err(error) => reject(error.key()),
        });
    }
    if topic.starts_with("zigbee2mqtt/") {
        return Some(match zigbee::decode(zigbee::name_of(topic)?, payload) {
            Ok(report) => Told::Report { report, received },
            Err(error) => reject(error.key()),
        });
    }
    topic
        .starts_with("farm/")
        .then(|| match topics::decode(topic, payload) {
            Ok(message) => Told::Topic {
                message,
                received,
                speaker: None,
            },
            Err(error) => reject(error.key()),
        })
}

/// Whose word on a target a device's is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Voice {
    /// Its own: it measures this where it stands.
    Own,
    /// Somebody else's.
    Anothers,
}

fn voice(conn: &Connection, speaker: DeviceId, target: &Target) -> Result<Voice, StoreError> {
    let Some(device) = devices::get(conn, speaker)? else {
        return Ok(Voice::Anothers);
    };
    let place = match device.place {
        Some(place) => places::get(conn, place)?,
        None => None,
    };
    let stands_at = |kind, name: &str| {
        place
            .as_ref()
            .is_some_and(|place| place.kind == kind && place.slug == name)
    };
    let is_own = match target {
        Target::Milk { .. } => device.kind == DeviceKind::MilkMeter,
        Target::Stall(stall) => {
            device.kind == DeviceKind::RfidReader
                && place.as_ref().and_then(Place::stall) == Some(*stall)
        }
        Target::Tank(tank) => stands_at(PlaceKind::Tank, tank),
        Target::Environment(room) => stands_at(PlaceKind::Room, room),
        Target::Device(slug) => device.slug == *slug,
    };
    Ok(if is_own { Voice::Own } else { Voice::Anothers })
}

/// What was heard of a Zigbee device at a moment: the same words at the same moment are one observation.
fn zigbee_key(at: UnixMillis, body: &Body) -> String {
    match body {
        Body::Measured {
            quantity, value, ..
        } => {
            let value = value.map_or_else(String::new, |value| value.to_string());
            format!("{}/{quantity}/{value}", at.0)
        }
        _ => at.0.to_string(),
    }
}
