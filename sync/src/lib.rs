//! Replication of one farm between its sites. It knows no cow: what it moves is described by [`Replicated`], which the
//! owner of the tables hands in.
//!
//! Two kinds of things travel. *Records* ([`records`]) are cr-sqlite tables: each site's changes go out as whole versions and
//! merge cell by cell in any order. *Facts* ([`facts`]) are logs that are only appended, one per site and table. Both are
//! streams of one site, received without holes: [`marks`] says up to where, and moves in the transaction that stores
//! the data. What this build does not know yet, or cannot take, is kept aside ([`held`]), passed on to others, and tried
//! again after a migration; it never blocks the rest.
//!
//! Invariants: nothing reaches the extension that [`records`] has not checked against the schema; a primary key is always
//! packed here, from typed values. A site speaks for itself alone, and a hub for everyone but us. All functions run inside the
//! caller's transaction, and an `Err` means that it must be rolled back.
//!
//! From the bottom up: [`exchange`] gathers what a peer lacks and takes what came, in one [`store`] turn; [`wire`] packs it into bytes,
//! [`keys`] seal them; [`peer`] has the two sides as state machines without I/O. The borders are [`Store`], which the keeper of a farm's file
//! implements, and [`Farms`], which the hub does. A copied file takes a new identity ([`copies`]).

pub mod claim;
pub mod copies;
pub mod exchange;
pub mod facts;
pub mod farms;
pub mod held;
pub mod keys;
pub mod marks;
pub mod peer;
pub mod records;
pub mod schema;
pub mod site;
pub mod store;
pub mod value;
pub mod wire;

pub use schema::Replicated;
use serde::{Deserialize, Serialize};

pub use farms::Farms;
pub use site::{Sender, Site};
pub use store::Store;
pub use value::Value;

/// Why nothing of what came was taken, or nothing could be read. The transaction must be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file failed; trying again may help.
    #[error("the farm's file could not be read or written")]
    Store(#[from] rusqlite::Error),
    /// What came is not to be taken.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A peer holds what this file never gave it.
    #[error("this file was restored or copied: it needs a new identity before it may exchange")]
    Copied,
    /// The two files belong to different seedings of the farm.
    #[error("the farm was seeded anew: this file is of epoch {ours}, the other side's is not")]
    Epoch {
        /// Our own.
        ours: u32,
    },
    /// A row of our own file is not as we write them.
    #[error("{what} in the farm's file is damaged: restore the file from its last backup")]
    Damaged {
        /// What is damaged.
        what: &'static str,
    },
}

/// Why a sender's part was turned away as a whole; nothing of it was stored. It travels: variants are only added, at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// Our own changes came back from elsewhere.
    #[error("a sender offers changes of this very site")]
    OurOwn,
    /// The sender speaks for another site.
    #[error("a sender offers changes of a site that is not its own")]
    NotTheSenders,
    /// Nobody registered this site.
    #[error("the site is not registered: enrol it first")]
    UnknownSite,
    /// Too many sites.
    #[error("a farm has no more than {max} sites", max = site::MAX_SITES)]
    TooManySites,
    /// The numbers contradict each other or leave their bounds.
    #[error("the numbers of the versions contradict each other")]
    Disorder,
    /// More is set aside for this site than we are ready to keep.
    #[error("too much of this site is set aside: update this program, then exchange again")]
    HeldFull,
    /// The sender's history is not the one we know: its file was restored or cloned.
    #[error("the site's history differs from what it sent before: its file was restored or copied")]
    Fork,
    /// One change is larger than a message can be.
    #[error("a change is too large to be sent")]
    TooLarge,
}

/// What became of a part that was in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is stored; the mark has moved.
    Taken(Tally),
    /// It was here already.
    Known,
    /// It does not begin where we stand; ask again from there.
    OutOfStep {
        /// Up to where we hold this stream.
        have: i64,
    },
}

/// How many rows or facts went where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that stand in their tables.
    pub stored: usize,
    /// Those that wait for a migration.
    pub parked: usize,
    /// What could not be taken, and why.
    pub aside: Vec<held::Aside>,
}

impl Tally {
    pub(crate) fn set_aside(&mut self, number: i64, reason: String) {
        self.aside.push(held::Aside { number, reason });
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.parked += other.parked;
        self.aside.extend(other.aside);
    }
}
