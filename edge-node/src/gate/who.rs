//! Who a client is, in the form in which the door carries it from the log-in to what it publishes.

use std::{fmt, net::IpAddr, str::FromStr};

use farm_model::DeviceId;
use uuid::Uuid;

/// A client that entered.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Who {
    /// A device with a credential of its own.
    Device(DeviceId),
    /// The holder of an API token.
    Token(Uuid),
    /// Somebody at an address that the configuration names.
    Address(IpAddr),
    /// A device that asks to join. Its address is part of it, so that nobody elsewhere takes its place.
    Joining { address: IpAddr, serial: String },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(id) => write!(f, "device {id}"),
            Self::Token(id) => write!(f, "token {id}"),
            Self::Address(address) => write!(f, "address {address}"),
            Self::Joining { address, serial } => write!(f, "join {address} {serial}"),
        }
    }
}

/// The text names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Nobody;

impl FromStr for Who {
    type Err = Nobody;

    fn from_str(s: &str) -> Result<Self, Nobody> {
        let (sort, name) = s.split_once(' ').ok_or(Nobody)?;
        match sort {
            "device" => name.parse().map(Self::Device).map_err(|_| Nobody),
            "token" => name.parse().map(Self::Token).map_err(|_| Nobody),
            "address" => name.parse().map(Self::Address).map_err(|_| Nobody),
            "join" => {
                let (address, serial) = name.split_once(' ').ok_or(Nobody)?;
                Ok(Self::Joining {
                    address: address.parse().map_err(|_| Nobody)?,
                    serial: serial.to_owned(),
                })
            }
            _ => Err(Nobody),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_read_as_they_are_written() {
        let address: IpAddr = "fe80::1".parse().unwrap();
        for who in [
            Who::Device(DeviceId::new()),
            Who::Token(Uuid::now_v7()),
            Who::Address(address),
            Who::Joining {
                address,
                serial: "KM-0042".to_owned(),
            },
        ] {
            assert_eq!(who.to_string().parse(), Ok(who));
        }
        for text in ["", "device", "device x", "token ", "join 1.2.3.4", "root x"] {
            assert_eq!(text.parse::<Who>(), Err(Nobody), "{text}");
        }
    }
}
