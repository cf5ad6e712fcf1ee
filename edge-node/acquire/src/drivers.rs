//! Keeps running tasks in step with the farm's devices.
//!
//! Each port, bus, endpoint and the 1-wire tree is a station with one supervised owner. A change of the devices stops
//! the stations that are gone, starts those that are new, and hands slaves and probes to those that stay.
//! Invariant: a station's port is closed before another is opened on it.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use edge_decode::modbus::ReadRequest;
use farm_model::{Clock, Device, DeviceId, Link};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Found, Inbound, ProbeError, Settings,
    board::{Board, DriverState, DriverStatus},
    list_ports, list_probes,
    modbus::{
        ProbeJob,
        bus::{Bus, probe_unowned},
        wire::Endpoint,
    },
    node::{Lines, Node},
    onewire::Tree,
    outbox::Outbox,
    rfid::Reader,
    shared::Shared,
    supervise::{Care, Supervised},
};

/// The running drivers.
pub struct Drivers {
    shared: Shared,
    stations: AsyncMutex<BTreeMap<Site, Station>>,
    /// Hands over what was heard; taken by whoever shuts down.
    pump: AsyncMutex<Option<AbortOnDropHandle<()>>>,
}

/// What one owner owns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Site {
    Port(String),
    Server(String, u16),
    OneWire,
}

/// What is to run at a site.
#[derive(Clone, PartialEq, Debug)]
enum Job {
    Reader(Box<Device>),
    Node(Box<Device>),
    Bus(Endpoint),
    Tree,
}

/// A running owner.
struct Station {
    job: Job,
    devices: watch::Sender<Vec<Device>>,
    probes: mpsc::Sender<ProbeJob>,
    served: Arc<Mutex<Vec<DeviceId>>>,
    driver: Supervised,
}

/// Jobs and their devices by site, and devices that get none.
#[derive(Default)]
struct Plan {
    jobs: BTreeMap<Site, (Job, Vec<Device>)>,
    conflicts: Vec<DeviceId>,
}

impl Drivers {
    /// Starts without devices; what drivers hear goes into `sink`. Must be called within a tokio runtime.
    pub fn start(sink: mpsc::Sender<Inbound>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let board = Board::new();
        let outbox = Outbox::new(settings.buffer, board.clone());
        let pump = AbortOnDropHandle::new(tokio::spawn(outbox.clone().pump(sink)));
        Self {
            shared: Shared {
                settings: Arc::new(settings),
                clock,
                board,
                outbox,
                lines: Lines::default(),
            },
            stations: AsyncMutex::default(),
            pump: AsyncMutex::new(Some(pump)),
        }
    }

    /// Makes the running drivers match `devices`; those whose devices did not change run on undisturbed.
    ///
    /// Disabled devices and those whose port or line settings clash with an earlier device of the list are
    /// [`DriverState::Stopped`], the latter counted as `port_conflict`. Devices that speak MQTT or HTTP have no driver.
    pub async fn apply(&self, devices: Vec<Device>) {
        let ours: Vec<_> = devices
            .into_iter()
            .filter(has_driver)
            .map(essence)
            .collect();
        let ids: Vec<_> = ours.iter().map(|d| d.id).collect();
        let board = &self.shared.board;
        board.keep(&ids);
        let disabled = ours.iter().filter(|d| !d.enabled).map(|d| d.id).collect();
        let plan = Plan::of(ours);

        let mut stations = self.stations.lock().await;
        let gone: Vec<Site> = stations
            .iter()
            .filter(|(site, s)| plan.jobs.get(site).is_none_or(|(job, _)| *job != s.job))
            .map(|(site, _)| site.clone())
            .collect();
        for site in gone {
            if let Some(station) = stations.remove(&site) {
                station.driver.stop().await;
            }
        }
        for device in [disabled, plan.conflicts.clone()].concat() {
            board.state(device, DriverState::Stopped);
        }
        for device in plan.conflicts {
            board.error(device, "port_conflict");
        }
        for (site, (job, devices)) in plan.jobs {
            match stations.get(&site) {
                Some(station) => station.change(devices),
                None => {
                    let station = Station::start(&site, job, devices, &self.shared);
                    stations.insert(site, station);
                }
            }
        }
    }

