//! Temperature probes in the kernel's 1-wire tree.
//!
//! The kernel gives one folder for each probe and takes up to 750 ms for each reading, so files are read one after the
//! other on a thread of their own; where the kernel can let all probes measure at once, it is asked to. A probe is known
//! by its ROM identity, never by its place in a list: it may vanish and come back on another bus.
//! Invariant: a wire that is broken, held low or half read gives a missing value, never a temperature.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use edge_decode::{PlausibleTemperature, w1};
use farm_model::{Body, Device, Flaw, Link, Quality, Quantity, Stamp};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, sleep_until, timeout},
};

use crate::{
    board::DriverState,
    news::{Memory, Value},
    shared::Shared,
    silence::{Silence, real, word},
    supervise::Reason,
};

/// Family codes of thermometers: DS18S20, DS1822, DS18B20, DS1825, DS28EA00.
const FAMILIES: [&str; 5] = ["10", "22", "28", "3b", "42"];
/// Longest text of a file of the tree that is looked at.
const MAX_TEXT: u64 = 512;
/// Real time between two looks at a conversion under way.
const GLANCE: Duration = Duration::from_millis(20);

/// ROM identities of the probes that the kernel knows at present, in order.
///
/// # Errors
/// When the folder cannot be read: there is no 1-wire bus.
pub fn list_probes(root: &Path) -> io::Result<Vec<String>> {
    let mut probes: Vec<String> = fs::read_dir(root)?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_probe(name))
        .collect();
    probes.sort();
    Ok(probes)
}

