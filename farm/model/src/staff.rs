//! Who works here and what each may do.

use serde::{Deserialize, Serialize};

/// A role on the farm; each includes what those before it may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Records milk and health events, sees the parlour.
    Worker,
    /// Also edits the herd, settles the inbox, edits devices.
    Manager,
    /// Also edits staff and tokens.
    Owner,
}

impl Role {
    /// Every role, least first.
    pub const ALL: &[Self] = &[Self::Worker, Self::Manager, Self::Owner];

    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Manager => "manager",
            Self::Owner => "owner",
        }
    }

    /// The role called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.key() == key)
    }
}
