//! What the hub knows of a farm whether its file is open or not: how often it changed, and what who brings nothing is answered.
//!
//! A farm is quiet most of its time, and its appliance asks for news every minute. As long as nothing was committed, the answer is the one before,
//! and the file need not be opened for it. Invariant: whatever is committed to the file grows the count, and an older answer is worth nothing then.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use farm::Farm;
use hub_store::Micros;
use sync::{
    Site,
    store::{Turn, Turned, Want},
};
use tokio::sync::watch;

use super::OpenFarm;

/// How often a file is looked after.
const EVERY_S: i64 = 86_400;

/// A farm's place in this process.
#[derive(Default)]
pub(crate) struct Slot {
    /// Empty, or the open farm. Whoever opens or closes holds the lock.
    pub(super) open: tokio::sync::Mutex<Option<Arc<OpenFarm>>>,
    commits: Arc<watch::Sender<u64>>,
    quiet: Mutex<HashMap<Site, Quiet>>,
    /// When the file was last looked after, in microseconds since 1970.
    looked_after: AtomicI64,
}

/// An answer without anything in it.
struct Quiet {
    commits: u64,
    epoch: Option<u32>,
    want: Want,
    turned: Turned,
}

impl Slot {
    /// Counts what is committed to the file from now on, until it is closed.
    pub(super) fn follow(&self, farm: &Farm) {
        let (mut committed, commits) = (farm.watch_replicated(), Arc::clone(&self.commits));
        tokio::spawn(async move {
            while committed.changed().await.is_ok() {
                commits.send_modify(|n| *n += 1);
            }
        });
    }

    /// Whether the file is to be looked after now; if so, not again for a day.
    pub(super) fn is_due(&self, now: Micros) -> bool {
        let before = now.plus_seconds(-EVERY_S).0;
        self.looked_after
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                (last <= before).then_some(now.0)
            })
            .is_ok()
    }

    /// How often something that is replicated was committed, since the hub started.
    pub(crate) fn commits(&self) -> u64 {
        *self.commits.borrow()
    }

    /// Resolves when that was more often than `seen`.
    pub(crate) async fn news(&self, seen: u64) {
        // The sender is ours.
        let _ = self.commits.subscribe().wait_for(|n| *n > seen).await;
    }

    /// How many wait for that.
    pub(super) fn waiting(&self) -> usize {
        self.commits.receiver_count()
    }

    /// What this turn does to the file as it is, if that is nothing, and known.
    pub(crate) fn quiet(&self, turn: &Turn) -> Option<Turned> {
        let want = asks_only(turn)?;
        let quiet = self.known();
        let known = quiet.get(&want.peer)?;
        let holds =
            known.commits == self.commits() && known.epoch == turn.epoch && known.want == *want;
        holds.then(|| known.turned.clone())
    }

    /// Keeps what a turn did, if that was nothing. `commits` was read before it.
    pub(crate) fn keep(&self, commits: u64, turn: &Turn, turned: &Turned) {
        let Some(want) = asks_only(turn) else { return };
        if turned.gathered.parts.is_empty() {
            let quiet = Quiet {
                commits,
                epoch: turn.epoch,
                want: want.clone(),
                turned: turned.clone(),
            };
            self.known().insert(want.peer, quiet);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Site, Quiet>> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a turn asks for that brings nothing.
fn asks_only(turn: &Turn) -> Option<&Want> {
    let brings = turn
        .take
        .as_ref()
        .is_some_and(|came| !came.parts.is_empty());
    turn.give.as_ref().filter(|_| !brings)
}
