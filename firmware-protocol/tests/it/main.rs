//! The protocol from outside: laws, frozen frames.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;
mod json;
mod laws;
mod vectors;
mod windows;
