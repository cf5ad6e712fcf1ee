//! A small hub with one farm, and appliances that know its address.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use sync::{
    Farms, Site, Store,
    claim::ClaimCode,
    exchange,
    farms::{Holder, Visit},
    keys::{PublicKey, SecretKey},
    peer::{ClockHint, Manner},
    store::{Fault, Turn, Turned},
    wire::{Claim, PROTOCOL, Part, Refusal, Welcome},
};
use sync_http::{
    agent::{Agent, Handle, Keeper},
    client::Client,
    endpoint,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::farm::Farm;

/// Long enough for a machine that does much else; nothing here waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(60);

/// Bytes of parts that are much to bring.
pub(crate) const MUCH: usize = 64 * 1024;

/// A farm's file that several tasks share.
#[derive(Clone)]
pub(crate) struct File {
    farm: Arc<Mutex<Farm>>,
    committed: Arc<watch::Sender<u64>>,
    /// Holds turns that bring much up while it is true.
    pub(crate) slow: Arc<watch::Sender<bool>>,
    /// How many of those there are now, and were at most.
    pub(crate) heavy: Arc<watch::Sender<(usize, usize)>>,
}

impl File {
    pub(crate) fn new() -> Self {
        Self {
            farm: Arc::new(Mutex::new(Farm::new())),
            committed: Arc::new(watch::Sender::new(0)),
            slow: Arc::default(),
            heavy: Arc::default(),
        }
    }

    /// Holds up who brings much, as long as it is said.
    async fn hold_up(&self, turn: &Turn) {
        let parts = turn.take.iter().flat_map(|take| &take.parts);
        if parts.map(Part::weight).sum::<usize>() < MUCH {
            return;
        }
        self.heavy.send_modify(|(now, most)| {
            *now += 1;
            *most = (*most).max(*now);
        });
        let mut slow = self.slow.subscribe();
        slow.wait_for(|slow| !*slow).await.expect("it is ours");
        self.heavy.send_modify(|(now, _)| *now -= 1);
    }

    pub(crate) fn site(&self) -> Site {
        self.look(|farm| farm.site)
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&Farm) -> T) -> T {
        look(&self.farm.lock().expect("no test panics with it"))
    }

    pub(crate) fn write(&self, write: impl FnOnce(&Farm)) {
        self.look(write);
        self.committed.send_modify(|n| *n += 1);
    }

    /// All that stands in the file, what replication keeps of itself as well.
    pub(crate) fn picture(&self) -> String {
        let tables = [
            "animal",
            "stay",
            "milking",
            "sync_site",
            "sync_mark",
            "sync_offered",
            "sync_held",
            "animal__crsql_clock",
            "stay__crsql_clock",
        ];
        self.look(|farm| {
            let rows = |table| farm.rows(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3"));
            format!(
                "{:?}",
                tables.map(|table| if table == "sync_site" {
                    farm.rows("SELECT *, 0 FROM sync_site ORDER BY 1")
                } else {
                    rows(table)
                })
            )
        })
    }

    /// Resolves when somebody waits for its news.
    pub(crate) async fn until_awaited(&self) {
        let awaited = async {
            while self.committed.receiver_count() == 0 {
                tokio::task::yield_now().await;
            }
        };
        let awaited = tokio::time::timeout(DEADLINE, awaited);
        awaited.await.expect("somebody waits in time");
    }

    /// Resolves when this is true of the file.
    pub(crate) async fn until(&self, what: impl Fn(&Farm) -> bool) {
        let mut committed = self.committed.subscribe();
        tokio::time::timeout(DEADLINE, async {
            while !self.look(&what) {
                committed.changed().await.expect("the file is here");
            }
        })
        .await
        .expect("it comes true in time");
    }
}

impl Store for File {
    async fn turn(&self, turn: Turn) -> Result<Turned, Fault> {
        self.hold_up(&turn).await;
        let takes = turn
            .take
            .as_ref()
            .is_some_and(|take| !take.parts.is_empty());
        let turned =
            self.look(|farm| farm.attempt(|conn| exchange::turn(conn, &farm.schema, &turn)))?;
        if takes {
            self.committed.send_modify(|n| *n += 1);
        }
        Ok(turned)
    }

    fn committed(&self) -> u64 {
        *self.committed.borrow()
    }

    async fn news(&self, seen: u64) {
        let mut committed = self.committed.subscribe();
        let _ = committed.wait_for(|n| *n > seen).await;
    }
}

/// All farms of the hub: one.
#[derive(Clone)]
pub(crate) struct Hub {
    pub(crate) file: File,
    pub(crate) holders: Arc<Mutex<HashMap<PublicKey, Holder<()>>>>,
    codes: Arc<Mutex<HashMap<String, Option<PublicKey>>>>,
    pub(crate) visits: Arc<watch::Sender<Vec<Visit>>>,
    pub(crate) closing: CancellationToken,
}

impl Farms for Hub {
    type Farm = ();
    type Store = File;

    async fn knows(&self, key: PublicKey) -> Result<(), Refusal> {
        let holders = self.holders.lock().expect("no test panics with it");
        match holders.get(&key) {
            None => Err(Refusal::UnknownKey),
            Some(holder) if holder.revoked => Err(Refusal::Revoked),
            Some(_) => Ok(()),
        }
    }

    async fn holder(&self, key: PublicKey) -> Result<Option<Holder<()>>, Refusal> {
        Ok(self
            .holders
            .lock()
            .expect("no test panics with it")
            .get(&key)
            .cloned())
    }

    async fn open(&self, (): &()) -> Result<File, Refusal> {
        Ok(self.file.clone())
    }

    async fn enrol(&self, key: PublicKey, claim: Claim) -> Result<Welcome, Refusal> {
        let code: ClaimCode = claim.code.parse().map_err(|_| Refusal::Code)?;
        let mut codes = self.codes.lock().expect("no test panics with it");
        let used = codes.get_mut(code.letters()).ok_or(Refusal::Code)?;
        if *used.get_or_insert(key) != key {
            return Err(Refusal::Code);
        }
        self.admit(key, claim.site);
        Ok(Welcome {
            farm: "Char Khamar".to_owned(),
            epoch: 0,
            now_ms: 0,
        })
    }

    async fn rotate(&self, key: PublicKey, next: PublicKey) -> Result<(), Refusal> {
        let mut holders = self.holders.lock().expect("no test panics with it");
        let mut holder = holders.get(&key).cloned().ok_or(Refusal::UnknownKey)?;
        holder.rotate = false;
        holders.insert(next, holder);
        Ok(())
    }

    async fn closing(&self) {
        self.closing.cancelled().await;
    }

    async fn heard(&self, (): &(), visit: Visit) {
        let mut holders = self.holders.lock().expect("no test panics with it");
        // A key ends when the one that follows it is used.
        for (key, holder) in holders.iter_mut() {
            holder.revoked |= holder.site == visit.site && *key != visit.key && holder.rotate;
        }
        self.visits.send_modify(|visits| visits.push(visit));
    }
}

impl Hub {
    /// Changes what the hub knows of a key.
    pub(crate) fn change(&self, key: &PublicKey, change: impl FnOnce(&mut Holder<()>)) {
        let mut holders = self.holders.lock().expect("no test panics with it");
        change(holders.get_mut(key).expect("the key is known"));
    }

    pub(crate) fn admit(&self, key: PublicKey, site: Site) {
        let holder = Holder {
            farm: (),
            site,
            revoked: false,
            rotate: false,
        };
        self.holders
            .lock()
            .expect("no test panics with it")
            .insert(key, holder);
    }

    pub(crate) fn code(&self) -> String {
        let code = ClaimCode::generate().expect("the system has random bytes");
        self.codes
            .lock()
            .expect("no test panics with it")
            .insert(code.letters().to_owned(), None);
        code.to_string()
    }
}

/// A hub that runs until it is dropped, and then ends as a killed process does: its connections as well.
pub(crate) struct Running {
    pub(crate) hub: Hub,
    pub(crate) client: Client,
    pub(crate) socket: SocketAddr,
    process: Option<Runtime>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown_background();
        }
    }
}

