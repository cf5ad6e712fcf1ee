//! MQTT sessions that outlive their connection, and the appliance: paho's client, stopped and killed appliances.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use e2e::{Edge, EdgeOptions};

/// Rounds of pulling the plug, `KHAMAR_SESSION_ROUNDS`.
const ROUNDS: u32 = 8;

/// A client of paho's that does as it is told, line by line, and says what happens.
struct Paho {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

/// `listen`: a lasting session that prints each message it gets; it goes on by itself when the connection breaks.
/// `count`: publishes numbers at a quality of service until its input says `enough`, then until all are acknowledged.
const SCRIPT: &str = r#"
import sys, threading, time, paho.mqtt.client as mqtt
what, name, port, qos = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def say(*words):
    print(*words, flush=True)
client = mqtt.Client(name, clean_session=False)
client.reconnect_delay_set(min_delay=0.05, max_delay=0.2)
client.max_inflight_messages_set(20)
client.on_connect = lambda c, u, flags, rc: say('connected', flags['session present'], rc)
client.on_subscribe = lambda c, u, mid, granted: say('granted', granted[0])
published = []
client.on_publish = lambda c, u, mid: published.append(mid)
client.on_message = lambda c, u, m: say('got', m.payload.decode())
client.connect('127.0.0.1', port, keepalive=5)
if what == 'listen':
    client.loop_start()
    for line in sys.stdin:
        word = line.strip()
        if word == 'subscribe':
            client.subscribe('farm/environment/+/temp', qos)
        elif word == 'leave':
            client.disconnect()
            client.loop_stop()
            say('left')
            break
else:
    client.loop_start()
    enough = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), enough.set()), daemon=True).start()
    n = 0
    while not enough.is_set():
        client.publish('farm/environment/counter/temp', '{"value": %d}' % n, qos)
        n += 1
        time.sleep(0.01)
    deadline = time.monotonic() + 60
    while len(published) < n:
        assert time.monotonic() < deadline, (n, len(published))
        time.sleep(0.01)
    client.disconnect()
    say('sent', n)
"#;

impl Paho {
    fn start(what: &str, name: &str, edge: &Edge, qos: u8) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", SCRIPT, what, name])
            .args([edge.mqtt.port().to_string(), qos.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's python3 starts");
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// What it says next that begins with `word`, and every message that it got before.
    fn until(&mut self, word: &str) -> (String, Vec<i64>) {
        let mut got = Vec::new();
        loop {
            let line = self.said.next().expect("it goes on").unwrap();
            if let Some(message) = line.strip_prefix("got ") {
                got.push(number(message));
            }
            if line.starts_with(word) {
                return (line, got);
            }
        }
    }
}

impl Drop for Paho {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(message: &str) -> i64 {
    let value: serde_json::Value = serde_json::from_str(message).unwrap();
    value["value"].as_i64().unwrap()
}

fn publish(edge: &Edge, qos: &str, n: i64) {
    let message = format!(r#"{{"value": {n}}}"#);
    let output = Command::new("/usr/bin/mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &edge.mqtt.port().to_string()])
        .args([
            "-q",
            qos,
            "-t",
            "farm/environment/shed/temp",
            "-m",
            &message,
        ])
        .output()
        .expect(
            "mosquitto_pub starts (install Debian's mosquitto-clients, or run `cargo xtask setup`)",
        );
    assert!(output.status.success(), "{n}: {output:?}");
}

#[test]
fn what_was_acknowledged_for_a_client_that_is_away_survives_the_plug() {
    let mut edge = Edge::start(&EdgeOptions::default());
    let mut ears = Paho::start("listen", "ears", &edge, 2);
    assert_eq!(ears.until("connected").0, "connected 0 0");
    ears.tell("subscribe");
    assert_eq!(ears.until("granted").0, "granted 2");
    ears.tell("leave");
    ears.until("left");

    publish(&edge, "1", 1);
    edge.kill();
    edge.spawn();
    edge.wait_ready();
    publish(&edge, "2", 2);
    edge.stop();
    edge.spawn();
    edge.wait_ready();
    publish(&edge, "0", 3);
    publish(&edge, "1", 4);

    let mut ears = Paho::start("listen", "ears", &edge, 2);
    assert_eq!(
        ears.until("connected").0,
        "connected 1 0",
        "it finds its session"
    );
    let mut got = Vec::new();
    while got.len() < 3 {
        let (line, _) = ears.until("got");
        got.push(number(&line["got ".len()..]));
    }
    // At QoS 2 the client hears of a message with the last word on it: after one at QoS 1 that came behind.
    got.sort_unstable();
    assert_eq!(got, [1, 2, 4], "QoS 0 does not wait");
    ears.tell("leave");
    ears.until("left");

    let rows = || {
        let conn = rusqlite::Connection::open(edge.database()).unwrap();
        let sql =
            "SELECT (SELECT count(*) FROM mqtt_letter) + (SELECT count(*) FROM mqtt_delivery)";
        conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    e2e::until("the store to let go of what was delivered", 10, || {
        (rows() == 0).then_some(())
    });
}

/// How often each number came to a lasting session while the plug was pulled, and how many were sent.
fn counted(qos: u8) -> (BTreeMap<i64, u32>, i64) {
    let rounds = std::env::var("KHAMAR_SESSION_ROUNDS").ok();
    let rounds = rounds.and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut edge = Edge::start(&EdgeOptions::default());
    let mut ears = Paho::start("listen", "ears", &edge, qos);
    ears.until("connected");
    ears.tell("subscribe");
    ears.until("granted");
    let mut counter = Paho::start("count", "counter", &edge, qos);
    counter.until("connected");
    for round in 0..rounds {
        std::thread::sleep(Duration::from_millis(300 + 90 * u64::from(round % 4)));
        edge.kill();
        edge.spawn();
        edge.wait_ready();
    }
    counter.tell("enough");
    let (line, _) = counter.until("sent");
    let sent: i64 = line["sent ".len()..].parse().unwrap();
    // The last one of all says that nothing is still to come.
    // At the same quality: at QoS 2 the client hears of a message with the last word on it, after one at QoS 1 that came behind.
    publish(&edge, &qos.to_string(), -1);
    let mut times = BTreeMap::new();
    loop {
        let (line, _) = ears.until("got");
        match number(&line["got ".len()..]) {
            -1 => return (times, sent),
            n => *times.entry(n).or_default() += 1,
        }
    }
}

#[test]
fn through_pulled_plugs_each_message_comes_at_least_once_at_qos_1() {
    let (times, sent) = counted(1);
    let missing: Vec<_> = (0..sent).filter(|n| !times.contains_key(n)).collect();
    assert!(sent > 50 && missing.is_empty(), "of {sent}: {missing:?}");
}

#[test]
fn through_pulled_plugs_each_message_comes_exactly_once_at_qos_2() {
    let (times, sent) = counted(2);
    let wrong: Vec<_> = (0..sent)
        .map(|n| (n, times.get(&n).copied().unwrap_or(0)))
        .filter(|(_, times)| *times != 1)
        .collect();
    assert!(sent > 50 && wrong.is_empty(), "of {sent}: {wrong:?}");
}
