//! What the door is told at start: where to listen, and a bound for everything a client can make it hold.

use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Where the door listens and what it allows.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// Addresses for MQTT over TCP, 1883 by the standard.
    pub listen: Vec<SocketAddr>,
    /// Addresses for MQTT over WebSocket.
    pub websocket: Vec<SocketAddr>,
    /// Addresses for MQTT over TLS, 8883 by the standard; they need [`DoorConfig::tls_config`].
    pub tls: Vec<SocketAddr>,
    /// Certificates, versions, and which client certificates are taken. What must change while the door is open (a renewed
    /// certificate) changes inside its resolver.
    pub tls_config: Option<Arc<rustls::ServerConfig>>,
    /// Largest packet taken from a client, in bytes.
    pub max_packet: usize,
    /// Connections at once, those not yet logged in included.
    pub max_connections: usize,
    /// Within this a new connection must have sent its CONNECT; a TLS or WebSocket handshake has as long before it.
    pub connect_timeout: Duration,
    /// Within this a packet that has begun must be complete.
    pub packet_timeout: Duration,
    /// Within this the gate must have answered a log-in.
    pub login_timeout: Duration,
    /// How long a connection that has ended waits for its publishes to become durable.
    pub drain_timeout: Duration,
    /// Publishes of one connection that may wait for the gate; MQTT 5 clients are told as Receive Maximum.
    pub window: u16,
    /// The same in bytes.
    pub window_bytes: usize,
    /// Filters one connection may subscribe to.
    pub max_subscriptions: usize,
    /// The same in bytes for all connections together: those that would exceed it are not read meanwhile.
    pub total_window_bytes: usize,
    /// Messages that may wait for one subscriber. Beyond it QoS 0 is dropped; at QoS 1 and 2 a session that ends with its
    /// connection is ended, and one that lasts loses its oldest messages.
    pub queue: usize,
    /// The same in bytes.
    pub queue_bytes: usize,
    /// The same in bytes for all subscribers together: beyond it the one for whom most waits gives way by the same rule.
    pub total_queue_bytes: usize,
    /// QoS 1 and 2 messages sent to one subscriber and not yet acknowledged.
    pub in_flight: u16,
    /// Retained values kept, by topic.
    pub max_retained: usize,
    /// The same in bytes.
    pub max_retained_bytes: usize,
    /// Sessions that outlive their connection: beyond it the one that has been away longest is ended.
    pub max_sessions: usize,
    /// How long a session lasts after its connection, at most, in seconds.
    pub max_session_expiry: u32,
    /// Keep-alive that MQTT 5 clients are held to if they ask for a longer one, in seconds; none lets them choose.
    pub max_keep_alive: Option<u16>,
    /// Topic aliases that an MQTT 5 client may set, and that are set towards it at most.
    pub topic_aliases: u16,
    /// Where clients that ask for it may listen for responses: they are told this topic with their identifier behind it, if they
    /// may subscribe there.
    pub response_topic: Option<String>,
}

impl Default for DoorConfig {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            websocket: Vec::new(),
            tls: Vec::new(),
            tls_config: None,
            max_packet: 256 * 1024,
            max_connections: 500,
            connect_timeout: Duration::from_secs(5),
            packet_timeout: Duration::from_secs(30),
            login_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            window: 512,
            window_bytes: 256 * 1024,
            max_subscriptions: 200,
            total_window_bytes: 16 * 1024 * 1024,
            queue: 1_000,
            queue_bytes: 256 * 1024,
            total_queue_bytes: 16 * 1024 * 1024,
            in_flight: 100,
            max_retained: 10_000,
            max_retained_bytes: 16 * 1024 * 1024,
            max_sessions: 1_000,
            max_session_expiry: 7 * 24 * 3_600,
            max_keep_alive: None,
            topic_aliases: 32,
            response_topic: None,
        }
    }
}