impl Running {
    pub(crate) async fn start() -> Self {
        let hub = Hub {
            file: File::new(),
            holders: Arc::default(),
            codes: Arc::default(),
            visits: Arc::new(watch::Sender::default()),
            closing: CancellationToken::new(),
        };
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        socket.set_nonblocking(true).expect("it can be asked");
        let bound = socket.local_addr().expect("it is bound");
        let hub_address = format!("http://{bound}");
        let router = endpoint::router(hub.clone());
        let process = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("the system has a thread");
        process.spawn(async move {
            // A socket belongs to the runtime that serves it.
            let socket = tokio::net::TcpListener::from_std(socket).expect("it does not block");
            axum::serve(socket, router).await.expect("it serves");
        });
        let client =
            Client::new(&hub_address.parse().expect("it is one"), &[]).expect("HTTP works");
        Self {
            hub,
            client,
            socket: bound,
            process: Some(process),
        }
    }

    /// Joins a new appliance and runs its agent.
    pub(crate) async fn join(&self) -> Appliance {
        let file = File::new();
        let key = SecretKey::generate().expect("the system has random bytes");
        let claim = claim(&file, self.hub.code());
        let welcome = self
            .client
            .enrol(&key, &claim)
            .await
            .expect("the code is good");
        assert_eq!(welcome.farm, "Char Khamar");
        let kept = Arc::new(watch::Sender::new(key.public()));
        let keeper = Kept(kept.clone());
        let manner = Manner::default();
        let (agent, handle) = Agent::new(file.clone(), keeper, self.client.clone(), key, manner, 7);
        let stop = CancellationToken::new();
        tokio::spawn(agent.run(stop.clone()));
        Appliance {
            file,
            handle,
            kept,
            _stop: stop.drop_guard(),
        }
    }
}

pub(crate) fn claim(file: &File, code: String) -> Claim {
    Claim {
        protocol: PROTOCOL,
        code,
        site: file.site(),
        schema: 1,
        name: "barn".to_owned(),
    }
}

/// An appliance whose agent runs until it is dropped.
pub(crate) struct Appliance {
    pub(crate) file: File,
    pub(crate) handle: Handle,
    pub(crate) kept: Arc<watch::Sender<PublicKey>>,
    _stop: DropGuard,
}

impl Appliance {
    /// Resolves when this is true of how it stands.
    pub(crate) async fn until(&self, what: impl FnMut(&sync::peer::Status) -> bool) {
        let mut status = self.handle.status();
        let waited = tokio::time::timeout(DEADLINE, status.wait_for(what)).await;
        waited
            .expect("it comes true in time")
            .expect("the agent runs");
    }
}

struct Kept(Arc<watch::Sender<PublicKey>>);

impl Keeper for Kept {
    async fn keep(&self, key: &SecretKey) -> io::Result<()> {
        self.0.send_replace(key.public());
        Ok(())
    }

    fn clock(&self, hint: ClockHint) {
        assert!(hint.within_ms > 0);
    }
}
