//! A node that loses power, sleep and answers, and an appliance that is killed meanwhile: what was in the node's flash is stored once.
//!
//! `KHAMAR_NODE_ROUNDS` and `KHAMAR_SEED` choose how often and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use e2e::{Edge, EdgeOptions};
use farm_model::Quantity;
use firmware_protocol::{DeviceId, Key, Measure, ResetReason};
use serde_json::{Value, json};
use virtual_farm::{
    device::{
        mqtt::Broker,
        node::{Radio, Ticks, Trouble, start},
    },
    node::{Node, Profile},
    rng::Rng,
};

use crate::{store, web};

const ROUNDS: u64 = 30;
/// How much faster than ours the node's time runs: it sends again after half a second.
const SPEED: f64 = 20.0;
pub(crate) const SLUG: &str = "barn-node";
/// Sectors of its flash: it must not fill up.
const SECTORS: usize = 256;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn what_was_in_a_nodes_flash_is_stored_once_whatever_befalls_both() {
    let rounds = from_environment("KHAMAR_NODE_ROUNDS").unwrap_or(ROUNDS);
    let seed = from_environment("KHAMAR_SEED").unwrap_or_else(|| std::process::id().into());
    println!("KHAMAR_SEED={seed} KHAMAR_NODE_ROUNDS={rounds}");
    let mut edge = Edge::start(&EdgeOptions::default());
    let (profile, broker) = runtime().block_on(commission(&edge));
    let life = Life::begin(profile, broker, seed);
    let mut rng = Rng::stream(seed, "kills");
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_millis(rng.whole(200, 900) as u64));
        edge.kill();
        edge.spawn();
        edge.wait_ready();
    }
    let told = life.finish();
    println!(
        "{} batches, {} starts of the node, {rounds} of the appliance",
        told.sure.len(),
        told.starts
    );

    let conn = store::open(&edge.database());
    let mut kept = BTreeMap::<i64, u32>::new();
    for value in store::series(&conn, SLUG, Quantity::Steps)
        .into_iter()
        .flatten()
    {
        *kept.entry(value / 1_000).or_default() += 1;
    }
    let doubled: Vec<_> = kept.iter().filter(|(_, times)| **times != 1).collect();
    assert!(doubled.is_empty(), "stored more than once: {doubled:?}");
    let lost: Vec<_> = told.sure.iter().filter(|n| !kept.contains_key(n)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let known = |n: &&i64| !told.sure.contains(n) && !told.unsure.contains(n);
    let invented: Vec<_> = kept.keys().filter(known).collect();
    assert!(invented.is_empty(), "nobody measured {invented:?}");
    assert!(
        told.sure.len() as u64 > rounds && told.starts > 10,
        "it lived"
    );
}

/// Adds the device and gives it what it needs to speak.
pub(crate) async fn commission(edge: &Edge) -> (Profile, Broker) {
    let device = json!([{ "slug": SLUG, "kind": "sensor", "link": { "transport": "mqtt" } }]);
    web::tell(edge, "/api/v1/devices", device).await;
    let devices = web::ask(edge, "/api/v1/devices").await;
    let items = devices["items"].as_array().unwrap();
    let device = items.iter().find(|item| item["slug"] == SLUG).unwrap();
    let secret = post(edge, &format!("/api/v1/devices/{SLUG}/secret")).await;
    let key = post(edge, &format!("/api/v1/devices/{SLUG}/frame-key")).await;
    let id = bytes(&device["id"].as_str().unwrap().replace('-', ""));
    let profile = Profile {
        device: DeviceId(id[8..].try_into().unwrap()),
        key: Key::new(
            bytes(key["frame_key"].as_str().unwrap())
                .try_into()
                .unwrap(),
        ),
        firmware: "1.0.0".to_owned(),
        hardware: "virtual-node".to_owned(),
    };
    let text = |name: &str| secret[name].as_str().unwrap().to_owned();
    let broker = Broker {
        host: edge.mqtt.ip().to_string(),
        port: edge.mqtt.port(),
        login: Some((text("user"), text("secret"))),
    };
    (profile, broker)
}

