//! Replicas with the real extension, and SQLite in memory in real files' stead; and a simulation of all of it in virtual time.

mod acts;
mod copies;
mod dice;
mod edge;
mod exchange;
mod facts;
mod farm;
mod keys;
mod merging;
mod month;
mod pace;
mod records;
mod sim;
mod wire;
