//! A milking visit: one animal, one stall, one time, and the milk.
//!
//! Named after ICAR's `icarMilkingVisitEventResource`. Volumes are whole millilitres.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    id::{AnimalId, DeviceId, StaffId},
    place::Stall,
    quantity::Milli,
    tag::Tag,
    time::Stamp,
};

/// Namespace of the identities that [`VisitId::derive`] makes.
const VISITS: Uuid = Uuid::from_u128(0x6b68_616d_6172_5649_5349_5400_0000_0001);

/// Identity of a visit. Derived from what makes it unique, so that a visit told twice is stored once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VisitId(pub Uuid);

impl VisitId {
    /// The identity of the visit that `source` calls `key` (UUIDv5).
    pub fn derive(source: &str, key: &str) -> Self {
        Self(Uuid::new_v5(&VISITS, format!("{source}\n{key}").as_bytes()))
    }

    /// The 16 bytes the store keeps.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for VisitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for VisitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisitId({})", self.0)
    }
}

impl std::str::FromStr for VisitId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// A session of a farm day: the local date it began on and its number that day, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SessionKey {
    /// Local date.
    pub date: jiff::civil::Date,
    /// 1 is the day's first session.
    pub number: u8,
}

/// A finished milking visit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Visit {
    /// Identity.
    pub id: VisitId,
    /// When milk began, or the identity was read if milk was not seen to begin.
    pub start: Stamp,
    /// When it ended.
    pub end: Stamp,
    /// Session of the farm's schedule.
    pub session: SessionKey,
    /// The stall, if the milking happened in one.
    pub stall: Option<Stall>,
    /// Who was milked, and how that is known.
    pub identity: Identity,
    /// Yield in millilitres.
    pub yield_ml: i64,
    /// Mean flow while milk flowed, in mL/min.
    pub avg_flow_ml_min: Option<i64>,
    /// Highest flow, in mL/min.
    pub peak_flow_ml_min: Option<i64>,
    /// Yield-weighted mean conductivity, thousandths of mS/cm at 25 °C.
    pub conductivity: Option<Milli>,
    /// Yield-weighted mean fat, thousandths of a percent.
    pub fat: Option<Milli>,
    /// Yield-weighted mean solids not fat, thousandths of a percent.
    pub snf: Option<Milli>,
    /// Where the milk went.
    pub destination: Destination,
    /// What a person should look at.
    pub findings: Vec<Finding>,
    /// Who measured it.
    pub meter: Option<DeviceId>,
    /// Who typed it in, if a person did.
    pub recorded_by: Option<StaffId>,
}

/// Who was milked, and how that is known.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "known")]
pub enum Identity {
    /// A registered animal.
    Animal {
        /// The animal.
        animal: AnimalId,
        /// The tag it was known by, if one was read.
        tag: Option<Tag>,
    },
    /// A tag that belongs to no registered animal.
    UnknownTag {
        /// The tag.
        tag: Tag,
    },
    /// Two or more animals' tags were read; a person must say which it was.
    Ambiguous {
        /// All tags, in the order they were read.
        tags: Vec<Tag>,
    },
    /// No tag was read: milk without a cow.
    None,
}

impl Identity {
    /// The animal, if it is certain.
    pub fn animal(&self) -> Option<AnimalId> {
        match self {
            Self::Animal { animal, .. } => Some(*animal),
            _ => None,
        }
    }
}

/// Where a visit's milk goes in the tank's account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Destination {
    /// Into the bulk tank.
    Tank = 0,
    /// Kept out: the animal is under a withdrawal hold.
    Withheld = 1,
    /// Kept out by a person's decision (colostrum, mastitis, dumped).
    Discarded = 2,
}

impl Destination {
    /// The destination stored as `code`; anything unknown is kept out of the tank.
    pub fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Tank,
            2 => Self::Discarded,
            _ => Self::Withheld,
        }
    }
}

/// Something about a visit that a person should know or settle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Milk without a cow.
    Unidentified,
    /// A tag of no registered animal.
    UnknownTag,
    /// Two animals' tags in one visit.
    TwoIdentities,
    /// The identity was read only after milk had begun.
    LateIdentity,
    /// The same animal was already milked in this session.
    MilkedTwice,
    /// Its milking does not resemble the animal's own; the neighbour stall's does: tags swapped?
    SwappedTag,
    /// The meter restarted during the visit; the yield is the sum of both parts.
    MeterRestarted,
    /// Part of the visit was not seen (the edge or the meter was away); the yield is from the meter's counters.
    Gap,
    /// No milk flowed though a cow stood there long enough.
    NoMilk,
    /// The wall clock was not known.
    ClockUnknown,
    /// Milked while under a withdrawal hold.
    Withdrawal,
    /// More milk than a cow gives: it counts nothing until a person says what it was.
    TooMuch,
}

impl Finding {
    /// Every finding.
    pub const ALL: &[Self] = &[
        Self::Unidentified,
        Self::UnknownTag,
        Self::TwoIdentities,
        Self::LateIdentity,
        Self::MilkedTwice,
        Self::SwappedTag,
        Self::MeterRestarted,
        Self::Gap,
        Self::NoMilk,
        Self::ClockUnknown,
        Self::Withdrawal,
        Self::TooMuch,
    ];

    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::Unidentified => "unidentified",
            Self::UnknownTag => "unknown_tag",
            Self::TwoIdentities => "two_identities",
            Self::LateIdentity => "late_identity",
            Self::MilkedTwice => "milked_twice",
            Self::SwappedTag => "swapped_tag",
            Self::MeterRestarted => "meter_restarted",
            Self::Gap => "gap",
            Self::NoMilk => "no_milk",
            Self::ClockUnknown => "clock_unknown",
            Self::Withdrawal => "withdrawal",
            Self::TooMuch => "too_much",
        }
    }

    /// The finding called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|f| f.key() == key)
    }

    /// Whether a person must decide something, rather than merely know it.
    pub fn needs_decision(self) -> bool {
        matches!(
            self,
            Self::Unidentified
                | Self::UnknownTag
                | Self::TwoIdentities
                | Self::MilkedTwice
                | Self::SwappedTag
                | Self::TooMuch
        )
    }
}
