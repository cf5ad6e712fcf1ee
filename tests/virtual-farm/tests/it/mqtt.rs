//! MQTT nodes on mosquitto, heard by mosquitto_sub.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Instant,
};

use tokio::task::spawn_blocking;
use virtual_farm::device::mqtt::Broker;

use crate::common::{DEADLINE, farm};

const NEEDED: &str =
    "mosquitto and mosquitto_sub are needed: apt-get install mosquitto mosquitto-clients";

/// A child that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts mosquitto on a free port, and waits until it answers.
fn mosquitto(dir: &std::path::Path) -> (Running, u16) {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = dir.join("mosquitto.conf");
    std::fs::write(
        &config,
        format!("listener {port} 127.0.0.1\nallow_anonymous true\n"),
    )
    .unwrap();
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let child = Command::new("mosquitto")
        .env("PATH", path)
        .arg("-c")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let broker = Running(child.expect(NEEDED));
    let began = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(began.elapsed() < DEADLINE, "mosquitto does not answer");
        std::thread::yield_now();
    }
    (broker, port)
}

/// The first message of each of `wanted` topics.
fn hear(port: u16, wanted: usize) -> Vec<(String, serde_json::Value)> {
    let child = Command::new("mosquitto_sub")
        .args([
            "-p",
            &port.to_string(),
            "-t",
            "farm/#",
            "-t",
            "application/#",
            "-v",
            "-q",
            "1",
            "-W",
            "20",
        ])
        .stdout(Stdio::piped())
        .spawn();
    let mut listener = Running(child.expect(NEEDED));
    let lines = BufReader::new(listener.0.stdout.take().unwrap()).lines();
    let mut heard = Vec::<(String, serde_json::Value)>::new();
    for line in lines {
        let line = line.unwrap();
        let (topic, payload) = line.split_once(' ').unwrap();
        if !heard.iter().any(|(t, _)| t == topic) {
            heard.push((topic.to_owned(), serde_json::from_str(payload).unwrap()));
        }
        if heard.len() == wanted {
            break;
        }
    }
    heard.sort_by(|a, b| a.0.cmp(&b.0));
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_hears_every_node() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, port) = mosquitto(folder.path());
    let (farm, _dir) = farm(600.0, |o| {
        o.mqtt = Some(Broker {
            host: "127.0.0.1".into(),
            port,
            login: None,
        });
    })
    .await;
    let start = farm.addresses().start_ms;
    let heard = spawn_blocking(move || hear(port, 16)).await.unwrap();
    let topics: Vec<_> = heard.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(
        topics[6..],
        [
            "farm/environment/barn-a/humidity",
            "farm/environment/barn-a/temp",
            "farm/environment/milk-room/humidity",
            "farm/environment/milk-room/temp",
            "farm/environment/yard/humidity",
            "farm/environment/yard/temp",
            "farm/tank/1/level",
            "farm/tank/1/temp",
            "farm/tank/2/level",
            "farm/tank/2/temp",
        ]
    );
    for (topic, payload) in &heard[6..] {
        let at: jiff::Timestamp = payload["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(
            (0..86_400_000).contains(&(at.as_millisecond() - start + 1_000)),
            "{topic}: {payload}"
        );
        assert!(
            (0.0..=100.0).contains(&payload["value"].as_f64().unwrap()),
            "{topic}: {payload}"
        );
    }
    for (topic, payload) in &heard[..6] {
        let eui = payload["deviceInfo"]["devEui"].as_str().unwrap();
        assert_eq!(*topic, format!("application/1/device/{eui}/event/up"));
        assert!(
            payload["object"]["steps"].as_i64().unwrap() < 200,
            "{payload}"
        );
    }
    farm.stop().await;
}
