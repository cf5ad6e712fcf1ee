//! What an edge hears, what it orders, and how it tells people that it stands.

use std::time::Duration;

#[cfg(doc)]
use crate::peer::Edge;
use crate::{
    Refused, Site,
    store::{Copied, Fault, Turn, Turned},
    wire::{Refusal, Stream, WireError},
};

/// How to go to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Leave a request waiting there, so that the hub's news come at once, and bring our own at once.
    Stay {
        /// For how long, in seconds.
        wait_s: u16,
    },
    /// Come by now and then: on a metered line.
    Visit {
        /// How often, in seconds.
        every_s: u32,
    },
}

impl Default for Manner {
    fn default() -> Self {
        Self::Stay { wait_s: 55 }
    }
}

/// One of the two requests that may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Pushes, and pulls until all is there.
    Talk,
    /// Waits at the hub for news.
    Listen,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Time passed; also the first input.
    Time,
    /// Something that is replicated was committed here.
    News,
    /// The store has done the turn that it was asked for.
    Turned(Result<Turned, Fault>),
    /// The hub answered, whatever the status: the body.
    Replied(Lane, Vec<u8>),
    /// No answer came.
    Failed(Lane, LineFault),
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Nobody is reached.
    #[error("the hub is not reached: the line may be down")]
    Down,
    /// It took too long.
    #[error("the hub did not answer in time: the line may be very slow")]
    Slow,
    /// Somebody else answered, or the certificate is not the hub's.
    #[error(
        "the hub's certificate is not to be trusted: check the hub's address and this machine's date"
    )]
    Untrusted,
}

/// What to do now.
#[derive(Debug)]
pub enum Command {
    /// Ask the store; hand in [`Input::Turned`].
    Turn(Turn),
    /// Send to the hub; hand in [`Input::Replied`] or, at the latest after `patience`, [`Input::Failed`].
    Send {
        /// For the answer.
        lane: Lane,
        /// The sealed body.
        body: Vec<u8>,
        /// How long it may take.
        patience: Duration,
    },
    /// The hub told its time.
    Clock(ClockHint),
    /// Make another key, have the hub take it, then call [`Edge::use_key`].
    RotateKey,
}

/// The hub's time, as heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockHint {
    /// What the time is now, in milliseconds since 1970.
    pub now_ms: i64,
    /// By how much it may be wrong.
    pub within_ms: i64,
}

/// What stands between us and the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The line.
    #[error(transparent)]
    Line(LineFault),
    /// What came is no answer.
    #[error(transparent)]
    Answer(#[from] WireError),
    /// The hub will not.
    #[error(transparent)]
    Refused(Refusal),
    /// The hub speaks a protocol that we do not.
    #[error("the hub speaks protocol {protocol}, this appliance does not: update the appliance")]
    Protocol {
        /// The hub's.
        protocol: u16,
    },
    /// Our file belongs to another seeding of the farm.
    #[error(
        "the farm was set up anew at the hub: enrol this appliance again, with an empty farm file, to receive it"
    )]
    Epoch,
    /// Our file was restored or copied.
    #[error(transparent)]
    Copied(Copied),
    /// Our own file failed.
    #[error("the farm's file could not be read or written: look at this machine's disk")]
    Store,
    /// Parts go to and fro and nothing moves.
    #[error("the exchange makes no progress: one side may need an update")]
    Stuck,
    /// One change is larger than a message can be.
    #[error("a change is too large to be sent: {site}'s others of that kind wait behind it")]
    TooLarge {
        /// Whose it is.
        site: Site,
    },
}

/// How it stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// When the hub last answered an exchange, by the clock that is handed in.
    pub heard_ms: Option<i64>,
    /// Own versions and facts that the hub does not hold yet.
    pub waiting: u64,
    /// Whether all that the hub had is here, and the line stood when that was last known.
    pub current: bool,
    /// What stands in the way; it is tried again all the same.
    pub trouble: Option<Trouble>,
    /// When it is tried again, by the clock that is handed in.
    pub again_ms: i64,
    /// Streams that one side cannot take, and why.
    pub closed: Vec<(Stream, Refused)>,
}
