//! The MQTT front door: acknowledges a publish only when it is on disk.
//!
//! A [`Door`] ends every MQTT connection of the farm (3.1, 3.1.1 and 5): it frames and parses, asks a [`Gate`] who the
//! client is and what it may do, hands each publish to the gate, and acknowledges it only after the gate says that it is
//! durable. Subscriptions, retained values and fan-out are its own (`docs/decisions/2026-11-20-own-mqtt-fan-out.md` says why).
//!
//! Architecture invariant: no PUBACK, PUBREC or SUBACK leaves before the gate has resolved what it stands for, and they leave in
//! the order in which the packets arrived. Everything a client can make the door hold is bounded by [`DoorConfig`].
//!
//! A session may outlive its connection: its subscriptions, what it has not acknowledged and what it has published at QoS 2 are
//! handed to the gate as [`Change`]s, a message together with its [`Letter`], so that one commit holds both. Sessions that end
//! with their connection cost the gate nothing.
//!
//! What this version decides, where the standard leaves room:
//! - A publish that is not allowed, or that the gate refuses, gets a reason code and text in MQTT 5; MQTT 3.1.1 has no such
//!   answer, so the connection is closed. At QoS 0 a forbidden topic closes the connection in both.
//! - [`Door::end`] ends the connections of somebody who is not let in any more, without their wills.
//! - Several subscriptions of one client that match give one message, at the best of their qualities, with all identifiers.
//! - QoS 0 messages do not wait for a client that is away.
//! - Shared subscriptions are open to MQTT 3.1.1, too.
//! - Enhanced authentication is declared unavailable.

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
mod lasting;
mod listener;
mod message;
mod router;
mod rules;
mod stats;

pub use acl::{Filter, InvalidFilter, Permit, RetainLimit};
pub use config::DoorConfig;
pub use door::{Addresses, Door, Retain};
pub use gate::{
    BoxFuture, Carrier, Denied, Entrant, Gate, Login, Proof, Publish, Refused, RefusedKind,
    Retained, Stay,
};
pub use lasting::{Addressee, Change, Letter, Options, RetainedAtSubscribe, Stored, StoredSession};
pub use message::Qos;
pub use rules::InvalidTopic;
pub use stats::{Reason, Stats};
