//! The door over real sockets, with clients that others wrote and with bytes that nobody should send.

mod acks;
mod bounds;
mod bytes;
mod clients;
mod ends;
mod hostile;
mod lasting;
mod owners;
mod raw;
mod round_trips;
mod sessions;
mod sharing;
mod standard;
mod support;
mod tls;
mod websocket;
