//! Where devices stand: stalls, tanks, rooms.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{id::PlaceId, quantity::Milli};

/// A stall of the parlour, numbered from 1 as painted on the wall.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stall(pub u16);

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What sort of place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceKind {
    /// A milking stall.
    Stall,
    /// A bulk tank.
    Tank,
    /// A shed, room or yard whose air is measured.
    Room,
    /// A biogas digester.
    Digester,
}

impl PlaceKind {
    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::Tank => "tank",
            Self::Room => "room",
            Self::Digester => "digester",
        }
    }

    /// The kind called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        [Self::Stall, Self::Tank, Self::Room, Self::Digester]
            .into_iter()
            .find(|k| k.key() == key)
    }
}

/// A place on the farm.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Identity.
    pub id: PlaceId,
    /// What sort.
    pub kind: PlaceKind,
    /// ASCII name for topics and addresses: `1`, `tank-1`, `barn-a`. One per kind and farm.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// What belongs to this sort of place.
    #[serde(default)]
    pub details: PlaceDetails,
}

impl Place {
    /// The stall's number, if this is a stall whose slug is one.
    pub fn stall(&self) -> Option<Stall> {
        (self.kind == PlaceKind::Stall)
            .then(|| self.slug.parse().ok().map(Stall))
            .flatten()
    }
}

/// Capacity, limits and calibration; kept together in one column because they change together.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlaceDetails {
    /// Tank volume in litres.
    pub capacity_l: Option<i64>,
    /// Temperature above which milk is in danger, in thousandths of a degree Celsius.
    pub max_temperature: Option<Milli>,
    /// Temperature below which something is wrong (freezing milk), likewise.
    pub min_temperature: Option<Milli>,
    /// Minutes out of range before the alarm.
    pub alarm_after_min: Option<u32>,
    /// Methane in the air above which the alarm sounds, in thousandths of a percent.
    pub max_methane: Option<Milli>,
    /// Ultrasonic calibration: distance in millimetres to level in thousandths of a percent, any order; between
    /// two points the level is interpolated, beyond the ends it is held.
    pub distance_to_level: Vec<(i64, Milli)>,
}
