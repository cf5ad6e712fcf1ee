//! Drivers over real pseudo-terminals, sockets and folders, with slaves that are not ours where the protocol has any.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod modbus_rtu;
mod modbus_tcp;
mod node;
mod onewire;
mod rig;
mod serial;
