//! MQTT clients that are not ours: mosquitto's, paho's and rumqttc's, in both versions of the protocol.

use std::{
    collections::HashMap,
    io::Write as _,
    process::{Command, Output, Stdio},
    time::Duration,
};

use e2e::{Edge, EdgeOptions, until};
use farm::readings;
use farm_model::Quantity;
use rumqttc::v5::{
    AsyncClient, Event, EventLoop, MqttOptions,
    mqttbytes::{
        QoS,
        v5::{Packet, PubAckReason, SubscribeReasonCode},
    },
};
use serde_json::json;

use crate::{store, web};

/// Runs mosquitto's publisher against the door.
fn mosquitto_pub(edge: &Edge, args: &[&str]) -> Output {
    Command::new("/usr/bin/mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &edge.mqtt.port().to_string()])
        .args(args)
        .output()
        .expect(
            "mosquitto_pub starts (install Debian's mosquitto-clients, or run `cargo xtask setup`)",
        )
}

fn publish(edge: &Edge, qos: &str, topic: &str, message: &str) {
    let output = mosquitto_pub(edge, &["-q", qos, "-t", topic, "-m", message]);
    assert!(output.status.success(), "{topic} {message}: {output:?}");
}

#[test]
fn mosquitto_publishes_readings_with_and_without_time_and_twice() {
    let edge = Edge::start(&EdgeOptions::default());
    let conn = store::open(&edge.database());
    let air = |wanted: &[i64]| {
        let values = || store::series(&conn, "shed-mqtt", Quantity::Temperature);
        let wanted: Vec<_> = wanted.iter().copied().map(Some).collect();
        until(&format!("{wanted:?}"), 10, || {
            let mut values = values();
            values.sort_unstable();
            (values == wanted).then_some(())
        });
    };
    let topic = "farm/environment/shed/temp";
    publish(&edge, "0", topic, r#"{"value": 21.5}"#);
    air(&[21_500]);
    publish(
        &edge,
        "1",
        topic,
        r#"{"value": 22.5, "timestamp": "2026-05-21T05:00:00+06:00"}"#,
    );
    air(&[21_500, 22_500]);
    let at: i64 = conn
        .query_row(
            "SELECT min(at) FROM (SELECT at FROM reading_log UNION ALL SELECT at FROM reading)",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(at, store::MORNING);
    for _ in 0..3 {
        publish(&edge, "1", topic, r#"{"value": 23.5, "id": "the-same"}"#);
    }
    publish(&edge, "2", topic, r#"{"value": 24.5}"#);
    air(&[21_500, 22_500, 23_500, 24_500]);

    // A tank that nobody has ever heard of.
    publish(&edge, "1", "farm/tank/new-one/level", r#"{"value": 63.2}"#);
    assert_eq!(
        store::series(&conn, "tank-new-one-mqtt", Quantity::Level),
        [Some(63_200)]
    );
}

#[tokio::test]
async fn a_milking_told_is_one_record_however_often_it_is_told() {
    let edge = Edge::start(&EdgeOptions::default());
    let cow = json!([{ "number": "101", "name": "লাল", "sex": "female", "status": "lactating", "tags": ["050001204000689"] }]);
    web::tell(&edge, "/api/v1/animals", cow).await;
    for _ in 0..2 {
        publish(
            &edge,
            "1",
            "farm/milk/050001204000689/1",
            r#"{"quantity": 8.4, "fat": 4.1, "id": "m-1"}"#,
        );
    }
    let milkings = web::ask(&edge, "/api/v1/milkings").await;
    let items = milkings["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{milkings}");
    assert_eq!(
        (&items[0]["animal"], &items[0]["yield_ml"], &items[0]["fat"]),
        (&json!("101"), &json!(8400), &json!(4.1))
    );
    assert_eq!(items[0]["session"]["number"], 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_kept_and_shown() {
    let edge = Edge::start(&EdgeOptions::default());
    let topic = "farm/environment/shed/temp";
    publish(&edge, "1", topic, r#"{"value": 21.5"#);
    publish(&edge, "1", topic, r#"{"value": "warm"}"#);
    let conn = store::open(&edge.database());
    let kept = readings::quarantined(&conn, Some(topic), 10).unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|q| (q.reason.as_str(), q.raw.as_slice()))
        .collect();
    assert_eq!(
        kept,
        [
            ("not_a_number", &br#"{"value": "warm"}"#[..]),
            ("not_json", br#"{"value": 21.5"#)
        ]
    );
    let owner = web::Visitor::log_in(&edge, e2e::edge::OWNER).await;
    let page = owner.page("/devices").await;
    assert!(
        page.contains(topic),
        "the Devices page shows what was refused: {page}"
    );
    let metrics = owner.page("/metrics").await;
    assert!(metrics.contains("not_json"), "{metrics}");
    a_scraper_understands(&metrics);
}

/// Reads `/metrics` with the Prometheus project's own parser: each figure has a type, words and a name as the conventions want it.
fn a_scraper_understands(metrics: &str) {
    let script = r"
import sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
assert len(families) >= 8, len(families)
for family in families:
    assert family.type != 'unknown', family.name + ' has no type'
    assert family.documentation, family.name + ' has no words'
    totals = [sample.name.endswith('_total') for sample in family.samples]
    assert all(totals) == (family.type == 'counter'), family.name + ' is misnamed'
";
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Debian's python3 starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(metrics.as_bytes())
        .expect("python reads it all");
    let output = child.wait_with_output().expect("python ends");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}\n{metrics}");
}

#[test]
fn paho_publishes_at_each_quality_of_service() {
    let edge = Edge::start(&EdgeOptions::default());
    let script = r"
import sys, paho.mqtt.client as mqtt
client = mqtt.Client('paho', protocol=mqtt.MQTTv311)
client.username_pw_set('barn', sys.argv[2])
client.connect('127.0.0.1', int(sys.argv[1]), keepalive=5)
client.loop_start()
for qos in (0, 1, 2):
    message = client.publish('farm/device/paho/steps', '{\x22value\x22: %d}' % (qos + 1), qos=qos)
    message.wait_for_publish(10)
    assert message.is_published(), qos
client.disconnect()
";
    let output = Command::new("/usr/bin/python3")
        .args(["-c", script, &edge.mqtt.port().to_string(), &edge.token])
        .stdin(Stdio::null())
        .output()
        .expect("Debian's python3 starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let conn = store::open(&edge.database());
    until("paho's readings", 10, || {
        let values = store::series(&conn, "paho", Quantity::Steps);
        (values == [Some(1_000), Some(2_000), Some(3_000)]).then_some(())
    });
}

#[test]
fn strangers_are_refused() {
    let mut edge = Edge::start(&EdgeOptions::default());
    let message = [
        "-q",
        "1",
        "-t",
        "farm/device/x/steps",
        "-m",
        r#"{"value": 1}"#,
    ];
    let refused = |args: &[&str]| {
        let output = mosquitto_pub(&edge, &[&message[..], args].concat());
        assert!(!output.status.success(), "{args:?} was let in");
        String::from_utf8(output.stderr).unwrap()
    };
    let wrong = refused(&["-u", "barn", "-P", "wrong"]);
    assert!(
        wrong.contains("bad user name or password") || wrong.contains("not authorised"),
        "{wrong}"
    );
    let foreign = refused(&["-A", "127.0.0.2"]);
    assert!(foreign.contains("not authorised"), "{foreign}");
    let known = mosquitto_pub(
        &edge,
        &[
            &message[..],
            &["-A", "127.0.0.2", "-u", "barn", "-P", &edge.token],
        ]
        .concat(),
    );
    assert!(known.status.success(), "{known:?}");

    edge.stop();
    let reads = edge.command(&["token", "add", "--name", "screen", "--scope", "read"], "");
    edge.spawn();
    edge.wait_ready();
    let output = mosquitto_pub(
        &edge,
        &[
            &message[..],
            &["-V", "mqttv5", "-u", "screen", "-P", reads.trim()],
        ]
        .concat(),
    );
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.to_lowercase().contains("not authorized"), "{output:?}");
    let conn = store::open(&edge.database());
    assert_eq!(store::series(&conn, "x", Quantity::Steps), [Some(1_000)]);
}

struct Client {
    client: AsyncClient,
    events: EventLoop,
}

impl Client {
    fn connect(edge: &Edge, id: &str) -> Self {
        let mut options = MqttOptions::new(id, edge.mqtt.ip().to_string(), edge.mqtt.port());
        options.set_keep_alive(Duration::from_secs(5));
        options.set_credentials(id, edge.token.clone());
        let (client, events) = AsyncClient::new(options, 10);
        Self { client, events }
    }

    /// The next packet from the door that `want` wants.
    async fn until<T>(&mut self, mut want: impl FnMut(&Packet) -> Option<T>) -> T {
        let wait = async {
            loop {
                if let Event::Incoming(packet) =
                    self.events.poll().await.expect("the connection holds")
                    && let Some(found) = want(&packet)
                {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait)
            .await
            .expect("the door answers")
    }
}

#[tokio::test]
async fn a_client_of_version_5_may_do_what_it_may_and_nothing_else() {
    let edge = Edge::start(&EdgeOptions::default());
    let mut screen = Client::connect(&edge, "screen");
    let mut granted = HashMap::new();
    for filter in ["farm/environment/+/temp", "#", "$SYS/#"] {
        screen
            .client
            .subscribe(filter, QoS::AtLeastOnce)
            .await
            .unwrap();
        let code = screen
            .until(|p| match p {
                Packet::SubAck(ack) => Some(ack.return_codes[0]),
                _ => None,
            })
            .await;
        granted.insert(filter, code);
    }
    assert_eq!(
        granted["farm/environment/+/temp"],
        SubscribeReasonCode::Success(QoS::AtLeastOnce)
    );
    assert_eq!(granted["#"], SubscribeReasonCode::NotAuthorized);
    assert_eq!(granted["$SYS/#"], SubscribeReasonCode::NotAuthorized);

    let mut node = Client::connect(&edge, "node");
    for (topic, reason) in [
        ("farm/environment/shed/temp", PubAckReason::Success),
        ("khamar/commands", PubAckReason::NotAuthorized),
        ("farm/environment/shed/temp", PubAckReason::Success),
    ] {
        node.client
            .publish(topic, QoS::AtLeastOnce, false, r#"{"value": 20}"#)
            .await
            .unwrap();
        let code = node
            .until(|p| match p {
                Packet::PubAck(ack) => Some(ack.reason),
                _ => None,
            })
            .await;
        assert_eq!(code, reason, "{topic}");
    }
    for _ in 0..2 {
        let topic = screen
            .until(|p| match p {
                Packet::Publish(publish) => Some(publish.topic.clone()),
                _ => None,
            })
            .await;
        assert_eq!(topic, "farm/environment/shed/temp");
    }
    let conn = store::open(&edge.database());
    assert_eq!(
        store::series(&conn, "shed-mqtt", Quantity::Temperature),
        [Some(20_000), Some(20_000)]
    );
}
