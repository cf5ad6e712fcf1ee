//! A farm in a temporary folder.

use std::time::Duration;

use tempfile::TempDir;
use virtual_farm::{
    Options, VirtualFarm,
    sim::{Pace, Setup, schedule::Schedule},
};

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A farm that milks at once, at `speed`.
pub(crate) async fn farm(speed: f64, change: impl FnOnce(&mut Options)) -> (VirtualFarm, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let start = "2026-11-20T05:00:00+06:00"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond();
    let mut options = Options {
        setup: Setup {
            seed: 1,
            cows: 60,
            start,
            schedule: Schedule::default(),
            pace: Pace::Always,
        },
        speed,
        dir: dir.path().to_owned(),
        modbus_tcp: 0,
        truth: None,
        faults: Vec::new(),
        mqtt: None,
        provision: None,
        secured: None,
    };
    change(&mut options);
    (VirtualFarm::start(options).await.unwrap(), dir)
}
