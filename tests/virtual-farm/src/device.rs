//! Devices on their wires. Each is a task that looks at the shared farm and speaks one protocol.

pub mod coap;
pub mod modbus;
pub mod mqtt;
pub mod node;
pub mod onewire;
pub mod pty;
pub mod pump;
pub mod reader;
pub mod tls;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::sim::Sim;

/// The farm that all devices look at, and the clock that drives it.
#[derive(Debug)]
pub struct Shared {
    sim: Mutex<Sim>,
    start: i64,
    started: Instant,
    speed: f64,
}

impl Shared {
    /// Starts the clock of `sim` now, at `speed` times real time.
    pub fn new(sim: Sim, speed: f64) -> Self {
        Self {
            start: sim.now(),
            sim: Mutex::new(sim),
            started: Instant::now(),
            speed,
        }
    }

    /// The farm, for a moment.
    pub fn sim(&self) -> MutexGuard<'_, Sim> {
        self.sim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The farm's time now.
    pub fn now(&self) -> i64 {
        self.start + (self.started.elapsed().as_secs_f64() * 1000.0 * self.speed) as i64
    }

    /// How much faster than real time the farm lives.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The real time in which `farm_ms` pass on the farm, not less than `least`.
    pub fn real(&self, farm_ms: i64, least: Duration) -> Duration {
        Duration::from_secs_f64(farm_ms as f64 / 1000.0 / self.speed).max(least)
    }
}
