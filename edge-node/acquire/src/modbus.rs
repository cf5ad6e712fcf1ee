//! Modbus RTU buses and TCP endpoints: one owner task each, which asks its slaves in turn.
//!
//! [`frame`] is bytes, `schedule` is when, `slave` is what is told, `search` is how the Devices page looks through a device;
//! none of them does I/O. `wire` moves bytes and `bus` joins them.
//! Invariant: nobody but the owner touches a bus, the Devices page included.

pub(crate) mod bus;
pub mod frame;
mod schedule;
mod search;
mod slave;
pub(crate) mod wire;

use edge_decode::modbus::ReadRequest;
use farm_model::device::ReadFunction;
use tokio::sync::oneshot;

/// What was found by looking through a device: table, first address, words (bits as 0 and 1).
pub type Found = Vec<(ReadFunction, u16, Vec<u16>)>;

/// Why a device could not be looked through.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProbeError {
    /// The device is not reached over Modbus.
    #[error("the device is not reached over Modbus: choose one that is")]
    NotModbus,
    /// The port belongs to a driver that does not speak Modbus.
    #[error(
        "the port {0} is in use by a reader: disable that device first, or choose another port"
    )]
    PortInUse(String),
    /// The port or server cannot be opened.
    #[error("{at} cannot be opened ({why}): check the cable, the power and the address")]
    NotThere {
        /// Port or address.
        at: String,
        /// The system's words.
        why: String,
    },
    /// The slave does not answer.
    #[error(
        "slave {0} does not answer: check its address, its power, the wires A and B and the speed of the line"
    )]
    NoAnswer(u8),
    /// The slave refuses for a reason other than the address.
    #[error("slave {unit} refuses with exception {code}: its manual says what that means")]
    Refused {
        /// Slave address.
        unit: u8,
        /// Exception code.
        code: u8,
    },
    /// The driver ended meanwhile.
    #[error("the driver was stopped meanwhile: try again")]
    Stopped,
}

/// A request to look through a slave of a running bus.
#[derive(Debug)]
pub(crate) struct ProbeJob {
    pub(crate) unit: u8,
    pub(crate) ranges: Vec<ReadRequest>,
    pub(crate) reply: oneshot::Sender<Result<Found, ProbeError>>,
}

/// The key under which an exception is counted (Modbus Application Protocol V1.1b3, section 7).
pub(crate) fn exception_key(code: u8) -> &'static str {
    match code {
        1 => "illegal_function",
        2 => "illegal_address",
        3 => "illegal_value",
        4 => "device_failure",
        5 | 6 => "busy",
        8 => "memory_parity",
        0x0A | 0x0B => "gateway",
        _ => "exception",
    }
}
