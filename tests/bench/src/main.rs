//! Figures, each beside a peer on the same work in the same run.
//!
//! `bench [NAME…]` prints one JSON line for each figure; without a name it measures all. What was seen on the way goes to
//! standard error. Real programs, real sockets, real disks: a figure says what a farm would see on this machine.

mod broker;
mod demo;
mod door;
mod figure;
mod history;
mod http;
mod hub;
mod ingest;
mod latency;
mod modbus;
mod mqtt;
mod pages;
mod paho;
mod peer;
mod quiet;
mod replication;
mod rfid;
mod screen;
mod series;
mod site;
mod start;
mod weight;

use std::io::Write;

use anyhow::ensure;

use crate::figure::Figure;

/// What measures the figures of these names, all in one run.
struct Group {
    names: &'static [&'static str],
    measure: fn() -> anyhow::Result<Vec<Figure>>,
}

const GROUPS: &[Group] = &[
    Group {
        names: &[
            "sync.wire",
            "sync.wire.record",
            "sync.wire.sample",
            "sync.wire.day",
            "sync.wire.idle",
            "sync.storage",
        ],
        measure: replication::wire,
    },
    Group {
        names: &["sync.month"],
        measure: replication::month,
    },
    Group {
        names: &["sync.latency"],
        measure: latency::measure,
    },
    Group {
        names: &["hub.farms", "hub.farms.exchanges"],
        measure: hub::measure,
    },
    Group {
        names: &["sync.merge.facts", "sync.merge.records"],
        measure: replication::merge,
    },
    Group {
        names: &["edge.ingest"],
        measure: ingest::measure,
    },
    Group {
        names: &["edge.ingest.mqtt"],
        measure: mqtt::measure,
    },
    Group {
        names: &["door.qos1", "door.qos1.1", "door.qos1.200"],
        measure: door::rate,
    },
    Group {
        names: &["door.ack"],
        measure: door::ack,
    },
    Group {
        names: &["door.idle", "door.storm"],
        measure: door::idle,
    },
    Group {
        names: &["door.paho.3", "door.paho.5"],
        measure: paho::measure,
    },
    Group {
        names: &["door.hour", "door.ceiling"],
        measure: door::hour,
    },
    Group {
        names: &["door.bytes", "door.bytes.frames"],
        measure: door::bytes,
    },
    Group {
        names: &["edge.ingest.modbus"],
        measure: modbus::measure,
    },
    Group {
        names: &["edge.ingest.rfid"],
        measure: rfid::measure,
    },
    Group {
        names: &["edge.wire_to_screen"],
        measure: screen::measure,
    },
    Group {
        names: &["edge.pages"],
        measure: pages::measure,
    },
    Group {
        names: &["edge.series"],
        measure: series::measure,
    },
    Group {
        names: &["edge.memory"],
        measure: demo::memory,
    },
    Group {
        names: &["edge.start"],
        measure: start::measure,
    },
    Group {
        names: &["edge.disk"],
        measure: demo::disk,
    },
    Group {
        names: &["edge.weight"],
        measure: weight::measure,
    },
    Group {
        names: &["edge.quiet"],
        measure: quiet::measure,
    },
];

fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known: Vec<&str> = GROUPS.iter().flat_map(|g| g.names).copied().collect();
    for name in &wanted {
        ensure!(
            known.contains(&name.as_str()),
            "no figure is called {name:?}; there are {}",
            known.join(", ")
        );
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let mut failed = Vec::new();
    for group in GROUPS
        .iter()
        .filter(|g| g.names.iter().any(|n| is_wanted(n)))
    {
        match (group.measure)() {
            Ok(figures) => figures
                .iter()
                .filter(|f| is_wanted(f.name))
                .try_for_each(|f| writeln!(std::io::stdout(), "{}", f.line()))?,
            // The other figures are worth having all the same.
            Err(error) => {
                figure::note(format_args!("{}: {error:#}", group.names.join(", ")));
                failed.push(group.names.join(", "));
            }
        }
    }
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}
