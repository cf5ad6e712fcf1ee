//! `edge.ingest.mqtt`: QoS 1 publishes acknowledged per second by the running appliance, over real sockets.
//!
//! Eight clients keep a hundred publishes each in flight. The appliance acknowledges when a reading is on disk: it is killed at
//! the end, and what it acknowledged is counted in its file. The peer, mosquitto, acknowledges from memory.

use std::{path::Path, time::Duration};

use anyhow::ensure;
use e2e::{Edge, EdgeOptions};
use rusqlite::Connection;

use crate::{
    broker::{Load, Mosquitto},
    figure::Figure,
};

const LOAD: Load = Load {
    clients: 8,
    window: 100,
    lasts: Duration::from_secs(8),
};

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut edge = Edge::start(&EdgeOptions::default());
    let ours = runtime.block_on(LOAD.run(edge.mqtt))?;
    edge.kill();
    let kept = kept(&edge.database())?;
    let told = ours.in_all;
    ensure!(kept >= told, "{told} were acknowledged, {kept} are on disk");
    let mosquitto = Mosquitto::start()?;
    let peer = runtime.block_on(LOAD.run(mosquitto.address))?;
    Ok(vec![
        Figure::new("edge.ingest.mqtt", ours.per_second, "publishes/s")
            .peer("mosquitto, in memory", peer.per_second),
    ])
}

/// Readings in the appliance's file.
pub(crate) fn kept(database: &Path) -> anyhow::Result<usize> {
    let conn = Connection::open(database)?;
    let sql = "SELECT (SELECT count(*) FROM reading) + (SELECT count(*) FROM reading_log)";
    Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))? as usize)
}
