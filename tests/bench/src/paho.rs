//! `door.paho.3` and `door.paho.5`: how many cases of the Paho interoperability suite the door passes, and mosquitto beside it.
//!
//! The suite runs unchanged, one case at a time, against a door that stores sessions and retained values in a farm's file, as the
//! appliance does. `PAHO_TESTING` names a checkout of it. Both servers are told what the suite expects of its server: nobody
//! hears `test/nosubscribe`, and keep-alives are at most 60 s.

use std::{
    future::ready,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use anyhow::{Context, ensure};
use edge_broker::{
    BoxFuture, Change, Denied, Door, DoorConfig, Filter, Gate, Login, Permit, Publish, Refused,
    RefusedKind, Stored,
};
use edge_node::sessions;
use farm::{Actor, Farm, FileError, StoreError, Tx, retained};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};

use crate::{
    broker::Mosquitto,
    figure::{Figure, note, scratch},
};

/// Where the suite comes from.
const SUITE: &str = "https://github.com/eclipse-paho/paho.mqtt.testing";
/// What mosquitto is told besides where to listen.
const MOSQUITTO: &str = "max_keepalive 60\nmax_topic_alias 10\nretain_available true\n";

/// A version of the suite: its file, and a case that its own runner never finds by name.
struct Version {
    name: &'static str,
    file: &'static str,
    hidden: &'static [&'static str],
}

const VERSIONS: [Version; 2] = [
    Version {
        name: "door.paho.3",
        file: "client_test.py",
        hidden: &["will_message_test"],
    },
    Version {
        name: "door.paho.5",
        file: "client_test5.py",
        hidden: &[],
    },
];

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let suite = suite()?;
    let runtime = tokio::runtime::Runtime::new()?;
    // Each run has a server of its own, and most of it is waiting: they go side by side.
    std::thread::scope(|scope| {
        let runs: Vec<_> = VERSIONS
            .iter()
            .map(|version| scope.spawn(|| figure(&runtime, &suite, version)))
            .collect();
        let ended = runs
            .into_iter()
            .map(|run| run.join().expect("it does not panic"));
        ended.collect()
    })
}

fn figure(runtime: &Runtime, suite: &Path, version: &Version) -> anyhow::Result<Figure> {
    let cases = cases(suite, version)?;
    let dir = scratch()?;
    let door = runtime.block_on(door(dir.path()))?;
    let ours = door.addresses().tcp[0];
    let mosquitto = Mosquitto::start_with(MOSQUITTO, Some("topic deny test/nosubscribe"))?;
    let (passed, peer) = std::thread::scope(|scope| {
        let peer = scope.spawn(|| run(suite, version, &cases, "mosquitto", mosquitto.address));
        let passed = run(suite, version, &cases, "the door", ours);
        (passed, peer.join().expect("it does not panic"))
    });
    runtime.block_on(door.shutdown());
    let figure = Figure::new(version.name, passed? as f64, "cases passed");
    Ok(figure
        .goal(cases.len() as f64)
        .peer("mosquitto", peer? as f64))
}

fn suite() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("PAHO_TESTING").with_context(|| {
        format!("PAHO_TESTING is not set: clone {SUITE} beside the project, and name its folder in PAHO_TESTING")
    })?;
    let suite = PathBuf::from(named).join("interoperability");
    ensure!(
        suite.join("client_test5.py").exists(),
        "{} has no client_test5.py: PAHO_TESTING must name a clone of {SUITE}",
        suite.display()
    );
    Ok(suite)
}

/// The cases in a file of the suite, in its order.
fn cases(suite: &Path, version: &Version) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(suite.join(version.file))?;
    let methods = text
        .lines()
        .filter_map(|line| line.strip_prefix("    def ")?.split('(').next());
    let cases = methods.filter(|name| name.starts_with("test") || version.hidden.contains(name));
    Ok(cases.map(str::to_owned).collect())
}

