//! The hub: accounts and farms from afar.
//!
//! This crate puts the parts together: the database ([`hub_store`]), who may do what ([`hub_accounts`]), and the pages.
//! Invariants: every route says in one table who may use it, and what is not in the table is refused to all; which farm a
//! request may touch is settled in one place, before any handler runs; nothing here blocks the async runtime.

mod api;
pub mod app;
mod cli;
pub mod config;
mod doctor;
mod farms;
mod house;
mod pages;
mod sync;
mod web;

pub use cli::Cli;
pub use farms::Farms;
pub use house::tidy;
pub use web::{Hub, Needs, Options, RouteEntry, route_table, router};
