//! `door.hour`: 5,000 messages a minute for an hour of the farm's time, and how many were lost; `door.ceiling`: how many a
//! minute the appliance would take at most.
//!
//! The farm's clock runs 75 times as fast, so the door takes 6,250 messages a second for 48 seconds. Each message has an `id` of
//! its own, as a node's has that may have to send it again. The appliance is killed at the end and its file counted.

use std::{net::SocketAddr, time::Duration};

use e2e::Edge;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, interval_at},
};

use super::{Figure, options};
use crate::{
    broker::{Acks, Load, dial, publish},
    figure::note,
    mqtt::kept,
};

const PER_MINUTE: f64 = 5_000.0;
const RATE: f64 = 75.0;
/// 2026-11-20, 05:00 in Dhaka.
const START_MS: i64 = 1_795_129_200_000;
const CLIENTS: usize = 16;
const IN_ALL: usize = 300_000;
/// How often a client speaks; it says what is due.
const EVERY: Duration = Duration::from_millis(20);

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut edge = Edge::start(&e2e::EdgeOptions {
        simulated: Some((START_MS, RATE)),
        ..options()
    });
    let started = Instant::now();
    let acknowledged = runtime.block_on(hour(edge.mqtt))?;
    let took = started.elapsed().as_secs_f64();
    edge.kill();
    let lost = acknowledged as f64 - kept(&edge.database())? as f64;
    note(format_args!(
        "door.hour: {acknowledged} messages in {took:.1} s, {:.0} a farm minute",
        acknowledged as f64 / took / RATE * 60.0
    ));
    drop(edge);

    let edge = Edge::start(&options());
    let load = Load {
        clients: CLIENTS,
        window: 100,
        lasts: Duration::from_secs(5),
    };
    let most = runtime.block_on(load.run(edge.mqtt))?;
    Ok(vec![
        Figure::new("door.hour", lost, "of 300,000 messages lost").goal(0.0),
        Figure::new("door.ceiling", most.per_second * 60.0, "messages/min").goal(PER_MINUTE),
    ])
}

/// How many messages of the hour were acknowledged.
async fn hour(address: SocketAddr) -> anyhow::Result<usize> {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::spawn(client(address, n)))
        .collect();
    let mut acknowledged = 0;
    for client in clients {
        acknowledged += client.await??;
    }
    Ok(acknowledged)
}

/// Says its share of the hour's messages, each at its time, and counts the answers.
async fn client(address: SocketAddr, n: usize) -> anyhow::Result<usize> {
    const SHARE: usize = IN_ALL / CLIENTS;
    let (mut reader, mut writer) = dial(address, &format!("node-{n}")).await?;
    let speaking = tokio::spawn(async move {
        let per_second = PER_MINUTE / 60.0 * RATE / CLIENTS as f64;
        let started = Instant::now();
        let mut pace = interval_at(started, EVERY);
        let mut out = Vec::new();
        let mut said = 0;
        while said < SHARE {
            pace.tick().await;
            let due = (started.elapsed().as_secs_f64() * per_second) as usize;
            out.clear();
            while said < due.min(SHARE) {
                told(&mut out, n, said);
                said += 1;
            }
            writer.write_all(&out).await?;
        }
        anyhow::Ok(writer)
    });
    let mut acks = Acks::default();
    let mut acknowledged = 0;
    while acknowledged < SHARE {
        acknowledged += acks.read(&mut reader).await?;
    }
    speaking.await??;
    Ok(acknowledged)
}

/// A message as a node tells it: each client speaks for six sensors.
fn told(out: &mut Vec<u8>, client: usize, n: usize) {
    let topic = format!("farm/environment/room-{client}-{}/temp", n % 6);
    let value = 15.0 + (n % 2000) as f64 / 100.0;
    publish(
        out,
        &topic,
        n,
        &format!(r#"{{"value": {value:.2}, "id": "{client}-{n}"}}"#),
    );
}
