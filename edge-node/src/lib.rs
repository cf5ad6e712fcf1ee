//! The farm appliance: acquisition, milking, store, LAN web server, command line.
//!
//! This crate only puts together what the others are: [`app`] starts and stops them, `ingest` is the one way in for
//! whatever was observed, `gate` and `hardware` are what the door and the pages ask of this machine. Invariant: nothing
//! here blocks the async runtime, and nothing is acknowledged before it is on disk.

mod api_ingest;
pub mod app;
mod authority;
mod cli;
pub mod clock;
mod coap;
pub mod config;
mod control;
pub mod doctor;
mod feed;
mod figures;
mod gate;
mod hardware;
mod herd;
mod homeassistant;
mod hub;
pub mod ingest;
mod jobs;
mod logging;
mod mqtt;
mod names;
pub mod post;
pub mod sessions;
mod tasks;
mod updates;
mod wanted;

pub use cli::Cli;

/// The name under which it holds its data folder.
const PROGRAM: &str = "edge-node";