    /// Serial ports that may be offered for a device.
    pub fn list_ports(&self) -> Vec<PathBuf> {
        list_ports(&self.shared.settings)
    }

    /// ROM identities of the 1-wire probes that are there, whether or not a device has them. Blocks for as long as the
    /// kernel takes to list a folder.
    ///
    /// # Errors
    /// When there is no 1-wire tree.
    pub fn list_probes(&self) -> io::Result<Vec<String>> {
        list_probes(&self.shared.settings.onewire_root)
    }

    /// How every device with a driver is.
    pub fn status(&self) -> Vec<DriverStatus> {
        self.shared.board.list()
    }

    /// Wakes when [`Self::status`] shows another state or more errors.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.shared.board.changes()
    }

    /// Sends a frame down to the node on `port`; says whether there is one that can take it now.
    pub fn send_down(&self, port: &str, frame: &[u8]) -> bool {
        self.shared.lines.send(port, frame)
    }

    /// Ends the present life of the driver that serves `device`; it starts again after its back-off, as after any
    /// failure. Nothing that was decoded is lost. Says whether there was one.
    pub async fn kill(&self, device: DeviceId) -> bool {
        let stations = self.stations.lock().await;
        let station = stations
            .values()
            .find(|s| s.devices.borrow().iter().any(|d| d.id == device));
        if let Some(station) = station {
            station.driver.kill();
        }
        station.is_some()
    }

    /// Reads `ranges` of the Modbus slave behind `link`, through the owner of its bus, and with that one's line settings, if
    /// it runs.
    ///
    /// Ranges may be wide: parts that the slave refuses are left out. Words come back in order, bits as 0 and 1.
    ///
    /// # Errors
    /// When the device is not there, does not answer, or refuses to be read.
    pub async fn probe(&self, link: &Link, ranges: &[ReadRequest]) -> Result<Found, ProbeError> {
        let (Link::ModbusRtu { unit, .. } | Link::ModbusTcp { unit, .. }) = link else {
            return Err(ProbeError::NotModbus);
        };
        let (site, endpoint) = modbus_site(link).ok_or(ProbeError::NotModbus)?;
        let stations = self.stations.lock().await;
        match stations.get(&site) {
            None => {
                // The lock is held meanwhile: nobody opens the port for a driver.
                probe_unowned(&endpoint, *unit, ranges, &self.shared.settings).await
            }
            Some(station) if matches!(station.job, Job::Reader(_) | Job::Node(_)) => {
                Err(ProbeError::PortInUse(endpoint.to_string()))
            }
            Some(station) => {
                let probes = station.probes.clone();
                drop(stations);
                let (reply, answer) = oneshot::channel();
                let job = ProbeJob {
                    unit: *unit,
                    ranges: ranges.to_vec(),
                    reply,
                };
                probes.send(job).await.map_err(|_| ProbeError::Stopped)?;
                answer.await.unwrap_or(Err(ProbeError::Stopped))
            }
        }
    }

    /// Stops all drivers, closes their ports, and returns when what they had decoded is handed over: whoever holds the
    /// other end of the channel goes on receiving until it is closed.
    /// What is started after it reaches nobody.
    pub async fn shutdown(&self) {
        self.apply(Vec::new()).await;
        self.shared.outbox.close();
        if let Some(pump) = self.pump.lock().await.take() {
            let _ = pump.await;
        }
    }
}

