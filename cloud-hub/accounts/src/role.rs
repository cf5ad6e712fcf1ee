//! What a member may do on a farm.

use std::fmt;

/// A member's role on a farm; each may do what those before it may, but for the vet's and the worker's own work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Looks at everything, changes nothing.
    ReadOnly,
    /// Records the day's work.
    Worker,
    /// Records health and treatments.
    Vet,
    /// Decides and sets up.
    Manager,
    /// Also sees to members, machines and the farm itself. Needs a second factor.
    Owner,
}

impl Role {
    /// Every role, least first.
    pub const ALL: &[Self] = &[
        Self::ReadOnly,
        Self::Worker,
        Self::Vet,
        Self::Manager,
        Self::Owner,
    ];

    /// The name used in the store and in forms.
    pub fn key(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Worker => "worker",
            Self::Vet => "vet",
            Self::Manager => "manager",
            Self::Owner => "owner",
        }
    }

    /// The role called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.key() == key)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl From<Role> for hub_store::Value {
    fn from(role: Role) -> Self {
        role.key().into()
    }
}

impl hub_store::Column for Role {
    fn read(value: hub_store::ValueRef<'_>) -> Option<Self> {
        match value {
            hub_store::ValueRef::Text(key) => Self::from_key(key),
            _ => None,
        }
    }
}
