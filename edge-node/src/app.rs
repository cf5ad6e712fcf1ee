//! The appliance put together: store, pipeline, drivers, door, pages.
//!
//! They end in the order in which data flows: pages and jobs, the door once its acknowledgements are out, the drivers once what
//! they heard is handed over, the pipeline once all of it is on disk, the store. Invariant: a pipeline that ends by itself
//! ends the process with an error, for the service manager to start it again.

mod parts;
mod setup_code;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use edge_acquire::{Drivers, Settings};
use edge_broker::Door;
use farm::{Farm, StoreError, firmware::Shelf};
use metrics_exporter_prometheus::PrometheusHandle;
use program::{Asked, DataLock, Until};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::parts::Parts;
use crate::{
    PROGRAM, cli, clock, config::Config, hub::HubLink, ingest::Ingest, logging, mqtt, tasks::Tasks,
};

/// Batches of drivers that may wait for the pipeline.
const INBOUND: usize = 256;
/// How long pages and jobs may take to end. Open event streams end when their client goes; nobody waits for them.
const TASKS_END: Duration = Duration::from_secs(1);
/// How long what was heard may take to reach the disk at the end. None of it was acknowledged.
const PIPELINE_ENDS: Duration = Duration::from_secs(10);

/// Runs the appliance.
///
/// # Errors
/// When it can't start, or had to stop.
pub(crate) fn run(config: Config, until: Until) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(
            std::thread::available_parallelism()
                .map_or(2, usize::from)
                .min(4),
        )
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        // From now on a signal is an order to end, not an end without order.
        let asked = Asked::listen(until)?;
        let metrics = farm_web::install_metrics()?;
        crate::figures::describe();
        let appliance = Appliance::start(config, Some(metrics)).await?;
        run_until(appliance, asked.wait()).await
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

/// Takes as many open files as the system allows: each client of the door or the pages is one.
fn open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is; with many clients, raise it with LimitNOFILE");
    }
}

/// Lets it run until somebody asks it to end, or until it can't go on; then ends it in order.
async fn run_until(
    mut appliance: Appliance,
    asked: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let failed = tokio::select! {
        () = asked => Ok(()),
        error = appliance.failed() => Err(error),
    };
    tracing::info!("stopping");
    let stopped = appliance.stop().await;
    failed.and(stopped)
}

/// A running appliance.
pub struct Appliance {
    farm: Farm,
    web: Vec<SocketAddr>,
    door: Arc<Door>,
    drivers: Arc<Drivers>,
    pipeline: JoinHandle<Result<(), StoreError>>,
    tasks: Tasks,
    stop_pipeline: CancellationToken,
    _lock: DataLock,
}

impl Appliance {
    /// Starts it; `metrics` renders `/metrics`, if the process has a recorder.
    ///
    /// # Errors
    /// When the data folder is in use, the database is of a newer version, or an address is taken.
    pub async fn start(config: Config, metrics: Option<PrometheusHandle>) -> anyhow::Result<Self> {
        let lock = DataLock::take(&config.data.dir, PROGRAM)?;
        let tasks = Tasks::default();
        let farm = open_farm(&config, &tasks).await?;

        let settings = acquire_settings(&config);
        let (sink, inbound) = mpsc::channel(INBOUND);
        let drivers = Arc::new(Drivers::start(sink, farm.clock().clone(), settings.clone()));
        let (mut ingest, intake) = Ingest::new(farm.clone(), config.milking.clone(), inbound);
        let (pulse, letters, said) = (ingest.pulse(), ingest.letters(), ingest.said());
        let stop_pipeline = CancellationToken::new();
        let pipeline = tokio::spawn(ingest.run(stop_pipeline.clone()));

        let mqtt::Opened { door, authority } = mqtt::open(&config, &farm, &intake, &tasks).await?;
        let parts = Parts {
            firmware: firmware(&config),
            hub: HubLink::new(farm.clone(), config.hub.clone()),
            config,
            farm,
            drivers,
            intake,
            pulse,
            said,
            door,
            authority,
            tasks,
        };
        parts.tell_nodes(letters);
        let coap = parts.open_coap().await?;
        parts.take_orders();
        let web = parts.open_pages(settings, metrics).await?;
        parts.tell_home_assistant();
        parts.start_jobs();
        parts.go_to_the_hub();
        let Parts {
            farm,
            drivers,
            door,
            tasks,
            ..
        } = parts;
        tracing::info!(?web, mqtt = ?door.addresses().tcp, tls = ?door.addresses().tls, websocket = ?door.addresses().websocket, ?coap, boot = farm.boot(), "the appliance runs");
        Ok(Self {
            farm,
            web,
            door,
            drivers,
            pipeline,
            tasks,
            stop_pipeline,
            _lock: lock,
        })
    }

