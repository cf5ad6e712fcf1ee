//! Takes connections off listening sockets, as many as are allowed.
//!
//! Invariant: nothing that one client does keeps the next from being taken.

mod tls;
mod websocket;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    connection::{Peer, Shared, serve},
    gate::Carrier,
    stats::Reason,
};

/// How long to wait when the system has no descriptor for one more connection.
const BREATH: Duration = Duration::from_millis(100);
/// After this silence the system asks whether a peer is still there.
const PROBE_AFTER: Duration = Duration::from_secs(120);
/// And asks again, nine times by default, before it gives the peer up.
const PROBE_EVERY: Duration = Duration::from_secs(20);

/// What MQTT is carried by.
#[derive(Clone)]
pub(crate) enum Transport {
    Tcp,
    WebSocket,
    Tls(TlsAcceptor),
}

/// Takes connections until the door closes.
pub(crate) async fn listen(
    listener: TcpListener,
    transport: Transport,
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    mut closing: watch::Receiver<bool>,
) {
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            _ = closing.wait_for(|&closing| closing) => return,
        };
        let (stream, peer) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "cannot take an MQTT connection");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            shared.counters.refuse(Reason::TooManyConnections);
            continue;
        };
        tokio::spawn(one(
            stream,
            transport.clone(),
            peer,
            Arc::clone(&shared),
            place,
            closing.clone(),
        ));
    }
}

async fn one(
    stream: TcpStream,
    transport: Transport,
    peer: SocketAddr,
    shared: Arc<Shared>,
    place: OwnedSemaphorePermit,
    closing: watch::Receiver<bool>,
) {
    let counted = Counted::new(Arc::clone(&shared));
    // An acknowledgement is a few bytes that someone waits for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    // A client with keep-alive 0 that lost its power is noticed by the system, not by MQTT.
    if let Err(error) = probe_silent_peer(&stream) {
        tracing::debug!(%error, "TCP keep-alive");
    }
    let plain = Peer {
        address: peer,
        carrier: match transport {
            Transport::Tcp => Carrier::Tcp,
            Transport::Tls(_) => Carrier::Tls,
            Transport::WebSocket => Carrier::WebSocket,
        },
        certificate: None,
    };
    // A task is as large as its largest part, for as long as it lives: what few need lies beside it.
    match transport {
        Transport::Tcp => serve(shared, stream, plain, closing).await,
        Transport::Tls(acceptor) => {
            Box::pin(over_tls(shared, stream, &acceptor, plain, closing)).await;
        }
        Transport::WebSocket => Box::pin(over_websocket(shared, stream, plain, closing)).await,
    }
    drop(counted);
    drop(place);
}

async fn over_tls(
    shared: Arc<Shared>,
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    plain: Peer,
    closing: watch::Receiver<bool>,
) {
    let opened = timeout(shared.config.connect_timeout, tls::open(acceptor, stream)).await;
    match opened {
        Ok(Ok((stream, certificate))) => {
            let peer = Peer {
                certificate,
                ..plain
            };
            serve(shared, stream, peer, closing).await;
        }
        Ok(Err(error)) => {
            shared.counters.refuse(Reason::Tls);
            tracing::info!(peer = %plain.address, %error, "TLS handshake for MQTT failed");
        }
        Err(_) => shared.counters.refuse(Reason::ConnectTimeout),
    }
}

async fn over_websocket(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: Peer,
    closing: watch::Receiver<bool>,
) {
    let opening = websocket::open(stream, shared.config.max_packet);
    match timeout(shared.config.connect_timeout, opening).await {
        Ok(Ok(stream)) => serve(shared, stream, peer, closing).await,
        Ok(Err(error)) => {
            shared.counters.refuse(Reason::Malformed);
            tracing::info!(peer = %peer.address, %error, "not a WebSocket for MQTT");
        }
        Err(_) => shared.counters.refuse(Reason::ConnectTimeout),
    }
}

fn probe_silent_peer(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)
}

/// Counts a connection for as long as it lives, a panic included.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: Arc<Shared>) -> Self {
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
