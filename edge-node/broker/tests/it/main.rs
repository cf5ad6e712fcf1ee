//! The door over real sockets, with clients that others wrote and with bytes that nobody should send.

mod acks;
mod clients;
mod raw;
mod support;
