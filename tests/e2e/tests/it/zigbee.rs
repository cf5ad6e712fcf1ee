//! Zigbee2MQTT's messages through the real door, from clients that are not ours: mosquitto's and paho's.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use e2e::{Edge, EdgeOptions};
use farm_model::Quantity;

use crate::{store, web};

/// What the bridge logs in with.
fn token(edge: &Edge, scope: &str) -> String {
    let args = ["token", "add", "--name", scope, "--scope", scope];
    edge.command(&args, "").trim().to_owned()
}

/// Publishes with Debian's `mosquitto_pub`, at QoS 1: it ends when it is acknowledged.
fn mosquitto(edge: &Edge, token: &str, topic: &str, payload: &str) -> bool {
    let port = edge.mqtt.port().to_string();
    let status = Command::new("/usr/bin/mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-V", "mqttv311", "-q", "1"])
        .args(["-u", "zigbee2mqtt", "-P", token, "-t", topic, "-m", payload])
        .stderr(Stdio::null())
        .status()
        .expect("mosquitto_pub starts (install Debian's mosquitto-clients)");
    status.success()
}

/// Publishes each line's topic and payload with paho, retained as the bridge may, and ends when all are acknowledged.
const PAHO: &str = "
import sys, paho.mqtt.client as mqtt
port, token = int(sys.argv[1]), sys.argv[2]
client = mqtt.Client(client_id='mqttjs_zigbee', clean_session=True)
client.username_pw_set('zigbee2mqtt', token)
client.connect('127.0.0.1', port)
client.loop_start()
for line in sys.stdin:
    topic, payload = line.rstrip('\\n').split(' ', 1)
    client.publish(topic, payload, qos=1, retain=True).wait_for_publish(20)
client.loop_stop()
client.disconnect()
print('acknowledged')
";

fn paho(edge: &Edge, token: &str, messages: &[(&str, &str)]) {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", PAHO, &edge.mqtt.port().to_string(), token])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts (install Debian's python3-paho-mqtt)");
    let mut input = child.stdin.take().expect("piped");
    for (topic, payload) in messages {
        writeln!(input, "{topic} {payload}").expect("it reads");
    }
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "acknowledged\n");
}

#[tokio::test]
async fn what_the_bridge_publishes_is_stored_when_it_is_acknowledged() {
    let edge = Edge::start(&EdgeOptions::default());
    let bridge = token(&edge, "observe");
    let air = r#"{"temperature":27.3,"humidity":81.2,"battery":91,"voltage":3015,"linkquality":120,"last_seen":"2026-11-20T05:30:00+06:00"}"#;
    assert!(mosquitto(&edge, &bridge, "zigbee2mqtt/barn/air", air));
    let pump = r#"{"power":740,"energy":12.31,"state":"ON","device":{"ieeeAddr":"0x00158d00036c1821"},"last_seen":"2026-11-20T05:31:00+06:00"}"#;
    let messages = [
        // The bridge tells again what it heard before it stopped: known.
        ("zigbee2mqtt/barn/air", air),
        ("zigbee2mqtt/pump", pump),
        ("zigbee2mqtt/bridge/state", r#"{"state":"online"}"#),
        ("zigbee2mqtt/pump/availability", "online"),
        ("zigbee2mqtt/pump/set", r#"{"state":"OFF"}"#),
        ("zigbee2mqtt/broken", r#"{"temperature":"warm"}"#),
    ];
    paho(&edge, &bridge, &messages);

    let conn = store::open(&edge.database());
    for (device, quantity, stored) in [
        ("zigbee-barn-air", Quantity::Temperature, vec![27_300]),
        ("zigbee-barn-air", Quantity::Humidity, vec![81_200]),
        ("zigbee-barn-air", Quantity::Battery, vec![3_015]),
        ("zigbee-0x00158d00036c1821", Quantity::Power, vec![740]),
        ("zigbee-0x00158d00036c1821", Quantity::Energy, vec![12_310]),
    ] {
        let values = store::series(&conn, device, quantity);
        let values: Vec<i64> = values.into_iter().flatten().collect();
        assert_eq!(values, stored, "{device} {quantity}");
    }
    let devices = web::ask(&edge, "/api/v1/devices").await;
    let zigbee = |item: &&serde_json::Value| item["link"]["transport"] == "zigbee";
    let devices = devices["items"].as_array().unwrap().iter().filter(zigbee);
    assert_eq!(devices.count(), 2, "neither the bridge nor what is broken");
    let refused: i64 = conn
        .query_row(
            "SELECT count(*) FROM quarantine WHERE source LIKE 'zigbee2mqtt/broken%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(refused, 1);

    // Who may only read publishes nothing.
    let reader = token(&edge, "read");
    let hot = r#"{"temperature":99}"#;
    assert!(!mosquitto(&edge, &reader, "zigbee2mqtt/barn/air", hot));
    assert!(!mosquitto(
        &edge,
        "not a token",
        "zigbee2mqtt/barn/air",
        hot
    ));
}
