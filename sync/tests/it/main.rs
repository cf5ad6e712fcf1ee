//! Replicas with the real extension in real files' stead: SQLite in memory.

mod dice;
mod exchange;
mod facts;
mod farm;
mod keys;
mod merging;
mod records;
mod wire;
