//! What each of our programs has around it, whatever it does: a configuration file that says what is wrong with it, a data
//! folder that one process has at a time, a log, and an order to end.
//!
//! It knows neither farm nor hub.

pub mod config;
mod ending;
mod lock;
pub mod log;

pub use ending::{Asked, Until};
pub use lock::{DataLock, LockError, is_taken};
