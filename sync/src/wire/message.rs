//! What the two sides say to each other beside the parts.
//!
//! Layouts are frozen with the protocol's number. Within one, variants and directives are only added at the end; a side that cannot
//! read a message treats it as a failed exchange and tries again later. [`Refusal::Protocol`] stays where it is in every protocol.

use serde::{Deserialize, Serialize};

use crate::{Refused, Site, marks::Mark};

/// A stream of a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stream {
    /// Whose.
    pub site: Site,
    /// [`RECORDS`](crate::marks::RECORDS) or the name of a log.
    pub name: String,
}

/// What a site holds of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// Which stream.
    pub stream: Stream,
    /// Up to where.
    pub mark: Mark,
}

/// How far a site's own stream goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`RECORDS`](crate::marks::RECORDS) or the name of a log.
    pub stream: String,
    /// The last version or fact.
    pub upto: i64,
}

/// What an edge says; its parts follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The protocol that it speaks. First in every protocol.
    pub protocol: u16,
    /// The version of its schema.
    pub schema: u32,
    /// How often the whole farm was seeded anew; sites of different epochs do not exchange.
    pub epoch: u32,
    /// Who speaks. Only good for a clear error: the key that signed the request decides.
    pub site: Site,
    /// How far its own streams go, so that the hub can tell what waits.
    pub heads: Vec<Head>,
    /// What it holds of everyone else.
    pub have: Vec<Have>,
    /// Streams that it cannot take at present.
    pub skip: Vec<Stream>,
    /// How long the hub may wait for news, in seconds.
    pub wait_s: u16,
    /// Bytes of parts that it wants at most, roughly; 0 for none.
    pub room: u32,
}

/// What the hub says to any request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The request was judged, and what could be taken is on disk; the hub's parts follow.
    Answer(Answer),
    /// Nothing was taken, nothing was changed.
    Refused(Refusal),
}

/// What the hub answers; its parts follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The protocol that it speaks.
    pub protocol: u16,
    /// The version of its schema.
    pub schema: u32,
    /// The farm's epoch.
    pub epoch: u32,
    /// The hub's own site.
    pub site: Site,
    /// What it holds, on disk, of the edge that asks.
    pub have: Vec<Have>,
    /// The edge's streams of which it could not take a part, and why.
    pub refused: Vec<(String, Refused)>,
    /// The hub's clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// Whether it has more for this edge already.
    pub more: bool,
    /// When to come again if nothing happens and the edge does not wait at the hub, in seconds.
    pub again_s: u32,
    /// What else the edge is to do.
    pub directives: Vec<Directive>,
}

/// What the hub asks of an edge beside the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Directive {
    /// Make another key.
    RotateKey,
}

/// Why the hub did nothing with a request. Each is told with what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The edge is older or newer than the hub can speak with.
    #[error(
        "the hub speaks protocol {least} to {most}: update the appliance if it speaks an older one, the hub if it speaks a newer one"
    )]
    Protocol {
        /// The oldest that the hub speaks.
        least: u16,
        /// The newest.
        most: u16,
    },
    /// It cannot be read.
    #[error("the hub could not read the request: the line may have altered it; it is sent again")]
    Unreadable,
    /// It is too large.
    #[error("the request is too large for the hub: it is sent again in smaller pieces")]
    TooLarge,
    /// The signature does not fit.
    #[error(
        "the signature does not fit the request: the line may have altered it, or the key file is damaged; enrol the appliance again"
    )]
    Forged,
    /// Nobody ever held this key.
    #[error("the hub does not know this appliance: enrol it with a claim code from the hub")]
    UnknownKey,
    /// The key was revoked or replaced.
    #[error(
        "the hub has withdrawn this appliance's key: enrol it again with a claim code from the hub if it still belongs to the farm"
    )]
    Revoked,
    /// The request's time is too far from the hub's.
    #[error("the request's time is not the hub's: it is signed again with the hub's time")]
    Stale {
        /// The hub's time for signatures.
        now_ms: i64,
    },
    /// A request of that time or a later one came already.
    #[error("the request came before, or a later one overtook it: it is signed again")]
    Repeated {
        /// The hub's time for signatures, later than any that it has accepted.
        now_ms: i64,
    },
    /// The body speaks for another site than the key.
    #[error("the key belongs to another site: enrol this appliance with a claim code of its own")]
    NotYourSite,
    /// The farm was seeded anew.
    #[error(
        "the farm was set up anew at the hub: enrol this appliance again, with an empty farm file, to receive it"
    )]
    Epoch {
        /// The hub's.
        ours: u32,
    },
    /// The farm has as many sites as it may have.
    #[error("the farm has too many sites: remove old appliances at the hub")]
    TooManySites,
    /// The hub's own file of the farm was restored or copied and needs a new identity.
    #[error(
        "the hub's file of this farm was restored from a backup: the hub's operator has to give it a new identity"
    )]
    HubRestored,
    /// The farm was deleted at the hub.
    #[error(
        "the farm was deleted at the hub: enrol this appliance in another one, or run it alone"
    )]
    Gone,
    /// The claim code opens nothing.
    #[error("this claim code is wrong, used or out of date: ask for a new one at the hub")]
    Code,
    /// Not now.
    #[error("the hub is busy: the appliance comes again in {again_s} s")]
    Busy {
        /// When to come again, in seconds.
        again_s: u32,
    },
}

/// A site asks to join a farm, sealed with the key that it will sign with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The protocol that it speaks. First in every protocol.
    pub protocol: u16,
    /// The code that the hub gave out, as it was typed.
    pub code: String,
    /// The site that asks.
    pub site: Site,
    /// The version of its schema.
    pub schema: u32,
    /// What to call the appliance at the hub: its host name.
    pub name: String,
}

/// A site has joined a farm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The farm's name.
    pub farm: String,
    /// The farm's epoch.
    pub epoch: u32,
    /// The hub's clock, in milliseconds since 1970.
    pub now_ms: i64,
}

/// What the hub says to a claim, or to a change of key (with `()`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcomed<T> {
    /// It is done.
    Yes(T),
    /// Nothing was changed.
    Refused(Refusal),
}
