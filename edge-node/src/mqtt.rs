//! The MQTT door put together: the authority, this machine's certificate, the gate, and who follows what the gate says.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use edge_broker::{Door, DoorConfig};
use edge_ca::{Authority, CaError, LeastTls, Server};
use farm::{
    Actor, Farm,
    joins::{self, Welcome},
};
use farm_model::Clock as _;

use crate::{
    authority::FarmAuthority,
    config::{Config, TlsVersion},
    gate::{self, Doorkeeper, FarmGate, Joining},
    ingest::Intake,
    names,
    tasks::Tasks,
};

/// The open door, and the authority whose certificates it takes.
pub(crate) struct Opened {
    pub(crate) door: Arc<Door>,
    pub(crate) authority: FarmAuthority,
}

/// Opens the MQTT door; follows who may stay inside, and renews its certificate.
pub(crate) async fn open(
    config: &Config,
    farm: &Farm,
    intake: &Intake,
    tasks: &Tasks,
) -> anyhow::Result<Opened> {
    let (authority, server) = certificates(config, farm).await?;
    let authority = FarmAuthority::new(farm.clone(), authority);
    let joining = if config.mqtt.join {
        Joining::Open
    } else {
        Joining::Closed
    };
    let anonymous_from = config.mqtt.anonymous_from.clone();
    let keeper = Arc::new(Doorkeeper::new(farm.clone(), anonymous_from, joining));
    let (sender, words) = gate::words();
    let gate = FarmGate::new(
        farm.clone(),
        intake.clone(),
        Arc::clone(&keeper),
        authority.clone(),
        sender,
    );
    let door = Door::start(door_config(config, &server)?, Arc::new(gate))
        .await
        .context("the MQTT door cannot open its addresses")?;
    let door = Arc::new(door);
    let welcome = Welcome {
        ca: Some(farm_web::Authority::certificate(&authority)),
        tls_port: door.addresses().tls.first().map(SocketAddr::port),
    };
    farm.write(Actor::System, move |tx| joins::set_welcome(tx, &welcome))
        .await?;
    let names = config.mqtt.names.clone();
    tasks.start(|stop| names::keep_certificate(server, names, farm.clone(), stop));
    let (farm, followed) = (farm.clone(), Arc::clone(&door));
    tasks.keep("who may stay", move |stop| {
        let (farm, door, keeper) = (farm.clone(), Arc::clone(&followed), Arc::clone(&keeper));
        gate::follow(farm, door, keeper, Arc::clone(&words), stop)
    });
    Ok(Opened { door, authority })
}

/// The farm's authority, and this machine's own certificate by it.
async fn certificates(
    config: &Config,
    farm: &Farm,
) -> anyhow::Result<(Arc<Authority>, Arc<Server>)> {
    let (dir, names) = (config.data.dir.join("ca"), config.mqtt.names.clone());
    let now = farm.clock().now().wall;
    let opened = tokio::task::spawn_blocking(move || {
        let authority = Arc::new(Authority::open(&dir)?);
        let server = Server::open(Arc::clone(&authority), names::all(&names), now)?;
        Ok::<_, CaError>((authority, Arc::new(server)))
    });
    Ok(opened.await??)
}

fn door_config(config: &Config, server: &Arc<Server>) -> anyhow::Result<DoorConfig> {
    let least = match config.mqtt.tls_min {
        TlsVersion::V1_2 => LeastTls::V1_2,
        TlsVersion::V1_3 => LeastTls::V1_3,
    };
    Ok(DoorConfig {
        listen: config.mqtt.listen.clone(),
        websocket: config.mqtt.websocket.clone(),
        tls: config.mqtt.tls.clone(),
        tls_config: Some(Arc::new(server.config(least)?)),
        max_packet: config.mqtt.max_packet_bytes as usize,
        max_connections: config.mqtt.max_connections as usize,
        ..DoorConfig::default()
    })
}
