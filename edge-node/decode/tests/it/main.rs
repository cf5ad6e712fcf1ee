//! What the decoders promise, seen from outside.

mod auto_decoder;
mod coap;
mod modbus;
mod nodes;
mod rfid;
mod rfid_laws;
mod topics;
mod uplinks;
mod w1;
mod zigbee;
