//! The board on which drivers write how they are, and from which the Devices page reads.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use farm_model::{DeviceId, Stamp, UnixMillis};
use tokio::sync::watch;

/// What a driver does for a device at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DriverState {
    /// The device has answered or spoken.
    Running,
    /// The port is open; nothing has been heard yet.
    Waiting,
    /// It failed and will be tried again.
    BackingOff {
        /// When, by the farm's clock.
        until: UnixMillis,
        /// Failures in a row.
        failures: u32,
    },
    /// The port, connection or probe is not there; it is looked for.
    PortMissing,
    /// No driver runs: disabled, or the port belongs to another device.
    Stopped,
}

/// How the driver of one device is.
#[derive(Clone, PartialEq, Debug)]
pub struct DriverStatus {
    /// Which device.
    pub device: DeviceId,
    /// What it does.
    pub state: DriverState,
    /// When the device was last heard.
    pub last_heard: Option<Stamp>,
    /// Answers and messages so far.
    pub answers: u64,
    /// What went wrong so far, counted by reason.
    pub errors: BTreeMap<&'static str, u64>,
}

impl DriverStatus {
    fn new(device: DeviceId) -> Self {
        Self {
            device,
            state: DriverState::Stopped,
            last_heard: None,
            answers: 0,
            errors: BTreeMap::new(),
        }
    }
}

/// Cheap to clone; all clones are one board.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    devices: Arc<Mutex<BTreeMap<DeviceId, DriverStatus>>>,
    changed: watch::Sender<()>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            devices: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Wakes when a state or a count of errors changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn list(&self) -> Vec<DriverStatus> {
        self.lock().values().cloned().collect()
    }

    /// Forgets devices that are not in `devices` and begins an entry for those that are new.
    pub(crate) fn keep(&self, devices: &[DeviceId]) {
        let mut board = self.lock();
        board.retain(|id, _| devices.contains(id));
        for id in devices {
            board.entry(*id).or_insert_with(|| DriverStatus::new(*id));
        }
    }

    pub(crate) fn state(&self, device: DeviceId, state: DriverState) {
        self.with(device, |s| {
            let changed = s.state != state;
            s.state = state;
            changed
        });
    }

    /// The device answered or spoke.
    pub(crate) fn heard(&self, device: DeviceId, at: Stamp) {
        self.with(device, |s| {
            let changed = s.state != DriverState::Running;
            s.state = DriverState::Running;
            s.last_heard = Some(at);
            s.answers += 1;
            changed
        });
    }

    pub(crate) fn error(&self, device: DeviceId, reason: &'static str) {
        self.with(device, |s| {
            *s.errors.entry(reason).or_default() += 1;
            true
        });
    }

    /// Applies `change`, which says whether it is worth waking someone.
    fn with(&self, device: DeviceId, change: impl FnOnce(&mut DriverStatus) -> bool) {
        let changed = self.lock().get_mut(&device).is_some_and(change);
        if changed {
            self.changed.send_replace(());
        }
    }

    /// A panic while the lock was held leaves counters that are at worst one short: still worth showing.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, DriverStatus>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
