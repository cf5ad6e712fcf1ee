//! The door as a whole: opens its sockets, speaks for the appliance, closes.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::DoorConfig,
    connection::Shared,
    gate::Gate,
    listener::{Transport, listen},
    message::{Message, Qos},
    router::{self, Router},
    rules::{InvalidTopic, check_topic},
    stats::{Counters, Stats},
};

/// Where the door listens, with the ports that the system chose.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// MQTT over TCP.
    pub tcp: Vec<SocketAddr>,
    /// MQTT over WebSocket.
    pub websocket: Vec<SocketAddr>,
    /// MQTT over TLS.
    pub tls: Vec<SocketAddr>,
}

/// The open door. Dropping it closes it without waiting.
pub struct Door {
    shared: Arc<Shared>,
    addresses: Addresses,
    places: Arc<Semaphore>,
    listeners: Vec<JoinHandle<()>>,
    closing: watch::Sender<bool>,
}

impl Door {
    /// Opens the door: loads sessions and retained values from the gate, then listens.
    ///
    /// # Errors
    /// If an address cannot be listened on; the message names it. If there are addresses for TLS and no configuration of it.
    pub async fn start(config: DoorConfig, gate: Arc<dyn Gate>) -> io::Result<Self> {
        let mut sockets = Vec::new();
        let mut addresses = Addresses::default();
        for &address in &config.listen {
            let socket = bind(address).await?;
            addresses.tcp.push(socket.local_addr()?);
            sockets.push((socket, Transport::Tcp));
        }
        for &address in &config.websocket {
            let socket = bind(address).await?;
            addresses.websocket.push(socket.local_addr()?);
            sockets.push((socket, Transport::WebSocket));
        }
        for &address in &config.tls {
            let acceptor = tls_acceptor(&config)?;
            let socket = bind(address).await?;
            addresses.tls.push(socket.local_addr()?);
            sockets.push((socket, Transport::Tls(acceptor)));
        }
        let counters = Arc::new(Counters::default());
        let (retained, stored) = (gate.retained().await, gate.sessions().await);
        let (router, steps) = Router::new(
            &config,
            Arc::clone(&counters),
            Arc::clone(&gate),
            retained,
            stored,
        );
        let router = Arc::new(router);
        // Both end when the last connection and the door have let go of the router.
        tokio::spawn(router::run(steps, Arc::downgrade(&router)));
        tokio::spawn(router::keep_time(Arc::downgrade(&router)));
        let places = Arc::new(Semaphore::new(config.max_connections));
        let shared = Arc::new(Shared {
            room: Arc::new(Semaphore::new(config.total_window_bytes)),
            config,
            gate,
            router,
            counters,
        });
        let (closing, listens) = watch::channel(false);
        let listeners = sockets
            .into_iter()
            .map(|(socket, transport)| {
                let listening = listen(
                    socket,
                    transport,
                    Arc::clone(&shared),
                    Arc::clone(&places),
                    listens.clone(),
                );
                tokio::spawn(listening)
            })
            .collect();
        Ok(Self {
            shared,
            addresses,
            places,
            listeners,
            closing,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Publishes a message of the appliance itself, at QoS 1; with `Retain::Yes` an empty payload clears the topic.
    ///
    /// # Errors
    /// If `topic` is not one that can be published to.
    pub fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
        retain: Retain,
    ) -> Result<(), InvalidTopic> {
        self.publish_own(topic, payload.into(), retain, None)
    }

    /// [`Door::publish`] of what is worth nothing after a while: a session that is away for longer does not get it.
    ///
    /// # Errors
    /// If `topic` is not one that can be published to.
    pub fn publish_for(
        &self,
        lasts: Duration,
        topic: &str,
        payload: impl Into<Bytes>,
    ) -> Result<(), InvalidTopic> {
        let ends = Instant::now() + lasts;
        self.publish_own(topic, payload.into(), Retain::No, Some(ends))
    }

    fn publish_own(
        &self,
        topic: &str,
        payload: Bytes,
        retain: Retain,
        expires: Option<Instant>,
    ) -> Result<(), InvalidTopic> {
        check_topic(topic)?;
        self.shared.router.publish_own(Message {
            topic: topic.into(),
            payload,
            qos: Qos::AtLeastOnce,
            retain: retain == Retain::Yes,
            properties: None,
            expires,
        });
        Ok(())
    }

    /// Ends every connection of `identity` ([`Permit::identity`](crate::Permit::identity)), and whoever entered as it but is
    /// not served yet; says how many connections that is. Their wills are not published: what gave them the right to is gone.
    /// Whoever logs in afterwards is asked by the gate as always.
    pub fn end(&self, identity: &str) -> usize {
        self.shared.router.end(identity)
    }

    /// The counters now.
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot(self.shared.router.kept())
    }

    /// Closes the door: no new connections; each client gets the acknowledgements that are due, then is sent away.
    pub async fn shutdown(self) {
        self.closing.send_replace(true);
        for listener in self.listeners {
            // A listener that panicked is closed too.
            let _ = listener.await;
        }
        let all = u32::try_from(self.shared.config.max_connections).unwrap_or(u32::MAX);
        let patience = self.shared.config.drain_timeout + Duration::from_secs(2);
        if timeout(patience, self.places.acquire_many(all))
            .await
            .is_err()
        {
            tracing::warn!("some MQTT connections did not end in time");
        }
    }
}

/// Whether a message becomes its topic's retained value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retain {
    /// It does.
    Yes,
    /// It does not.
    No,
}

fn tls_acceptor(config: &DoorConfig) -> io::Result<TlsAcceptor> {
    let Some(tls) = &config.tls_config else {
        let text = "MQTT over TLS has addresses and no certificate";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    Ok(TlsAcceptor::from(Arc::clone(tls)))
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen for MQTT on {address}: {error}"),
        )
    })
}
