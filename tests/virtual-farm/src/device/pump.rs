//! The pump house's node: a microcontroller with a probe and a water meter on its inputs. It logs in with a secret of its own
//! over TLS, seals its frames, and takes firmware that its vendor signed.
//!
//! It is made known as an installer would: over the appliance's API, which hands out the secret and the frame key.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use farm_firmware::TrustedKey;
use firmware_protocol::{DeviceId, Key, Measure, ResetReason, Setting, UpdateState};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::{
    device::{
        Shared,
        mqtt::Broker,
        node::{Radio, Ticks, Trouble, start},
        tls::Tunnel,
    },
    node::{Health, Node, Profile, Slots, Wish},
    provision::Api,
    rng::Rng,
    sim::climate::Room,
};

/// Its short name.
pub const SLUG: &str = "pump-node";
/// Where it stands.
const ROOM: &str = "pump-house";
/// What it runs on.
pub const HARDWARE: &str = "khamar-node-c3";
/// The firmware that it leaves the bench with.
const FIRMWARE: &str = "1.0.0";
/// Sectors of its queue, and of each of its slots.
const SECTORS: [usize; 2] = [64, 32];
/// The inputs of the probe and of the water meter.
const INPUTS: [u8; 2] = [1, 2];
/// How often it looks at what it was told.
const LOOK: Duration = Duration::from_millis(200);
/// Farm time in which the herd drinks a litre.
const LITRE_MS: i64 = 24_000;

/// Where it finds the appliance, and whose firmware it takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secured {
    /// The door's TLS address, `HOST:PORT`.
    pub tls: String,
    /// The public key of the vendor of its firmware.
    pub vendor: TrustedKey,
}

/// The devices as the API takes them: the node, and what is on its inputs.
fn devices() -> Vec<Value> {
    let room = json!({ "kind": "room", "slug": ROOM });
    let device = |slug: &str, name: &str, kind: &str, link: Value| json!({ "slug": slug, "name": name, "kind": kind, "link": link, "place": room });
    let input = |channel| json!({ "transport": "input", "node": SLUG, "channel": channel });
    vec![
        device(SLUG, "পাম্পঘর নোড", "sensor", json!({ "transport": "mqtt" })),
        device(
            "pump-house-probe",
            "পাম্পঘর থার্মোমিটার",
            "temperature_probe",
            input(INPUTS[0]),
        ),
        device("water-meter", "পানির মিটার", "sensor", input(INPUTS[1])),
    ]
}

/// Makes the node known to the appliance, then runs it for ever.
///
/// # Errors
/// When the appliance does not start, or refuses something.
pub async fn run(shared: Arc<Shared>, api: Api, at: Secured) -> anyhow::Result<()> {
    api.wait().await?;
    let house = json!({ "kind": "room", "slug": ROOM, "name": "পাম্পঘর", "details": {} });
    api.post("places", &[house]).await?;
    api.post("devices", &devices()).await?;
    let profile = profile(&api).await?;
    let secret = api.ask(&format!("devices/{SLUG}/secret")).await?;
    let authority = api.text("authority").await?;
    let tunnel = Tunnel::open(&at.tls, &authority).await?;
    let entry = tunnel.address()?;
    let broker = Broker {
        host: entry.ip().to_string(),
        port: entry.port(),
        login: Some((text(&secret, "user")?, text(&secret, "secret")?)),
    };
    let rng = Rng::stream(shared.sim().setup().seed, SLUG);
    let image = [0x10; 9_000];
    let slots = Slots::new(
        at.vendor,
        HARDWARE,
        FIRMWARE,
        &image,
        SECTORS[1],
        rng.clone(),
    );
    let node = Node::new(profile, SECTORS[0], rng.clone()).with_slots(slots);
    let radio = Radio::new(SLUG, &broker, Trouble::default(), rng);
    tokio::join!(tunnel.run(), live(shared, node, radio));
    Ok(())
}

async fn profile(api: &Api) -> anyhow::Result<Profile> {
    let all = api.get("devices").await?;
    let items = all["items"].as_array().context("a list of devices")?;
    let own = items.iter().find(|device| device["slug"] == SLUG);
    let id = bytes(&text(own.context("the node was added")?, "id")?.replace('-', ""))?;
    let key = api.ask(&format!("devices/{SLUG}/frame-key")).await?;
    let key = bytes(&text(&key, "frame_key")?)?;
    Ok(Profile {
        device: DeviceId(*id.last_chunk().context("an identity has 16 bytes")?),
        key: Key::new(*key.first_chunk().context("a key has 32 bytes")?),
        firmware: FIRMWARE.to_owned(),
        hardware: HARDWARE.to_owned(),
    })
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    let text = value[field].as_str().with_context(|| field.to_owned())?;
    Ok(text.to_owned())
}

fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    let digits = digits.context("hexadecimal digits")?;
    Ok(digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect())
}

async fn live(shared: Arc<Shared>, mut node: Node, mut radio: Radio) {
    let mut reset = ResetReason::PowerOn;
    loop {
        if let Err(stopped) = start(&mut node, reset) {
            warn!(%stopped, "the pump house's node is dead");
            return;
        }
        reset = one_life(&shared, &mut node, &mut radio).await;
        info!(?reset, "the pump house's node restarts");
        node.reset();
    }
}

/// Measures, sends and obeys until something makes it restart.
async fn one_life(shared: &Shared, node: &mut Node, radio: &mut Radio) -> ResetReason {
    let ticks = Ticks::start(shared.speed(), 40.0);
    let mut measure_at = 0;
    loop {
        if ticks.now() >= measure_at {
            if measure(shared, node, ticks.now()).is_err() {
                return ResetReason::BrownOut;
            }
            measure_at =
                ticks.now() + node.setting(Setting::SampleEveryS).max(1).unsigned_abs() * 1_000;
        }
        let served = radio.serve(node, ticks, Instant::now() + LOOK).await;
        if served.is_err() || node.judge(Health::Good).is_err() {
            return ResetReason::BrownOut;
        }
        if node.update() == Some(UpdateState::Verified) {
            return ResetReason::Update;
        }
        for wish in node.wishes() {
            match wish {
                Wish::Restart => return ResetReason::Command,
                Wish::Measure => measure_at = 0,
                Wish::Blink(seconds) => info!(seconds, "the pump house's node blinks"),
            }
        }
    }
}

fn measure(shared: &Shared, node: &mut Node, ticks: u64) -> Result<u32, crate::node::PowerLost> {
    let (celsius, litres) = {
        let sim = shared.sim();
        let celsius = sim.climate().temperature(Room::MilkRoom, sim.now());
        (celsius, sim.now().div_euclid(LITRE_MS))
    };
    let values = [
        (0, Measure::BatteryMillivolt, 3_650),
        (
            INPUTS[0],
            Measure::TemperatureMilliCelsius,
            (celsius * 1_000.0) as i64,
        ),
        (INPUTS[1], Measure::Pulses, litres % 1_000_000),
    ];
    node.measure(ticks, &values)
}
