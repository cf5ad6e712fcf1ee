//! The MQTT front door: acknowledges a publish only when it is on disk.
//!
//! A [`Door`] ends every MQTT connection of the farm (3.1, 3.1.1 and 5): it frames and parses, asks a [`Gate`] who the
//! client is and what it may do, hands each publish to the gate, and acknowledges it only after the gate says that it is
//! durable. Subscriptions, retained values and fan-out are its own (`docs/decisions/2026-11-20-own-mqtt-fan-out.md` says why).
//!
//! Architecture invariant: no PUBACK or PUBREC leaves before [`Gate::accept`] resolved, and they leave in the order in
//! which the publishes arrived. Everything a client can make the door hold is bounded by [`DoorConfig`].
//!
//! What this version decides, where the standard leaves room:
//! - Sessions end with their connection: CONNACK says so (session present 0, session expiry 0).
//! - QoS 2 from publishers is the full handshake, exactly once per connection; subscribers are granted QoS 1 at most.
//! - A publish that is not allowed, or that the gate refuses, gets a reason code and text in MQTT 5; MQTT 3.1.1 has no such
//!   answer, so the connection is closed. At QoS 0 a forbidden topic closes the connection in both.
//! - [`Door::end`] ends the connections of somebody who is not let in any more, without their wills.
//! - Shared subscriptions, subscription identifiers, topic aliases towards the door and enhanced authentication are
//!   declared unavailable.

mod acks;
mod acl;
mod codec;
mod config;
mod connection;
mod door;
mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod listener;
mod message;
mod router;
mod rules;
mod stats;

pub use acl::{Filter, InvalidFilter, Permit};
pub use config::DoorConfig;
pub use door::{Addresses, Door, Retain};
pub use gate::{BoxFuture, Denied, Gate, Login, Publish, Refused, RefusedKind, Retained};
pub use message::Qos;
pub use rules::InvalidTopic;
pub use stats::{Reason, Stats};
