//! Whose an observation is: a registered device's own, by its secret, through the real door and to the milking engine.

use farm::{
    Farm, Options, devices,
    logins::{Carrier, Proof},
    readings,
};
use serde_json::{Value, json};

use crate::{
    client::{Client, secret_in},
    machine::{Machine, Running},
    rig::until,
};

const TAG: &str = "050123456789012";

/// A device, where it stands, and a topic of its kind that it may speak on with something to say there.
struct Speaker {
    slug: &'static str,
    kind: &'static str,
    place: (&'static str, &'static str),
    own: (&'static str, Value),
    /// A topic of the same sort that is somebody else's.
    others: &'static str,
}

fn speakers() -> [Speaker; 7] {
    let value = || json!({ "value": 4.5 });
    [
        Speaker {
            slug: "reader-3",
            kind: "rfid_reader",
            place: ("stall", "3"),
            own: ("farm/stall/3/tag", json!({ "tag": TAG })),
            others: "farm/stall/4/tag",
        },
        Speaker {
            slug: "meter-3",
            kind: "milk_meter",
            place: ("stall", "3"),
            own: ("farm/milk/17/1", json!({ "quantity": 12.4 })),
            others: "farm/device/meter-4/milk_total",
        },
        Speaker {
            slug: "probe-1",
            kind: "temperature_probe",
            place: ("tank", "1"),
            own: ("farm/tank/1/temp", value()),
            others: "farm/tank/2/temp",
        },
        Speaker {
            slug: "level-1",
            kind: "level_sensor",
            place: ("tank", "1"),
            own: ("farm/tank/1/level", value()),
            others: "farm/tank/1/temp",
        },
        Speaker {
            slug: "gas-1",
            kind: "biogas_monitor",
            place: ("room", "biogas"),
            own: ("farm/environment/biogas/methane", json!({ "value": 0.1 })),
            others: "farm/environment/barn/methane",
        },
        Speaker {
            slug: "collar-17",
            kind: "collar",
            place: ("room", "barn"),
            own: ("farm/device/collar-17/battery", json!({ "value": 3.6 })),
            others: "farm/environment/barn/temp",
        },
        Speaker {
            slug: "barn-1",
            kind: "sensor",
            place: ("room", "barn"),
            own: ("farm/environment/barn/humidity", json!({ "value": 71 })),
            others: "farm/environment/biogas/temp",
        },
    ]
}

/// An appliance that knows all speakers, and a token to look around with.
struct Site {
    machine: Machine,
    running: Running,
    token: String,
    port: u16,
}

impl Site {
    fn new() -> Self {
        let machine = Machine::new();
        let running = machine.start();
        let token = machine.ok(&["token", "add", "--name", "test", "--scope", "manage"], "");
        let token = token.trim().to_owned();
        let items: Vec<Value> = speakers()
            .iter()
            .map(|s| {
                let (kind, slug) = s.place;
                json!({ "slug": s.slug, "kind": s.kind, "link": { "transport": "mqtt" }, "place": { "kind": kind, "slug": slug } })
            })
            .collect();
        let answer = running.post("/api/v1/devices", &token, &json!({ "items": items }));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Self {
            machine,
            port: running.mqtt.port(),
            running,
            token,
        }
    }

    fn secret(&self, slug: &str) -> String {
        secret_in(&self.machine.ok(&["devices", "secret", slug], ""))
    }

    /// Each device's short name and when it was last heard.
    fn heard(&self) -> Vec<(String, Option<i64>)> {
        let answer = self.running.get("/api/v1/devices", Some(&self.token));
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let start = body.find('{').unwrap();
        let end = body.rfind('}').unwrap();
        let body: Value = serde_json::from_str(&body[start..=end]).unwrap();
        let items = body["items"].as_array().unwrap();
        items
            .iter()
            .map(|d| {
                let slug = d["slug"].as_str().unwrap().to_owned();
                (slug, d["heard_at"].as_i64())
            })
            .collect()
    }

    /// Every registered device is heard, and no other has been made.
    fn all_are_heard_as_themselves(&self) -> bool {
        let heard = self.heard();
        assert_eq!(heard.len(), speakers().len(), "{heard:?}");
        heard.iter().all(|(_, at)| at.is_some())
    }
}

#[test]
fn what_a_registered_device_says_on_its_places_topic_is_its_own() {
    let site = Site::new();
    assert!(site.heard().iter().all(|(_, at)| at.is_none()));
    for speaker in speakers() {
        let (topic, payload) = &speaker.own;
        let told = json!({
            "port": site.port, "client": speaker.slug, "user": speaker.slug, "secret": site.secret(speaker.slug),
            "says": [[topic, payload.to_string()]],
        });
        assert_eq!(Client::start("say", &told).line(), "said", "{topic}");
    }
    assert!(site.all_are_heard_as_themselves());
    // Whoever holds a token is no device: one of the topic stands in for it.
    let gateway = json!({
        "port": site.port, "client": "gateway", "user": "any", "secret": site.token,
        "says": [["farm/tank/1/temp", "{\"value\": 5}"]],
    });
    assert_eq!(Client::start("say", &gateway).line(), "said");
    let slugs: Vec<String> = site.heard().into_iter().map(|(slug, _)| slug).collect();
    assert!(slugs.contains(&"tank-1-mqtt".to_owned()), "{slugs:?}");

    let database = site.machine.path("data/farm.db");
    site.running.end();
    let farm = Farm::open(&database, Options::default()).unwrap();
    let (states, reader) = farm
        .read_blocking(|conn| {
            let reader = devices::find(conn, "reader-3")?;
            Ok::<_, farm::StoreError>((readings::stall_states(conn)?, reader))
        })
        .unwrap();
    let presence = farm.live().presence(reader.unwrap().id);
    let login = presence.last.unwrap();
    assert_eq!(login.peer.to_string(), "127.0.0.1");
    assert_eq!((login.carrier, login.proof), (Carrier::Tcp, Proof::Secret));
    assert_eq!(presence.connections, 0);
    let (stall, state) = &states[0];
    assert_eq!((states.len(), stall.0), (1, 3));
    assert!(state.contains(TAG), "the milking engine heard: {state}");
}

#[tokio::test]
async fn a_will_of_each_kind_is_held_to_what_the_device_may_say() {
    let site = Site::new();
    let mut wills = Vec::new();
    let mut expected = Vec::new();
    for speaker in speakers() {
        let secret = site.secret(speaker.slug);
        let (topic, payload) = &speaker.own;
        wills.push(json!([speaker.slug, secret, topic, payload.to_string()]));
        wills.push(json!([
            speaker.slug,
            secret,
            speaker.others,
            payload.to_string()
        ]));
        expected.extend([
            (topic.to_string(), "in"),
            (speaker.others.to_owned(), "refused 5"),
        ]);
    }
    let told = json!({ "port": site.port, "wills": wills });
    let mut client = Client::start("wills", &told);
    for (topic, answer) in expected {
        assert_eq!(client.line(), answer, "{topic}");
    }
    // Those that were let in have broken off since.
    until(|| site.all_are_heard_as_themselves()).await;
}
