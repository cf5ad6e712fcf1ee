//! Words about animals that the store and the screens share.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $key:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name used in the store, JSON and translation keys.
            pub fn key(self) -> &'static str {
                match self { $(Self::$variant => $key,)* }
            }

            /// The value called `key`.
            pub fn from_key(key: &str) -> Option<Self> {
                match key { $($key => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

words! {
    /// Sex of an animal.
    Sex {
        /// Cow or heifer.
        Female = "female",
        /// Bull or steer.
        Male = "male",
    }

    /// Where an animal is in its life on this farm (after ICAR's animal and lactation status).
    AnimalStatus {
        /// Too young to breed.
        Calf = "calf",
        /// Female, not calved yet.
        Heifer = "heifer",
        /// In milk.
        Lactating = "lactating",
        /// Between lactations.
        Dry = "dry",
        /// Breeding bull.
        Bull = "bull",
        /// Sold.
        Sold = "sold",
        /// Dead.
        Dead = "dead",
    }
}

impl AnimalStatus {
    /// Whether the animal is on the farm.
    pub fn is_present(self) -> bool {
        !matches!(self, Self::Sold | Self::Dead)
    }
}
