//! A node is told settings and commands over a bad line, and both it and the appliance are restarted meanwhile.

use std::time::{Duration, Instant};

use e2e::{Edge, EdgeOptions};
use firmware_protocol::{ResetReason, Setting};
use serde_json::{Value, json};
use virtual_farm::{
    device::{
        mqtt::Broker,
        node::{Radio, Ticks, Trouble, start},
    },
    node::{Node, Wish},
    rng::Rng,
};

use crate::{
    nodes::{SLUG, commission},
    web,
};

/// Half of all answers are lost, and more.
const BAD: Trouble = Trouble {
    deaf: 0.5,
    mute: 0.3,
    echo: 0.2,
};
/// How much faster than ours the node's time runs.
const SPEED: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// A node with its radio, and what it did because it was told to.
struct Life {
    node: Node,
    broker: Broker,
    radio: Radio,
    ticks: Ticks,
    starts: u32,
    done: Vec<Wish>,
}

impl Life {
    fn begin(mut node: Node, broker: Broker) -> Self {
        start(&mut node, ResetReason::PowerOn).expect("it is new");
        Self {
            radio: radio(&broker, 0),
            ticks: Ticks::start(SPEED, 0.0),
            node,
            broker,
            starts: 0,
            done: Vec::new(),
        }
    }

    fn restart(&mut self) {
        self.node.reset();
        start(&mut self.node, ResetReason::Command).expect("its boot number is kept");
        self.starts += 1;
        self.ticks = Ticks::start(SPEED, 0.0);
        self.radio = radio(&self.broker, self.starts);
    }

    /// Lives for a moment, and does what it is told.
    async fn live(&mut self) {
        let soon = Instant::now() + Duration::from_millis(50);
        let served = self.radio.serve(&mut self.node, self.ticks, soon);
        served.await.expect("the supply holds");
        let wishes = self.node.wishes();
        self.done.extend(&wishes);
        if wishes.contains(&Wish::Restart) {
            self.restart();
        }
    }

    /// Lives until `is_so` of what the appliance says of it.
    async fn until(&mut self, edge: &Edge, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.live().await;
            let said = web::ask(edge, &format!("/api/v1/devices/{SLUG}/node")).await;
            if is_so(&said) {
                return said;
            }
            assert!(Instant::now() < deadline, "in vain for {what}: {said}");
        }
    }
}

fn radio(broker: &Broker, starts: u32) -> Radio {
    Radio::new(SLUG, broker, BAD, Rng::keyed(7, &[i64::from(starts)]))
}

fn are_in_force(said: &Value) -> bool {
    said["settings"]["standing"] == "in_force"
}

async fn tell(edge: &Edge, deed: &str) {
    let path = format!("/api/v1/devices/{SLUG}/node/commands");
    let request = reqwest::Client::new().post(edge.url(&path));
    let answer = request
        .bearer_auth(&edge.token)
        .json(&json!({ "do": deed }));
    assert!(answer.send().await.unwrap().status().is_success(), "{deed}");
}

#[tokio::test]
async fn what_is_wanted_of_a_node_arrives_once_over_a_bad_line() {
    let mut edge = Edge::start(&EdgeOptions::default());
    let (profile, broker) = commission(&edge).await;
    let node = Node::new(profile, 16, Rng::stream(7, "flash"));
    let mut life = Life::begin(node, broker);

    let path = format!("/api/v1/devices/{SLUG}/node/settings");
    let wanted = json!({ "measure_every_s": 60, "greet_every_s": 20 });
    let request = reqwest::Client::new().post(edge.url(&path));
    let answer = request.bearer_auth(&edge.token).json(&wanted).send().await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(answer["standing"], "waiting");
    life.until(&edge, "settings", are_in_force).await;
    assert_eq!(life.node.setting(Setting::SampleEveryS), 60);

    // Both are restarted: the settings stay in force on both sides.
    life.restart();
    edge.kill();
    edge.spawn();
    edge.wait_ready();
    let said = life.until(&edge, "settings", are_in_force).await;
    assert_eq!(said["settings"]["version"], answer["version"]);
    assert_eq!(life.node.setting(Setting::SampleEveryS), 60);

    for deed in ["identify", "measure", "restart"] {
        tell(&edge, deed).await;
    }
    let said = life
        .until(&edge, "commands", |said| {
            let commands = said["commands"].as_array().unwrap();
            commands.len() == 3 && commands.iter().all(|c| c["fate"] == "done")
        })
        .await;
    assert!(
        said["commands"][0]["by"]
            .as_str()
            .unwrap()
            .starts_with("token:"),
        "{said}"
    );
    assert_eq!(life.done, [Wish::Blink(30), Wish::Measure, Wish::Restart]);
    assert_eq!(life.node.setting(Setting::SampleEveryS), 60);
}
