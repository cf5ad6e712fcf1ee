//! A dairy farm that is not there: readers, meters, probes and MQTT nodes that speak the real protocols.
//!
//! A pure simulation ([`sim`]) of cows, parlour, tanks and weather, seeded and free of clocks; encoders ([`wire`])
//! written from the devices' published layouts; devices that put them on pseudo-terminals, sockets and files
//! ([`device`]); and [`VirtualFarm`], which runs them all.
//! Invariant: nothing here depends on the edge or the farm library. What is under test cannot tell it from a farm, and
//! shares no code with it, but for `firmware-protocol`: a [`node`] is written with it, as a node's firmware in Rust would be.

pub mod device;
pub mod fault;
pub mod herd;
pub mod lactation;
pub mod node;
pub mod provision;
pub mod rng;
mod run;
pub mod sim;
pub mod wire;

pub use run::{Addresses, Options, Provision, VirtualFarm};
