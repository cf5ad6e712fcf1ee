//! Runs the farm and all its devices, in this process.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use serde::Serialize;
use tokio::{
    fs::File,
    io::AsyncWriteExt,
    net::TcpListener,
    sync::oneshot,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};
use tracing::warn;

use crate::{
    device::{
        Shared, modbus,
        mqtt::{self, Broker},
        onewire,
        pty::Pty,
        pump::{self, Secured},
        reader,
    },
    fault::{Fault, FaultError, Kind},
    provision::{Api, Documents, Report, documents, history, upload},
    sim::{BIOGAS_UNIT, Milking, STALLS, Setup, Sim},
};

/// How often the simulation is brought up to its clock.
const TICK: Duration = Duration::from_millis(20);

/// How often a vanished port is looked after.
const PORT_TICK: Duration = Duration::from_millis(50);

/// How often the control file is looked at.
const CONTROL_TICK: Duration = Duration::from_millis(100);

/// Days from which the tanks' state at the start is worked out; the lorry empties them every day.
const TANK_DAYS: u32 = 2;

/// Units of the meters on the RTU bus: those of stalls 1 to 4.
const RTU_UNITS: std::ops::RangeInclusive<u8> = 1..=4;

/// Units behind the TCP server: the meters of stalls 5 to 8 and the biogas instrument.
const TCP_UNITS: [u8; 5] = [5, 6, 7, 8, BIOGAS_UNIT];

/// What a farm is run with.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// The farm.
    pub setup: Setup,
    /// Farm seconds in a real second.
    pub speed: f64,
    /// Folder for ports, the 1-wire tree and the control file.
    pub dir: PathBuf,
    /// TCP port of the Modbus server; 0 for any.
    pub modbus_tcp: u16,
    /// File that true milkings are appended to, one JSON line each.
    pub truth: Option<PathBuf>,
    /// Faults ordered from the start.
    pub faults: Vec<String>,
    /// Broker that the MQTT nodes publish to; without one there are no nodes.
    pub mqtt: Option<Broker>,
    /// Appliance to tell about the farm.
    pub provision: Option<Provision>,
    /// Where the pump house's node finds the appliance; it needs one that was told about the farm.
    pub secured: Option<Secured>,
}

/// An appliance to tell about the farm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provision {
    /// Its address: `http://127.0.0.1:8080`.
    pub url: String,
    /// Token of its API.
    pub token: String,
    /// Days of history to tell.
    pub days: u32,
}

/// Where everything is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Addresses {
    /// Ports of the RFID readers, stall 1 first.
    pub readers: Vec<PathBuf>,
    /// Port of the Modbus RTU bus.
    pub modbus_rtu: PathBuf,
    /// `host:port` of the Modbus TCP server.
    pub modbus_tcp: String,
    /// Root of the 1-wire tree.
    pub w1: PathBuf,
    /// File that holds the farm's animals, places and devices as JSON.
    pub farm_json: PathBuf,
    /// File that orders are read from, one a line.
    pub control: PathBuf,
    /// The farm's time at the start, milliseconds since 1970.
    pub start_ms: i64,
    /// Farm seconds in a real second.
    pub speed: f64,
}

impl Addresses {
    fn new(dir: &Path, modbus_tcp: String, start_ms: i64, speed: f64) -> Self {
        let tty = dir.join("tty");
        Self {
            readers: (1..=STALLS)
                .map(|n| tty.join(format!("reader-{n}")))
                .collect(),
            modbus_rtu: tty.join("modbus"),
            modbus_tcp,
            w1: dir.join("w1"),
            farm_json: dir.join("farm.json"),
            control: dir.join("control"),
            start_ms,
            speed,
        }
    }
}

/// A running farm. Dropping it stops it.
#[derive(Debug)]
pub struct VirtualFarm {
    shared: Arc<Shared>,
    addresses: Addresses,
    tasks: JoinSet<()>,
    report: Option<oneshot::Receiver<anyhow::Result<Report>>>,
}

