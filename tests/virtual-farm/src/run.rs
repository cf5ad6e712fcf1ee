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
use tokio::{fs::File, io::AsyncWriteExt, net::TcpListener, task::JoinSet, time::sleep};
use tracing::warn;

use crate::{
    device::{Shared, modbus, pty::Pty, reader},
    fault::{Fault, FaultError, Kind},
    sim::{BIOGAS_UNIT, Milking, STALLS, Setup, Sim},
};

/// How often the simulation is brought up to its clock.
const TICK: Duration = Duration::from_millis(20);

/// How often a vanished port is looked after.
const PORT_TICK: Duration = Duration::from_millis(50);

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
}

/// A running farm. Dropping it stops it.
#[derive(Debug)]
pub struct VirtualFarm {
    shared: Arc<Shared>,
    addresses: Addresses,
    tasks: JoinSet<()>,
}

impl VirtualFarm {
    /// Starts a farm; when this returns, every port is there.
    ///
    /// # Errors
    /// When a port, socket or file cannot be made, or a fault is not understood.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let dir = std::path::absolute(&options.dir)?;
        let tty = dir.join("tty");
        tokio::fs::create_dir_all(&tty)
            .await
            .with_context(|| format!("cannot make {}", tty.display()))?;
        let mut sim = Sim::new(options.setup.clone());
        for order in &options.faults {
            let fault = Fault::parse(order, sim.now())?;
            sim.faults_mut().order(fault);
        }
        let listener = TcpListener::bind(("127.0.0.1", options.modbus_tcp))
            .await
            .context("cannot open the Modbus TCP port")?;
        let shared = Arc::new(Shared::new(sim, options.speed));
        let mut farm = Self {
            addresses: Addresses {
                readers: (1..=STALLS)
                    .map(|n| tty.join(format!("reader-{n}")))
                    .collect(),
                modbus_rtu: tty.join("modbus"),
                modbus_tcp: listener.local_addr()?.to_string(),
            },
            shared,
            tasks: JoinSet::new(),
        };
        farm.start_ports(listener)?;
        let truth = match &options.truth {
            Some(path) => Some(
                File::options()
                    .create(true)
                    .append(true)
                    .open(path)
                    .await
                    .with_context(|| format!("cannot write {}", path.display()))?,
            ),
            None => None,
        };
        farm.tasks.spawn(live(farm.shared.clone(), truth));
        Ok(farm)
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
