//! What the decoders promise, seen from outside.

mod rfid;
mod rfid_laws;
