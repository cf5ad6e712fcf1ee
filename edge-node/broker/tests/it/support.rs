//! A door on a free port of this machine, and a gate that a test holds in its hands.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use edge_broker::{
    BoxFuture, Change, Denied, Door, DoorConfig, Filter, Gate, Login, Permit, Publish, Reason,
    Refused, RetainLimit, Retained,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::timeout,
};

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
}

/// A publish that the gate was given; in manual mode it is durable when the test says so.
pub(crate) struct Taken {
    pub(crate) publish: Publish,
    verdict: Option<oneshot::Sender<Result<(), Refused>>>,
}

impl Taken {
    pub(crate) fn resolve(mut self, verdict: Result<(), Refused>) {
        let sender = self.verdict.take().expect("the gate is in manual mode");
        sender.send(verdict).expect("someone waits for the verdict");
    }
}

/// A gate that lets everyone but `mallory` in, `late` when the test says so, `passing` without a session that lasts, `everyone`
/// to every topic, `device` with two sessions and two retained values at most, and does what the test wants with publishes. Who
/// shows a certificate is who holds it, whatever it says.
pub(crate) struct FakeGate {
    /// `late` waits to be let in.
    pub(crate) asked: Notify,
    /// `late` may come in.
    pub(crate) late: Notify,
    manual: AtomicBool,
    taken: mpsc::UnboundedSender<Taken>,
    retained: Vec<Retained>,
    /// It panics at whatever it is told.
    broken: AtomicBool,
}

fn parsed<const N: usize>(filters: [&str; N]) -> Vec<Filter> {
    filters
        .map(|filter| filter.parse().expect("a filter"))
        .into()
}

fn filters() -> Vec<Filter> {
    parsed(["farm/#", "homeassistant/#"])
}

impl FakeGate {
    /// From now on it panics, or does so no more.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    fn break_down(&self) {
        assert!(!self.broken.load(Ordering::SeqCst), "the gate is broken");
    }
}

impl Gate for FakeGate {
    fn authenticate(&self, login: Login) -> BoxFuture<'_, Result<Permit, Denied>> {
        if login.user.as_deref() == Some("late") {
            return Box::pin(async {
                self.asked.notify_one();
                self.late.notified().await;
                Ok(Permit {
                    identity: Some("late".into()),
                    ..Permit::default()
                })
            });
        }
        let holder = login.certificate.as_ref().map(|_| Arc::from("holder"));
        let answer = match login.user.as_deref() {
            Some("mallory") => Err(Denied::BadCredentials),
            Some("banned") => Err(Denied::NotAuthorized),
            Some("everyone") => Ok(Permit {
                identity: None,
                max_session_expiry: None,
                publish: parsed(["#", "$SYS/#"]),
                subscribe: parsed(["#", "$SYS/#"]),
                ..Permit::default()
            }),
            Some("device") => Ok(Permit {
                identity: login.user,
                max_sessions: Some(2),
                max_retained: Some(RetainLimit {
                    values: 2,
                    bytes: 1_000,
                }),
                publish: parsed(["farm/mine/+", "farm/mine/#"]),
                subscribe: filters(),
                ..Permit::default()
            }),
            _ => Ok(Permit {
                max_session_expiry: (login.user.as_deref() == Some("passing")).then_some(0),
                identity: holder.or(login.user),
                publish: filters(),
                subscribe: filters(),
                ..Permit::default()
            }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn record(&self, _: Vec<Change>) -> BoxFuture<'static, Result<(), Refused>> {
        self.break_down();
        Box::pin(std::future::ready(Ok(())))
    }

    fn note(&self, _: Change) {
        self.break_down();
    }

    fn accept(&self, publish: Publish) -> BoxFuture<'static, Result<(), Refused>> {
        self.break_down();
        if !self.manual.load(Ordering::SeqCst) {
            let _ = self.taken.send(Taken {
                publish,
                verdict: None,
            });
            return Box::pin(std::future::ready(Ok(())));
        }
        let (verdict, answer) = oneshot::channel();
        let _ = self.taken.send(Taken {
            publish,
            verdict: Some(verdict),
        });
        Box::pin(async { answer.await.expect("the test decides about each publish") })
    }

    fn retained(&self) -> BoxFuture<'_, Vec<Retained>> {
        let values = self.retained.clone();
        Box::pin(std::future::ready(values))
    }
}

/// A door, its gate, and what the gate was given.
pub(crate) struct House {
    pub(crate) door: Door,
    pub(crate) gate: Arc<FakeGate>,
    pub(crate) taken: mpsc::UnboundedReceiver<Taken>,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(DoorConfig::default()).await
    }

    pub(crate) async fn open_with(config: DoorConfig) -> Self {
        Self::open_holding(config, Vec::new()).await
    }

    pub(crate) async fn open_holding(config: DoorConfig, retained: Vec<Retained>) -> Self {
        let (sender, taken) = mpsc::unbounded_channel();
        let gate = Arc::new(FakeGate {
            asked: Notify::new(),
            late: Notify::new(),
            manual: AtomicBool::new(false),
            taken: sender,
            retained,
            broken: AtomicBool::new(false),
        });
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = DoorConfig {
            listen: vec![any],
            websocket: vec![any],
            ..config
        };
        let door = Door::start(config, gate.clone())
            .await
            .expect("a free port");
        Self { door, gate, taken }
    }

    /// From now on the test decides when a publish is durable.
    pub(crate) fn hold(&self) {
        self.gate.manual.store(true, Ordering::SeqCst);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.door.addresses().tcp[0]
    }

    pub(crate) fn port(&self) -> u16 {
        self.address().port()
    }

    /// The next publish that the gate is given.
    pub(crate) async fn next(&mut self) -> Taken {
        soon("a publish at the gate", self.taken.recv())
            .await
            .expect("the gate lives")
    }

    pub(crate) fn refused(&self, reason: Reason) -> u64 {
        self.door.stats().refused.get(&reason).copied().unwrap_or(0)
    }

    /// Waits until the counters satisfy `condition`.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&edge_broker::Stats) -> bool) {
        soon(what, async {
            while !condition(&self.door.stats()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
