//! Pushes what one file lacks of another over loopback, with the appliance's agent and the hub's endpoint, and counts bytes and time.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sync::{
    Farms, Site, Store,
    farms::{Holder, Visit},
    keys::{PublicKey, SecretKey},
    peer::{ClockHint, Manner},
    store::Turn,
    wire::{Claim, Refusal, Welcome},
};
use sync_http::{
    agent::{Agent, Keeper},
    client::Client,
    endpoint,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

const DEADLINE: Duration = Duration::from_secs(300);

/// A hub with one farm, whose only appliance holds this key.
#[derive(Clone)]
struct Hub<S> {
    store: S,
    key: PublicKey,
    site: Site,
}

impl<S: Store> Farms for Hub<S> {
    type Farm = ();
    type Store = S;

    async fn knows(&self, key: PublicKey) -> Result<(), Refusal> {
        (key == self.key).then_some(()).ok_or(Refusal::UnknownKey)
    }

    async fn holder(&self, key: PublicKey) -> Result<Option<Holder<()>>, Refusal> {
        Ok((key == self.key).then_some(Holder {
            farm: (),
            site: self.site,
            revoked: false,
            rotate: false,
        }))
    }

    async fn open(&self, (): &()) -> Result<S, Refusal> {
        Ok(self.store.clone())
    }

    async fn enrol(&self, _: PublicKey, _: Claim) -> Result<Welcome, Refusal> {
        Err(Refusal::Code)
    }

    async fn rotate(&self, _: PublicKey, _: PublicKey) -> Result<(), Refusal> {
        Err(Refusal::UnknownKey)
    }

    async fn heard(&self, (): &(), _: Visit) {}
}

struct NoKeeper;

impl Keeper for NoKeeper {
    async fn keep(&self, _: &SecretKey) -> io::Result<()> {
        Ok(())
    }

    fn clock(&self, _: ClockHint) {}
}

/// How the line is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// TCP alone: for what two files can do.
    Plain,
    /// TLS 1.3 in TCP, as an appliance reaches a hub: for bytes.
    Tls,
}

/// What one push took.
pub(crate) struct Push {
    /// In TCP, both ways, from the connection's first byte to its last.
    pub(crate) bytes: u64,
    /// Until the other side held everything on disk.
    pub(crate) took: Duration,
}

/// Pushes all that `edge` has of its own, over a new connection.
pub(crate) async fn push<S: Store>(edge: &S, hub: &S, made: Made) -> anyhow::Result<Push> {
    let site = edge.turn(Turn::default()).await?.me.site;
    let key = SecretKey::generate()?;
    let line = Line::to(
        Hub {
            store: hub.clone(),
            key: key.public(),
            site,
        },
        made,
    )
    .await?;
    let client = Client::new(&line.address.parse()?, &line.certificates)?;
    let manner = Manner::Visit { every_s: 3_600 };
    let (agent, handle) = Agent::new(edge.clone(), NoKeeper, client, key, manner, 1);
    let ended = CancellationToken::new();
    let began = Instant::now();
    let running = tokio::spawn(agent.run(ended.clone()));
    holds_all_of(hub, edge, site).await?;
    let took = began.elapsed();
    let mut status = handle.status();
    status
        .wait_for(|status| status.current && status.waiting == 0)
        .await?;
    ended.cancel();
    running.await?;
    drop(handle);
    let bytes = line.end().await?;
    ensure!(bytes > 0, "nothing went over the line");
    Ok(Push { bytes, took })
}

/// Waits until a file holds all that another one says of itself.
async fn holds_all_of<S: Store>(hub: &S, edge: &S, site: Site) -> anyhow::Result<()> {
    let heads = edge.turn(Turn::default()).await?.heads;
    let wait = async {
        loop {
            let seen = hub.committed();
            let held = hub.turn(Turn::default()).await?.holdings;
            let holds = |stream: &str, upto| {
                held.iter().any(|have| {
                    have.stream.site == site && have.stream.name == stream && have.mark.upto >= upto
                })
            };
            if heads.iter().all(|head| holds(&head.stream, head.upto)) {
                return anyhow::Ok(());
            }
            hub.news(seen).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait)
        .await
        .context("the hub did not receive it in time")?
}

/// A hub on a port of its own, and a counter of bytes before it.
struct Line {
    address: String,
    certificates: Vec<CertificateDer<'static>>,
    counted: Arc<AtomicU64>,
    counting: tokio::task::JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Line {
    async fn to<S: Store>(hub: Hub<S>, made: Made) -> anyhow::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let mut behind = socket.local_addr()?;
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let served = axum::serve(socket, endpoint::router(hub));
        tokio::spawn(stop.clone().run_until_cancelled_owned(served.into_future()));
        let mut certificates = Vec::new();
        if made == Made::Tls {
            let (door, certificate) = tls(behind, stop.clone()).await?;
            behind = door;
            certificates.push(certificate);
        }
        let counter = TcpListener::bind("127.0.0.1:0").await?;
        let port = counter.local_addr()?.port();
        let counted = Arc::new(AtomicU64::new(0));
        Ok(Self {
            address: match made {
                Made::Plain => format!("http://127.0.0.1:{port}"),
                Made::Tls => format!("https://localhost:{port}"),
            },
            certificates,
            counting: tokio::spawn(count(counter, behind, Arc::clone(&counted), stop.clone())),
            counted,
            stop,
            _stop: guard,
        })
    }

    /// Ends it; how many bytes went over it.
    async fn end(self) -> anyhow::Result<u64> {
        self.stop.cancel();
        self.counting.await??;
        Ok(self.counted.load(Ordering::Relaxed))
    }
}

async fn count(
    counter: TcpListener,
    behind: SocketAddr,
    counted: Arc<AtomicU64>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut lines = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(counter.accept()).await {
        let (mut near, _) = accepted?;
        let mut far = TcpStream::connect(behind).await?;
        let counted = Arc::clone(&counted);
        lines.spawn(async move {
            let passed = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            if let Ok((up, down)) = passed {
                counted.fetch_add(up + down, Ordering::Relaxed);
            }
        });
    }
    while lines.join_next().await.is_some() {}
    Ok(())
}

/// A door that ends TLS, as a hub's proxy does, with a certificate of its own.
async fn tls(
    behind: SocketAddr,
    stop: CancellationToken,
) -> anyhow::Result<(SocketAddr, CertificateDer<'static>)> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let door = socket.local_addr()?;
    let serve = async move {
        while let Ok((line, _)) = socket.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut near = acceptor.accept(line).await?;
                let mut far = TcpStream::connect(behind).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    };
    tokio::spawn(stop.run_until_cancelled_owned(serve));
    Ok((door, cert.der().clone()))
}
