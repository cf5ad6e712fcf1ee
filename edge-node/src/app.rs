//! The appliance put together: store, drivers, pipeline, door, pages; started in that order and stopped in the other.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use edge_acquire::{Drivers, Settings};
use edge_broker::{Door, DoorConfig};
use farm::Farm;
use farm_web::{App, Options};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api_ingest::ApiIngest, cli, clock, config::Config, gate::FarmGate, hardware::EdgeHardware,
    homeassistant, ingest::Ingest, jobs, lock::DataLock, logging,
};

/// Batches of drivers that may wait for the pipeline.
const INBOUND: usize = 256;

/// When to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// At SIGTERM or SIGINT.
    Signal,
    /// At those, or when standard input closes.
    StdinCloses,
}

/// Runs the appliance.
///
/// # Errors
/// When it can't start, or had to stop.
pub(crate) fn run(config: Config, until: Until) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    let _lock = DataLock::take(&config.data.dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(
            std::thread::available_parallelism()
                .map_or(2, usize::from)
                .min(4),
        )
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(config, until));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

async fn serve(config: Config, until: Until) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (machine, watched) = clock::build(&config.clock, 0);
    let (path, options) = (
        cli::database(&config),
        farm::Options {
            clock: machine,
            ..farm::Options::default()
        },
    );
    let farm = tokio::task::spawn_blocking(move || Farm::open(&path, options)).await??;
    if let Some(watched) = watched {
        tasks.spawn(clock::watch(watched, stop.clone()));
    }

    let settings = acquire_settings(&config);
    let (sink, inbound) = mpsc::channel(INBOUND);
    let drivers = Arc::new(Drivers::start(sink, farm.clock().clone(), settings.clone()));
    let zone = farm.read(farm::settings::load).await?.tz();
    let (ingest, intake) = Ingest::new(farm.clone(), config.milking.clone(), zone, inbound);
    let pipeline_stop = CancellationToken::new();
    let pipeline = tokio::spawn(ingest.run(pipeline_stop.clone()));

    let gate = Arc::new(FarmGate::new(
        farm.clone(),
        intake.clone(),
        config.mqtt.anonymous_from.clone(),
    ));
    let door = Arc::new(
        Door::start(door_config(&config), gate)
            .await
            .context("the MQTT door cannot open its addresses")?,
    );
    let app = App {
        farm: farm.clone(),
        hardware: Arc::new(EdgeHardware::new(Arc::clone(&drivers), settings)),
        ingest: Arc::new(ApiIngest::new(intake)),
        options: Options {
            setup_code: setup_code(&farm, &config.data.dir).await?,
            metrics: Some(farm_web::install_metrics()?),
            version: env!("CARGO_PKG_VERSION"),
            ..Options::default()
        },
    };
    let listeners = listen(&config.web.listen).await?;
    for listener in listeners {
        let serving = axum::serve(
            listener,
            farm_web::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>(),
        );
        tasks.spawn({
            let stop = stop.clone();
            async move { serving.with_graceful_shutdown(stop.cancelled_owned()).await }
        });
    }
    drop(app);
    jobs::start(&farm, &drivers, &config.data, &tasks, &stop);
    if config.homeassistant.enabled {
        tasks.spawn(homeassistant::publish(
            farm.clone(),
            Arc::clone(&door),
            stop.clone(),
        ));
    }
    tracing::info!(web = ?config.web.listen, mqtt = ?door.addresses().tcp, boot = farm.boot(), "the appliance runs");

    let mut pipeline = pipeline;
    let ended = tokio::select! {
        asked = wait_for_end(until) => { asked?; None }
        ended = &mut pipeline => Some(ended),
    };
    tracing::info!("stopping");
    stop.cancel();
    if let Some(door) = Arc::into_inner(door) {
        door.shutdown().await;
    }
    // Open event streams end by themselves when their client goes; nobody waits for them.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), async {
        tasks.close();
        tasks.wait().await;
    })
    .await;
    drivers.shutdown().await;
    match ended {
        Some(ended) => ended
            .context("the pipeline panicked")?
            .context("the pipeline ended")?,
        None => {
            pipeline_stop.cancel();
            pipeline.await.context("the pipeline panicked")??;
        }
    }
    tokio::task::spawn_blocking(move || drop(farm)).await?;
    Ok(())
}

fn acquire_settings(config: &Config) -> Settings {
    Settings {
        onewire_root: config.onewire.root.clone(),
        onewire_every: std::time::Duration::from_secs(config.onewire.every_s.into()),
        port_dirs: config.serial.dirs.clone(),
        // Well within the time after which the milking engine takes silence for a gap.
        repeat_every: std::time::Duration::from_secs(u64::from(config.milking.gap_after_s) * 2 / 3),
        ..Settings::default()
    }
}

fn door_config(config: &Config) -> DoorConfig {
    DoorConfig {
        listen: config.mqtt.listen.clone(),
        websocket: config.mqtt.websocket.clone(),
        max_packet: config.mqtt.max_packet_bytes as usize,
        ..DoorConfig::default()
    }
}

async fn listen(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("the web address {address} cannot be used; see who has it with: ss -ltnp")
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// The code that the first owner must type: in a file that only this user may read, until there is an owner.
async fn setup_code(farm: &Farm, dir: &Path) -> anyhow::Result<Option<String>> {
    let path = dir.join("setup-code");
    let has_owner = farm
        .read(farm::staff::list)
        .await?
        .iter()
        .any(|s| s.active && s.role == farm_model::Role::Owner);
    if has_owner {
        if path.exists() {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        return Ok(None);
    }
    if let Ok(code) = std::fs::read_to_string(&path) {
        return Ok(Some(code.trim().to_owned()));
    }
    let code = format!("{:08}", rand::random_range(0..100_000_000));
    write_private(&path, &code).with_context(|| format!("cannot write {}", path.display()))?;
    tracing::warn!(file = %path.display(), "nobody can log in yet: open the pages and give the code that stands in this file");
    Ok(Some(code))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

async fn wait_for_end(until: Until) -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let closed = async {
        if until == Until::Signal {
            return std::future::pending().await;
        }
        let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        // Whether it ended or failed: there is nobody at the other end any more.
        let _ = tokio::task::spawn_blocking(read).await;
    };
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
        () = closed => Ok(()),
    }
}
