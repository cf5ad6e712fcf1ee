//! MQTT nodes: air sensors, tank sensors, and ChirpStack with the collars behind it. Each is a client of its own.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rumqttc::{AsyncClient, EventLoop, MqttOptions, QoS};
use tokio::time::sleep;
use tracing::debug;

use crate::{
    device::Shared,
    herd::{Animal, State},
    rng::Rng,
    sim::{
        Sim,
        climate::Room,
        schedule::{DAY_MS, LOCAL_OFFSET_MS},
    },
    wire::mqtt::{CollarReport, chirpstack_up, reading},
};

/// How often a node looks whether something is due.
const LOOK: Duration = Duration::from_millis(50);

/// How long a node waits before it tries the broker again.
const RETRY: Duration = Duration::from_millis(500);

/// Messages that a node keeps while the broker is away; what comes after is lost, as on a small node.
const KEPT: usize = 64;

const TEMPERATURE_MS: i64 = 300_000;
const LEVEL_MS: i64 = 600_000;
const COLLAR_MS: i64 = 900_000;

/// Cows that wear a collar.
const COLLARS: usize = 6;

/// The broker and how to log in to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name and password, the same for all nodes.
    pub login: Option<(String, String)>,
}

/// A client and what it publishes.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Its client identifier.
    pub client: String,
    /// What it publishes.
    pub series: Vec<Series>,
}

/// A topic and when it is published.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    /// The topic.
    pub topic: String,
    /// Farm time between two messages.
    pub every_ms: i64,
    /// What is said.
    pub what: What,
}

/// What a series says.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// Air temperature.
    Temperature(Room),
    /// Relative humidity.
    Humidity(Room),
    /// Fill of tank 1 or 2.
    TankLevel(u8),
    /// Milk temperature of tank 1 or 2.
    TankTemperature(u8),
    /// The collar of the cow of this number.
    Collar {
        /// The cow.
        cow: u32,
        /// Device EUI.
        dev_eui: String,
    },
}

/// Rooms with a node, by the name in their topics.
pub const ROOMS: [(&str, Room); 3] = [
    ("barn-a", Room::Barn),
    ("milk-room", Room::MilkRoom),
    ("yard", Room::Yard),
];

/// The farm's nodes.
pub fn nodes(herd: &[Animal]) -> Vec<Node> {
    let series = |topic: String, every_ms, what| Series {
        topic,
        every_ms,
        what,
    };
    let rooms = ROOMS.map(|(slug, room)| Node {
        client: format!("node-{slug}"),
        series: vec![
            series(
                format!("farm/environment/{slug}/temp"),
                TEMPERATURE_MS,
                What::Temperature(room),
            ),
            series(
                format!("farm/environment/{slug}/humidity"),
                TEMPERATURE_MS,
                What::Humidity(room),
            ),
        ],
    });
    let tanks = [1, 2].map(|tank| Node {
        client: format!("node-tank-{tank}"),
        series: vec![
            series(
                format!("farm/tank/{tank}/level"),
                LEVEL_MS,
                What::TankLevel(tank),
            ),
            series(
                format!("farm/tank/{tank}/temp"),
                TEMPERATURE_MS,
                What::TankTemperature(tank),
            ),
        ],
    });
    let collars = collars(herd).into_iter().map(|(cow, dev_eui)| {
        let topic = format!("application/1/device/{dev_eui}/event/up");
        series(topic, COLLAR_MS, What::Collar { cow, dev_eui })
    });
    let gateway = Node {
        client: "chirpstack".into(),
        series: collars.collect(),
    };
    rooms.into_iter().chain(tanks).chain([gateway]).collect()
}

/// Cows that wear a collar, each with its device EUI.
pub fn collars(herd: &[Animal]) -> Vec<(u32, String)> {
    herd.iter()
        .filter(|a| matches!(a.state, State::Lactating(_)))
        .take(COLLARS)
        .map(|a| (a.number, format!("70b3d57ed005{:04x}", a.number)))
        .collect()
}

/// Runs `node` against `broker`, for ever.
pub async fn run(shared: Arc<Shared>, node: Node, broker: Broker) {
    let mut options = MqttOptions::new(node.client, broker.host, broker.port);
    options.set_keep_alive(Duration::from_secs(30));
    if let Some((user, password)) = broker.login {
        options.set_credentials(user, password);
    }
    let (client, events) = AsyncClient::new(options, KEPT);
    tokio::join!(publish(&shared, &node.series, &client), poll(events));
}

/// Keeps the connection alive and makes it again.
async fn poll(mut events: EventLoop) {
    loop {
        if let Err(error) = events.poll().await {
            debug!(%error, "the broker is away");
            sleep(RETRY).await;
        }
    }
}

async fn publish(shared: &Shared, series: &[Series], client: &AsyncClient) {
    let mut sent = vec![i64::MIN; series.len()];
    loop {
        for (series, sent) in series.iter().zip(&mut sent) {
            let payload = {
                let sim = shared.sim();
                let slot = sim.now().div_euclid(series.every_ms);
                if *sent == slot {
                    continue;
                }
                *sent = slot;
                // Frames are numbered by their time, so that a farm started again repeats no number.
                series.what.say(&sim, slot as u32)
            };
            if client
                .try_publish(&series.topic, QoS::AtLeastOnce, false, payload)
                .is_err()
            {
                debug!(
                    topic = series.topic,
                    "a message is lost: the broker has been away too long"
                );
            }
        }
        sleep(LOOK).await;
    }
}

impl What {
    fn say(&self, sim: &Sim, frame: u32) -> String {
        let (now, climate, tanks) = (sim.now(), sim.climate(), sim.tanks().tanks);
        let at = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
        match self {
            Self::Temperature(room) => reading(climate.temperature(*room, now), 1, at),
            Self::Humidity(room) => reading(climate.humidity(*room, now), 1, at),
            Self::TankLevel(tank) => reading(tanks[usize::from(*tank) - 1].level(), 1, at),
            Self::TankTemperature(tank) => reading(tanks[usize::from(*tank) - 1].celsius, 2, at),
            Self::Collar { cow, dev_eui } => {
                let report = collar_report(sim.setup().seed, *cow, now);
                chirpstack_up(dev_eui, &format!("collar-{cow}"), frame, report, at)
            }
        }
    }
}

/// What a collar counted in the quarter of an hour before `at`: cows walk by day and ruminate by night.
pub fn collar_report(seed: u64, cow: u32, at: i64) -> CollarReport {
    let slot = at.div_euclid(COLLAR_MS);
    let mut rng = Rng::keyed(seed, &[i64::from(cow), slot, COLLAR_MS]);
    let hour = (at + LOCAL_OFFSET_MS).rem_euclid(DAY_MS) / 3_600_000;
    let (steps, rumination) = match hour {
        5..=6 | 16..=17 => (60.0, 3.0),
        7..=15 => (38.0, 4.5),
        _ => (12.0, 7.5),
    };
    CollarReport {
        steps: rng.around(steps, steps / 4.0).max(0.0).round() as i64,
        rumination_min: rng.around(rumination, 1.5).clamp(0.0, 15.0).round() as i64,
        battery_v: 3.62 - 0.04 * rng.unit(),
    }
}
