//! The plug is pulled between commit and acknowledgement, again and again: paho sends again what it was not told of, and each
//! message is in the store exactly once.
//!
//! A round: paho publishes at QoS 1 and 2, the test waits for the moment at which the write-ahead log is written, and kills the
//! appliance within the two milliseconds in which it commits, syncs and answers. What the store holds is looked at before the next
//! start, so each round knows whether it fell between. `KHAMAR_ACK_ROUNDS` and `KHAMAR_SEED` choose how often and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use e2e::{Edge, EdgeOptions};
use farm_model::Quantity;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::inotify;
use virtual_farm::rng::Rng;

use crate::store;

const ROUNDS: u64 = 500;
/// Messages that each round adds: the last is sent at QoS 2.
const BURST: u64 = 3;
/// How long after the first write to the log the appliance is killed, in microseconds.
const DELAY_US: (i64, i64) = (0, 2_000);

/// Publishes the numbers 1, 2, 3… by threes, one line of input each; says when it is connected and what is acknowledged.
/// Its packet identifiers are those numbers too.
const PAHO: &str = r#"
import sys, paho.mqtt.client as mqtt
say = lambda text: (sys.stdout.write(text + "\n"), sys.stdout.flush())
client = mqtt.Client("resender", clean_session=False, protocol=mqtt.MQTTv311)
client.reconnect_delay_set(0.005, 0.02)
client.on_connect = lambda client, data, flags, code: say("connected" if code == 0 else "refused %d" % code)
client.on_publish = lambda client, data, number: say(str(number))
client.connect_async("127.0.0.1", int(sys.argv[1]), keepalive=30)
client.loop_start()
number = 0
for line in sys.stdin:
    for qos in (1, 1, 2):
        number += 1
        sent = client.publish("farm/device/resender/steps", '{"value": %d, "id": "resent-%d"}' % (number, number), qos=qos)
        assert sent.mid == number, (sent.mid, number)
"#;

/// Paho's client, which resends by itself.
struct Paho {
    child: Child,
    orders: ChildStdin,
    said: mpsc::Receiver<String>,
}

impl Paho {
    fn start(port: u16) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", PAHO, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's python3 starts");
        let orders = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| tell.send(line))
        });
        Self {
            child,
            orders,
            said,
        }
    }

    fn publish(&mut self) {
        self.orders.write_all(b"\n").expect("paho runs");
    }

    /// The number that is acknowledged next; nothing, if it is a new connection that comes next.
    fn next(&self) -> Option<u64> {
        let line = self
            .said
            .recv_timeout(Duration::from_secs(20))
            .expect("paho says something");
        if line == "connected" {
            return None;
        }
        Some(line.parse().unwrap_or_else(|_| panic!("paho says {line}")))
    }
}

impl Drop for Paho {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sees writes to a file as they happen.
struct Watch(File);

impl Watch {
    fn new(path: &Path) -> Self {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify");
        inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY).expect("the log is there");
        Self(File::from(watch))
    }

    /// Waits, without giving the processor away, until the file is written.
    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.0.read(&mut [0; 4096]).is_err() {
            assert!(Instant::now() < deadline, "the log is never written");
            std::hint::spin_loop();
        }
    }
}

/// How often the store holds each number. The log that the killed appliance left stays as it is.
fn kept(database: &Path) -> BTreeMap<u64, u32> {
    let conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .expect("the database can be read");
    let mut kept = BTreeMap::new();
    for value in store::series(&conn, "resender", Quantity::Steps)
        .into_iter()
        .flatten()
    {
        *kept.entry(value as u64 / 1000).or_default() += 1;
    }
    kept
}

#[test]
fn killed_between_commit_and_acknowledgement_it_keeps_each_message_once() {
    let asked = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let rounds = asked("KHAMAR_ACK_ROUNDS").unwrap_or(ROUNDS);
    let seed = asked("KHAMAR_SEED").unwrap_or_else(|| std::process::id().into());
    println!("KHAMAR_SEED={seed} KHAMAR_ACK_ROUNDS={rounds}");
    let started = Instant::now();
    let mut rng = Rng::stream(seed, "acknowledgements");
    let mut edge = Edge::start(&EdgeOptions::default());
    let mut paho = Paho::start(edge.mqtt.port());
    assert_eq!(paho.next(), None, "it connects");
    let log = edge.database().with_extension("db-wal");
    let mut acknowledged = BTreeSet::new();
    let (mut before, mut between, mut after) = (0, 0, 0);
    for _ in 0..rounds {
        let mut watch = Watch::new(&log);
        paho.publish();
        watch.wait();
        let (least, most) = DELAY_US;
        let killed = Instant::now() + Duration::from_micros(rng.whole(least, most) as u64);
        while Instant::now() < killed {
            std::hint::spin_loop();
        }
        edge.kill();
        let kept = kept(&edge.database());
        edge.spawn();
        edge.wait_ready();
        let known = acknowledged.len();
        while let Some(number) = paho.next() {
            acknowledged.insert(number);
        }
        let untold = kept.keys().any(|number| !acknowledged.contains(number));
        match (untold, acknowledged.len() > known) {
            (true, _) => between += 1,
            (false, true) => after += 1,
            (false, false) => before += 1,
        }
    }
    let sent = rounds * BURST;
    while acknowledged.len() < sent as usize {
        acknowledged.extend(paho.next());
    }
    println!(
        "killed before the commit {before} times, between it and an acknowledgement {between} times, after all of them {after} times, \
         in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    let kept = kept(&edge.database());
    let once: BTreeMap<u64, u32> = (1..=sent).map(|number| (number, 1)).collect();
    let wrong: Vec<_> = (1..=sent)
        .map(|number| (number, kept.get(&number).copied().unwrap_or(0)))
        .filter(|(_, times)| *times != 1)
        .collect();
    assert!(wrong.is_empty(), "these are kept so often: {wrong:?}");
    assert_eq!(kept, once, "nothing is kept that was not sent");
    assert!(
        between * 5 >= rounds,
        "too few rounds fell between commit and acknowledgement"
    );
}
