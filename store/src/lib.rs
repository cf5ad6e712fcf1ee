//! One SQLite file: a thread that writes it, commands in groups under one durable commit, and a pool of readers.
//!
//! [`Store`] is the handle; whoever owns the file says as its [`Keeper`] what a command works with and what goes with a commit.
//! This crate knows no table. Invariants: one thread writes; a caller hears of success only when its command is on disk;
//! nothing here blocks the async runtime.

mod error;
pub mod file;
mod readers;
mod store;
mod writer;

pub use error::FileError;
pub use store::{Limits, Store};
pub use writer::{Keeper, Room, checkpoint};
