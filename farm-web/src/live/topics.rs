//! What can be followed live, who may, and which change of the farm touches which topic.

use std::borrow::Cow;

use farm::Change;
use farm_model::{DeviceId, staff::Role};

macro_rules! topics {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $role:ident;)*) => {
        /// Something that a page follows.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub(crate) enum Topic {
            $($(#[$doc])* $name,)*
            /// One device's page.
            Device(DeviceId),
        }

        impl Topic {
            /// Every topic but those of single devices.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in addresses.
            pub(crate) fn key(self) -> Cow<'static, str> {
                match self {
                    $(Self::$name => $key.into(),)*
                    Self::Device(device) => format!("{ONE_DEVICE}{device}").into(),
                }
            }

            /// The least role that may follow it; the same as that of the page it belongs to.
            pub(crate) fn needs(self) -> Role {
                match self {
                    $(Self::$name => Role::$role,)*
                    Self::Device(_) => Role::Manager,
                }
            }
        }
    };
}

/// Before the device in the name of its topic.
const ONE_DEVICE: &str = "device:";

topics! {
    /// The bell in every page's head, and the list of open alerts.
    Alerts = "alerts", Worker;
    /// The stalls.
    Parlour = "parlour", Worker;
    /// The newest tag read and who is not yet milked.
    Record = "record", Worker;
    /// Figures of the day.
    Today = "today", Manager;
    /// Tanks.
    Tanks = "tanks", Worker;
    /// Newest values.
    Sensors = "sensors", Worker;
    /// What waits for a decision.
    Inbox = "inbox", Manager;
    /// State of devices.
    Devices = "devices", Manager;
    /// What runs where, and how far updates are.
    Firmware = "firmware", Manager;
    /// How the exchange with the hub goes.
    Hub = "hub", Owner;
    /// When the host last heard the farm.
    Heard = "heard", Worker;
}

impl Topic {
    /// The topic called `key`.
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        if let Some(device) = key.strip_prefix(ONE_DEVICE) {
            return device.parse().ok().map(Self::Device);
        }
        Self::ALL.iter().copied().find(|t| t.key() == key)
    }

    /// The topic of the device that `change` touches, if it touches one.
    pub(crate) fn of_device(change: &Change) -> Option<Self> {
        match change {
            Change::Reading { device, .. }
            | Change::Identified { device, .. }
            | Change::Device { device } => Some(Self::Device(*device)),
            _ => None,
        }
    }

    /// The topics that `change` touches.
    pub(crate) fn touched_by(change: &Change) -> &'static [Self] {
        match change {
            Change::Reading { place: Some(_), .. } => &[Self::Sensors, Self::Tanks],
            Change::Reading { place: None, .. } => &[Self::Sensors],
            Change::Identified { .. } => &[Self::Record],
            Change::Milking { .. } => &[Self::Record, Self::Today, Self::Tanks, Self::Inbox],
            Change::Animal { .. } => &[Self::Parlour, Self::Record, Self::Inbox, Self::Today],
            Change::Device { .. } | Change::Place { .. } => {
                &[Self::Devices, Self::Sensors, Self::Tanks, Self::Parlour]
            }
            Change::Alert { .. } => &[
                Self::Alerts,
                Self::Inbox,
                Self::Today,
                Self::Parlour,
                Self::Tanks,
            ],
            Change::Quarantine { .. } | Change::Join | Change::Node { .. } => &[Self::Devices],
            Change::Setting => Self::ALL,
            Change::Staff { .. } | Change::Token { .. } => &[],
            Change::Firmware => &[Self::Firmware],
        }
    }
}
