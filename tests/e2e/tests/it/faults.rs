//! What breaks beneath the appliance: the database stalls, the disk is full, a port vanishes, a file is of another version.
//!
//! The full disk is a tmpfs where this user may mount one; else a limit on the size of files, which any user may set.
//! A driver that panics or is killed is tested beside its supervisor, in `edge-acquire`.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use e2e::{Edge, EdgeOptions, Farm, FarmOptions, until};
use farm_model::Quantity;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use rusqlite::Connection;

use crate::{
    store::{self, MORNING},
    web,
};

/// A client that publishes numbers, and counts how many are acknowledged.
struct Publisher {
    client: AsyncClient,
    events: EventLoop,
    acknowledged: usize,
}

impl Publisher {
    fn connect(edge: &Edge, id: &str) -> Self {
        let mut options = MqttOptions::new(id, edge.mqtt.ip().to_string(), edge.mqtt.port());
        options.set_keep_alive(Duration::from_secs(5));
        let (client, events) = AsyncClient::new(options, 1_000);
        Self {
            client,
            events,
            acknowledged: 0,
        }
    }

    async fn publish(&self, device: &str, value: usize) {
        let topic = format!("farm/device/{device}/steps");
        let payload = format!(r#"{{"value": {value}, "id": "{device}-{value}"}}"#);
        self.client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await
            .unwrap();
    }

    /// Listens until `count` publishes are acknowledged, or for `seconds`; the connection must not break.
    async fn listen(&mut self, count: usize, seconds: f64) -> bool {
        let listen = async {
            while self.acknowledged < count {
                let event = self
                    .events
                    .poll()
                    .await
                    .expect("the door keeps the connection");
                if let Event::Incoming(Packet::PubAck(_)) = event {
                    self.acknowledged += 1;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs_f64(seconds), listen)
            .await
            .is_ok()
    }
}

#[tokio::test]
async fn a_stalled_database_delays_acknowledgements_and_loses_nothing() {
    let edge = Edge::start(&EdgeOptions::default());
    let mut publisher = Publisher::connect(&edge, "node");
    publisher.publish("known", 0).await;
    assert!(publisher.listen(1, 10.0).await, "it works before");

    let other = Connection::open(edge.database()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let stalled = Instant::now();
    for n in 1..=5 {
        publisher.publish("known", n).await;
        // The first message of a device that must be made first.
        publisher.publish(&format!("new-{n}"), n).await;
    }
    let remaining = 10.0 - stalled.elapsed().as_secs_f64();
    assert!(
        !publisher.listen(2, remaining).await,
        "nothing is acknowledged that is not on disk"
    );
    other.execute_batch("ROLLBACK").unwrap();

    assert!(
        publisher.listen(11, 20.0).await,
        "all is acknowledged afterwards, only {} were",
        publisher.acknowledged
    );
    let conn = store::open(&edge.database());
    assert_eq!(
        store::series(&conn, "known", Quantity::Steps),
        (0..=5).map(|n| Some(n * 1000)).collect::<Vec<_>>()
    );
    for n in 1..=5 {
        assert_eq!(
            store::series(&conn, &format!("new-{n}"), Quantity::Steps),
            [Some(n * 1000)]
        );
    }
}

/// A small disk for one test, or a note that there can be none.
pub(crate) struct SmallDisk<'a>(Option<&'a Path>);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Self {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(at);
        let mounted = mount.output().is_ok_and(|o| o.status.success());
        Self(mounted.then_some(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.0 {
            // What is still open keeps it until the process ends.
            let _ = std::process::Command::new("umount")
                .arg("-l")
                .arg(at)
                .status();
        }
    }
}

/// Makes the disk full, or ends that again.
pub(crate) enum Filler {
    File(std::path::PathBuf),
    Limit(u32),
}

impl Filler {
    pub(crate) fn fill(&self) {
        match self {
            Self::File(path) => {
                let mut file = std::fs::File::create(path).unwrap();
                let block = [0; 4096];
                while std::io::Write::write_all(&mut file, &block).is_ok() {}
            }
            Self::Limit(pid) => prlimit(*pid, "65536:unlimited"),
        }
    }

    pub(crate) fn clear(&self) {
        match self {
            Self::File(path) => std::fs::remove_file(path).unwrap(),
            Self::Limit(pid) => prlimit(*pid, "unlimited:unlimited"),
        }
    }
}

fn prlimit(pid: u32, size: &str) {
    let done = std::process::Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--fsize={size}")])
        .status();
    assert!(
        done.is_ok_and(|s| s.success()),
        "prlimit is part of util-linux"
    );
}

/// Moves the appliance's data to a disk that can be filled.
pub(crate) fn move_to_small_disk<'a>(edge: &mut Edge, data: &'a Path) -> (SmallDisk<'a>, Filler) {
    edge.stop();
    let kept = edge.dir.path().join("kept");
    std::fs::rename(data, &kept).unwrap();
    std::fs::create_dir(data).unwrap();
    let disk = SmallDisk::mount(data);
    std::fs::copy(kept.join("farm.db"), data.join("farm.db")).unwrap();
    edge.spawn();
    edge.wait_ready();
    let filler = match disk.0 {
        Some(at) => Filler::File(at.join("filler")),
        None => Filler::Limit(edge.pid()),
    };
    (disk, filler)
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_recovers() {
    let mut edge = Edge::start(&EdgeOptions::default());
    let data = edge.dir.path().join("data");
    let (_disk, filler) = move_to_small_disk(&mut edge, &data);
    let mut publisher = Publisher::connect(&edge, "node");
    publisher.publish("known", 0).await;
    assert!(publisher.listen(1, 10.0).await, "it works before");

    filler.fill();
    // The write-ahead log has some room of its own; then there is none.
    let mut sent = 1;
    loop {
        publisher.publish("known", sent).await;
        sent += 1;
        if !publisher.listen(sent, 2.0).await {
            break;
        }
        assert!(sent < 2_000, "the disk is never full");
    }
    let conn = store::open(&edge.database());
    let stored = store::series(&conn, "known", Quantity::Steps).len();
    assert_eq!(
        stored, publisher.acknowledged,
        "what is stored is acknowledged and the other way round"
    );

    filler.clear();
    assert!(
        publisher.listen(sent, 20.0).await,
        "it goes on when there is room again"
    );
    let wanted: Vec<_> = (0..sent as i64).map(|n| Some(n * 1000)).collect();
    assert_eq!(store::series(&conn, "known", Quantity::Steps), wanted);
    drop(conn);
    edge.stop();
}

#[tokio::test]
async fn a_port_that_vanishes_is_shown_and_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let edge = Edge::start(&EdgeOptions {
        simulated: Some((MORNING, 30.0)),
        farm: Some(dir.path().to_owned()),
        ..EdgeOptions::default()
    });
    let options = FarmOptions {
        seed: 5,
        cows: 8,
        speed: 30.0,
        start_ms: edge.farm_time(),
        more: vec![],
    };
    let mut farm = Farm::start_with(&options, dir, &edge);
    farm.wait_provisioned();
    let heard_after = async |moment: i64| {
        let what = format!("the meter to be heard after {moment}");
        e2e::until_async(&what, 30, async || {
            let devices = web::ask(&edge, "/api/v1/devices").await;
            let meter = devices["items"]
                .as_array()?
                .iter()
                .find(|d| d["slug"] == "stall-1-meter")?;
            (meter["heard_at"].as_i64()? > moment).then_some(())
        })
        .await;
    };
    heard_after(0).await;
    farm.order("vanish-port:modbus");
    until("the appliance to notice", 20, || {
        edge.log().contains("tty/modbus").then_some(())
    });
    let gone = edge.farm_time();
    let owner = web::Visitor::log_in(&edge, e2e::edge::OWNER).await;
    let devices = web::ask(&edge, "/api/v1/devices").await;
    let meter = devices["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|d| d["slug"] == "stall-1-meter")
        .unwrap();
    let page = format!("/devices/{}", meter["id"].as_str().unwrap());
    let trouble = r#"<p class="hint" lang="en">"#;
    e2e::until_async("a person to see that the port is gone", 20, async || {
        owner.page(&page).await.contains(trouble).then_some(())
    })
    .await;
    farm.order("clear");
    heard_after(gone + 5_000).await;
    let differences = store::differences_at_the_end(&edge, &farm, 8, 60);
    assert!(
        differences.is_empty(),
        "the meter counted on: {differences:#?}"
    );
}

#[test]
fn a_database_of_a_newer_version_is_not_touched() {
    let mut edge = Edge::start(&EdgeOptions::default());
    edge.stop();
    let conn = Connection::open(edge.database()).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let before = std::fs::read(edge.database()).unwrap();
    edge.spawn();
    let status = edge.wait_end();
    assert!(!status.success());
    assert!(edge.log().contains("newer version"), "{}", edge.log());
    let after = std::fs::read(edge.database()).unwrap();
    assert!(after == before, "not a byte has changed");
}

#[test]
fn a_database_of_an_older_version_is_brought_up_to_date() {
    let mut edge = Edge::start(&EdgeOptions::default());
    edge.stop();
    let database = edge.database();
    let version = |conn: &Connection| -> i64 {
        conn.query_row("PRAGMA user_version", [], |r| r.get(0))
            .unwrap()
    };
    let conn = Connection::open(&database).unwrap();
    let newest = version(&conn);
    let application: i64 = conn
        .query_row("PRAGMA application_id", [], |r| r.get(0))
        .unwrap();
    drop(conn);
    std::fs::remove_file(&database).unwrap();
    // Version 0: a farm's file before its first table.
    let conn = Connection::open(&database).unwrap();
    conn.pragma_update(None, "application_id", application)
        .unwrap();
    assert_eq!(version(&conn), 0);
    drop(conn);
    edge.spawn();
    edge.wait_ready();
    assert_eq!(version(&store::open(&database)), newest);
}

#[tokio::test]
async fn asked_to_end_it_ends_in_order() {
    let mut edge = Edge::start(&EdgeOptions::default());
    let mut publisher = Publisher::connect(&edge, "node");
    publisher.publish("known", 7).await;
    assert!(publisher.listen(1, 10.0).await);
    let worker = web::Visitor::log_in(&edge, e2e::edge::WORKER).await;
    // Somebody looks on, and stays.
    let mut page = worker.get("/live?topics=sensors").send().await.unwrap();
    page.chunk().await.unwrap();
    drop(worker);
    edge.stop();
    let wal = edge.database().with_extension("db-wal");
    assert!(
        wal.metadata().map_or(0, |m| m.len()) == 0,
        "everything is in the database itself"
    );
    let log = edge.log();
    assert!(
        !log.contains("panicked") && !log.contains(r#""level":"ERROR""#),
        "{log}"
    );
    let conn = store::open(&edge.database());
    assert_eq!(
        store::series(&conn, "known", Quantity::Steps),
        [Some(7_000)]
    );
}
