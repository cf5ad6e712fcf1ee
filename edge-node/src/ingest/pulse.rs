//! Whether the pipeline moves: what `/readyz` asks and `/metrics` shows.
//!
//! Real time, not farm time: it is this machine that stalls. Invariant: a reader never waits for the pipeline.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A pipeline that has not turned, or whose write has not ended, for this long is stalled.
const STALLED: Duration = Duration::from_secs(5);
/// No write is under way.
const IDLE: u64 = u64::MAX;

/// Cheap to clone; all clones are one pulse.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    born: Instant,
    /// When the pipeline last turned, in milliseconds since `born`.
    turned: AtomicU64,
    /// When the write under way began, or [`IDLE`].
    writing: AtomicU64,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Arc::new(Beats {
            born: Instant::now(),
            turned: AtomicU64::new(0),
            writing: AtomicU64::new(IDLE),
        }))
    }

    /// Whether nothing has become durable for so long that somebody should look.
    pub fn is_stalled(&self) -> bool {
        let now = self.now();
        let beats = &self.0;
        let writing = beats.writing.load(Ordering::Relaxed);
        let since = beats.turned.load(Ordering::Relaxed).min(writing);
        now.saturating_sub(since) > STALLED.as_millis() as u64
    }

    pub(super) fn turn(&self) {
        self.0.turned.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn writing(&self) {
        self.0.writing.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn written(&self) {
        self.0.writing.store(IDLE, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.0.born.elapsed().as_millis() as u64
    }
}
