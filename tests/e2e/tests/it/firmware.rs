//! Firmware from the vendor's key to a node's flash, over real MQTT: chunks lost, both sides restarted, a bad image, a forged one.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use e2e::{Edge, EdgeOptions};
use farm_firmware::SigningKey;
use firmware_protocol::{
    DeviceId, Direction, FrameWriter, Header, Hello, Key, MAX_FRAME, Record, ResetReason, Sequence,
    UpdateState, open,
};
use rumqttc::{Client, Connection, Event, MqttOptions, Packet, QoS};
use serde_json::json;
use virtual_farm::{
    node::{Health, Slots},
    rng::Rng,
};

use crate::{nodes::runtime, web};

const HARDWARE: &str = "node-c3";
/// 2026-11-20, noon in Dhaka: between the usual sessions.
const NOON: i64 = 1_795_154_400_000;
/// How long a node waits for what it asked for.
const ANSWER: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(90);
/// The vendor's key as OpenSSL makes it, and the line of its public half.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFeb4x2eR+UT8x6pwu8ssMj7yPwy9mOCDoLmHYgNIBSB\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "MCowBQYDK2VwAyEA7xvUs5VEBCC0CF2Xq1VI+Y8kSsjJPAz14v4MxWNVQIs=";

/// An appliance that trusts the vendor.
pub(crate) fn start() -> Edge {
    let lines =
        format!("trusted_keys = [\"{PUBLIC}\"]\nprove_minutes = 0\nbytes_per_second = 200000");
    Edge::start(&EdgeOptions {
        simulated: Some((NOON, 1.0)),
        more: vec![("firmware", lines)],
        ..EdgeOptions::default()
    })
}

/// Signs `size` bytes as `version`; the file.
pub(crate) fn signed(edge: &Edge, version: &str, size: usize) -> PathBuf {
    let folder = edge.dir.path();
    let (key, image) = (
        folder.join("vendor.pem"),
        folder.join(format!("{version}.bin")),
    );
    fs::write(&key, PRIVATE).expect("its folder is writable");
    let bytes: Vec<u8> = (0..size)
        .map(|n| (n / 3) as u8 ^ version.as_bytes()[0])
        .collect();
    fs::write(&image, bytes).expect("its folder is writable");
    let path = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    let (key, image) = (path(&key), path(&image));
    let sign = [
        "firmware",
        "sign",
        &image,
        "--key",
        &key,
        "--version",
        version,
        "--hardware",
        HARDWARE,
    ];
    let said = edge.command(&sign, "");
    assert!(said.contains(PUBLIC) && !said.contains("FleS"), "{said}");
    folder.join(format!("{version}.khfw"))
}

fn add(edge: &Edge, version: &str, size: usize) {
    let file = signed(edge, version, size);
    edge.command(&["firmware", "add", file.to_str().expect("UTF-8")], "");
}

fn list(edge: &Edge) -> String {
    edge.command(&["firmware", "list"], "")
}

/// A node with slots, over MQTT.
pub(crate) struct Node {
    slug: &'static str,
    device: DeviceId,
    key: Key,
    slots: Slots,
    health: Health,
    boot: u32,
    sequence: Sequence,
    client: Client,
    connection: Connection,
    /// Offers that came.
    offers: u32,
    /// Chunks that came, and every which of them is lost.
    chunks: u32,
    lose_every: u32,
    /// What came down under each number of each boot.
    numbers: HashMap<(u32, u64), Vec<u8>>,
}

