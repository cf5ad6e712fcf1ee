//! `edge.memory` and `edge.disk`: the appliance beside the virtual farm, as `cargo xtask demo` runs them.
//!
//! Bytes on disk per milking are bytes per second at a farm's true pace with all eight stalls milking (a faster farm would share
//! commits that a real one pays for), divided by the milkings per second of the same farm, counted at sixty times the pace.

use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::{Edge, EdgeOptions, Farm, FarmOptions, edge::OWNER};

use crate::{
    figure::{Figure, note},
    http::{self, log_in},
};

/// 2026-11-20, 05:00 in Dhaka: the morning milking begins.
const START_MS: i64 = 1_795_129_200_000;
const COWS: u32 = 60;
/// Days of history that the demo loads.
pub(crate) const DAYS: u32 = 90;

/// The appliance and the farm around it.
pub(crate) struct Demo {
    pub(crate) edge: Edge,
    farm: Farm,
}

impl Demo {
    /// Starts both and waits until the history is loaded.
    pub(crate) fn start(speed: f64, days: u32) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let edge = Edge::start(&EdgeOptions {
            simulated: Some((START_MS, speed)),
            farm: Some(dir.path().to_owned()),
            ..EdgeOptions::default()
        });
        let options = FarmOptions {
            seed: 1,
            cows: COWS,
            speed,
            start_ms: START_MS,
            more: ["--days", &days.to_string(), "--always-milking"]
                .map(str::to_owned)
                .to_vec(),
        };
        let farm = Farm::start_with(&options, dir, &edge);
        farm.wait_provisioned();
        Ok(Self { edge, farm })
    }

    /// Ends the farm; the appliance goes on.
    pub(crate) fn leave(self) -> Edge {
        self.edge
    }

    /// A line of `/proc/PID/FILE`, as the number that stands after its name.
    fn proc(&self, file: &str, name: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.edge.pid()))?;
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .with_context(|| format!("no {name} in /proc/PID/{file}"))
    }
}

/// Resident megabytes after three quarters of a minute of the demo, in which a person has logged in and looked at every board.
pub(crate) fn memory() -> anyhow::Result<Vec<Figure>> {
    let demo = Demo::start(60.0, DAYS)?;
    let cookie = tokio::runtime::Runtime::new()?.block_on(log_in(&demo.edge.url(""), OWNER))?;
    let loaded = demo.proc("status", "VmRSS:")? / 1024.0;
    let end = Instant::now() + Duration::from_secs(40);
    while Instant::now() < end {
        for page in [
            "/", "/parlour", "/herd", "/record", "/sensors", "/inbox", "/devices",
        ] {
            let answer = http::get(demo.edge.web, page, &format!("Cookie: {cookie}\r\n"))?;
            anyhow::ensure!(answer.status == 200, "{page}: {}", answer.status);
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    let resident = demo.proc("status", "VmRSS:")? / 1024.0;
    let peak = demo.proc("status", "VmHWM:")? / 1024.0;
    note(format_args!(
        "edge.memory: {loaded:.1} MB when the history was loaded, peak {peak:.1} MB"
    ));
    Ok(vec![
        Figure::new("edge.memory", resident, "MB resident").goal(48.0),
    ])
}

/// Bytes written to disk per milking.
pub(crate) fn disk() -> anyhow::Result<Vec<Figure>> {
    let fast = Demo::start(60.0, 0)?;
    let (before, started) = (fast.farm.truth().len(), Instant::now());
    std::thread::sleep(Duration::from_secs(15));
    let milkings = (fast.farm.truth().len() - before) as f64;
    let per_second = milkings / (started.elapsed().as_secs_f64() * 60.0);
    drop(fast);

    let demo = Demo::start(1.0, 0)?;
    // The first copy of the day and the cows' walking in are over by then.
    std::thread::sleep(Duration::from_secs(6));
    let (before, started) = (demo.proc("io", "write_bytes:")?, Instant::now());
    std::thread::sleep(Duration::from_secs(22));
    let written = (demo.proc("io", "write_bytes:")? - before) / started.elapsed().as_secs_f64();
    note(format_args!(
        "edge.disk: {:.1} kB/s while {:.1} cows an hour are milked",
        written / 1000.0,
        per_second * 3600.0
    ));
    Ok(vec![Figure::new(
        "edge.disk",
        written / per_second,
        "bytes written per milking",
    )])
}
