//! Decoders, one per device dialect: bytes in, typed values out, no I/O.
//!
//! Whatever a port, a bus, a kernel file or a broker hands over is turned here into the nouns of `farm-model`, or into
//! a reject that says why. Invariants: any bytes may come in and nothing panics; what is buffered or kept as evidence
//! is bounded; time is a value that the caller passes; a value that is missing is never zero.

pub mod chirpstack;
pub mod coap;
pub mod homeassistant;
mod json;
pub mod modbus;
pub mod node;
pub mod plausible;
pub mod rfid;
pub mod tank;
pub mod topics;
pub mod w1;
pub mod zigbee;

pub use plausible::PlausibleTemperature;
pub use tank::level_from_distance;
