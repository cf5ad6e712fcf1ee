//! What the tests stand on: pseudo-terminals, pymodbus slaves, devices, and waiting with a deadline.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use edge_acquire::{Backoff, DriverStatus, Drivers, Inbound, RejectRecord, Settings};
use farm_model::{
    Body, Clock, ClockQuality, Device, DeviceId, DeviceKind, Flaw, Link, Observation, Quantity,
    SystemClock,
    device::{
        Parity, ReadFunction, RegisterField, RegisterMap, RegisterType, SerialLine, WordOrder,
    },
};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, unix::AsyncFd},
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Intervals so short that a test takes milliseconds.
pub(crate) fn settings() -> Settings {
    let quick = Backoff {
        first: Duration::from_millis(5),
        cap: Duration::from_millis(40),
    };
    Settings {
        onewire_every: Duration::from_millis(10),
        onewire_timeout: Duration::from_millis(200),
        response_timeout: Duration::from_millis(150),
        min_poll: Duration::from_millis(1),
        slave_backoff: quick,
        reopen: quick,
        restart: quick,
        ..Settings::default()
    }
}

/// Drivers, and what they send.
pub(crate) struct Rig {
    pub(crate) drivers: Drivers,
    pub(crate) inbox: mpsc::Receiver<Inbound>,
    waiting: std::collections::VecDeque<Observation>,
    pub(crate) rejects: Vec<RejectRecord>,
}

impl Rig {
    pub(crate) async fn new(settings: Settings, devices: &[&Device]) -> Self {
        Self::with_channel(settings, devices, 64).await
    }

    pub(crate) async fn with_channel(
        settings: Settings,
        devices: &[&Device],
        channel: usize,
    ) -> Self {
        let clock = Arc::new(SystemClock::new(1, ClockQuality::Synced));
        Self::with_clock(settings, devices, channel, clock).await
    }

    pub(crate) async fn with_clock(
        settings: Settings,
        devices: &[&Device],
        channel: usize,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (sink, inbox) = mpsc::channel(channel);
        let drivers = Drivers::start(sink, clock, settings);
        drivers
            .apply(devices.iter().map(|d| (*d).clone()).collect())
            .await;
        Self {
            drivers,
            inbox,
            waiting: Default::default(),
            rejects: Vec::new(),
        }
    }

    /// The next observation.
    pub(crate) async fn next(&mut self) -> Observation {
        loop {
            if let Some(observation) = self.waiting.pop_front() {
                return observation;
            }
            let batch = timeout(PATIENCE, self.inbox.recv()).await;
            let batch = batch.expect("an observation in time").expect("drivers run");
            self.waiting.extend(batch.observations);
            self.rejects.extend(batch.rejects);
        }
    }

    /// Skips observations until `wanted` makes something of one.
    pub(crate) async fn until<T>(&mut self, wanted: impl Fn(&Observation) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.next().await) {
                return found;
            }
        }
    }

    /// Skips observations until `device` says `body`.
    pub(crate) async fn body(&mut self, device: &Device, body: Body) -> Observation {
        self.until(|o| (o.device == device.id && o.body == body).then(|| o.clone()))
            .await
    }

    /// Waits until the status of `device` is as `wanted`; whatever is heard meanwhile stays to be read.
    pub(crate) async fn status(
        &mut self,
        device: &Device,
        wanted: impl Fn(&DriverStatus) -> bool,
    ) -> DriverStatus {
        let mut changes = self.drivers.changes();
        let all = async {
            loop {
                changes.borrow_and_update();
                if let Some(status) = status(&self.drivers, device.id).filter(&wanted) {
                    return status;
                }
                tokio::select! {
                    changed = changes.changed() => changed.expect("drivers run"),
                    Some(batch) = self.inbox.recv() => {
                        self.waiting.extend(batch.observations);
                        self.rejects.extend(batch.rejects);
                    }
                }
            }
        };
        let found = timeout(PATIENCE, all).await;
        found.unwrap_or_else(|_| panic!("not in time: {:?}", self.drivers.status()))
    }
}

pub(crate) fn status(drivers: &Drivers, device: DeviceId) -> Option<DriverStatus> {
    drivers.status().into_iter().find(|s| s.device == device)
}

