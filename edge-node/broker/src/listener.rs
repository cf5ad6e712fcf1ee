//! Takes connections off listening sockets, as many as are allowed.
//!
//! Invariant: nothing that one client does keeps the next from being taken.

mod websocket;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

use crate::{
    connection::{Shared, serve},
    stats::Reason,
};

/// How long to wait when the system has no descriptor for one more connection.
const BREATH: Duration = Duration::from_millis(100);

/// What MQTT is carried by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Tcp,
    WebSocket,
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
            transport,
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
    match transport {
        Transport::Tcp => serve(shared, stream, peer, closing).await,
        Transport::WebSocket => {
            let opened = timeout(
                shared.config.connect_timeout,
                websocket::open(stream, shared.config.max_packet),
            );
            match opened.await {
                Ok(Ok(stream)) => serve(shared, stream, peer, closing).await,
                Ok(Err(error)) => {
                    shared.counters.refuse(Reason::Malformed);
                    tracing::info!(%peer, %error, "not a WebSocket for MQTT");
                }
                Err(_) => shared.counters.refuse(Reason::ConnectTimeout),
            }
        }
    }
    drop(counted);
    drop(place);
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
