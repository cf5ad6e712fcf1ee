//! The figures of the MQTT door, each beside mosquitto under the same clients in the same run.
//!
//! The door is the running appliance: what it acknowledges is on disk. mosquitto acknowledges from memory.

mod ack;
mod bytes;
mod hour;
mod idle;
mod rate;

pub(crate) use self::{
    ack::measure as ack, bytes::measure as bytes, hour::measure as hour, idle::measure as idle,
    rate::measure as rate,
};

use e2e::EdgeOptions;

use crate::figure::Figure;

/// What mosquitto is called beside a figure.
const PEER: &str = "mosquitto, in memory";

/// An appliance that lets as many clients in as are tried on it, and says little.
fn options() -> EdgeOptions {
    EdgeOptions {
        more: vec![("mqtt", "max_connections = 2500".to_owned())],
        ..EdgeOptions::default()
    }
}
