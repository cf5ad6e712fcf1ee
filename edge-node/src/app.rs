//! The appliance put together: store, pipeline, drivers, door, pages.
//!
//! They end in the order in which data flows: pages and jobs, the door once its acknowledgements are out, the drivers once what
//! they heard is handed over, the pipeline once all of it is on disk, the store. Invariant: a pipeline that ends by itself
//! ends the process with an error, for the service manager to start it again.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use edge_acquire::{Drivers, Settings};
use edge_broker::Door;
use farm::{Farm, StoreError, firmware::Shelf};
use farm_web::{App, MqttPorts, Options};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::{TcpListener, UdpSocket},
    signal::unix::{Signal, SignalKind, signal},
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api_ingest::ApiIngest,
    cli, clock, coap,
    config::Config,
    control::{self, Desk, Ruled, Runs},
    front::{self, Bounds},
    hardware::EdgeHardware,
    homeassistant,
    ingest::{Ingest, Intake, Pulse},
    jobs::{self, Charge},
    lock::DataLock,
    logging, mqtt, post,
    updates::Updates,
    wanted::Wanted,
};

/// Batches of drivers that may wait for the pipeline.
const INBOUND: usize = 256;
/// How long pages and jobs may take to end. Open event streams end when their client goes; nobody waits for them.
const TASKS_END: Duration = Duration::from_secs(1);
/// How long what was heard may take to reach the disk at the end. None of it was acknowledged.
const PIPELINE_ENDS: Duration = Duration::from_secs(10);

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
    tasks: TaskTracker,
    /// Ends pages, jobs and whatever else runs beside the readings.
    stop: CancellationToken,
    stop_pipeline: CancellationToken,
    _lock: DataLock,
}

