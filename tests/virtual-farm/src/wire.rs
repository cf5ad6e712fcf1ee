//! Encoders: what devices put on their wires. Pure, and written from the devices' published layouts alone.
//!
//! Invariant: nothing here is shared with the code under test, so that one misreading cannot hide the other.

pub mod modbus;
pub mod mqtt;
pub mod onewire;
pub mod rfid;
