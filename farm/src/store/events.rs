//! What changed, told after it was committed: a bounded log with increasing numbers, for live pages to follow and to
//! resume. Invariant: an event appears only after the commit that holds its cause, and in the order of commits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use farm_model::{
    AlertId, AnimalId, DeviceId, Milli, PlaceId, Quality, Quantity, StaffId, Tag, UnixMillis,
    VisitId,
};
use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

/// How many events are kept for those who resume.
const KEPT: usize = 4096;

/// Something that changed.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Change {
    /// A newer value of a series; one per series and commit.
    Reading {
        /// Who measured.
        device: DeviceId,
        /// Where, if the device has a place.
        place: Option<PlaceId>,
        /// What.
        quantity: Quantity,
        /// The value.
        value: Option<Milli>,
        /// How far it can be trusted.
        quality: Quality,
        /// When.
        at: UnixMillis,
    },
    /// A tag was read.
    Identified {
        /// By whom.
        device: DeviceId,
        /// The tag.
        tag: Tag,
        /// Whose it is.
        animal: Option<AnimalId>,
    },
    /// A visit was recorded, assigned, corrected or voided.
    Milking {
        /// The visit.
        visit: VisitId,
        /// Its animal, if known.
        animal: Option<AnimalId>,
        /// Its yield now, 0 when voided.
        yield_ml: i64,
    },
    /// An animal's record, tags, events or holds changed.
    Animal {
        /// The animal.
        animal: AnimalId,
    },
    /// A device was added or edited, or what it proves itself with was issued or ended.
    Device {
        /// The device.
        device: DeviceId,
    },
    /// A device asks to join, or is no longer asking.
    Join,
    /// An image, a rollout, how far a device is with it, or what a device runs changed.
    Firmware,
    /// What is wanted of a node changed, or it answered.
    Node {
        /// Its device.
        device: DeviceId,
    },
    /// A token was made or revoked.
    Token {
        /// The token.
        token: Uuid,
    },
    /// A place was added or edited.
    Place {
        /// The place.
        place: PlaceId,
    },
    /// A member of staff was added or edited.
    Staff {
        /// Who.
        staff: StaffId,
    },
    /// An alert was raised, acknowledged or closed.
    Alert {
        /// The alert.
        alert: AlertId,
        /// Its kind's key.
        kind: &'static str,
        /// Whether it is open now.
        open: bool,
    },
    /// A setting or the session plan changed.
    Setting,
    /// Something was put into quarantine.
    Quarantine {
        /// Where it came from.
        source: String,
    },
}

/// A numbered change.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Event {
    /// Increasing by one; starts anew with each epoch.
    pub id: u64,
    /// When it was committed.
    pub at: UnixMillis,
    /// What changed.
    pub change: Change,
}

/// What a resuming reader gets.
#[derive(Clone, PartialEq, Debug)]
pub enum Resume {
    /// Everything after the given number, oldest first; possibly nothing.
    Events(Vec<Arc<Event>>),
    /// Events in between are gone: read the page anew and go on from the newest number, which is here.
    Gap(u64),
}

/// The bounded log of changes.
#[derive(Debug)]
pub struct EventLog {
    epoch: u64,
    ring: Mutex<VecDeque<Arc<Event>>>,
    newest: watch::Sender<u64>,
}

impl EventLog {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            ring: Mutex::new(VecDeque::with_capacity(256)),
            newest: watch::Sender::new(0),
        }
    }

    /// A number that differs after each start; an id of another epoch cannot be resumed from.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The newest event's number, 0 before the first.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// The events after number `id`.
    pub fn since(&self, id: u64) -> Resume {
        let ring = self.ring();
        let newest = self.newest();
        if id > newest {
            return Resume::Gap(newest);
        }
        let oldest = ring.front().map_or(newest + 1, |e| e.id);
        if id + 1 < oldest {
            return Resume::Gap(newest);
        }
        Resume::Events(ring.range((id + 1 - oldest) as usize..).cloned().collect())
    }

    /// A follower that starts after number `id`.
    pub fn follow(self: &Arc<Self>, id: u64) -> Follower {
        Follower {
            log: Arc::clone(self),
            newest: self.newest.subscribe(),
            last: id,
        }
    }

    /// A follower of what comes from now on.
    pub fn subscribe(self: &Arc<Self>) -> Follower {
        self.follow(self.newest())
    }

    pub(crate) fn publish(&self, at: UnixMillis, changes: impl IntoIterator<Item = Change>) {
        let mut ring = self.ring();
        let mut id = self.newest();
        let before = id;
        for change in changes {
            id += 1;
            if ring.len() == KEPT {
                ring.pop_front();
            }
            ring.push_back(Arc::new(Event { id, at, change }));
        }
        if id != before {
            self.newest.send_replace(id);
        }
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the log as it grows.
#[derive(Debug)]
pub struct Follower {
    log: Arc<EventLog>,
    newest: watch::Receiver<u64>,
    last: u64,
}

impl Follower {
    /// Waits until there is something after what was last returned, then returns all of it; never empty.
    pub async fn next(&mut self) -> Resume {
        loop {
            let resume = self.ready();
            match &resume {
                Resume::Events(events) if events.is_empty() => {}
                _ => return resume,
            }
            self.newest
                .changed()
                .await
                .expect("the log, which this follower holds, owns the sender");
        }
    }

    /// What is there already after what was last returned; possibly nothing.
    pub fn ready(&mut self) -> Resume {
        self.newest.mark_unchanged();
        let resume = self.log.since(self.last);
        match &resume {
            Resume::Events(events) => {
                if let Some(event) = events.last() {
                    self.last = event.id;
                }
            }
            Resume::Gap(newest) => self.last = *newest,
        }
        resume
    }
}
