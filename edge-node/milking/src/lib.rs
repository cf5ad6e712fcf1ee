//! The milking engine: joins stall identity and milk flow into milking visits, no I/O.
