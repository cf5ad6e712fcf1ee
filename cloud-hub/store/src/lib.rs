//! The hub's database: straight-line commands, each in one transaction, many under one durable commit.
//!
//! [`Store`] is the handle. A command is a free function that takes a [`Tx`]; so is a query. SQL is written once, in the
//! subset that SQLite and PostgreSQL share: `$1` parameters, identities as text, moments and amounts as 64-bit integers,
//! `ON CONFLICT`, `RETURNING`, conditional `UPDATE` for whatever is scarce; no statement that fails is expected to leave its
//! transaction usable. The file is in the care of a `sqlite_store::Store`: one thread writes; a caller hears of success only when
//! its command is on disk; nothing here blocks the async runtime.

mod clock;
mod error;
mod schema;
mod store;
mod tx;
mod value;

pub use clock::{Clock, Micros, system_clock};
pub use error::{OpenError, StoreError};
pub use schema::Schema;
pub use sqlite_store::FileError;
pub use store::{Store, check};
pub use tx::Tx;
pub use value::{Column, Row, Value, ValueRef};