impl Node {
    pub(crate) fn new(edge: &Edge, slug: &'static str) -> Self {
        edge.command(&["devices", "add", slug, "--kind", "sensor"], "");
        let said = edge.command(&["devices", "frame-key", slug], "");
        let hex = said
            .split_whitespace()
            .find(|w| w.len() == 64)
            .expect("a key");
        let mut key = [0; 32];
        for (byte, digits) in key.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).expect("ASCII");
            *byte = u8::from_str_radix(digits, 16).expect("hexadecimal");
        }
        let all: serde_json::Value =
            serde_json::from_str(&edge.command(&["devices", "export"], "")).expect("JSON");
        let own = all
            .as_array()
            .expect("a list")
            .iter()
            .find(|d| d["slug"] == slug);
        let id: farm_model::DeviceId = own.expect("it was added")["id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an identity");
        let device = DeviceId(*id.as_bytes().last_chunk().expect("sixteen bytes"));
        let vendor = SigningKey::from_pem(PRIVATE).expect("a key").public();
        let slots = Slots::new(
            vendor,
            HARDWARE,
            "1.0",
            &[0x11; 3_000],
            12,
            Rng::stream(7, slug),
        );
        let (client, connection) = connect(edge, slug);
        let mut node = Self {
            slug,
            device,
            key: Key::new(key),
            slots,
            health: Health::Good,
            boot: 0,
            sequence: Sequence::start(Direction::Up, device, 0),
            client,
            connection,
            offers: 0,
            chunks: 0,
            lose_every: 7,
            numbers: HashMap::new(),
        };
        node.restart(edge);
        node
    }

    /// Loses all but flash, starts, and greets.
    fn restart(&mut self, edge: &Edge) {
        self.slots.reset();
        self.slots.start().expect("the supply is good");
        self.boot += 1;
        self.sequence = Sequence::start(Direction::Up, self.device, self.boot);
        (self.client, self.connection) = connect(edge, self.slug);
        let topic = format!("khamar/node/{}/down", self.slug);
        self.client
            .subscribe(topic, QoS::AtLeastOnce)
            .expect("a queue with room");
        self.greet();
    }

    fn greet(&mut self) {
        let (version, _) = self.slots.runs().expect("it runs");
        let hello = Hello {
            ticks: 1_000,
            reset: ResetReason::PowerOn,
            firmware: &version,
            hardware: HARDWARE,
            heard: 0,
            refused: 0,
            config: 0,
            battery_mv: 3_700,
            room: 8,
        };
        let mut buffer = [0; MAX_FRAME];
        let mut frame = FrameWriter::new(&mut buffer, &mut self.sequence).expect("a buffer");
        frame.add(&Record::Hello(hello)).expect("it fits");
        for (kind, contents) in self.slots.say() {
            frame.add_stored(kind, &contents).expect("it fits");
        }
        let sent = frame.seal(&self.key).to_vec();
        let topic = format!("khamar/node/{}/up", self.slug);
        self.client
            .publish(topic, QoS::AtLeastOnce, false, sent)
            .expect("a queue with room");
    }

    /// Hears what comes for a while, then says again what it has to say; restarts to try what it has verified.
    pub(crate) fn step(&mut self, edge: &Edge) {
        let until = Instant::now() + ANSWER;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match self.connection.recv_timeout(left) {
                Ok(Ok(Event::Incoming(Packet::Publish(publish)))) => {
                    self.hear(publish.payload.to_vec());
                }
                Ok(Ok(_)) => {}
                // The appliance is away: try again as devices do.
                Ok(Err(_)) => (self.client, self.connection) = self.again(edge),
                Err(_) => break,
            }
        }
        match self.slots.phase() {
            Some(UpdateState::Verified) => self.restart(edge),
            Some(UpdateState::Trying) => {
                self.slots.judge(self.health).expect("the supply is good");
                if self.health == Health::Bad {
                    self.restart(edge);
                }
            }
            _ => {}
        }
        self.greet();
    }

    fn again(&self, edge: &Edge) -> (Client, Connection) {
        let (client, connection) = connect(edge, self.slug);
        let topic = format!("khamar/node/{}/down", self.slug);
        client
            .subscribe(topic, QoS::AtLeastOnce)
            .expect("a queue with room");
        (client, connection)
    }

    fn hear(&mut self, mut frame: Vec<u8>) {
        let header = Header::read(&frame).expect("the appliance sends frames");
        let number = (header.boot, header.seq);
        // The broker may deliver one twice; another under its number would give both away.
        let before = self.numbers.insert(number, frame.clone());
        assert!(
            before.is_none_or(|before| before == frame),
            "{number:?} is used twice"
        );
        let Ok(opened) = open(&mut frame, &self.key) else {
            return;
        };
        if opened.header.boot != self.boot {
            return;
        }
        for record in opened.records().flatten() {
            self.offers += u32::from(matches!(record, Record::Offer(_)));
            if let Record::Chunk(_) = record {
                self.chunks += 1;
                if self.chunks.is_multiple_of(self.lose_every) {
                    continue;
                }
            }
            self.slots.hear(&record).expect("the supply is good");
        }
    }

    pub(crate) fn version(&self) -> String {
        self.slots.runs().expect("it runs").0
    }
}

fn connect(edge: &Edge, slug: &str) -> (Client, Connection) {
    let mut options = MqttOptions::new(slug, "127.0.0.1", edge.mqtt.port());
    options.set_keep_alive(Duration::from_secs(30));
    Client::new(options, 256)
}

/// Lets the nodes live until `done`.
#[track_caller]
fn live(
    what: &str,
    edge: &mut Edge,
    nodes: &mut [&mut Node],
    mut done: impl FnMut(&Edge, &[&mut Node]) -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    while !done(edge, nodes) {
        assert!(
            Instant::now() < deadline,
            "waited in vain for {what}:\n{}",
            list(edge)
        );
        for node in nodes.iter_mut() {
            node.step(edge);
        }
    }
}