impl Plan {
    fn of(devices: Vec<Device>) -> Self {
        let mut plan = Self::default();
        for device in devices.into_iter().filter(|d| d.enabled) {
            let Some((site, job)) = job(&device) else {
                continue;
            };
            match plan.jobs.get_mut(&site) {
                None => {
                    plan.jobs.insert(site, (job, vec![device]));
                }
                Some((planned, devices)) if *planned == job => devices.push(device),
                Some(_) => plan.conflicts.push(device.id),
            }
        }
        plan
    }
}

impl Station {
    fn start(site: &Site, job: Job, devices: Vec<Device>, shared: &Shared) -> Self {
        let served = Arc::new(Mutex::new(devices.iter().map(|d| d.id).collect()));
        let care = Care {
            board: shared.board.clone(),
            clock: Arc::clone(&shared.clock),
            rule: shared.settings.restart,
            devices: Arc::clone(&served),
        };
        let (change, changes) = watch::channel(devices);
        let (ask, asked) = mpsc::channel(4);
        let name = format!("{site:?}");
        let shared = shared.clone();
        let driver = match job.clone() {
            Job::Reader(device) => {
                let reader = Reader {
                    device: *device,
                    shared,
                };
                Supervised::start(name, care, move || reader.clone().live())
            }
            Job::Node(device) => {
                let node = Node {
                    device: *device,
                    shared,
                };
                Supervised::start(name, care, move || node.clone().live())
            }
            Job::Bus(endpoint) => {
                let bus = Bus {
                    endpoint,
                    shared,
                    devices: changes,
                    probes: Arc::new(AsyncMutex::new(asked)),
                };
                Supervised::start(name, care, move || bus.clone().live())
            }
            Job::Tree => {
                let tree = Tree {
                    shared,
                    devices: changes,
                };
                Supervised::start(name, care, move || tree.clone().live())
            }
        };
        Self {
            job,
            devices: change,
            probes: ask,
            served,
            driver,
        }
    }

    fn change(&self, devices: Vec<Device>) {
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) =
            devices.iter().map(|d| d.id).collect();
        self.devices.send_if_modified(|running| {
            let changed = *running != devices;
            *running = devices;
            changed
        });
    }
}

fn has_driver(device: &Device) -> bool {
    match device.link {
        Link::Serial { .. }
        | Link::ModbusRtu { .. }
        | Link::ModbusTcp { .. }
        | Link::OneWire { .. }
        | Link::Node { .. } => true,
        Link::Mqtt { .. }
        | Link::ChirpStack { .. }
        | Link::Zigbee { .. }
        | Link::Input { .. }
        | Link::Http => false,
    }
}

/// The device without what no driver looks at, so that a new name restarts nothing.
fn essence(device: Device) -> Device {
    Device {
        slug: String::new(),
        name: String::new(),
        place: None,
        ..device
    }
}

fn job(device: &Device) -> Option<(Site, Job)> {
    if let Link::Serial { port, .. } = &device.link {
        return Some((
            Site::Port(port.clone()),
            Job::Reader(Box::new(device.clone())),
        ));
    }
    if let Link::Node { port, .. } = &device.link {
        let job = Job::Node(Box::new(device.clone()));
        return Some((Site::Port(port.clone()), job));
    }
    if let Link::OneWire { .. } = device.link {
        return Some((Site::OneWire, Job::Tree));
    }
    modbus_site(&device.link).map(|(site, endpoint)| (site, Job::Bus(endpoint)))
}

fn modbus_site(link: &Link) -> Option<(Site, Endpoint)> {
    match link {
        Link::ModbusRtu { port, line, .. } => {
            let (port, line) = (port.clone(), *line);
            Some((Site::Port(port.clone()), Endpoint::Rtu { port, line }))
        }
        Link::ModbusTcp { host, port, .. } => {
            let (host, port) = (host.clone(), *port);
            let site = Site::Server(host.clone(), port);
            Some((site, Endpoint::Tcp { host, port }))
        }
        _ => None,
    }
}