impl VirtualFarm {
    /// Starts a farm; when this returns, every port is there.
    ///
    /// # Errors
    /// When a port, socket or file cannot be made, or a fault is not understood.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let dir = std::path::absolute(&options.dir)?;
        for folder in [dir.join("tty"), dir.join("w1")] {
            tokio::fs::create_dir_all(&folder)
                .await
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut sim =
            Sim::new(options.setup.clone()).with_tanks(history(&options.setup, TANK_DAYS).tanks);
        for order in &options.faults {
            let fault = Fault::parse(order, sim.now())?;
            sim.faults_mut().order(fault);
        }
        let listener = TcpListener::bind(("127.0.0.1", options.modbus_tcp))
            .await
            .context("cannot open the Modbus TCP port")?;
        let addresses = Addresses::new(
            &dir,
            listener.local_addr()?.to_string(),
            sim.now(),
            options.speed,
        );
        let documents = documents(&sim, &addresses);
        write_json(&addresses.farm_json, &documents).await?;
        let truth = open_truth(options.truth.as_deref()).await?;
        let mut farm = Self {
            shared: Arc::new(Shared::new(sim, options.speed)),
            addresses,
            tasks: JoinSet::new(),
            report: None,
        };
        farm.start_ports(listener)?;
        farm.start_nodes(options.mqtt);
        farm.tasks.spawn(live(farm.shared.clone(), truth));
        farm.tasks
            .spawn(control(farm.shared.clone(), farm.addresses.control.clone()));
        if let Some((to, secured)) = options.provision.as_ref().zip(options.secured) {
            farm.start_pump(Api::new(&to.url, &to.token), secured);
        }
        if let Some(provision) = options.provision {
            farm.provision(provision, options.setup, documents);
        }
        Ok(farm)
    }

    fn start_nodes(&mut self, broker: Option<Broker>) {
        let (seed, nodes) = {
            let sim = self.shared.sim();
            (sim.setup().seed, mqtt::nodes(sim.herd()))
        };
        for probe in onewire::probes(seed) {
            self.tasks.spawn(onewire::run(
                self.shared.clone(),
                probe,
                self.addresses.w1.clone(),
            ));
        }
        if let Some(broker) = broker {
            for node in nodes {
                self.tasks
                    .spawn(mqtt::run(self.shared.clone(), node, broker.clone()));
            }
        }
    }

    fn start_pump(&mut self, api: Api, secured: Secured) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            if let Err(error) = pump::run(shared, api, secured).await {
                warn!(%error, "the pump house's node does not run");
            }
        });
    }

    fn provision(&mut self, to: Provision, setup: Setup, documents: Documents) {
        let (done, report) = oneshot::channel();
        self.report = Some(report);
        self.tasks.spawn(async move {
            let result = match spawn_blocking(move || history(&setup, to.days)).await {
                Ok(history) => upload(&to.url, &to.token, &documents, &history).await,
                Err(error) => Err(error.into()),
            };
            // Whoever started the farm need not be waiting.
            let _ = done.send(result);
        });
    }

    fn start_ports(&mut self, listener: TcpListener) -> anyhow::Result<()> {
        for (stall, link) in (1..=STALLS).zip(self.addresses.readers.clone()) {
            let (shared, run_shared) = (self.shared.clone(), self.shared.clone());
            let port = Port::open(link)?;
            self.tasks.spawn(port.keep(shared, move |pty| {
                reader::run(run_shared.clone(), stall, pty)
            }));
        }
        let (shared, run_shared) = (self.shared.clone(), self.shared.clone());
        let port = Port::open(self.addresses.modbus_rtu.clone())?;
        self.tasks.spawn(port.keep(shared, move |pty| {
            modbus::run_rtu(run_shared.clone(), RTU_UNITS.collect(), pty)
        }));
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            if let Err(error) = modbus::run_tcp(shared, TCP_UNITS.to_vec(), listener).await {
                warn!(%error, "the Modbus TCP server stopped");
            }
        });
        Ok(())
    }

    /// Where everything is.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The farm and its clock.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Orders a fault, as [`Fault::parse`] reads it.
    ///
    /// # Errors
    /// When the order is not understood.
    pub fn order(&self, fault: &str) -> Result<(), FaultError> {
        order(&self.shared, fault)
    }

    /// Waits until the appliance has been told about the farm; for ever when it was not to be told, or has been already.
    /// A wait that is given up can be taken up again.
    ///
    /// # Errors
    /// When the appliance did not start, or refused something.
    pub async fn provisioned(&mut self) -> anyhow::Result<Report> {
        let Some(report) = &mut self.report else {
            return std::future::pending().await;
        };
        let result = report.await.context("the farm was stopped")?;
        self.report = None;
        result
    }

    /// Stops every device and takes the ports away.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Obeys one line: a fault to order, or `clear` to end all of them.
