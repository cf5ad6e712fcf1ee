//! The door over real sockets, with clients that others wrote and with bytes that nobody should send.

mod acks;
mod bytes;
mod clients;
mod ends;
mod hostile;
mod lasting;
mod raw;
mod round_trips;
mod sessions;
mod standard;
mod support;
mod tls;
mod websocket;
