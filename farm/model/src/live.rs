//! What a phone shows of the parlour right now; never stored, always derivable.

use serde::{Deserialize, Serialize};

use crate::{
    id::AnimalId,
    milking::{Finding, SessionKey},
    place::Stall,
    quantity::Milli,
    tag::Tag,
    time::UnixMillis,
};

/// One stall, now.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StallView {
    /// Which stall.
    pub stall: Stall,
    /// What happens in it.
    pub phase: Phase,
    /// The animal, if known.
    pub animal: Option<AnimalId>,
    /// The tag read, if any.
    pub tag: Option<Tag>,
    /// When the cow was first noticed.
    pub since: Option<UnixMillis>,
    /// Milk so far, in millilitres.
    pub yield_ml: i64,
    /// Flow now, in mL/min; `None` when the meter does not say.
    pub flow_ml_min: Option<i64>,
    /// Conductivity now.
    pub conductivity: Option<Milli>,
    /// The cow is under a withdrawal hold: her milk must not reach the tank.
    pub withheld: bool,
    /// What someone should look at.
    pub findings: Vec<Finding>,
    /// The meter has not answered for this long, in milliseconds, when it should have.
    pub silent_ms: Option<i64>,
}

impl StallView {
    /// An empty stall.
    pub fn empty(stall: Stall) -> Self {
        Self {
            stall,
            phase: Phase::Empty,
            animal: None,
            tag: None,
            since: None,
            yield_ml: 0,
            flow_ml_min: None,
            conductivity: None,
            withheld: false,
            findings: Vec::new(),
            silent_ms: None,
        }
    }
}

/// What happens in a stall.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nobody there.
    Empty,
    /// A cow stands there; no milk yet.
    Waiting,
    /// Milk flows.
    Milking,
    /// Milk has stopped; the visit is about to end.
    Finishing,
    /// No milk flows though it should: the machine may be broken.
    NoFlow,
}

/// The parlour, now.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Parlour {
    /// All stalls in their order.
    pub stalls: Vec<StallView>,
    /// The session under way, if any.
    pub session: Option<SessionKey>,
}
