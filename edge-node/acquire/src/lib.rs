//! Drivers: one owner task for each port and bus, everything they hear sent on as observations.
//!
//! [`Drivers`] keeps running tasks in step with a list of [`farm_model::Device`]s: a task for each serial reader, each
//! Modbus bus or endpoint, and one for the 1-wire tree. Each is supervised: an error or a panic ends that task alone,
//! is counted, and the task starts again after a growing pause.
//! Invariants: a port has one owner; what was decoded is never dropped, a full channel makes the drivers wait instead;
//! a value that could not be read is sent as missing, never as 0.

mod backoff;
mod board;
mod drivers;
mod inbound;
pub mod modbus;
mod news;
mod node;
mod onewire;
mod outbox;
mod ports;
mod rfid;
mod settings;
mod shared;
mod silence;
mod supervise;

pub use backoff::Backoff;
pub use board::{DriverState, DriverStatus};
pub use drivers::Drivers;
pub use inbound::{Inbound, NodeFrame, RejectRecord};
pub use modbus::{Found, ProbeError};
pub use onewire::list_probes;
pub use ports::list_ports;
pub use settings::Settings;
