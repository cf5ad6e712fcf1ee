//! The real router over a real database in a temporary folder.

mod access;
mod api;
mod client;
mod live;
mod pages;
mod seed;