impl Appliance {
    /// Starts it; `metrics` renders `/metrics`, if the process has a recorder.
    ///
    /// # Errors
    /// When the data folder is in use, the database is of a newer version, or an address is taken.
    pub async fn start(config: Config, metrics: Option<PrometheusHandle>) -> anyhow::Result<Self> {
        let lock = DataLock::take(&config.data.dir)?;
        let (stop, stop_pipeline) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let farm = open_farm(&config, &tasks, &stop).await?;

        let settings = acquire_settings(&config);
        let (sink, inbound) = mpsc::channel(INBOUND);
        let drivers = Arc::new(Drivers::start(sink, farm.clock().clone(), settings.clone()));
        let (mut ingest, intake) = Ingest::new(farm.clone(), config.milking.clone(), inbound);
        let (pulse, letters) = (ingest.pulse(), ingest.letters());
        let said = ingest.said();
        let pipeline = tokio::spawn(ingest.run(stop_pipeline.clone()));

        let mqtt::Opened { door, authority } =
            mqtt::open(&config, &farm, &intake, &tasks, &stop).await?;
        let letters = Arc::new(Mutex::new(letters));
        let (answering, to, lines) = (farm.clone(), Arc::clone(&door), Arc::clone(&drivers));
        let ended = stop.clone();
        tasks.spawn(jobs::keep("letters to nodes", stop.clone(), move || {
            let (door, drivers) = (Arc::clone(&to), Arc::clone(&lines));
            let letters = Arc::clone(&letters);
            post::deliver(letters, answering.clone(), door, drivers, ended.clone())
        }));
        let coap = open_coap(&config, &farm, &intake, &tasks, &stop).await?;
        let hardware = EdgeHardware::new(Arc::clone(&drivers), settings);
        let ports = MqttPorts {
            plain: door.addresses().tcp.first().map(SocketAddr::port),
            tls: door.addresses().tls.first().map(SocketAddr::port),
        };
        let firmware = firmware(&config);
        let (updating, shelf, rules) = (farm.clone(), firmware.shelf.clone(), firmware.rules);
        let (told, ended, rate) = (
            intake.clone(),
            stop.clone(),
            config.firmware.bytes_per_second,
        );
        let (wanting, telling, listening) = (farm.clone(), intake.clone(), said.clone());
        let over = stop.clone();
        tasks.spawn(jobs::keep("wishes to nodes", stop.clone(), move || {
            Wanted::new(wanting.clone(), telling.clone()).run(listening.subscribe(), over.clone())
        }));
        tasks.spawn(jobs::keep("updates of nodes", stop.clone(), move || {
            Updates::new(updating.clone(), told.clone(), shelf.clone(), rules, rate)
                .run(said.subscribe(), ended.clone())
        }));
        let mut app = web_app(&farm, hardware, intake, &pulse, metrics, &config.data.dir).await?;
        app.options.mqtt = ports;
        app.options.authority = Some(Arc::new(authority.clone()));
        app.options.firmware = Some(firmware.clone());
        let ruled = Ruled {
            farm: farm.clone(),
            authority,
            shelf: firmware.shelf,
            runs: Runs::Yes,
        };
        take_orders(&config.data.dir, ruled, &tasks, &stop);
        let web = serve(&config.web.listen, &app, &tasks, &stop).await?;
        if config.homeassistant.enabled {
            let (farm, door, ended) = (farm.clone(), Arc::clone(&door), stop.clone());
            tasks.spawn(jobs::keep("home assistant", stop.clone(), move || {
                homeassistant::publish(farm.clone(), Arc::clone(&door), ended.clone())
            }));
        }
        let charge = Charge {
            farm: farm.clone(),
            drivers: Arc::clone(&drivers),
            door: Arc::clone(&door),
            pulse,
            data: config.data,
        };
        jobs::start(charge, &tasks, &stop);
        tracing::info!(?web, mqtt = ?door.addresses().tcp, tls = ?door.addresses().tls, websocket = ?door.addresses().websocket, ?coap, boot = farm.boot(), "the appliance runs");
        Ok(Self {
            farm,
            web,
            door,
            drivers,
            pipeline,
            tasks,
            stop,
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
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(TASKS_END, self.tasks.wait())
            .await
            .is_err()
        {
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

/// Listens for frames over CoAP; says where.
async fn open_coap(
    config: &Config,
    farm: &Farm,
    intake: &Intake,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for address in &config.coap.listen {
        let socket = UdpSocket::bind(address).await;
        let socket = socket
            .with_context(|| format!("CoAP cannot listen on {address}; change `coap.listen`"))?;
        addresses.push(socket.local_addr()?);
        let socket = Arc::new(socket);
        let (farm, intake, ended) = (farm.clone(), intake.clone(), stop.clone());
        tasks.spawn(jobs::keep("coap", stop.clone(), move || {
            coap::serve(
                Arc::clone(&socket),
                farm.clone(),
                intake.clone(),
                ended.clone(),
            )
        }));
    }
    Ok(addresses)
}

async fn open_farm(
    config: &Config,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<Farm> {
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
        let ended = stop.clone();
        tasks.spawn(jobs::keep("clock", stop.clone(), move || {
            clock::watch(Arc::clone(&watched), ended.clone())
        }));
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

async fn web_app(
    farm: &Farm,
    hardware: EdgeHardware,
    intake: Intake,
    pulse: &Pulse,
    metrics: Option<PrometheusHandle>,
    data: &Path,
) -> anyhow::Result<App> {
    let pulse = pulse.clone();
    Ok(App {
        farm: farm.clone(),
        hardware: Arc::new(hardware),
        ingest: Arc::new(ApiIngest::new(intake)),
        options: Options {
            setup_code: setup_code(farm, data).await?,
            metrics,
            ready: Some(Arc::new(move || !pulse.is_stalled())),
            version: env!("CARGO_PKG_VERSION"),
            ..Options::default()
        },
    })
}

/// Takes orders of the command line. Cows are milked without them, too.
fn take_orders(dir: &Path, ruled: Ruled, tasks: &TaskTracker, stop: &CancellationToken) {
    let desk = match Desk::open(dir) {
        Ok(desk) => Arc::new(desk),
        Err(error) => {
            tracing::error!(dir = %dir.display(), %error, "the command line cannot reach the running appliance: see to the data folder, then restart");
            return;
        }
    };
    let ended = stop.clone();
    tasks.spawn(jobs::keep("orders", stop.clone(), move || {
        control::serve(Arc::clone(&desk), ruled.clone(), ended.clone())
    }));
}

/// Serves the pages on every address; the addresses that it got.
async fn serve(
    addresses: &[SocketAddr],
    app: &App,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<SocketAddr>> {
    let mut served = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("the web address {address} cannot be used; see who has it with: ss -ltnp")
        })?;
        served.push(listener.local_addr()?);
        let router = farm_web::router(app.clone());
        tasks.spawn(front::serve(
            listener,
            router,
            Bounds::default(),
            stop.clone(),
        ));
    }
    Ok(served)
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
    match std::fs::read_to_string(&path) {
        Ok(code) if is_setup_code(code.trim()) => return Ok(Some(code.trim().to_owned())),
        // The power went while it was written: half a code is none.
        Ok(_) => std::fs::remove_file(&path)
            .with_context(|| format!("cannot remove {}", path.display()))?,
        Err(_) => {}
    }
    let code = format!("{:08}", rand::random_range(0..100_000_000));
    write_private(&path, &code).with_context(|| format!("cannot write {}", path.display()))?;
    tracing::warn!(file = %path.display(), "nobody can log in yet: open the pages and give the code that stands in this file");
    Ok(Some(code))
}

/// An empty or shortened code would let anybody in.
fn is_setup_code(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit())
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

/// The ways in which somebody asks it to end.
struct Asked {
    terminate: Signal,
    interrupt: Signal,
    until: Until,
}

impl Asked {
    fn listen(until: Until) -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            until,
        })
    }

    /// Waits until somebody asks, or asked since this listens.
    async fn wait(mut self) {
        let closed = async {
            if self.until == Until::Signal {
                return std::future::pending().await;
            }
            let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            // Whether it ended or failed: there is nobody at the other end any more.
            let _ = tokio::task::spawn_blocking(read).await;
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = closed => {}
        }
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
        DataLock::take(dir.path()).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn half_a_setup_code_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("setup-code");
        let farm = Farm::open(&dir.path().join("farm.db"), farm::Options::default()).unwrap();
        for damaged in ["", "\n", "1234"] {
            std::fs::write(&path, damaged).unwrap();
            let code = setup_code(&farm, dir.path()).await.unwrap().unwrap();
            assert!(is_setup_code(&code), "{damaged:?} became {code:?}");
            let again = setup_code(&farm, dir.path()).await.unwrap();
            assert_eq!(again, Some(code), "a whole one is kept");
        }
    }
}
