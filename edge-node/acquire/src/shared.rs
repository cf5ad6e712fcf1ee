//! What every driver holds: settings, time, the board and the way out.

use std::sync::Arc;

use farm_model::{Clock, DeviceId, Stamp, UnixMillis};

use crate::{RejectRecord, Settings, board::Board, node::Lines, outbox::Outbox};

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) board: Board,
    pub(crate) outbox: Outbox,
    pub(crate) lines: Lines,
}

impl Shared {
    pub(crate) fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// Counts bytes that were not believed and sends them to the quarantine.
    pub(crate) fn reject(&self, device: DeviceId, source: &str, reason: &'static str, raw: &[u8]) {
        self.board.error(device, reason);
        let record = RejectRecord::new(Some(device), source, reason, raw);
        self.outbox.push([], [record]);
    }

    /// What the farm's clock will show after `wait` of real time.
    pub(crate) fn farm_time_in(&self, wait: std::time::Duration) -> UnixMillis {
        let farm_ms = wait.as_secs_f64() * 1000.0 * self.clock.rate();
        self.now().wall.plus(farm_ms as i64)
    }
}