/// Runs each case by itself; how many pass.
fn run(
    suite: &Path,
    version: &Version,
    cases: &[String],
    server: &str,
    address: SocketAddr,
) -> anyhow::Result<usize> {
    let mut failed = Vec::new();
    for case in cases {
        let output = std::process::Command::new("/usr/bin/timeout")
            .args(["180", "/usr/bin/python3", "-c", RUN, version.file])
            .args([&address.ip().to_string(), &address.port().to_string(), case])
            .current_dir(suite)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()
            .context("/usr/bin/python3 (Debian's python3)")?;
        if !output.status.success() {
            if std::env::var_os("PAHO_SHOW").is_some() {
                note(format_args!(
                    "{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                ));
            }
            failed.push(case.as_str());
        }
    }
    let passed = cases.len() - failed.len();
    note(format_args!(
        "{}: {server} passes {passed} of {}; it fails {failed:?}",
        version.name,
        cases.len()
    ));
    Ok(passed)
}

/// Runs one case of a file: sets what the file's own main program sets, and fails if the case does.
const RUN: &str = r##"
import importlib, logging, sys, unittest
file, host, port, case = sys.argv[1:]
logging.getLogger().setLevel(logging.ERROR)
module = importlib.import_module(file[:-3])
prefix = "client_test5/" if file == "client_test5.py" else ""
module.host, module.port, module.topic_prefix = host, int(port), prefix
module.topics = [prefix + t for t in ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")]
module.wildtopics = [prefix + t for t in ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")]
module.nosubscribe_topics = ("test/nosubscribe",)
suite = unittest.TestSuite([module.Test(case)])
result = unittest.TextTestRunner().run(suite)
sys.exit(0 if result.wasSuccessful() and result.testsRun == 1 else 1)
"##;

/// A door on a farm of its own that lets everybody do everything, but for what the suite says.
async fn door(dir: &Path) -> anyhow::Result<Door> {
    let path = dir.join("farm.db");
    let open = move || Farm::open(&path, farm::Options::default());
    let farm = tokio::task::spawn_blocking(open).await??;
    let (queue, mut commands) = mpsc::unbounded_channel::<Command>();
    let writes = farm.clone();
    tokio::spawn(async move {
        while let Some((command, done)) = commands.recv().await {
            // Whoever asked may have gone.
            let _ = done.send(writes.write(Actor::System, command).await);
        }
    });
    let config = DoorConfig {
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        max_keep_alive: Some(60),
        ..DoorConfig::default()
    };
    Ok(Door::start(config, Arc::new(Suite { farm, queue })).await?)
}

/// Something to be written, and who waits for it.
type Command = (Write, oneshot::Sender<Result<(), StoreError>>);
type Write = Box<dyn FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send>;

/// The gate of the suite's door: writes one thing after the other, as the appliance does.
struct Suite {
    farm: Farm,
    queue: mpsc::UnboundedSender<Command>,
}

impl Suite {
    fn write(&self, write: Write) -> BoxFuture<'static, Result<(), Refused>> {
        let (done, stored) = oneshot::channel();
        let sent = self.queue.send((write, done));
        Box::pin(async move {
            let stored = match sent {
                Ok(()) => stored.await.unwrap_or(Err(FileError::Closed.into())),
                Err(_) => Err(FileError::Closed.into()),
            };
            stored.map_err(|error| Refused {
                kind: RefusedKind::Unavailable,
                reason: error.to_string(),
            })
        })
    }
}

impl Gate for Suite {
    fn authenticate(&self, _: Login) -> BoxFuture<'_, Result<Permit, Denied>> {
        // Topics that begin with $ are not reached by wildcards: the suite publishes to these.
        let permit = Permit {
            publish: filters(&["#", "$TopicA/#", "$client_test5/#"]),
            subscribe: filters(&["#"]),
            except: filters(&["test/nosubscribe"]),
            ..Permit::default()
        };
        Box::pin(ready(Ok(permit)))
    }

    fn accept(&self, publish: Publish) -> BoxFuture<'static, Result<(), Refused>> {
        self.write(Box::new(move |tx| {
            if publish.retain {
                let value = retained::Retained {
                    topic: publish.topic.to_string(),
                    payload: publish.payload.to_vec(),
                    qos: publish.qos as u8,
                    properties: publish.properties.to_vec(),
                    expiry_s: publish.expiry_s,
                };
                retained::put(tx, &value)?;
            }
            publish
                .changes
                .iter()
                .try_for_each(|c| sessions::apply(tx, c))
        }))
    }

    fn record(&self, changes: Vec<Change>) -> BoxFuture<'static, Result<(), Refused>> {
        self.write(Box::new(move |tx| {
            changes.iter().try_for_each(|c| sessions::apply(tx, c))
        }))
    }

    fn note(&self, change: Change) {
        drop(self.record(vec![change]));
    }

    fn sessions(&self) -> BoxFuture<'_, Stored> {
        Box::pin(async { sessions::load(&self.farm).await.unwrap_or_default() })
    }
}

fn filters(texts: &[&str]) -> Vec<Filter> {
    texts
        .iter()
        .map(|text| text.parse().expect("these filters are valid"))
        .collect()
}
