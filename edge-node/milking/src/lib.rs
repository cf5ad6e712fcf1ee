//! The milking engine: joins who stands in a stall with the milk that flows there into [`farm_model::Visit`]s.
//!
//! Readers say which tag is near, meters say how much milk has passed; neither knows the other, and both fail. The
//! engine is a pure state machine over what they said: no I/O, time as a value, the same answers for the same inputs.
//! What it knows of a stall is one serialisable [`StallState`], which the caller stores in the transaction that stores
//! the observations it was learnt from, and gives back after a crash.
//!
//! Invariants: every millilitre that a meter counted ends in exactly one visit, whoever was or was not identified; a
//! visit's identity is derived from the meter's own counting, so that telling it twice stores it once; a doubt is a
//! finding that a person settles, never a guess; a withdrawal hold is believed from any tag that may be the cow's.
//!
//! | module | idea |
//! | --- | --- |
//! | `engine` | all stalls: inputs in, outputs out |
//! | `stall` | one stall: waiting, milking, finishing |
//! | `meter` | a meter's registers into milk: restarts, roll-over, missed visits |
//! | `identity` | tags into one identity, or a doubt |
//! | `visit` | a visit under way and its finish |
//! | `swap` | tags swapped between neighbours |
//! | `span` | time between two stamps when clocks jump |

mod config;
mod engine;
mod herd;
mod identity;
mod meter;
mod span;
mod stall;
mod swap;
mod visit;

pub use config::Config;
pub use engine::{Alarm, AlarmChange, AlarmKind, Engine, Input, Output};
pub use farm_model::{Schedule, SessionWindow};
pub use herd::{Herd, Usual};
pub use meter::MeterReading;
pub use stall::StallState;
