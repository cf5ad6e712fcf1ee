//! DS18B20 probes in a folder laid out as the kernel's 1-wire tree.
//!
//! Each file is replaced as a whole, so that a reader never sees half of one.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{fs, time::sleep};
use tracing::warn;

use crate::{
    device::Shared,
    fault::Kind,
    rng::Rng,
    sim::{Sim, climate::Room},
    wire::onewire::{millidegrees, power_on, scratchpad, w1_slave},
};

/// Farm time between two conversions.
const EVERY_FARM_MS: i64 = 5_000;

/// Real time between two conversions at least: what a probe needs for 12 bits.
const EVERY: Duration = Duration::from_millis(250);

/// A probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Its name on the farm, `tank-1-probe`.
    pub name: &'static str,
    /// Where it measures.
    pub spot: Spot,
    /// Its ROM identity: `28-` and twelve hexadecimal digits.
    pub rom: String,
}

/// Where a probe measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spot {
    /// In the milk of tank 1 or 2.
    Tank(u8),
    /// In the air of a room.
    Air(Room),
}

impl Spot {
    fn celsius(self, sim: &Sim) -> f64 {
        match self {
            Self::Tank(number) => sim.tanks().tanks[usize::from(number) - 1].celsius,
            Self::Air(room) => sim.climate().temperature(room, sim.now()),
        }
    }
}

/// The farm's four probes.
pub fn probes(seed: u64) -> Vec<Probe> {
    let mut rng = Rng::stream(seed, "probes");
    let spots = [
        ("tank-1-probe", Spot::Tank(1)),
        ("tank-2-probe", Spot::Tank(2)),
        ("barn-probe", Spot::Air(Room::Barn)),
        ("cooler-probe", Spot::Air(Room::Cooler)),
    ];
    spots
        .into_iter()
        .map(|(name, spot)| Probe {
            name,
            spot,
            rom: format!("28-{:012x}", rng.bits() & 0xFFFF_FFFF_FFFF),
        })
        .collect()
}

/// Keeps the files of `probe` under `root` up to date, for ever.
pub async fn run(shared: Arc<Shared>, probe: Probe, root: PathBuf) {
    let folder = root.join(&probe.rom);
    let mut turn = 0usize;
    loop {
        let (celsius, flapping) = {
            let sim = shared.sim();
            let flaps = |k: &Kind| matches!(k, Kind::FlappingProbe(name) if name.as_deref().is_none_or(|n| n == probe.name || n == probe.rom));
            (probe.spot.celsius(&sim), sim.faults().any(sim.now(), flaps))
        };
        turn = if flapping { turn + 1 } else { 0 };
        if let Err(error) = show(&folder, &Conversion::of_turn(turn), celsius).await {
            warn!(%error, folder = %folder.display(), "a probe cannot be shown");
        }
        sleep(shared.real(EVERY_FARM_MS, EVERY)).await;
    }
}

/// What a look at a probe finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Conversion {
    Good,
    PowerOn,
    BadChecksum,
    Empty,
    BusLow,
}

impl Conversion {
    /// A flapping probe works every other time, and fails in another way each time between.
    fn of_turn(turn: usize) -> Self {
        match turn % 8 {
            1 => Self::PowerOn,
            3 => Self::BadChecksum,
            5 => Self::Empty,
            7 => Self::BusLow,
            _ => Self::Good,
        }
    }
}

async fn show(folder: &Path, conversion: &Conversion, celsius: f64) -> io::Result<()> {
    let pad = scratchpad(celsius);
    let value = millidegrees(&pad);
    let (slave, temperature) = match conversion {
        Conversion::Good => (w1_slave(&pad, value), format!("{value}\n")),
        Conversion::PowerOn => (w1_slave(&power_on(), 85_000), "85000\n".to_owned()),
        Conversion::BadChecksum => {
            let mut torn = pad;
            torn[0] ^= 0x10;
            (w1_slave(&torn, value), String::new())
        }
        Conversion::Empty => (String::new(), String::new()),
        Conversion::BusLow => (w1_slave(&[0; 9], 0), "0\n".to_owned()),
    };
    fs::create_dir_all(folder).await?;
    replace(folder, "w1_slave", &slave).await?;
    replace(folder, "temperature", &temperature).await
}

async fn replace(folder: &Path, name: &str, content: &str) -> io::Result<()> {
    let new = folder.join(format!(".{name}.new"));
    fs::write(&new, content).await?;
    fs::rename(&new, folder.join(name)).await
}