/// `28-0316a2795caf`: a thermometer's family and twelve hexadecimal digits.
fn is_probe(name: &str) -> bool {
    name.split_once('-').is_some_and(|(family, serial)| {
        FAMILIES.iter().any(|f| f.eq_ignore_ascii_case(family))
            && serial.len() == 12
            && serial.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// What every life of the tree's owner needs.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) shared: Shared,
    pub(crate) devices: watch::Receiver<Vec<Device>>,
}

struct Probe {
    device: Device,
    rom: String,
    memory: Memory,
    silence: Silence,
    plausible: PlausibleTemperature,
}

struct Owner {
    tree: Tree,
    probes: Vec<Probe>,
    /// A reading that outlived its deadline; nothing else is read before it has come back.
    stuck: Option<JoinHandle<()>>,
}

/// Why a file could not be read.
enum Trouble {
    Io(io::Error),
    Stuck,
}

impl Tree {
    /// One life of the owner; ends only when nobody can change the devices any more.
    pub(crate) async fn live(mut self) -> Reason {
        let devices = self.devices.borrow_and_update().clone();
        let mut owner = Owner {
            tree: self,
            probes: Vec::new(),
            stuck: None,
        };
        owner.take_up(devices);
        loop {
            owner.tree.shared.outbox.room().await;
            let every = owner.tree.shared.settings.onewire_every;
            let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
            let clock = &*owner.tree.shared.clock;
            let period = real(every_ms, clock).max(owner.tree.shared.settings.min_poll);
            let next = tokio::time::Instant::now() + period;
            owner.round().await;
            tokio::select! {
                () = sleep_until(next) => {}
                changed = owner.tree.devices.changed() => {
                    if changed.is_err() {
                        return "closed";
                    }
                    let devices = owner.tree.devices.borrow_and_update().clone();
                    owner.take_up(devices);
                }
            }
        }
    }
}

impl Owner {
    /// Makes the probes match `devices`; those that did not change keep what is known of them.
    fn take_up(&mut self, devices: Vec<Device>) {
        let mut known = std::mem::take(&mut self.probes);
        let shared = &self.tree.shared;
        self.probes = devices
            .into_iter()
            .filter_map(
                |device| match known.iter().position(|p| p.device == device) {
                    Some(i) => Some(known.swap_remove(i)),
                    None => Probe::new(device, shared),
                },
            )
            .collect();
    }

    /// Reads all probes once, one after the other.
    async fn round(&mut self) {
        let root = self.tree.shared.settings.onewire_root.clone();
        let limit = self.tree.shared.settings.onewire_timeout;
        let present = self
            .blocking({
                let root = root.clone();
                move || list_probes(&root)
            })
            .await;
        let there = |rom: &str| match &present {
            Ok(roms) => roms.iter().any(|r| r.eq_ignore_ascii_case(rom)),
            Err(_) => false,
        };
        if self.probes.iter().filter(|p| there(&p.rom)).count() > 1 {
            let root = root.clone();
            // Without it each reading takes its own conversion: slower, and as true.
            let _ = self.blocking(move || convert_all(&root, limit)).await;
        }
        for i in 0..self.probes.len() {
            let heard = if there(&self.probes[i].rom) {
                let file = root.join(&self.probes[i].rom).join("w1_slave");
                self.read(file, limit).await
            } else {
                Err(match &present {
                    Err(Trouble::Stuck) => Trouble::Stuck,
                    _ => Trouble::Io(io::ErrorKind::NotFound.into()),
                })
            };
            let shared = &self.tree.shared;
            self.probes[i].take(heard, shared);
        }
    }

    /// The text of a probe's file, read again while the kernel says that it is still converting.
    async fn read(&mut self, file: PathBuf, limit: Duration) -> Result<Vec<u8>, Trouble> {
        let begun = Instant::now();
        loop {
            let file = file.clone();
            let text = self.blocking(move || read_text(&file)).await?;
            if !text.is_empty() || begun.elapsed() > limit {
                return Ok(text);
            }
            sleep(GLANCE).await;
        }
    }

    /// Runs `work` off the runtime, and gives up on it when it takes too long.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Trouble> {
        if let Some(stuck) = self.stuck.take_if(|stuck| !stuck.is_finished()) {
            self.stuck = Some(stuck);
            return Err(Trouble::Stuck);
        }
        let (done, result) = tokio::sync::oneshot::channel();
        let handle = tokio::task::spawn_blocking(move || {
            let _ = done.send(work());
        });
        let limit = self.tree.shared.settings.onewire_timeout + GLANCE;
        match timeout(limit, result).await {
            Ok(Ok(result)) => result.map_err(Trouble::Io),
            Ok(Err(_)) => Err(Trouble::Io(io::Error::other("the reading thread died"))),
            Err(_) => {
                self.stuck = Some(handle);
                Err(Trouble::Stuck)
            }
        }
    }
}

impl Probe {
    fn new(device: Device, shared: &Shared) -> Option<Self> {
        let Link::OneWire { rom } = &device.link else {
            return None;
        };
        let rom = rom.to_ascii_lowercase();
        let state = if is_probe(&rom) {
            DriverState::Waiting
        } else {
            shared.board.error(device.id, "bad_rom");
            DriverState::Stopped
        };
        shared.board.state(device.id, state);
        is_probe(&rom).then(|| Self {
            memory: Memory::new(&device, shared.settings.repeat_every),
            silence: Silence::new(&device, shared.now()),
            plausible: PlausibleTemperature::new(shared.settings.onewire_slope),
            rom,
            device,
        })
    }

    /// Tells what the kernel said, or that it said nothing.
    fn take(&mut self, heard: Result<Vec<u8>, Trouble>, shared: &Shared) {
        let now = shared.now();
        let device = self.device.id;
        let (body, raw) = match heard {
            Ok(text) => self.understand(&text, now, shared),
            Err(Trouble::Io(error)) => {
                tracing::debug!(rom = self.rom, %error, "probe not there");
                shared.board.error(device, "probe_missing");
                shared.board.state(device, DriverState::PortMissing);
                let gone = Body::missing(Quantity::Temperature, Flaw::Disconnected);
                (gone, Vec::new())
            }
            Err(Trouble::Stuck) => {
                shared.board.error(device, "timeout");
                let late = Body::missing(Quantity::Temperature, Flaw::Timeout);
                (late, Vec::new())
            }
        };
        let value = Value {
            quantity: Quantity::Temperature,
            body,
            raw,
        };
        let news = self.memory.news([value], now);
        let silent = self.silence.check(now);
        let silent = silent.map(|body| word(&self.device, now, body));
        shared.outbox.push(news.into_iter().chain(silent), []);
    }

    fn understand(&mut self, text: &[u8], now: Stamp, shared: &Shared) -> (Body, Vec<u8>) {
        let device = self.device.id;
        let w1::Reading { body, raw } = w1::parse(text, None);
        let body = self.plausible.judge(body, now.wall);
        match body {
            Body::Measured {
                flaw: Some(flaw @ (Flaw::Jump | Flaw::OutOfPhysics)),
                ..
            } => shared.board.error(device, flaw.key()),
            Body::Measured {
                flaw: Some(flaw), ..
            } => shared.reject(device, &self.rom, flaw.key(), text),
            _ => {}
        }
        if let Body::Measured { quality, .. } = body
            && quality != Quality::Missing
        {
            shared.board.heard(device, now);
            let heard = self.silence.heard(now);
            let heard = heard.map(|body| word(&self.device, now, body));
            shared.outbox.push(heard, []);
        }
        (body, raw)
    }
}

fn read_text(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(file)?
        .take(MAX_TEXT)
        .read_to_end(&mut text)?;
    Ok(text)
}

/// Lets all probes of each bus measure at once and waits for them, where the kernel can do so.
fn convert_all(root: &Path, limit: Duration) -> io::Result<()> {
    let mut running = Vec::new();
    for entry in fs::read_dir(root)?.flatten() {
        let bulk = entry.path().join("therm_bulk_read");
        if bulk.exists() && fs::write(&bulk, "trigger\n").is_ok() {
            running.push(bulk);
        }
    }
    let begun = Instant::now();
    for bulk in running {
        // 0: none pending, -1: converting, 1: ready.
        while fs::read_to_string(&bulk)?.trim() == "-1" && begun.elapsed() < limit {
            std::thread::sleep(GLANCE);
        }
    }
    Ok(())
}