async fn post(edge: &Edge, path: &str) -> Value {
    let request = reqwest::Client::new().post(edge.url(path));
    let answer = request.bearer_auth(&edge.token).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

/// What the node told, and what it may have told when its supply failed.
struct Told {
    sure: BTreeSet<i64>,
    unsure: BTreeSet<i64>,
    starts: u32,
}

/// A node that lives on a thread of its own.
struct Life {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Told>,
}

impl Life {
    fn begin(profile: Profile, broker: Broker, seed: u64) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let enough = Arc::clone(&enough);
            move || runtime().block_on(live(profile, &broker, seed, &enough))
        });
        Self { enough, thread }
    }

    fn finish(self) -> Told {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the node told everything")
    }
}

async fn live(profile: Profile, broker: &Broker, seed: u64, enough: &AtomicBool) -> Told {
    let mut rng = Rng::stream(seed, "node");
    let mut node = Node::new(profile, SECTORS, Rng::stream(seed, "flash"));
    let mut told = Told {
        sure: BTreeSet::new(),
        unsure: BTreeSet::new(),
        starts: 0,
    };
    let trouble = Trouble {
        deaf: 0.3,
        mute: 0.1,
        echo: 0.1,
    };
    while !enough.load(Ordering::Relaxed) {
        if rng.chance(0.3) {
            node.flash.fail_after(rng.whole(0, 3_000) as u64);
        }
        start(&mut node, ResetReason::BrownOut).expect("its boot number is kept");
        told.starts += 1;
        let ticks = Ticks::start(SPEED, rng.around(0.0, 100.0));
        let mut radio = Radio::new(
            SLUG,
            broker,
            trouble,
            Rng::keyed(seed, &[told.starts.into()]),
        );
        for _ in 0..rng.whole(1, 20) {
            let lasts = Duration::from_millis(rng.whole(5, 150) as u64);
            let lived = measure(&mut node, ticks, &mut told)
                && if rng.chance(0.3) {
                    // Deep sleep: its memory is kept, its radio is off.
                    tokio::time::sleep(lasts).await;
                    radio = Radio::new(SLUG, broker, trouble, rng.clone());
                    true
                } else {
                    let served = radio.serve(&mut node, ticks, Instant::now() + lasts);
                    served.await.is_ok()
                };
            if !lived {
                break;
            }
        }
        node.reset();
    }
    tell_the_rest(&mut node, broker, rng).await;
    told
}

/// Measures something that nobody measured before; whether the supply held.
fn measure(node: &mut Node, ticks: Ticks, told: &mut Told) -> bool {
    let value = (told.sure.len() + told.unsure.len() + 1) as i64;
    match node.measure(ticks.now(), &[(0, Measure::Steps, value)]) {
        Ok(_) => told.sure.insert(value),
        Err(_) => !told.unsure.insert(value),
    }
}

/// With power and a good line: until nothing waits in its flash.
async fn tell_the_rest(node: &mut Node, broker: &Broker, rng: Rng) {
    node.flash.power_up();
    start(node, ResetReason::PowerOn).expect("its boot number is kept");
    let ticks = Ticks::start(SPEED, 0.0);
    let mut radio = Radio::new(SLUG, broker, Trouble::default(), rng);
    let deadline = Instant::now() + Duration::from_secs(60);
    while node.waiting().0 > 0 {
        assert!(
            Instant::now() < deadline,
            "{:?} wait in its flash",
            node.waiting()
        );
        let soon = Instant::now() + Duration::from_millis(100);
        radio
            .serve(node, ticks, soon)
            .await
            .expect("the supply holds");
    }
    assert_eq!(node.waiting().1, 0, "its flash was large enough");
}
