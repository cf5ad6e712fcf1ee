//! What the appliance holds its MQTT clients to, beyond what the door does by itself: joining has a rate, frames are not retained,
//! and a client identifier is its device's own, through a restart too.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::json;

use crate::{
    client::{Client as Paho, secret_in},
    machine::{Machine, Running},
};

const SUCCESS: u8 = 0;
const NOT_AUTHORIZED: u8 = 0x87;
const UNAVAILABLE: u8 = 0x88;
const QUOTA_EXCEEDED: u8 = 0x97;

/// A client of MQTT 5 made of bytes, whose session lasts an hour if it may.
struct Client {
    stream: TcpStream,
    /// What CONNACK said: whether there was a session, and the reason.
    present: bool,
    reason: u8,
    sent: u16,
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}

impl Client {
    fn come(door: SocketAddr, name: &str, user: &str, secret: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(door).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        let flags = if secret.is_some() { 0xc0 } else { 0x80 };
        let mut body = text("MQTT");
        body.extend([5, flags, 0, 60, 5, 0x11, 0, 0, 0x0e, 0x10]);
        body.extend([text(name), text(user)].concat());
        body.extend(secret.map(text).unwrap_or_default());
        let mut client = Self {
            present: false,
            reason: 0,
            sent: 0,
            stream: {
                stream.write_all(&packet(0x10, &body)).unwrap();
                stream
            },
        };
        let connack = client.packet();
        assert_eq!(connack[0], 0x20);
        (client.present, client.reason) = (connack[1] == 1, connack[2]);
        client
    }

    /// The next packet: its first byte and its body.
    fn packet(&mut self) -> Vec<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).unwrap();
        let first = byte[0];
        let mut length = 0;
        for shift in [0, 7, 14] {
            self.stream.read_exact(&mut byte).unwrap();
            length |= usize::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut packet = vec![first; 1 + length];
        self.stream.read_exact(&mut packet[1..]).unwrap();
        packet
    }

    /// Publishes at QoS 1, retained or not as `first` says; the reason in its PUBACK.
    fn publish(&mut self, first: u8, topic: &str, payload: &str) -> u8 {
        self.sent += 1;
        let body = [
            &text(topic)[..],
            &self.sent.to_be_bytes(),
            &[0],
            payload.as_bytes(),
        ];
        self.stream
            .write_all(&packet(first, &body.concat()))
            .unwrap();
        let puback = self.packet();
        assert_eq!(puback[0], 0x40, "{puback:02x?}");
        puback.get(3).copied().unwrap_or(SUCCESS)
    }

    fn leave(mut self) {
        self.stream.write_all(&[0xe0, 0]).unwrap();
        // The door has done what it does at the end when it closes.
        assert_eq!(self.stream.read(&mut [0]).unwrap(), 0);
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let low = u8::try_from(body.len() & 0x7f).unwrap();
    let high = u8::try_from(body.len() >> 7).unwrap();
    let length = if high == 0 {
        vec![low]
    } else {
        vec![low | 0x80, high]
    };
    [&[first][..], &length, body].concat()
}

