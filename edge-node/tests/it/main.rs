//! The appliance over real files: its pipeline, its command line, its doctor.

#![expect(
    clippy::unwrap_used,
    reason = "the lint's exception covers test functions, not their helpers"
)]

mod cli;
mod client;
mod coap;
mod credentials;
mod doctor;
mod door;
mod faults;
mod inputs;
mod machine;
mod milking;
mod node;
mod nodes;
mod numbers;
mod rig;
mod speakers;
mod topics;
