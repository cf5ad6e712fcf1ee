//! Takes connections off listening sockets, as many as are allowed.
//!
//! Invariant: nothing that one client does keeps the next from being taken.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use crate::{
    connection::{Shared, serve},
    stats::Reason,
};

/// How long to wait when the system has no descriptor for one more connection.
const BREATH: Duration = Duration::from_millis(100);

/// Takes MQTT connections over TCP until the door closes.
pub(crate) async fn listen(
    listener: TcpListener,
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
            peer,
            Arc::clone(&shared),
            place,
            closing.clone(),
        ));
    }
}

async fn one(
    stream: TcpStream,
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
    serve(shared, stream, peer, closing).await;
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