#[test]
fn an_image_reaches_its_nodes_over_lost_chunks_and_restarts_and_a_bad_one_stops() {
    let mut edge = start();
    let (mut first, mut second) = (Node::new(&edge, "node-1"), Node::new(&edge, "node-2"));
    live(
        "both greetings",
        &mut edge,
        &mut [&mut first, &mut second],
        |edge, _| list(edge).matches("1.0 ").count() == 2,
    );

    add(&edge, "2.0", 30_000);
    edge.command(
        &["firmware", "offer", "1", "--devices", "node-1,node-2"],
        "",
    );
    live(
        "a part of it",
        &mut edge,
        &mut [&mut first, &mut second],
        |_, nodes| nodes[0].chunks > 25,
    );
    assert_eq!(second.chunks, 0, "one goes first");
    // The plug is pulled on both sides.
    edge.kill();
    edge.spawn();
    edge.wait_ready();
    first.restart(&edge);
    // And again on the appliance's side alone: it goes on in the same boot of the node.
    live(
        "more of it",
        &mut edge,
        &mut [&mut first, &mut second],
        |_, nodes| nodes[0].chunks > 45,
    );
    edge.kill();
    edge.spawn();
    edge.wait_ready();
    live(
        "both to run it",
        &mut edge,
        &mut [&mut first, &mut second],
        |edge, nodes| {
            nodes.iter().all(|n| n.version() == "2.0")
                && list(edge).matches("confirmed").count() == 2
        },
    );

    add(&edge, "3.0", 9_000);
    edge.command(
        &["firmware", "offer", "2", "--devices", "node-1,node-2"],
        "",
    );
    first.health = Health::Bad;
    let before = second.chunks;
    live(
        "the rollout to stop",
        &mut edge,
        &mut [&mut first, &mut second],
        |edge, _| list(edge).contains("3.0 for node-c3: paused"),
    );
    let told = list(&edge);
    assert!(told.contains("rolled_back"), "{told}");
    assert_eq!(
        (first.version(), second.version()),
        ("2.0".into(), "2.0".into())
    );
    assert_eq!(second.chunks, before, "no other is offered it");
}

#[test]
fn a_forged_image_never_leaves_the_edge_and_a_changed_one_never_boots() {
    let mut edge = start();
    let mut node = Node::new(&edge, "node-1");
    live("its greeting", &mut edge, &mut [&mut node], |edge, _| {
        list(edge).contains("1.0 ")
    });
    let file = signed(&edge, "6.6", 5_000);
    let mut bytes = fs::read(&file).expect("it was written");
    let last = bytes.last_mut().expect("it is not empty");
    *last ^= 1;
    fs::write(&file, bytes).expect("its folder is writable");
    let refused = edge.refused(&["firmware", "add", file.to_str().expect("UTF-8")]);
    assert!(refused.contains("changed or damaged"), "{refused}");
    assert!(list(&edge).contains("REFUSED"));
    let refused = edge.refused(&["firmware", "offer", "1"]);
    assert!(refused.contains("cannot be offered"), "{refused}");

    // Somebody changes the bytes of a good image in the data folder.
    add(&edge, "2.0", 5_000);
    let folder = edge.dir.path().join("data/firmware");
    for entry in fs::read_dir(folder).expect("it was made") {
        let path = entry.expect("readable").path();
        let mut bytes = fs::read(&path).expect("readable");
        bytes[4_321] ^= 1;
        fs::write(&path, bytes).expect("writable");
    }
    edge.command(&["firmware", "offer", "2"], "");
    live(
        "the rollout to stop",
        &mut edge,
        &mut [&mut node],
        |edge, _| list(edge).contains("paused"),
    );
    assert!(node.chunks > 0 && list(&edge).contains("refused"));
    node.restart(&edge);
    assert_eq!(node.version(), "1.0");
}

/// Lets the farm milk once a day, between these times.
fn milk_between(edge: &Edge, starts: &str, ends: &str) {
    let plan = json!([{ "name": "দোহন", "starts": starts, "ends": ends }]);
    runtime().block_on(web::tell(edge, "/api/v1/sessions", plan));
}

#[test]
fn no_firmware_leaves_while_cows_are_milked() {
    /// Longer than the appliance takes to notice that a session has begun.
    const LONG: Duration = Duration::from_secs(5);
    let mut edge = start();
    milk_between(&edge, "11:00", "14:00");
    let mut node = Node::new(&edge, "node-1");
    node.lose_every = u32::MAX;
    live("its greeting", &mut edge, &mut [&mut node], |edge, _| {
        list(edge).contains("1.0 ")
    });
    add(&edge, "2.0", 40_000);
    edge.command(&["firmware", "offer", "1"], "");
    let began = Instant::now();
    let nodes = &mut [&mut node];
    live("time to pass", &mut edge, nodes, |_, _| {
        began.elapsed() > LONG
    });
    assert_eq!((node.offers, node.chunks), (0, 0), "it is being milked");

    milk_between(&edge, "04:00", "09:00");
    let nodes = &mut [&mut node];
    live("a part of it", &mut edge, nodes, |_, nodes| {
        nodes[0].chunks > 10
    });
    milk_between(&edge, "11:00", "14:00");
    let mut last = (node.chunks, Instant::now());
    let nodes = &mut [&mut node];
    live("chunks to stop", &mut edge, nodes, |_, nodes| {
        if nodes[0].chunks != last.0 {
            last = (nodes[0].chunks, Instant::now());
        }
        last.1.elapsed() > LONG
    });
    assert_eq!(node.version(), "1.0", "in the middle of it");
    milk_between(&edge, "04:00", "09:00");
    let nodes = &mut [&mut node];
    live("it to run", &mut edge, nodes, |edge, nodes| {
        nodes[0].version() == "2.0" && list(edge).contains("confirmed")
    });
}
