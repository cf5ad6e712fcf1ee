//! `door.qos1`, `.1` and `.200`: QoS 1 publishes acknowledged per second with 16 clients, with one, and with 200.
//!
//! Each client keeps a hundred publishes in flight. The appliance is killed at the end, and its file is counted.

use std::time::Duration;

use anyhow::ensure;
use e2e::Edge;

use super::{PEER, options};
use crate::{
    broker::{Load, Mosquitto},
    figure::{Figure, note},
    mqtt::kept,
};

const WINDOW: usize = 100;
const LASTS: Duration = Duration::from_secs(5);
/// What a client keeps in flight that waits for each acknowledgement before it goes on.
const PATIENT: usize = 1;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut edge = Edge::start(&options());
    let mosquitto = Mosquitto::start()?;
    let mut figures = Vec::new();
    let mut told = 0;
    for (name, clients) in [
        ("door.qos1", 16),
        ("door.qos1.1", 1),
        ("door.qos1.200", 200),
    ] {
        let load = Load {
            clients,
            window: WINDOW,
            lasts: LASTS,
        };
        let ours = runtime.block_on(load.run(edge.mqtt))?;
        let peer = runtime.block_on(load.run(mosquitto.address))?;
        told += ours.in_all;
        let figure = Figure::new(name, ours.per_second, "publishes/s").peer(PEER, peer.per_second);
        figures.push(if clients >= 16 {
            figure.goal(peer.per_second)
        } else {
            figure
        });
    }
    let load = Load {
        clients: 16,
        window: PATIENT,
        lasts: LASTS / 2,
    };
    let ours = runtime.block_on(load.run(edge.mqtt))?;
    let peer = runtime.block_on(load.run(mosquitto.address))?;
    told += ours.in_all;
    note(format_args!(
        "door.qos1: {:.0}/s, and mosquitto {:.0}/s, with 16 clients that wait for each acknowledgement",
        ours.per_second, peer.per_second
    ));
    edge.kill();
    let kept = kept(&edge.database())?;
    ensure!(kept >= told, "{told} were acknowledged, {kept} are on disk");
    Ok(figures)
}
