//! What an operator may tune, with defaults that suit a farm.

use std::{path::PathBuf, time::Duration};

use farm_model::Milli;

use crate::Backoff;

/// How drivers behave. Durations are real time where they concern a protocol, farm time where they concern cows (see
/// [`farm_model::Clock::rate`]).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the kernel's 1-wire tree.
    pub onewire_root: PathBuf,
    /// Farm time between two readings of all 1-wire probes.
    pub onewire_every: Duration,
    /// Longest real time that one reading of a probe, or one bulk conversion, may take.
    pub onewire_timeout: Duration,
    /// How fast a probe's temperature may change, per minute, before a single reading is doubted.
    pub onewire_slope: Milli,
    /// Folders whose entries are offered as serial ports beside the usual ones.
    pub port_dirs: Vec<PathBuf>,
    /// Ports offered beside those that are found.
    pub port_paths: Vec<PathBuf>,
    /// Farm time after which a tag that is still in a reader's field is told again.
    pub presence_every: Duration,
    /// Farm time after which a value that did not change is told again.
    pub repeat_every: Duration,
    /// Real time a Modbus slave has to begin its answer; the time its bytes take on the line comes on top.
    pub response_timeout: Duration,
    /// How often a request is repeated at once when a slave that was alive does not answer.
    pub retries: u32,
    /// Shortest real time between two polls of a slave, however fast the farm's clock runs.
    pub min_poll: Duration,
    /// When to ask a silent slave again.
    pub slave_backoff: Backoff,
    /// When to open a port or connection again.
    pub reopen: Backoff,
    /// When to start a failed driver again.
    pub restart: Backoff,
    /// Observations kept while the channel is full, before drivers wait.
    pub buffer: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            onewire_root: "/sys/bus/w1/devices".into(),
            onewire_every: Duration::from_secs(10),
            onewire_timeout: Duration::from_secs(3),
            onewire_slope: Milli(10_000),
            port_dirs: Vec::new(),
            port_paths: Vec::new(),
            presence_every: Duration::from_secs(5),
            repeat_every: Duration::from_secs(60),
            response_timeout: Duration::from_millis(300),
            retries: 2,
            min_poll: Duration::from_millis(20),
            slave_backoff: Backoff {
                first: Duration::from_secs(1),
                cap: Duration::from_secs(30),
            },
            reopen: Backoff {
                first: Duration::from_millis(250),
                cap: Duration::from_secs(5),
            },
            restart: Backoff {
                first: Duration::from_millis(200),
                cap: Duration::from_secs(30),
            },
            buffer: 4096,
        }
    }
}
