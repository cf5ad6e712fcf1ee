//! The border to the file: what replication asks of whoever keeps it.
//!
//! There is one question, the [`Turn`]: take what came, then gather what the other side lacks. [`exchange::turn`] answers it inside
//! a transaction; a keeper of a file only has to run that where it writes.
//!
//! Invariant: when [`Store::turn`] resolves, its transaction is on disk. An acknowledgement and an offer both rest on it.
//!
//! [`exchange::turn`]: crate::exchange::turn

use crate::{
    Error, Outcome, Refused, Sender, Site,
    exchange::{Gathered, Speak},
    wire::{Have, Head, Part, Stream},
};

/// A farm's file. Cheap to clone.
pub trait Store: Clone + Send + Sync + 'static {
    /// Runs [`exchange::turn`](crate::exchange::turn) in one write transaction; rolled back on an error, on disk otherwise.
    fn turn(&self, turn: Turn) -> impl Future<Output = Result<Turned, Fault>> + Send;

    /// A number that grows with each commit of something that is replicated, whoever wrote it.
    fn committed(&self) -> u64;

    /// Resolves when [`committed`](Self::committed) is greater than `seen`; at once when it is already.
    fn news(&self, seen: u64) -> impl Future<Output = ()> + Send;
}

/// What to do with the file in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// The epoch of who speaks to us; another one than ours undoes everything.
    pub epoch: Option<u32>,
    /// What came.
    pub take: Option<Delivery>,
    /// For whom to gather afterwards.
    pub give: Option<Want>,
}

/// Parts that came, and from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who sent them, as its key or its address proved it.
    pub sender: Sender,
    /// In their order.
    pub parts: Vec<Part>,
}

/// What a peer lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The peer; it is registered if it is not known yet, so its key or address must have proved it.
    pub peer: Site,
    /// Of whom we speak to it.
    pub speak: Speak,
    /// What it holds of those.
    pub have: Vec<Have>,
    /// Streams that it does not take at present.
    pub skip: Vec<Stream>,
    /// Bytes to gather, roughly.
    pub room: usize,
}

/// What became of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// Who we are.
    pub me: Me,
    /// What became of each part that came.
    pub verdicts: Vec<Verdict>,
    /// What the peer lacks.
    pub gathered: Gathered,
    /// What we hold now of all other sites.
    pub holdings: Vec<Have>,
    /// Up to where our own streams go.
    pub heads: Vec<Head>,
}

/// Who a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Me {
    /// Its site.
    pub site: Site,
    /// The version of its schema (`PRAGMA user_version`).
    pub schema: u32,
    /// How often the whole farm was seeded anew.
    pub epoch: u32,
}

/// What became of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Of which stream it was.
    pub stream: Stream,
    /// Whether and how it was taken.
    pub outcome: Result<Outcome, Refused>,
}

/// Why a turn changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A peer holds what this file never gave it.
    #[error(transparent)]
    Copied(Copied),
    /// The two files belong to different seedings of the farm.
    #[error("the farm was seeded anew: this file is of epoch {ours}, the other side's is not")]
    Epoch {
        /// Our own.
        ours: u32,
    },
    /// A peer may not join this farm.
    #[error(transparent)]
    Refused(Refused),
    /// The file failed; trying again may help.
    #[error("the farm's file could not be read or written")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// This file was restored or copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this file was restored or copied: it needs a new identity before it may exchange")]
pub struct Copied;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Copied => Self::Copied(Copied),
            Error::Epoch { ours } => Self::Epoch { ours },
            Error::Refused(refused) => Self::Refused(refused),
            other => Self::Failed(Box::new(other)),
        }
    }
}
