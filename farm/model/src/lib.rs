//! The nouns of a dairy farm, shared by every crate that speaks of one.
//!
//! Identities, observations with their quality and clock, devices described as data, milking visits, live
//! parlour state. No I/O, no SQL, no screen. Invariant: a value that is missing is never zero; a number is an
//! integer in thousandths of its quantity's unit, so that it sums exactly and compresses well.

pub mod animal;
pub mod device;
pub mod hex;
pub mod id;
pub mod live;
pub mod milking;
pub mod observation;
pub mod place;
pub mod quantity;
pub mod schedule;
pub mod staff;
pub mod tag;
pub mod time;
pub mod topics;

pub use animal::{AnimalStatus, Sex};
pub use device::{Device, DeviceKind, Link};
pub use id::{AlertId, AnimalId, DeviceId, PlaceId, SessionId, StaffId};
pub use milking::{Destination, Identity, SessionKey, Visit, VisitId};
pub use observation::{Body, Flaw, Observation, Quality};
pub use place::{Place, PlaceKind, Stall};
pub use quantity::{Milli, Quantity};
pub use schedule::{Schedule, SessionWindow};
pub use staff::Role;
pub use tag::{Epc, Rfid, Tag};
pub use time::{Clock, ClockQuality, Stamp, SystemClock, UnixMillis};