/// What the appliance counts under this name.
fn counted(running: &Running, name: &str) -> u64 {
    let metrics = running.get("/metrics", None);
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not told: {metrics}"))
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn who_asks_to_join_too_often_is_refused_and_counted() {
    let machine = Machine::new();
    let running = machine.start();
    let mut asker = Client::come(running.mqtt, "KM-1", "join", None);
    let ask = |n: u32| {
        format!(
            r#"{{"kind":"milk_meter","key":"{n:064x}","proof":"{:064x}"}}"#,
            0
        )
    };
    let answers: Vec<u8> = (0..10)
        .map(|n| asker.publish(0x32, "khamar/join/ask/KM-1", &ask(n)))
        .collect();
    assert_eq!(answers[..8], [SUCCESS; 8]);
    assert_eq!(answers[8..], [QUOTA_EXCEEDED; 2]);
    assert_eq!(counted(&running, "mqtt_joins_refused_total"), 2);
    // Nor can it fill the door with those who only wait.
    let mut waiting = Vec::new();
    for n in 0..16 {
        waiting.push(Client::come(running.mqtt, &format!("W-{n}"), "join", None));
    }
    let reasons: Vec<u8> = waiting.iter().map(|client| client.reason).collect();
    assert_eq!(reasons[..15], [SUCCESS; 15]);
    assert_eq!(reasons[15], UNAVAILABLE);
    assert_eq!(counted(&running, "mqtt_joins_refused_total"), 3);
}

#[test]
fn frames_and_requests_are_not_retained_and_leave_nothing_begun() {
    let machine = Machine::new();
    machine.ok(&["devices", "add", "meter-1", "--kind", "milk_meter"], "");
    let running = machine.start();
    let secret = secret_in(&machine.ok(&["devices", "secret", "meter-1"], ""));
    let mut meter = Client::come(running.mqtt, "c", "meter-1", Some(&secret));
    assert_eq!(meter.reason, SUCCESS);
    for (first, topic, payload, expected) in [
        (0x33, "khamar/node/meter-1/up", "frame", NOT_AUTHORIZED),
        (0x33, "khamar/node/meter-1/csr", "request", NOT_AUTHORIZED),
        // One certificate a minute: the refused request was none.
        (0x32, "khamar/node/meter-1/csr", "request", SUCCESS),
        (0x32, "khamar/node/meter-1/csr", "request", QUOTA_EXCEEDED),
        (0x32, "khamar/node/meter-1/up", "frame", SUCCESS),
        (0x33, "farm/device/meter-1/temperature", "20", SUCCESS),
    ] {
        let reason = meter.publish(first, topic, payload);
        assert_eq!(reason, expected, "{first:02x} {topic}");
    }
    let file = rusqlite::Connection::open(machine.path("data/farm.db")).unwrap();
    let mut kept = file.prepare("SELECT topic FROM mqtt_retained").unwrap();
    let kept: Vec<String> = kept
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(kept, ["farm/device/meter-1/temperature"]);
}

#[test]
fn a_device_neither_finds_nor_ends_the_session_of_another_of_its_name() {
    let machine = Machine::new();
    for slug in ["meter-1", "meter-2"] {
        machine.ok(&["devices", "add", slug, "--kind", "milk_meter"], "");
    }
    let mut running = machine.start();
    let [one, two] =
        ["meter-1", "meter-2"].map(|slug| secret_in(&machine.ok(&["devices", "secret", slug], "")));
    let first = Client::come(running.mqtt, "meter", "meter-1", Some(&one));
    assert!(!first.present);
    first.leave();
    let other = Client::come(running.mqtt, "meter", "meter-2", Some(&two));
    assert!(!other.present, "it has found the session of the first");
    other.leave();
    for _ in 0..2 {
        for (slug, secret) in [("meter-1", &one), ("meter-2", &two)] {
            let client = Client::come(running.mqtt, "meter", slug, Some(secret));
            assert!(client.present, "{slug} has lost its session");
            client.leave();
        }
        running.end();
        running = machine.start();
    }
}

#[test]
fn who_is_trusted_by_address_is_not_so_through_a_browser() {
    let machine = Machine::new();
    let path = machine.path("khamar.toml");
    let config = fs::read_to_string(&path).unwrap();
    let trusts = config.replace("[mqtt]\n", "[mqtt]\nanonymous_from = [\"127.0.0.1\"]\n");
    fs::write(&path, trusts).unwrap();
    let running = machine.start();
    let tcp = json!({ "port": running.mqtt.port(), "client": "c" });
    assert_eq!(Paho::tries(&tcp), "in");
    let port = running.mqtt_websocket.port();
    let browser = json!({ "port": port, "client": "c", "transport": "websockets" });
    assert_eq!(Paho::tries(&browser), "refused 5");
}
