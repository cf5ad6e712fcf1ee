//! The heat index of a room, derived from its temperature and humidity as they come.
//!
//! A node that measures both is a pair of its own; a hygrometer without a thermometer takes the room's newest. The index is a
//! series of the hygrometer, with the time of the later half. Invariant: halves that are far apart in time make no index, and
//! half a pair that cannot be believed makes a missing one, told once.

use std::collections::HashMap;

use farm_model::{Body, DeviceId, Flaw, Observation, PlaceId, PlaceKind, Quality, Quantity, Stamp};

use crate::{
    climate,
    live::{LiveValue, Origin},
    places,
    store::{StoreError, Tx},
};

/// Halves further apart than this are of another air: three times the five minutes at which nodes send.
const APART_MS: i64 = 15 * 60_000;
/// Halves of one message are no further apart than this.
const TOGETHER_MS: i64 = 1_000;

/// A temperature or humidity that was just stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half {
    pub(super) value: LiveValue,
    pub(super) at: Stamp,
}

impl Half {
    /// Whether `next` is the other half of the same message.
    fn is_completed_by(&self, next: &Self) -> bool {
        let (this, next) = (&self.value, &next.value);
        this.device == next.device
            && this.quantity != next.quantity
            && this.at.since(next.at).abs() <= TOGETHER_MS
    }
}

/// The other half of a pair.
fn other(quantity: Quantity) -> Quantity {
    match quantity {
        Quantity::Temperature => Quantity::Humidity,
        _ => Quantity::Temperature,
    }
}

/// The indices that `halves` make, in their order.
pub(super) fn indices(tx: &Tx<'_>, halves: &[Half]) -> Result<Vec<Observation>, StoreError> {
    let mut air = Air {
        tx,
        seen: HashMap::new(),
        rooms: HashMap::new(),
    };
    let mut indices = Vec::new();
    for (i, half) in halves.iter().enumerate() {
        if !air.is_of_room(half.value.place)? {
            continue;
        }
        air.see(half.value);
        if !halves
            .get(i + 1)
            .is_some_and(|next| half.is_completed_by(next))
        {
            for (temperature, humidity) in air.pairs(&half.value) {
                indices.extend(air.index(&temperature, &humidity, half.at));
            }
        }
    }
    Ok(indices)
}

/// The newest values as they are while a batch is gone through.
struct Air<'a, 'tx> {
    tx: &'a Tx<'tx>,
    seen: HashMap<(DeviceId, Quantity), LiveValue>,
    rooms: HashMap<PlaceId, bool>,
}

impl Air<'_, '_> {
    fn is_of_room(&mut self, place: Option<PlaceId>) -> Result<bool, StoreError> {
        let Some(place) = place else {
            return Ok(false);
        };
        if let Some(known) = self.rooms.get(&place) {
            return Ok(*known);
        }
        let found = places::get(self.tx.conn(), place)?;
        let is_room = found.is_some_and(|p| p.kind == PlaceKind::Room);
        self.rooms.insert(place, is_room);
        Ok(is_room)
    }

    fn see(&mut self, value: LiveValue) {
        self.seen.insert((value.device, value.quantity), value);
    }

    fn newest(&self, device: DeviceId, quantity: Quantity) -> Option<LiveValue> {
        let seen = self.seen.get(&(device, quantity)).copied();
        let live = || self.tx.live.value(device, quantity);
        seen.or_else(|| live().filter(|v| v.origin == Origin::Here))
    }

    /// Temperature and humidity that belong together now that `half` is new.
    fn pairs(&self, half: &LiveValue) -> Vec<(LiveValue, LiveValue)> {
        let wanted = other(half.quantity);
        let mut mates = match self.newest(half.device, wanted) {
            Some(own) => vec![own],
            None => self.lonely(half, wanted),
        };
        if half.quantity == Quantity::Temperature {
            return mates.into_iter().map(|mate| (*half, mate)).collect();
        }
        mates.sort_by_key(|mate| mate.at);
        mates.pop().map(|mate| (mate, *half)).into_iter().collect()
    }

    /// Values of the room whose devices measure no other half themselves.
    fn lonely(&self, half: &LiveValue, wanted: Quantity) -> Vec<LiveValue> {
        let Some(room) = half.place else {
            return Vec::new();
        };
        let mut here: HashMap<_, _> = self
            .tx
            .live
            .of_place(room, wanted)
            .into_iter()
            .map(|v| (v.device, v))
            .collect();
        let seen = self.seen.values();
        here.extend(
            seen.filter(|v| v.place == Some(room) && v.quantity == wanted)
                .map(|v| (v.device, *v)),
        );
        here.retain(|device, _| self.newest(*device, half.quantity).is_none());
        here.into_values().collect()
    }

    fn index(&mut self, t: &LiveValue, rh: &LiveValue, at: Stamp) -> Option<Observation> {
        let is_good = |v: &LiveValue| v.quality == Quality::Good;
        let body = match (t.value, rh.value) {
            (Some(temperature), Some(humidity)) if is_good(t) && is_good(rh) => {
                if t.at.since(rh.at).abs() > APART_MS {
                    return None;
                }
                Body::measured(Quantity::Thi, climate::thi(temperature, humidity))
            }
            _ => {
                let before = self.newest(rh.device, Quantity::Thi)?;
                if before.quality == Quality::Missing {
                    return None;
                }
                let wrong = if is_good(t) { rh } else { t };
                Body::missing(Quantity::Thi, wrong.flaw.unwrap_or(Flaw::OutOfPhysics))
            }
        };
        let Body::Measured {
            value,
            quality,
            flaw,
            ..
        } = body
        else {
            return None;
        };
        self.see(LiveValue {
            quantity: Quantity::Thi,
            value,
            quality,
            flaw,
            at: at.wall,
            ..*rh
        });
        Some(Observation {
            device: rh.device,
            at,
            body,
            raw: Vec::new(),
            key: None,
        })
    }
}
