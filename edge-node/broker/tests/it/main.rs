//! The door over real sockets, with clients that others wrote and with bytes that nobody should send.

mod acks;
mod bytes;
mod clients;
mod raw;
mod sessions;
mod support;
mod websocket;
