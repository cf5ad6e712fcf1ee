//! Decoders, one per device dialect: bytes in, typed values out, no I/O.
