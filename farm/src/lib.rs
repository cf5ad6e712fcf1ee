//! A dairy farm's records and facts: schema, commands, queries and rules over one SQLite file.
//!
//! [`Farm`] is the handle. Commands are free functions that take a [`Tx`] (`animals::register(tx, cmd)`), queries free
//! functions that take a connection (`animals::list(conn, &filter)`); rules are pure functions. Invariants: facts are only
//! appended, projections are derived from them; records keep the form that cell-by-cell merging needs; a value that is
//! missing is never 0.

pub mod adopt;
pub mod alerts;
pub mod animals;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod climate;
pub mod clock;
pub mod credentials;
pub mod curve;
pub mod devices;
pub mod events;
pub mod findings;
pub mod firmware;
mod hearing;
pub mod holds;
pub mod hub;
pub mod inbox;
pub mod joins;
pub mod live;
pub mod logins;
pub mod milkings;
pub mod mqtt;
pub mod nodes;
mod once;
pub mod places;
pub mod plan;
pub mod production;
pub mod pushed;
pub mod readings;
pub mod replica;
pub mod retained;
pub mod retention;
pub mod samples;
pub mod settings;
mod spans;
mod sql;
pub mod staff;
mod store;
pub mod text;
pub mod upkeep;
pub mod watch;
pub mod yields;

pub use clock::FarmClock;
pub use live::{JoinsRefused, Live, LiveValue, Origin};
pub use spans::Moment;
pub use sqlite_store::FileError;
pub use store::{
    Actor, Change, Event, EventLog, FactId, Farm, Follower, NotAFactId, OpenError, Options, Resume,
    StoreError, Tx,
};
