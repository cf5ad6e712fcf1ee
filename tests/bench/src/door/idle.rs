//! `door.idle` and `door.storm`: what 2,000 clients cost that say nothing, and how soon all are back after a restart.
//!
//! Each is logged in and subscribed to a topic of its own. The storm begins when the broker is killed; it is started again at
//! once, and every client tries to come back each tenth of a second, as a node does whose power was never away.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use e2e::Edge;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{PEER, options};
use crate::{
    broker::{Mosquitto, dial, subscribe},
    figure::{Figure, note},
};

const CLIENTS: usize = 2_000;
/// How soon a client tries again.
const AGAIN: Duration = Duration::from_millis(100);
/// When clients that are not back are given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the clients cost one broker.
struct Cost {
    idle_kb: f64,
    storm_s: f64,
}

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let files = rustix::process::Resource::Nofile;
    let mut limit = rustix::process::getrlimit(files);
    limit.current = limit.maximum;
    rustix::process::setrlimit(files, limit)?;
    let enough = limit.current.is_none_or(|most| most > CLIENTS as u64 + 100);
    ensure!(
        enough,
        "{CLIENTS} sockets are not allowed here: raise the limit of open files (ulimit -Hn)"
    );

    let runtime = tokio::runtime::Runtime::new()?;
    let mut edge = Edge::start(&options());
    let address = edge.mqtt;
    let ours = runtime.block_on(cost(address, edge.pid(), || {
        edge.kill();
        edge.spawn();
        Ok(())
    }))?;
    drop(edge);
    let mut mosquitto = Mosquitto::start()?;
    let (address, pid) = (mosquitto.address, mosquitto.pid());
    let peer = runtime.block_on(cost(address, pid, || mosquitto.restart()))?;
    Ok(vec![
        Figure::new("door.idle", ours.idle_kb, "KB per idle connection").peer(PEER, peer.idle_kb),
        Figure::new("door.storm", ours.storm_s, "s")
            .goal(10.0)
            .peer(PEER, peer.storm_s),
    ])
}

async fn cost(
    address: SocketAddr,
    pid: u32,
    restart: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    let (tell, mut back) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    // Whatever the first client makes the broker allocate for all is not counted.
    clients.spawn(stay(address, 0, tell.clone()));
    back.recv().await;
    let before = resident_kb(pid)?;
    for n in 1..CLIENTS {
        clients.spawn(stay(address, n, tell.clone()));
        // One after the other: the storm comes later.
        timeout(PATIENCE, back.recv())
            .await
            .context("a client is not let in")?;
    }
    let idle_kb = (resident_kb(pid)? - before) / (CLIENTS - 1) as f64;

    let started = Instant::now();
    restart()?;
    let mut times = Vec::new();
    for _ in 0..CLIENTS {
        let came = timeout(PATIENCE, back.recv()).await;
        came.with_context(|| format!("only {} clients came back", times.len()))?;
        times.push(started.elapsed().as_secs_f64());
    }
    note(format_args!(
        "door.storm: the first was back after {:.2} s, half of all after {:.2} s",
        times[0],
        times[CLIENTS / 2]
    ));
    Ok(Cost {
        idle_kb,
        storm_s: times[CLIENTS - 1],
    })
}

/// A client that comes back for as long as it lives; says each time that it is there.
async fn stay(address: SocketAddr, n: usize, tell: mpsc::UnboundedSender<usize>) {
    let name = format!("node-{n}");
    let hello = subscribe(&format!("khamar/{name}/#"));
    loop {
        if let Ok((mut reader, mut writer)) = dial(address, &name).await
            && writer.write_all(&hello).await.is_ok()
            && reader.read_exact(&mut [0; 5]).await.is_ok()
        {
            let _ = tell.send(n);
            // Nothing is ever said to it: what it reads is the end.
            let _ = reader.read(&mut [0; 1]).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn resident_kb(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .context("no VmRSS in /proc/PID/status")
}
