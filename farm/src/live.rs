//! What is true right now, in memory: the newest value of each series, and the parlour. Loaded at open, updated after
//! each commit; a page that shows "now" asks here, not the disk.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use farm_model::{
    DeviceId, Milli, PlaceId, Quality, Quantity, UnixMillis, live::Parlour, observation::Flaw,
};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::{
    hearing::Hearing,
    logins::{Login, Presence, Presences},
    store::{Change, StoreError},
};

/// Where a value was measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// At this place, and heard at once.
    Here,
    /// At another one, which tells it after some minutes.
    Elsewhere,
}

/// The newest value of a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct LiveValue {
    /// Who measured.
    pub device: DeviceId,
    /// What.
    pub quantity: Quantity,
    /// Where the device stood.
    pub place: Option<PlaceId>,
    /// The value; `None` exactly when it is missing.
    pub value: Option<Milli>,
    /// How far it can be trusted.
    pub quality: Quality,
    /// What is wrong with it.
    pub flaw: Option<Flaw>,
    /// When it was measured.
    pub at: UnixMillis,
    /// Where it was measured.
    pub origin: Origin,
}

impl LiveValue {
    /// Milliseconds from the measurement to `now`, never negative.
    pub fn age_ms(&self, now: UnixMillis) -> i64 {
        now.since(self.at).max(0)
    }

    pub(crate) fn change(self) -> Change {
        Change::Reading {
            device: self.device,
            place: self.place,
            quantity: self.quantity,
            value: self.value,
            quality: self.quality,
            at: self.at,
        }
    }
}

/// Newest values and the parlour.
#[derive(Debug)]
pub struct Live {
    values: RwLock<HashMap<(DeviceId, Quantity), LiveValue>>,
    hearing: Mutex<Hearing>,
    parlour: watch::Sender<Parlour>,
    presences: Presences,
    joins_refused: RwLock<Option<JoinsRefused>>,
}

/// Requests to join that were not heard in this run, because too many came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JoinsRefused {
    /// How many.
    pub count: u32,
    /// Where the last one came from.
    pub from: IpAddr,
    /// When it came.
    pub at: UnixMillis,
}

impl Live {
    pub(crate) fn load(conn: &Connection) -> Result<Self, StoreError> {
        let mut values = HashMap::new();
        for value in crate::readings::newest(conn)? {
            values.insert((value.device, value.quantity), value);
        }
        let hearing = crate::watch::recall(conn, &values)?;
        Ok(Self {
            values: RwLock::new(values),
            hearing: Mutex::new(hearing),
            parlour: watch::Sender::new(Parlour::default()),
            presences: Presences::load(conn)?,
            joins_refused: RwLock::new(None),
        })
    }

    /// The newest value of a series.
    pub fn value(&self, device: DeviceId, quantity: Quantity) -> Option<LiveValue> {
        self.values
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(device, quantity))
            .copied()
    }

    /// The newest values of this quantity that devices of this place told here.
    pub(crate) fn of_place(&self, place: PlaceId, quantity: Quantity) -> Vec<LiveValue> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        values
            .values()
            .filter(|v| v.place == Some(place) && v.quantity == quantity)
            .filter(|v| v.origin == Origin::Here)
            .copied()
            .collect()
    }

    /// All newest values, by device and quantity.
    pub fn values(&self) -> Vec<LiveValue> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = values.values().copied().collect();
        all.sort_by_key(|v| (v.device, v.quantity));
        all
    }

    /// Keeps `value` if it is newest; returns whether it was. One that claims to be of after `now` gives way to any: a
    /// sender's clock that runs ahead, or ours that was set back, must not hide what comes.
    pub(crate) fn put(&self, value: LiveValue, now: UnixMillis) -> bool {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        let slot = values
            .entry((value.device, value.quantity))
            .or_insert(value);
        let newer = value.at >= slot.at || slot.at > now;
        if newer {
            *slot = value;
        }
        newer
    }

    /// When each device was heard. A panic while it was held leaves at worst a word unheard.
    pub(crate) fn hearing(&self) -> MutexGuard<'_, Hearing> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a device at the MQTT door.
    pub fn presence(&self, device: DeviceId) -> Presence {
        self.presences.get(device)
    }

    /// Follows log-ins and the ends of connections of devices, without saying whose.
    pub fn watch_presence(&self) -> watch::Receiver<()> {
        self.presences.watch()
    }

    /// Says that a device has logged in and is connected once more; whoever does keeps it with [`crate::logins::put`], too.
    pub fn enters(&self, device: DeviceId, login: Login) {
        self.presences.enters(device, login);
    }

    /// Says that a connection of a device has ended.
    pub fn leaves(&self, device: DeviceId) {
        self.presences.leaves(device);
    }

    /// Counts a request to join that was not heard. It costs no commit: whoever asks too often writes nothing.
    pub fn refuse_join(&self, from: IpAddr, at: UnixMillis) {
        let mut refused = self
            .joins_refused
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = refused.map_or(0, |refused| refused.count);
        let count = before.saturating_add(1);
        *refused = Some(JoinsRefused { count, from, at });
    }

    /// Requests to join that were not heard, if there were any.
    pub fn joins_refused(&self) -> Option<JoinsRefused> {
        *self
            .joins_refused
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The parlour as it is now.
    pub fn parlour(&self) -> Parlour {
        self.parlour.borrow().clone()
    }

    /// Follows the parlour.
    pub fn watch_parlour(&self) -> watch::Receiver<Parlour> {
        self.parlour.subscribe()
    }

    /// Says how the parlour is now. Whoever feeds the milking engine calls it, as soon as the engine has heard something: the
    /// picture acknowledges nothing, so it need not wait for the commit.
    pub fn set_parlour(&self, parlour: Parlour) {
        self.parlour.send_if_modified(|old| {
            let changed = *old != parlour;
            *old = parlour;
            changed
        });
    }
}
