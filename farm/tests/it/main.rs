//! The farm over real SQLite files in temporary folders.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests: at once and with the line"
)]

mod adopt;
mod auth;
mod credentials;
mod doubtful;
mod events;
mod heat;
mod herd;
mod holds;
mod joins;
mod milk;
mod mqtt;
mod plans;
mod power;
mod replica;
mod retention;
mod silence;
mod store;
mod support;
mod versions;
mod watch;
