//! `door.ack`: how long a publisher waits for its acknowledgement at 1,000 messages a second.
//!
//! Ten clients publish a hundred times a second each, whether or not they have been answered.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use e2e::Edge;
use tokio::{
    io::AsyncWriteExt,
    sync::Mutex,
    time::{Instant, interval_at},
};

use super::{PEER, options};
use crate::{
    broker::{Acks, Mosquitto, dial, publish, reading},
    figure::{Figure, Times, note},
};

const CLIENTS: usize = 10;
const EVERY: Duration = Duration::from_millis(10);
const EACH: usize = 1_200;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let edge = Edge::start(&options());
    let ours = runtime.block_on(waits(edge.mqtt))?;
    drop(edge);
    let mosquitto = Mosquitto::start()?;
    let peer = runtime.block_on(waits(mosquitto.address))?;
    note(format_args!(
        "door.ack: median {:.2} ms, worst {:.2} ms of {}",
        ours.quantile_ms(0.5),
        ours.quantile_ms(1.0),
        ours.len()
    ));
    Ok(vec![
        Figure::new("door.ack", ours.quantile_ms(0.99), "ms p99")
            .goal(10.0)
            .peer(PEER, peer.quantile_ms(0.99)),
    ])
}

/// How long each acknowledgement took, but for the first second's: its topics are new, and make devices.
async fn waits(address: SocketAddr) -> anyhow::Result<Times> {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::spawn(client(address, n)))
        .collect();
    let mut all = Times::default();
    for client in clients {
        for wait in client.await??.into_iter().skip(EACH / 12) {
            all.add(wait);
        }
    }
    Ok(all)
}

async fn client(address: SocketAddr, n: usize) -> anyhow::Result<Vec<Duration>> {
    let (mut reader, mut writer) = dial(address, &format!("bench-{n}")).await?;
    let sent = Arc::new(Mutex::new(VecDeque::new()));
    // They do not all speak at the same moment.
    let first = Instant::now() + EVERY.mul_f64(1.0 + n as f64 / CLIENTS as f64);
    let notes = Arc::clone(&sent);
    let speaking = tokio::spawn(async move {
        let topic = format!("farm/environment/room-{n}/temp");
        let mut pace = interval_at(first, EVERY);
        let mut out = Vec::new();
        for n in 0..EACH {
            pace.tick().await;
            out.clear();
            publish(&mut out, &topic, n, &reading(n));
            notes.lock().await.push_back(Instant::now());
            writer.write_all(&out).await?;
        }
        anyhow::Ok(writer)
    });
    let mut waits = Vec::new();
    let mut acks = Acks::default();
    while waits.len() < EACH {
        let came = acks.read(&mut reader).await?;
        let now = Instant::now();
        let mut sent = sent.lock().await;
        // They leave in the order in which the publishes came.
        waits.extend(sent.drain(..came).map(|at| now - at));
    }
    speaking.await??;
    Ok(waits)
}
