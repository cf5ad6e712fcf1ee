//! `edge.ingest.rfid`: WL-134A frames per second through a pseudo-terminal and the driver to the pipeline's channel.
//!
//! A herd of a thousand walks past, each tag another than the one before, so that each frame is an observation. The peer is
//! a pyserial reader that checks and counts the same frames. A real line of 9,600 baud carries 32 frames a second.

use std::{
    fs::File,
    io::Write,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use edge_acquire::{Drivers, Settings};
use farm_model::{
    Body, ClockQuality, Device, DeviceId, DeviceKind, Link, SystemClock,
    device::{RfidDialect, SerialLine},
};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use tokio::{sync::mpsc, time::timeout};
use virtual_farm::wire::rfid::wl134a;

use crate::{figure::Figure, peer::Script};

const FRAMES: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(25);

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let ours = tokio::runtime::Runtime::new()?.block_on(ours())?;
    let port = Port::open()?;
    let args = [port.path.display().to_string(), FRAMES.to_string()];
    let mut reader = Script::start(include_str!("../peers/rfid_reader.py"), &args)?;
    reader.number()?;
    let writer = port.pour();
    let peer = reader.number()?;
    writer.join().expect("the writer does not panic")?;
    Ok(vec![
        Figure::new("edge.ingest.rfid", ours, "frames/s").peer("pyserial reader", peer),
    ])
}

async fn ours() -> anyhow::Result<f64> {
    let port = Port::open()?;
    let (sink, mut inbox) = mpsc::channel(256);
    let clock = Arc::new(SystemClock::new(1, ClockQuality::Synced));
    let settings = Settings {
        presence_every: Duration::ZERO,
        ..Settings::default()
    };
    let drivers = Drivers::start(sink, clock, settings);
    drivers.apply(vec![reader(&port)]).await;
    let started = Instant::now();
    let writer = port.pour();
    let mut read = 0;
    while read < FRAMES {
        let batch = timeout(PATIENCE, inbox.recv())
            .await
            .with_context(|| format!("only {read} frames came"))?
            .context("the drivers ended")?;
        anyhow::ensure!(batch.rejects.is_empty(), "rejected: {:?}", batch.rejects);
        read += batch
            .observations
            .iter()
            .filter(|o| matches!(o.body, Body::Identified { .. }))
            .count();
    }
    let rate = FRAMES as f64 / started.elapsed().as_secs_f64();
    writer.join().expect("the writer does not panic")?;
    Ok(rate)
}

fn reader(port: &Port) -> Device {
    Device {
        id: DeviceId::new(),
        slug: "reader".to_owned(),
        name: "reader".to_owned(),
        kind: DeviceKind::RfidReader,
        link: Link::Serial {
            port: port.path.display().to_string(),
            line: SerialLine::default(),
            dialect: RfidDialect::Wl134a,
        },
        place: None,
        expect_every_s: None,
        enabled: true,
    }
}

/// A raw pseudo-terminal: this end is the reader, `path` the port.
struct Port {
    near: File,
    path: PathBuf,
    /// Held open, so that bytes wait for whoever opens the port.
    _far: File,
}

impl Port {
    fn open() -> anyhow::Result<Self> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let path = PathBuf::from(ptsname(&near, Vec::new())?.into_string()?);
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let far = rustix::fs::open(&path, flags, Mode::empty())?;
        let mut raw = tcgetattr(&far)?;
        raw.make_raw();
        tcsetattr(&far, OptionalActions::Now, &raw)?;
        Ok(Self {
            near: near.into(),
            path,
            _far: far.into(),
        })
    }

    /// Writes all frames, as fast as they are taken.
    fn pour(self) -> thread::JoinHandle<std::io::Result<Self>> {
        let herd: Vec<u8> = (1..=1000).flat_map(|n| wl134a(50, n)).collect();
        thread::spawn(move || {
            for _ in 0..FRAMES / 1000 {
                (&self.near).write_all(&herd)?;
            }
            Ok(self)
        })
    }
}
