//! The one type that every driver emits.

use serde::{Deserialize, Serialize};

use crate::{
    id::DeviceId,
    quantity::{Milli, Quantity},
    tag::Tag,
    time::Stamp,
};

/// Longest raw evidence kept with an observation, in bytes.
pub const MAX_RAW: usize = 64;

/// Something a device said, or failed to say, at a moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// Who said it.
    pub device: DeviceId,
    /// When it happened, as well as that is known.
    pub at: Stamp,
    /// What was said.
    pub body: Body,
    /// The bytes it was decoded from, at most [`MAX_RAW`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<u8>,
    /// The sender's own identity of this message, if it has one; a second observation of the same device with
    /// the same key is a redelivery and is not stored again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What was said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Body {
    /// A measured value. `value` is `None` exactly when `quality` is [`Quality::Missing`].
    Measured {
        /// Which quantity.
        quantity: Quantity,
        /// The value in thousandths of the quantity's unit.
        value: Option<Milli>,
        /// How far it can be trusted.
        quality: Quality,
        /// What is wrong with it, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flaw: Option<Flaw>,
    },
    /// A tag was in a reader's field.
    Identified {
        /// The tag.
        tag: Tag,
    },
    /// A finished milking, told by a device or person that knows the cow: topic `farm/milk/{tag}/{session}`.
    Milked {
        /// Tag or animal number, as it was written.
        animal: String,
        /// Session name or number, as it was written.
        session: String,
        /// Yield in millilitres.
        yield_ml: i64,
        /// Fat in thousandths of a percent.
        fat: Option<Milli>,
        /// Solids not fat in thousandths of a percent.
        snf: Option<Milli>,
    },
    /// The device was heard after silence, or was first heard.
    Heard,
    /// The device has been silent for this many milliseconds, longer than it should be.
    Silent {
        /// Silence so far, in milliseconds.
        for_ms: i64,
    },
}

impl Body {
    /// A good value, or one flagged bad when physics does not allow it.
    pub fn measured(quantity: Quantity, value: Milli) -> Self {
        if quantity.allows(value) {
            Self::Measured {
                quantity,
                value: Some(value),
                quality: Quality::Good,
                flaw: None,
            }
        } else {
            Self::Measured {
                quantity,
                value: Some(value),
                quality: Quality::Bad,
                flaw: Some(Flaw::OutOfPhysics),
            }
        }
    }

    /// A value that should have been there and was not.
    pub fn missing(quantity: Quantity, flaw: Flaw) -> Self {
        Self::Measured {
            quantity,
            value: None,
            quality: Quality::Missing,
            flaw: Some(flaw),
        }
    }

    /// A value that arrived but must not be believed.
    pub fn bad(quantity: Quantity, value: Milli, flaw: Flaw) -> Self {
        Self::Measured {
            quantity,
            value: Some(value),
            quality: Quality::Bad,
            flaw: Some(flaw),
        }
    }
}

/// How far a value can be trusted. Only good values enter sums and averages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Quality {
    /// As measured.
    Good = 0,
    /// True once, but old: nothing newer came in its time.
    Stale = 1,
    /// Arrived, and is not to be believed.
    Bad = 2,
    /// Should have arrived, and did not. There is no value.
    Missing = 3,
}

impl Quality {
    /// The quality stored as `code`; anything unknown is [`Quality::Bad`].
    pub fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Good,
            1 => Self::Stale,
            3 => Self::Missing,
            _ => Self::Bad,
        }
    }
}

macro_rules! flaws {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $key:literal;)*) => {
        /// What is wrong with a value. Codes are stored and never change meaning.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Flaw { $($(#[$doc])* $name = $code,)* }

        impl Flaw {
            /// Every flaw, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name used in JSON, metrics and as a translation key.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }

            /// The flaw stored under `code`.
            pub fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

flaws! {
    /// Outside what physics allows on a farm.
    OutOfPhysics = 1, "out_of_physics";
    /// The checksum did not match.
    Checksum = 2, "checksum";
    /// A DS18B20 that answered 85 °C because it had just been powered.
    PowerOnReset = 3, "power_on_reset";
    /// The bus was held low: all bytes zero.
    BusLow = 4, "bus_low";
    /// Nobody answered: all bytes ones.
    BusHigh = 5, "bus_high";
    /// A floating-point NaN or infinity: the device's way of saying that it has no value.
    NotANumber = 6, "not_a_number";
    /// The device's own status says that the value is not valid.
    DeviceFault = 7, "device_fault";
    /// The device is warming up or in standby.
    NotReady = 8, "not_ready";
    /// No answer in time.
    Timeout = 9, "timeout";
    /// The answer could not be decoded.
    Malformed = 10, "malformed";
    /// The device answered with a Modbus exception.
    Exception = 11, "exception";
    /// The port or bus is gone.
    Disconnected = 12, "disconnected";
    /// The same value for too long while it should move.
    Stuck = 13, "stuck";
    /// A jump too large to be true beside its neighbours.
    Jump = 14, "jump";
    /// The kernel had not finished converting.
    Converting = 15, "converting";
    /// A counter that went back: the meter restarted.
    CounterReset = 16, "counter_reset";
}
