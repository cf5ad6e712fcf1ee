//! Counters: what came in, what went out, and what was turned away and why.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $key:literal,)*) => {
        /// Why something was turned away.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name used in metrics and logs.
            pub fn key(self) -> &'static str {
                match self { $(Self::$variant => $key,)* }
            }
        }
    };
}

reasons! {
    /// More connections than allowed.
    TooManyConnections = "too_many_connections",
    /// No CONNECT in time.
    ConnectTimeout = "connect_timeout",
    /// A TLS handshake that failed.
    Tls = "tls",
    /// User name, password or permission.
    Login = "login",
    /// Bytes that are not MQTT.
    Malformed = "malformed",
    /// MQTT that the standard forbids at that point.
    Protocol = "protocol",
    /// A packet beyond the limit.
    TooLarge = "too_large",
    /// A topic, filter or will that the client may not use.
    NotAuthorized = "not_authorized",
    /// A topic or filter too long, too deep or not a name.
    TopicInvalid = "topic_invalid",
    /// The gate refused a publish.
    Refused = "refused",
    /// QoS 0 publishes dropped because the gate was behind.
    Overload = "overload",
    /// Retained values or subscriptions beyond the limit.
    Quota = "quota",
    /// Nothing heard for one and a half times the keep-alive.
    KeepAlive = "keep_alive",
    /// A packet begun and not finished in time.
    PacketTimeout = "packet_timeout",
    /// A subscriber cut because it did not keep up with QoS 1.
    SlowSubscriber = "slow_subscriber",
    /// A message dropped on its way to a subscriber: at QoS 0 it did not keep up, at any it takes no packet so large or so old.
    DeliveryDropped = "delivery_dropped",
    /// A message dropped for a lasting session that had too many or too much: the oldest goes.
    QueueOverflow = "queue_overflow",
    /// A lasting session ended because there were too many: the one that was away longest.
    SessionDropped = "session_dropped",
    /// A connection ended by another with the same client identifier.
    TakenOver = "taken_over",
    /// A connection ended because its client is not let in any more.
    Ended = "ended",
}

/// A snapshot of the counters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Connections open now.
    pub connections: u64,
    /// Clients that have logged in since the start.
    pub logins: u64,
    /// Publishes made durable.
    pub accepted: u64,
    /// Messages sent to subscribers.
    pub delivered: u64,
    /// Subscriptions that stand now.
    pub subscriptions: u64,
    /// Sessions kept now whose clients are away.
    pub away: u64,
    /// Retained values kept now.
    pub retained: u64,
    /// Bytes of the messages that wait for subscribers now.
    pub queued_bytes: u64,
    /// What was turned away, by reason; reasons that never occurred are absent.
    pub refused: BTreeMap<Reason, u64>,
}

/// What the router holds now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) subscriptions: usize,
    pub(crate) away: usize,
    pub(crate) retained: usize,
    pub(crate) queued_bytes: usize,
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) logins: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) delivered: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
}

impl Counters {
    pub(crate) fn refuse(&self, reason: Reason) {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, kept: Kept) -> Stats {
        let refused = Reason::ALL
            .iter()
            .map(|&reason| {
                (
                    reason,
                    self.refused[reason as usize].load(Ordering::Relaxed),
                )
            })
            .filter(|&(_, count)| count > 0)
            .collect();
        Stats {
            connections: self.connections.load(Ordering::Relaxed),
            logins: self.logins.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            subscriptions: kept.subscriptions as u64,
            away: kept.away as u64,
            retained: kept.retained as u64,
            queued_bytes: kept.queued_bytes as u64,
            refused,
        }
    }
}
