//! Serves the pages over HTTP/1.1 to as many clients as there is room for.
//!
//! A client that begins a request and does not finish its head, or keeps an idle connection, gives its place back. Invariant:
//! whatever clients do, they hold at most [`Bounds::places`] descriptors, so that the database and whatever else the program has
//! open have theirs.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_util::{io::InspectReader, sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// How long to wait when the system has no descriptor for one more connection.
const BREATH: Duration = Duration::from_millis(100);

/// What clients may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once.
    pub places: usize,
    /// Connections of one address at once; this machine's own may have all.
    pub per_peer: usize,
    /// Within this the head of a request must be complete, the wait for its first byte included.
    pub head: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            places: 1_024,
            per_peer: 64,
            head: Duration::from_secs(20),
        }
    }
}

/// Takes connections until `stop`, and ends when those that are open then have finished the answer that they are at.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: CancellationToken) {
    let (places, open) = (Places::new(bounds), TaskTracker::new());
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = stop.cancelled() => break,
        };
        match taken {
            Ok((stream, peer)) => {
                // Without a place the connection is closed at once: a browser tries again.
                if let Some(place) = places.take(peer.ip()) {
                    let (router, stop) = (router.clone(), stop.clone());
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY");
                    }
                    // Whatever becomes of the connection, a WebSocket too, has the place as long as it is open.
                    let stream = InspectReader::new(stream, move |_: &[u8]| {
                        let _held = &place;
                    });
                    open.spawn(one(stream, peer, router, bounds.head, stop));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection to the pages");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    open.close();
    open.wait().await;
}

async fn one(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    router: Router,
    head: Duration,
    stop: CancellationToken,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection to the pages broke");
    }
}

/// Who holds how many places.
#[derive(Clone)]
struct Places {
    bounds: Bounds,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// One place, given back when dropped.
struct Place {
    places: Places,
    peer: IpAddr,
}

impl Places {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            held: Arc::default(),
        }
    }

    fn take(&self, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = held.by_peer.get(&peer).copied().unwrap_or(0);
        if held.all >= self.bounds.places
            || (of_peer >= self.bounds.per_peer && !peer.is_loopback())
        {
            return None;
        }
        held.all += 1;
        held.by_peer.insert(peer, of_peer + 1);
        Some(Place {
            places: self.clone(),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let held = &self.places.held;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= 1;
        if let Some(n) = held.by_peer.get_mut(&self.peer) {
            *n -= 1;
            if *n == 0 {
                held.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    #[test]
    fn one_address_cannot_take_every_place() {
        let places = Places::new(Bounds {
            places: 4,
            per_peer: 2,
            ..Bounds::default()
        });
        let (one, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let held = [places.take(one), places.take(one)];
        assert!(held.iter().all(Option::is_some));
        assert!(places.take(one).is_none());
        let others = [places.take(other), places.take(other)];
        assert!(others.iter().all(Option::is_some));
        assert!(places.take([127, 0, 0, 1].into()).is_none(), "all are held");
        drop(held);
        assert!(places.take(one).is_some());
    }

    #[tokio::test]
    async fn a_client_that_dawdles_gives_its_place_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounds = Bounds {
            places: 1,
            head: Duration::from_millis(200),
            ..Bounds::default()
        };
        let router = Router::new().route("/", get(async || "pages"));
        tokio::spawn(serve(listener, router, bounds, CancellationToken::new()));

        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HT").await.unwrap();
        let mut said = Vec::new();
        tokio::time::timeout(DEADLINE, slow.read_to_end(&mut said))
            .await
            .expect("the connection is closed")
            .unwrap();
        assert!(answered(address).await.ends_with("pages"));
    }

    /// Asks in a new connection until that has a place; what comes back.
    async fn answered(address: SocketAddr) -> String {
        let answered = tokio::time::timeout(DEADLINE, async {
            loop {
                let said = ask(address).await;
                if !said.is_empty() {
                    return said;
                }
            }
        });
        answered.await.expect("its place is free again")
    }

    /// What comes back in a new connection: nothing when it has no place.
    async fn ask(address: SocketAddr) -> String {
        let mut quick = TcpStream::connect(address).await.unwrap();
        let ask = b"GET / HTTP/1.1\r\nhost: farm\r\nconnection: close\r\n\r\n";
        let mut said = String::new();
        let _ = quick.write_all(ask).await;
        let _ = quick.read_to_string(&mut said).await;
        said
    }

    #[tokio::test]
    async fn what_became_a_websocket_holds_its_place() {
        async fn talk(mut request: axum::extract::Request) -> axum::response::Response {
            let connection = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut connection = TokioIo::new(connection.await.unwrap());
                let mut said = Vec::new();
                connection.write_all(b"hello").await.unwrap();
                connection.read_to_end(&mut said).await.unwrap();
            });
            let switch = axum::http::Response::builder().status(101);
            let switch = switch
                .header("connection", "upgrade")
                .header("upgrade", "talk");
            switch.body(Body::empty()).unwrap()
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounds = Bounds {
            places: 1,
            ..Bounds::default()
        };
        let router = Router::new()
            .route("/", get(async || "pages"))
            .route("/talk", get(talk));
        tokio::spawn(serve(listener, router, bounds, CancellationToken::new()));

        let mut socket = TcpStream::connect(address).await.unwrap();
        let ask_up =
            b"GET /talk HTTP/1.1\r\nhost: farm\r\nconnection: upgrade\r\nupgrade: talk\r\n\r\n";
        socket.write_all(ask_up).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"hello") {
            assert_ne!(socket.read_buf(&mut said).await.unwrap(), 0);
        }
        assert_eq!(ask(address).await, "", "the only place is held");
        drop(socket);
        assert!(answered(address).await.ends_with("pages"));
    }
}
