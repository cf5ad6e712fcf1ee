//! How far one node is with one image.
//!
//! Offered, downloading, verified, on trial, and then one of the ends: confirmed, rolled back, failed, withdrawn. A node is believed
//! about itself, so it may go back to downloading (a power cut can cost it what it had); messages come twice and late, so what
//! changes nothing is no error, and an end is left only for the truth that a node on trial tells after a withdrawal.

use std::fmt;

use firmware_protocol::UpdateState;

/// How far a node is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Update {
    /// It was told; nothing of the image is there yet.
    Offered,
    /// It has so many bytes from the start.
    Downloading {
        /// Bytes from the start.
        have: u32,
    },
    /// It has the whole image and found hash and signature right.
    Verified,
    /// It runs the image and has not yet found itself healthy.
    Trying,
    /// It came to an end.
    Ended(Ended),
}

/// How an update ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ended {
    /// The node found itself healthy and keeps the image.
    Confirmed,
    /// The node went back to what it ran before.
    RolledBack,
    /// The node refused the image: hash or signature are wrong for it, or it is other hardware.
    Refused,
    /// The node could not write its flash.
    FlashFailed,
    /// The node began to try the image and was not heard of as healthy in time.
    Silent,
    /// A person took the offer back.
    Withdrawn,
}

impl Ended {
    /// Every end.
    pub const ALL: &[Self] = &[
        Self::Confirmed,
        Self::RolledBack,
        Self::Refused,
        Self::FlashFailed,
        Self::Silent,
        Self::Withdrawn,
    ];

    /// Whether it is a reason to stop and think before another node is offered the same.
    pub fn is_bad(self) -> bool {
        !matches!(self, Self::Confirmed | Self::Withdrawn)
    }

    fn key(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolled_back",
            Self::Refused => "refused",
            Self::FlashFailed => "flash_failed",
            Self::Silent => "silent",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What is heard or decided about an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The node asks for bytes from here on.
    Asks {
        /// From which byte on.
        offset: u32,
    },
    /// The node tells how far it is.
    Reports {
        /// How far.
        state: UpdateState,
        /// Bytes from the start that are on flash.
        have: u32,
    },
    /// The node runs something else than the image.
    RunsOther,
    /// The trial has lasted too long.
    TrialOver,
    /// A person takes the offer back.
    Withdraw,
}

/// Something that cannot follow on what was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{event:?} cannot follow on {from}")]
pub struct TransitionError {
    /// How far the update was, and is.
    pub from: Update,
    /// What was told.
    pub event: Event,
}

impl Update {
    /// How far the update is after `event`.
    ///
    /// # Errors
    /// When it cannot follow: the update stays as it is.
    pub fn next(self, event: Event) -> Result<Self, TransitionError> {
        let refused = Err(TransitionError { from: self, event });
        let before_trial = matches!(
            self,
            Self::Offered | Self::Downloading { .. } | Self::Verified
        );
        match event {
            Event::Asks { offset } if before_trial => Ok(Self::Downloading { have: offset }),
            Event::Asks { .. } => refused,
            Event::Reports { state, have } => self.reported(state, have).map_or(refused, Ok),
            Event::RunsOther => match self {
                Self::Trying => Ok(Self::Ended(Ended::RolledBack)),
                _ => Ok(self),
            },
            Event::TrialOver => match self {
                Self::Trying => Ok(Self::Ended(Ended::Silent)),
                _ => refused,
            },
            Event::Withdraw if before_trial => Ok(Self::Ended(Ended::Withdrawn)),
            Event::Withdraw if self == Self::Ended(Ended::Withdrawn) => Ok(self),
            Event::Withdraw => refused,
        }
    }

    fn reported(self, state: UpdateState, have: u32) -> Option<Self> {
        let told = match state {
            UpdateState::Idle => return Some(self),
            UpdateState::Fetching => Self::Downloading { have },
            UpdateState::Verified => Self::Verified,
            UpdateState::Trying => Self::Trying,
            UpdateState::Confirmed => Self::Ended(Ended::Confirmed),
            UpdateState::RolledBack => Self::Ended(Ended::RolledBack),
            UpdateState::Refused => Self::Ended(Ended::Refused),
            UpdateState::Failed => Self::Ended(Ended::FlashFailed),
            _ => return None,
        };
        let may = match self {
            Self::Offered | Self::Downloading { .. } | Self::Verified => true,
            // A report from before the trial that comes late.
            Self::Trying => matches!(told, Self::Trying | Self::Ended(_)),
            // The withdrawal came too late, or the trial was only slow.
            Self::Ended(Ended::Withdrawn | Ended::Silent) => {
                matches!(told, Self::Trying | Self::Ended(_))
            }
            Self::Ended(_) => told == self,
        };
        // An update that was given up for silent is not on trial again; only its end counts.
        let stale = self == Self::Ended(Ended::Silent) && told == Self::Trying;
        may.then_some(if stale { self } else { told })
    }

    /// How it ended, if it did.
    pub fn ended(self) -> Option<Ended> {
        match self {
            Self::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Downloading { .. } => "downloading",
            Self::Verified => "verified",
            Self::Trying => "trying",
            Self::Ended(ended) => ended.key(),
        }
    }

    /// Bytes from the start that the node has, where that is told.
    pub fn have(self) -> u32 {
        match self {
            Self::Downloading { have } => have,
            _ => 0,
        }
    }

    /// The state called `key`.
    pub fn from_key(key: &str, have: u32) -> Option<Self> {
        match key {
            "offered" => Some(Self::Offered),
            "downloading" => Some(Self::Downloading { have }),
            "verified" => Some(Self::Verified),
            "trying" => Some(Self::Trying),
            _ => Ended::ALL
                .iter()
                .copied()
                .find(|e| e.key() == key)
                .map(Self::Ended),
        }
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
