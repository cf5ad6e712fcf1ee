//! What a store keeps of sessions that outlive their connection, in terms that any store understands.
//!
//! A message is kept once, as a [`Letter`], with an [`Addressee`] for each session that is to be sent it. Its packet identifier is chosen
//! then, not when it is sent: so what was sent before a crash is sent again under the same identifier after it, and nothing
//! need be written at the sending.

use std::sync::Arc;

use bytes::Bytes;

use crate::message::Qos;

/// A change of what is kept of sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A client has come; its session is new, or goes on under new conditions.
    Began {
        /// The session's number.
        session: u64,
        /// Whose it is.
        client_id: Arc<str>,
        /// The user it logged in as.
        user: Option<Arc<str>>,
        /// Seconds it lasts after its connection.
        expiry_s: u32,
    },
    /// Its connection has ended.
    Left {
        /// The session's number.
        session: u64,
        /// Seconds it lasts from now.
        expiry_s: u32,
        /// The number of the newest message that it was sent.
        sent_to: u64,
    },
    /// It is over, with all that belongs to it.
    Ended {
        /// The session's number.
        session: u64,
    },
    /// It subscribes, or subscribes otherwise to what it has.
    Subscribed {
        /// The session's number.
        session: u64,
        /// The filter, `$share/group/` included.
        filter: Arc<str>,
        /// How it wants its messages.
        options: Options,
    },
    /// It subscribes no longer.
    Unsubscribed {
        /// The session's number.
        session: u64,
        /// The filter.
        filter: Arc<str>,
    },
    /// A message waits for sessions.
    Posted(Letter),
    /// The client has it but not yet the last word on it (QoS 2): from now on PUBREL is what it is sent.
    Received {
        /// The session's number.
        session: u64,
        /// The letter's number.
        letter: u64,
        /// The packet identifier.
        pid: u16,
    },
    /// It needs a letter no more.
    Done {
        /// The session's number.
        session: u64,
        /// The letter's number.
        letter: u64,
        /// The packet identifier.
        pid: u16,
    },
    /// It has published under this identifier at QoS 2, and may send the same again.
    Accepted {
        /// The session's number.
        session: u64,
        /// The packet identifier.
        pid: u16,
    },
    /// It will not.
    Released {
        /// The session's number.
        session: u64,
        /// The packet identifier.
        pid: u16,
    },
}

/// A message that is kept for sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Its number; a later one has a higher.
    pub number: u64,
    /// Topic.
    pub topic: Arc<str>,
    /// Payload.
    pub payload: Bytes,
    /// What an MQTT 5 publisher said besides, as the properties of a PUBLISH are written; empty if nothing.
    pub properties: Bytes,
    /// Seconds for which it is worth delivering.
    pub expiry_s: Option<u32>,
    /// For whom.
    pub addressees: Vec<Addressee>,
}

/// A session that a letter is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addressee {
    /// The session's number.
    pub session: u64,
    /// The packet identifier that it is sent under.
    pub pid: u16,
    /// QoS 1 or 2.
    pub qos: Qos,
    /// It is marked as retained.
    pub retain: bool,
    /// Identifiers of the subscriptions that it answers.
    pub ids: Vec<u32>,
    /// The client has it: PUBREL is what it is sent.
    pub received: bool,
}

/// How a subscription wants its messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Quality of service at most.
    pub qos: Qos,
    /// Not the client's own.
    pub no_local: bool,
    /// Marked as retained when published so.
    pub retain_as_published: bool,
    /// Which retained values it is sent at once.
    pub retained: RetainedAtSubscribe,
    /// The identifier that comes with each message.
    pub id: Option<u32>,
}

/// Which retained values a subscription is sent at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetainedAtSubscribe {
    /// All that match.
    Send,
    /// All that match, unless the subscription was there before.
    SendIfNew,
    /// None.
    Not,
}

/// All that a store has kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stored {
    /// The sessions.
    pub sessions: Vec<StoredSession>,
    /// Letters with those addressees that still need them.
    pub letters: Vec<Letter>,
    /// No number up to this one is given to a session or letter again.
    pub used_to: u64,
}

/// A session that has been kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSession {
    /// Its number.
    pub session: u64,
    /// Whose it is.
    pub client_id: Arc<str>,
    /// The user it logged in as.
    pub user: Option<Arc<str>>,
    /// Seconds for which it lasts if the client does not come.
    pub left_s: u32,
    /// The number of the newest message that it may have been sent.
    pub sent_to: u64,
    /// Its subscriptions.
    pub subscriptions: Vec<(Arc<str>, Options)>,
    /// Identifiers under which it has published at QoS 2 and may send the same again.
    pub accepted: Vec<u16>,
}
