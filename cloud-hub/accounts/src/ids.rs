//! Identities: newtypes over UUIDv7, stored as text.

use std::{fmt, str::FromStr};

use hub_store::{Column, Value, ValueRef};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identity.
            #[expect(clippy::new_without_default, reason = "each is another one")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl From<$name> for Value {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl Column for $name {
            fn read(value: ValueRef<'_>) -> Option<Self> {
                Uuid::read(value).map(Self)
            }
        }
    )*};
}

ids! {
    /// A person with a log-in.
    AccountId;
    /// A farm.
    FarmId;
    /// A machine on a farm.
    SiteId;
    /// A session, as its owner's list shows it.
    SessionId;
    /// An invitation, as the list of members shows it.
    InvitationId;
    /// A claim code, as the farm's page shows it.
    ClaimId;
}
