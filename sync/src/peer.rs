//! The two sides of the line as state machines: they eat messages and a clock, and say what to send and what to ask of the store.
//!
//! [`Edge`] goes to the hub; [`Serving`] is one visit at the hub, [`Doorkeeper`] what the hub remembers of keys between visits. None of them
//! does I/O, so that a simulation drives them as the network does.

mod edge;
mod hub;
mod pace;

pub use edge::{ClockHint, Command, Edge, Input, Lane, LineFault, Manner, Status, Trouble};
pub use hub::{Doorkeeper, Next, PROTOCOLS, Served, Serving, other_protocol, refuse};
pub use pace::Pace;