fn order(shared: &Shared, line: &str) -> Result<(), FaultError> {
    let mut sim = shared.sim();
    if line.trim() == "clear" {
        sim.faults_mut().clear();
        return Ok(());
    }
    let fault = Fault::parse(line.trim(), sim.now())?;
    sim.faults_mut().order(fault);
    Ok(())
}

/// Obeys each line that is appended to the file `path`.
async fn control(shared: Arc<Shared>, path: PathBuf) {
    let mut obeyed = 0;
    loop {
        let text = tokio::fs::read_to_string(&path).await.unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines().skip(obeyed) {
            obeyed += 1;
            if let Err(error) = order(&shared, line) {
                warn!(%error, "an order in the control file is not understood");
            }
        }
        sleep(CONTROL_TICK).await;
    }
}

async fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(value)?;
    tokio::fs::write(path, text)
        .await
        .with_context(|| format!("cannot write {}", path.display()))
}

async fn open_truth(path: Option<&Path>) -> anyhow::Result<Option<File>> {
    let Some(path) = path else { return Ok(None) };
    let file = File::options().create(true).append(true).open(path).await;
    file.map(Some)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Keeps the simulation up with its clock and writes down what truly happened.
async fn live(shared: Arc<Shared>, mut truth: Option<File>) {
    loop {
        let milkings = {
            let mut sim = shared.sim();
            sim.advance(shared.now());
            sim.take_finished()
        };
        if let Some(file) = &mut truth
            && let Err(error) = write_truth(file, &milkings).await
        {
            warn!(%error, "the truth cannot be written any more");
            truth = None;
        }
        sleep(TICK).await;
    }
}

async fn write_truth(file: &mut File, milkings: &[Milking]) -> io::Result<()> {
    if milkings.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for milking in milkings {
        serde_json::to_writer(&mut lines, milking)?;
        lines.push(b'\n');
    }
    file.write_all(&lines).await?;
    file.flush().await
}

/// A serial port that can be unplugged.
struct Port {
    name: String,
    link: PathBuf,
    pty: Arc<Pty>,
}

impl Port {
    fn open(link: PathBuf) -> anyhow::Result<Self> {
        let pty =
            Arc::new(Pty::open(&link).with_context(|| format!("cannot make {}", link.display()))?);
        Ok(Self {
            name: name_of(&link),
            link,
            pty,
        })
    }

    /// Runs a device on the port for ever; while the port is vanished, there is neither.
    async fn keep<D, F>(self, shared: Arc<Shared>, device: D)
    where
        D: Fn(Arc<Pty>) -> F,
        F: Future<Output = io::Result<()>>,
    {
        let Self { name, link, pty } = self;
        let mut pty = Some(pty);
        let vanished = || {
            let sim = shared.sim();
            sim.faults().any(
                sim.now(),
                |k| matches!(k, Kind::VanishPort(port) if *port == name),
            )
        };
        let until = async |wanted: bool| {
            while vanished() != wanted {
                sleep(PORT_TICK).await;
            }
        };
        loop {
            let port = match pty
                .take()
                .map_or_else(|| Pty::open(&link).map(Arc::new), Ok)
            {
                Ok(port) => port,
                Err(error) => {
                    warn!(%error, port = %link.display(), "the port cannot be made");
                    sleep(PORT_TICK).await;
                    continue;
                }
            };
            tokio::select! {
                end = device(port) => if let Err(error) = end {
                    warn!(%error, port = %link.display(), "the port failed and is made again");
                    sleep(PORT_TICK).await;
                },
                () = until(true) => {}
            }
            until(false).await;
        }
    }
}

fn name_of(link: &Path) -> String {
    link.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}
