//! Identities of records: newtypes over UUIDv7, so that keys sort by the time they were made.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh identity (UUIDv7).
            #[expect(clippy::new_without_default, reason = "each call yields another identity")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The 16 bytes that a `BLOB PRIMARY KEY` holds.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The identity whose 16 bytes these are.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    )*};
}

id! {
    /// An animal of the herd.
    AnimalId;
    /// A reader, meter, probe or node.
    DeviceId;
    /// A stall, tank or room.
    PlaceId;
    /// A milking session of the farm's schedule (morning, evening).
    SessionId;
    /// A member of staff.
    StaffId;
    /// An alert, from its raising to its settling.
    AlertId;
}