    /// The farm that it runs.
    pub fn farm(&self) -> &Farm {
        &self.farm
    }

    /// Where its pages are.
    pub fn web(&self) -> &[SocketAddr] {
        &self.web
    }

    /// Where its MQTT door is.
    pub fn mqtt(&self) -> &[SocketAddr] {
        &self.door.addresses().tcp
    }

    /// Where its MQTT door is over TLS.
    pub fn mqtt_tls(&self) -> &[SocketAddr] {
        &self.door.addresses().tls
    }

    /// Where its MQTT door is over WebSocket.
    pub fn mqtt_websocket(&self) -> &[SocketAddr] {
        &self.door.addresses().websocket
    }

    /// Waits until it can't go on, and says why.
    pub async fn failed(&mut self) -> anyhow::Error {
        match (&mut self.pipeline).await {
            Ok(Ok(())) => anyhow::anyhow!("the pipeline ended by itself"),
            Ok(Err(error)) => anyhow::Error::new(error).context("the pipeline ended"),
            Err(panic) => anyhow::Error::new(panic).context("the pipeline panicked"),
        }
    }

    /// Ends it in order; whatever was acknowledged is on disk in any case.
    ///
    /// # Errors
    /// When what drivers had heard could not be written.
    pub async fn stop(self) -> anyhow::Result<()> {
        if self.tasks.end(TASKS_END).await.is_err() {
            tracing::debug!("some pages are still open");
        }
        match Arc::try_unwrap(self.door) {
            Ok(door) => door.shutdown().await,
            Err(_) => tracing::warn!("the MQTT door is still in use; its clients are cut off"),
        }
        let writing = async {
            self.drivers.shutdown().await;
            self.stop_pipeline.cancel();
            if self.pipeline.is_finished() {
                // Whoever waited for it has its result.
                return Ok(());
            }
            self.pipeline.await.context("the pipeline panicked")??;
            anyhow::Ok(())
        };
        match tokio::time::timeout(PIPELINE_ENDS, writing).await {
            Ok(written) => written?,
            Err(_) => bail!(
                "what was heard last could not be written within {} s; none of it had been acknowledged",
                PIPELINE_ENDS.as_secs()
            ),
        }
        let farm = self.farm;
        // The last handle waits for the writer to close the file.
        tokio::task::spawn_blocking(move || drop(farm)).await?;
        Ok(())
    }
}

async fn open_farm(config: &Config, tasks: &Tasks) -> anyhow::Result<Farm> {
    let (path, told) = (cli::database(config), config.clock.clone());
    let (farm, watched) = tokio::task::spawn_blocking(move || {
        let (clock, watched) = clock::build(&told, 0);
        let options = farm::Options {
            clock,
            ..farm::Options::default()
        };
        Farm::open(&path, options).map(|farm| (farm, watched))
    })
    .await??;
    if let Some(watched) = watched {
        tasks.keep("clock", move |stop| {
            clock::watch(Arc::clone(&watched), stop)
        });
    }
    Ok(farm)
}

/// Where images of firmware lie, and the rules of rollouts.
pub(crate) fn firmware(config: &Config) -> farm_web::Firmware {
    farm_web::Firmware {
        shelf: Shelf::new(config.data.dir.join("firmware"), config.firmware.keys()),
        rules: config.firmware.rules(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_of_the_pipeline_ends_the_process_with_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let local = || vec!["127.0.0.1:0".parse().unwrap()];
        let mut config = Config::default();
        dir.path().clone_into(&mut config.data.dir);
        config.web.listen = local();
        config.mqtt.listen = local();
        config.mqtt.tls = local();
        // A second of farm time would take longer than any timer can wait. No file of settings may say so.
        config.clock.simulated_rate = 1e-300;
        let appliance = Appliance::start(config, None).await.unwrap();
        let ended = run_until(appliance, std::future::pending());
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        let error = ended.expect("it ends by itself").unwrap_err();
        assert!(
            format!("{error:#}").contains("the pipeline panicked"),
            "{error:#}"
        );
        // It ended in order: another one may begin.
        Farm::open(&dir.path().join("farm.db"), farm::Options::default()).unwrap();
        DataLock::take(dir.path(), PROGRAM).unwrap();
    }
}