pub(crate) fn device(kind: DeviceKind, link: Link) -> Device {
    let id = DeviceId::new();
    Device {
        id,
        slug: format!("device-{id}"),
        name: "a device".into(),
        kind,
        link,
        place: None,
        expect_every_s: None,
        enabled: true,
    }
}

pub(crate) fn line() -> SerialLine {
    SerialLine {
        baud: 115_200,
        parity: Parity::None,
        stop_bits: 1,
    }
}

/// A field of one unsigned register.
pub(crate) fn field(quantity: Quantity, function: ReadFunction, address: u16) -> RegisterField {
    RegisterField {
        quantity,
        function,
        address,
        kind: RegisterType::U16,
        order: WordOrder::Abcd,
        scale: 1.0,
        offset: 0.0,
        missing: Vec::new(),
        wraps_after: None,
    }
}

pub(crate) fn map(poll_ms: u32, fields: &[RegisterField]) -> RegisterMap {
    RegisterMap {
        poll_ms,
        fields: fields.to_vec(),
        ..RegisterMap::default()
    }
}

pub(crate) fn good(quantity: Quantity, whole: i64) -> Body {
    Body::measured(quantity, farm_model::Milli(whole * 1000))
}

pub(crate) fn missing(quantity: Quantity, flaw: Flaw) -> Body {
    Body::missing(quantity, flaw)
}

/// A pseudo-terminal: this end is the hardware, `path` is the port.
#[derive(Debug)]
pub(crate) struct Pty {
    master: AsyncFd<OwnedFd>,
    pub(crate) path: PathBuf,
    /// Held open, so that bytes wait for a driver that is not there yet.
    _port: OwnedFd,
}

impl Pty {
    pub(crate) fn open() -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let port = rustix::fs::open(
            &path,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let mut raw = tcgetattr(&port).unwrap();
        raw.make_raw();
        tcsetattr(&port, OptionalActions::Now, &raw).unwrap();
        rustix::io::ioctl_fionbio(&master, true).unwrap();
        Self {
            master: watch(master),
            path,
            _port: port,
        }
    }

    /// A pseudo-terminal behind the name `link`, which stays the same when another takes its place.
    pub(crate) fn open_as(link: &Path) -> Self {
        let pty = Self::open();
        let _ = std::fs::remove_file(link);
        std::os::unix::fs::symlink(&pty.path, link).unwrap();
        pty
    }

    pub(crate) async fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd, &mut *bytes)?));
            if let Ok(read) = read {
                return read;
            }
        }
    }

    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.master.writable().await?;
            if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd, bytes)?)) {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }

    /// The next eight bytes: a Modbus read request.
    pub(crate) async fn request(&self) -> io::Result<[u8; 8]> {
        let mut request = [0; 8];
        let mut len = 0;
        while len < 8 {
            len += self.read(&mut request[len..]).await?;
        }
        Ok(request)
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe to call; this descriptor is owned"
)]
fn watch(master: OwnedFd) -> AsyncFd<OwnedFd> {
    AsyncFd::new(master).unwrap()
}

/// A frame with its checksum.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let sum = edge_acquire::modbus::frame::crc(body).to_le_bytes();
    [body, &sum].concat()
}

/// The answer of `unit` to function 3: these registers.
pub(crate) fn holding(unit: u8, words: &[u16]) -> Vec<u8> {
    let len = u8::try_from(2 * words.len()).unwrap();
    let words = words.iter().flat_map(|w| w.to_be_bytes());
    framed(&[unit, 3, len].into_iter().chain(words).collect::<Vec<u8>>())
}

/// A child process with pymodbus slaves; killed when dropped.
pub(crate) struct Slaves {
    _child: Child,
    /// TCP port, 0 on a serial line.
    pub(crate) port: u16,
}

impl Slaves {
    pub(crate) async fn start(how: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/slave.py");
        let install =
            "these tests need pymodbus: apt-get install python3-pymodbus python3-serial-asyncio";
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args(how)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect(install);
        let mut ready = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, ready.next_line())
            .await
            .expect("pymodbus serves in time");
        let port = line.unwrap().expect(install).parse().unwrap();
        Self {
            _child: child,
            port,
        }
    }
}
