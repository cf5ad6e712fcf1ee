//! What each of our programs has around it, whatever it does: the ends of its command line, a configuration file that says what
//! is wrong with it, a data folder that one process has at a time, a log, an order to end, pages served within bounds, and a look at
//! what commonly goes wrong.
//!
//! It knows neither farm nor hub.

pub mod cli;
pub mod config;
pub mod doctor;
mod ending;
pub mod front;
mod lock;
pub mod log;

pub use ending::{Asked, Until};
pub use lock::{DataLock, LockError, Runs, is_taken};
