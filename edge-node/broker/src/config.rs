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
    /// The same in bytes of payload.
    pub window_bytes: usize,
    /// Filters one connection may subscribe to.
    pub max_subscriptions: usize,
    /// Messages that may wait for one subscriber: beyond it QoS 0 is dropped, and QoS 1 closes the connection.
    pub queue: usize,
    /// The same in bytes of payload.
    pub queue_bytes: usize,
    /// QoS 1 messages sent to one subscriber and not yet acknowledged.
    pub in_flight: u16,
    /// Retained values kept, by topic.
    pub max_retained: usize,
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
            queue: 1_000,
            queue_bytes: 256 * 1024,
            in_flight: 100,
            max_retained: 10_000,
        }
    }
}
