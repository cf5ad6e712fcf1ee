//! RFID readers on serial ports: while a tag is in the field it is read again and again.

use std::{io, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    device::{Shared, pty::Pty},
    fault::Kind,
    herd::{BANGLADESH, Tags},
    rng::Rng,
    wire::rfid,
};

/// How often a reader looks into its field.
const LOOK: Duration = Duration::from_millis(25);

/// Farm time between two reads of a tag that stays.
const REPEAT_FARM_MS: i64 = 1_200;

/// Real time between two reads at least: what a line of 9,600 baud and a transponder allow.
const REPEAT: Duration = Duration::from_millis(120);

/// What a reader speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// WL-134A: 30-byte frames, ISO 11784.
    Wl134a,
    /// Allflex panel: ASCII lines, ISO 11784.
    Allflex,
    /// RDM6300: 14-byte frames, EM4100.
    Rdm6300,
}

impl Dialect {
    /// What the reader of `stall` speaks: 1 to 3 WL-134A, 4 to 6 Allflex, others RDM6300.
    pub fn of_stall(stall: u16) -> Self {
        match stall {
            1..=3 => Self::Wl134a,
            4..=6 => Self::Allflex,
            _ => Self::Rdm6300,
        }
    }

    fn encode(self, tags: Tags) -> Vec<u8> {
        match self {
            Self::Wl134a => rfid::wl134a(BANGLADESH, tags.national),
            Self::Allflex => rfid::allflex(BANGLADESH, tags.national),
            Self::Rdm6300 => rfid::rdm6300(tags.em4100),
        }
    }
}

/// Runs the reader of `stall` on `port` until the port fails.
///
/// # Errors
/// When the terminal is gone.
pub async fn run(shared: Arc<Shared>, stall: u16, port: Arc<Pty>) -> io::Result<()> {
    let dialect = Dialect::of_stall(stall);
    let mut rng = Rng::stream(shared.sim().setup().seed, &format!("reader-{stall}"));
    let mut before = Vec::new();
    let mut next = Instant::now();
    let mut turn = 0;
    loop {
        let (tags, trouble) = {
            let sim = shared.sim();
            (sim.tags_at(stall), Trouble::now(&sim, stall))
        };
        if tags != before {
            next = Instant::now();
            before.clone_from(&tags);
        }
        if !tags.is_empty() && Instant::now() >= next {
            turn += 1;
            let frame = trouble.spoil(dialect.encode(tags[turn % tags.len()]), &mut rng);
            port.send(&frame).await?;
            next = Instant::now() + shared.real(REPEAT_FARM_MS, REPEAT);
        } else if trouble.noise && rng.chance(0.2) {
            port.send(&noise(&mut rng)).await?;
        } else {
            port.tidy()?;
        }
        sleep(LOOK).await;
    }
}

struct Trouble {
    noise: bool,
    corrupt_percent: u8,
}

impl Trouble {
    fn now(sim: &crate::sim::Sim, stall: u16) -> Self {
        let at = sim.now();
        Self {
            noise: sim.faults().any(
                at,
                |k| matches!(k, Kind::ReaderNoise(s) if s.is_none_or(|s| s == stall)),
            ),
            corrupt_percent: corrupt_percent(sim),
        }
    }

    fn spoil(&self, mut frame: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
        if rng.chance(f64::from(self.corrupt_percent) / 100.0) {
            corrupt(&mut frame, rng);
        }
        if self.noise && rng.chance(0.5) {
            let mut noisy = noise(rng);
            noisy.extend(frame);
            frame = noisy;
        }
        frame
    }
}

/// Share of frames that a checksum failure in force spoils.
pub(super) fn corrupt_percent(sim: &crate::sim::Sim) -> u8 {
    let percent = |kind: &Kind| match kind {
        Kind::CrcFailures(percent) => Some(*percent),
        _ => None,
    };
    sim.faults()
        .active(sim.now())
        .find_map(percent)
        .unwrap_or(0)
}

/// Flips one bit of one byte.
pub(super) fn corrupt(frame: &mut [u8], rng: &mut Rng) {
    let at = rng.whole(0, frame.len() as i64 - 1) as usize;
    frame[at] ^= 1 << rng.whole(0, 7);
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    (0..rng.whole(1, 12)).map(|_| rng.bits() as u8).collect()
}
