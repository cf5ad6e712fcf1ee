//! The plug is pulled again and again while the parlour works and a client publishes: nothing is lost, nothing doubled.
//!
//! `KHAMAR_KILL_ROUNDS` and `KHAMAR_SEED` choose how often and when.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use e2e::{Edge, EdgeOptions, Farm, FarmOptions};
use farm_model::Quantity;
use rumqttc::{AsyncClient, Event, MqttOptions, Outgoing, Packet, QoS};
use virtual_farm::rng::Rng;

use crate::store::{self, MORNING};

const ROUNDS: u64 = 200;
/// Visits last four farm minutes at least: the appliance is never away for one.
const SPEED: f64 = 30.0;
/// How long the appliance lives, in milliseconds.
const LIFE_MS: (i64, i64) = (300, 1_000);
/// Messages that the publisher has in flight at most.
const WINDOW: usize = 10;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn killed_at_any_moment_it_keeps_every_milking_and_message_once() {
    let rounds = from_environment("KHAMAR_KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = from_environment("KHAMAR_SEED").unwrap_or_else(|| std::process::id().into());
    println!("KHAMAR_SEED={seed} KHAMAR_KILL_ROUNDS={rounds}");
    let cows = (rounds / 2).max(8);
    let dir = tempfile::tempdir().unwrap();
    let mut edge = Edge::start(&EdgeOptions {
        simulated: Some((MORNING, SPEED)),
        farm: Some(dir.path().to_owned()),
        ..EdgeOptions::default()
    });
    let options = FarmOptions {
        seed,
        cows: cows as u32,
        speed: SPEED,
        start_ms: edge.farm_time(),
        more: vec![],
    };
    let farm = Farm::start_with(&options, dir, &edge);
    farm.wait_provisioned();
    let publisher = Publisher::start(edge.mqtt);

    let mut rng = Rng::stream(seed, "kills");
    let mut back = vec![];
    for _ in 0..rounds {
        let (least, most) = LIFE_MS;
        std::thread::sleep(Duration::from_millis(rng.whole(least, most) as u64));
        edge.kill();
        let killed = Instant::now();
        edge.spawn();
        edge.wait_ready();
        back.push(killed.elapsed());
    }
    back.sort();
    println!(
        "back after {:?} at the median, {:?} at most",
        back[back.len() / 2],
        back[back.len() - 1]
    );

    let acknowledged = publisher.finish();
    let differences = store::differences_at_the_end(&edge, &farm, cows as usize, 240);
    assert!(differences.is_empty(), "{differences:#?}");
    let conn = store::open(&edge.database());
    let mut kept = BTreeMap::<i64, u32>::new();
    for value in store::series(&conn, "counter", Quantity::Steps)
        .into_iter()
        .flatten()
    {
        *kept.entry(value / 1000).or_default() += 1;
    }
    let wrong: Vec<_> = acknowledged
        .iter()
        .map(|n| (n, kept.get(n).copied().unwrap_or(0)))
        .filter(|(_, times)| *times != 1)
        .collect();
    assert!(
        wrong.is_empty(),
        "of {} messages, these are kept so often: {wrong:?}",
        acknowledged.len()
    );
    assert_eq!(
        kept.len(),
        acknowledged.len(),
        "every message kept was sent"
    );
    assert!(acknowledged.len() as u64 > rounds, "it published all along");
}

/// A client that counts: each number is sent again until it is acknowledged.
struct Publisher {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<i64>>,
}

impl Publisher {
    fn start(door: SocketAddr) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let enough = Arc::clone(&enough);
            move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(count(door, &enough))
            }
        });
        Self { enough, thread }
    }

    /// Waits until everything sent is acknowledged: which numbers.
    fn finish(self) -> BTreeSet<i64> {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the publisher ends")
    }
}

async fn count(door: SocketAddr, enough: &AtomicBool) -> BTreeSet<i64> {
    let mut acknowledged = BTreeSet::new();
    let mut waiting = VecDeque::new();
    let mut next = 0;
    let mut deadline = None;
    loop {
        let over = enough.load(Ordering::Relaxed);
        if over && waiting.is_empty() {
            return acknowledged;
        }
        if over {
            let deadline =
                *deadline.get_or_insert_with(|| Instant::now() + Duration::from_secs(30));
            assert!(
                Instant::now() < deadline,
                "{} messages are never acknowledged",
                waiting.len()
            );
        }
        connection(door, enough, &mut next, &mut waiting, &mut acknowledged).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One connection, until it breaks or nothing is left to send.
async fn connection(
    door: SocketAddr,
    enough: &AtomicBool,
    next: &mut i64,
    waiting: &mut VecDeque<i64>,
    acknowledged: &mut BTreeSet<i64>,
) {
    let mut options = MqttOptions::new("counter", door.ip().to_string(), door.port());
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = AsyncClient::new(options, 2 * WINDOW);
    let mut sending: VecDeque<i64> = waiting.iter().copied().collect();
    let mut by_packet = HashMap::new();
    for n in &sending {
        publish(&client, *n);
    }
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while !(enough.load(Ordering::Relaxed) && waiting.is_empty()) {
        tokio::select! {
            _ = pace.tick() => if !enough.load(Ordering::Relaxed) && waiting.len() < WINDOW {
                publish(&client, *next);
                sending.push_back(*next);
                waiting.push_back(*next);
                *next += 1;
            },
            event = events.poll() => match event {
                Ok(Event::Outgoing(Outgoing::Publish(packet))) => {
                    by_packet.insert(packet, sending.pop_front().expect("it was sent for a reason"));
                }
                Ok(Event::Incoming(Packet::PubAck(ack))) => {
                    let n = by_packet.remove(&ack.pkid).expect("only what was sent is acknowledged");
                    waiting.retain(|w| *w != n);
                    acknowledged.insert(n);
                }
                Ok(_) => {}
                Err(_) => return,
            },
        }
    }
}

fn publish(client: &AsyncClient, n: i64) {
    let payload = format!(r#"{{"value": {n}, "id": "count-{n}"}}"#);
    client
        .try_publish(
            "farm/device/counter/steps",
            QoS::AtLeastOnce,
            false,
            payload,
        )
        .expect("there is room for the whole window");
}
