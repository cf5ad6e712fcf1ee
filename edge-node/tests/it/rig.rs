//! A pipeline over a real file, with a clock that a test sets by hand.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use edge_acquire::Inbound;
use edge_node::{
    ingest::{Ingest, Intake, Pulse, Told, read_publish},
    post::Letter,
};
use farm::{
    Actor, Farm, Options, StoreError,
    alerts::{self, AlertKind},
    animals::{self, AnimalForm},
    devices::{self, DeviceForm},
    places::{self, PlaceForm},
    readings::IngestReport,
    text::{Name, Slug},
};
use farm_model::{
    AnimalId, AnimalStatus, Body, Clock, ClockQuality, DeviceId, DeviceKind, Link, Milli,
    Observation, PlaceId, PlaceKind, Quantity, Stamp, UnixMillis, place::PlaceDetails,
};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// 2026-11-20, 08:00 in Dhaka: within the usual morning session.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_140_000_000);
/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that moves only when told.
pub(crate) struct HandClock(Mutex<Stamp>);

impl HandClock {
    /// Time passes.
    pub(crate) fn pass(&self, seconds: i64) {
        let mut stamp = self.0.lock().unwrap();
        stamp.wall = stamp.wall.plus(seconds * 1000);
        stamp.mono += seconds as u64 * 1000;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Stamp {
        *self.0.lock().unwrap()
    }
}

/// A farm and the pipeline into it.
pub(crate) struct Rig {
    pub(crate) farm: Farm,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) intake: Intake,
    pub(crate) pulse: Pulse,
    /// Where drivers put what they hear.
    pub(crate) drivers: mpsc::Sender<Inbound>,
    /// What leaves for nodes.
    pub(crate) letters: mpsc::Receiver<Letter>,
    task: JoinHandle<Result<(), StoreError>>,
    stop: CancellationToken,
    dir: TempDir,
}

impl Rig {
    /// An empty farm at [`NOW`].
    pub(crate) fn start() -> Self {
        let clock = Arc::new(HandClock(Mutex::new(Stamp {
            wall: NOW,
            clock: ClockQuality::Synced,
            boot: 0,
            mono: 10_000,
        })));
        Self::open(tempfile::tempdir().unwrap(), clock)
    }

    fn open(dir: TempDir, clock: Arc<HandClock>) -> Self {
        let options = Options {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ..Options::default()
        };
        let farm = Farm::open(&dir.path().join("farm.db"), options).unwrap();
        let (drivers, inbound) = mpsc::channel(16);
        let (mut ingest, intake) =
            Ingest::new(farm.clone(), edge_milking::Config::default(), inbound);
        let letters = ingest.letters();
        let (pulse, stop) = (ingest.pulse(), CancellationToken::new());
        let task = tokio::spawn(ingest.run(stop.clone()));
        Self {
            farm,
            clock,
            intake,
            pulse,
            drivers,
            letters,
            task,
            stop,
            dir,
        }
    }

    /// The process dies here, and another goes on with the file.
    pub(crate) async fn killed(self) -> Self {
        let Self {
            farm,
            clock,
            task,
            dir,
            ..
        } = self;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        tokio::task::spawn_blocking(move || drop(farm))
            .await
            .unwrap();
        Self::open(dir, clock)
    }

    /// Asks the pipeline to end and waits until it has.
    pub(crate) async fn stop(self) -> Farm {
        self.stop.cancel();
        within(self.task).await.unwrap().unwrap();
        self.farm
    }

    pub(crate) async fn place(
        &self,
        kind: PlaceKind,
        slug: &str,
        details: PlaceDetails,
    ) -> PlaceId {
        let form = PlaceForm {
            kind,
            slug: Slug::new(slug).unwrap(),
            name: Name::new(slug).unwrap(),
            details,
        };
        let added = self
            .farm
            .write(Actor::System, move |tx| places::add(tx, &form));
        added.await.unwrap()
    }

    pub(crate) async fn device(&self, slug: &str, kind: DeviceKind, place: PlaceId) -> DeviceId {
        let form = DeviceForm {
            slug: Slug::new(slug).unwrap(),
            name: Name::new(slug).unwrap(),
            kind,
            link: Link::Http,
            place: Some(place),
            expect_every_s: None,
        };
        let added = self
            .farm
            .write(Actor::System, move |tx| devices::add(tx, &form));
        added.await.unwrap()
    }

    /// A cow in milk with this number and tag.
    pub(crate) async fn cow(&self, number: &str, tag: &str) -> AnimalId {
        let form = AnimalForm::new(Name::new(number).unwrap(), AnimalStatus::Lactating);
        let tag = tag.parse().unwrap();
        let added = self.farm.write(Actor::System, move |tx| {
            animals::register(tx, &form, Some(&tag), None)
        });
        added.await.unwrap()
    }

    pub(crate) fn observation(&self, device: DeviceId, body: Body) -> Observation {
        Observation {
            device,
            at: self.farm.clock().now(),
            body,
            raw: Vec::new(),
            key: None,
        }
    }

    /// Tells observations and waits until they are durable.
    pub(crate) async fn tell(&self, observations: Vec<Observation>) -> IngestReport {
        let told = observations.into_iter().map(Told::Observed).collect();
        within(self.intake.submit(told)).await.unwrap()
    }

    /// Publishes as an MQTT client would, and waits for the acknowledgement.
    pub(crate) async fn publish(
        &self,
        topic: &str,
        payload: impl AsRef<[u8]> + Send,
    ) -> IngestReport {
        let told = read_publish(topic, payload.as_ref(), self.farm.clock().now());
        within(self.intake.submit(told.into_iter().collect()))
            .await
            .unwrap()
    }

    /// The same as a device that has logged in.
    pub(crate) async fn publish_by(
        &self,
        device: DeviceId,
        topic: &str,
        payload: &str,
    ) -> IngestReport {
        let told = read_publish(topic, payload.as_bytes(), self.farm.clock().now());
        let told = told.map(|told| told.by(device));
        within(self.intake.submit(told.into_iter().collect()))
            .await
            .unwrap()
    }

    /// The time of the farm.
    pub(crate) fn now(&self) -> UnixMillis {
        self.farm.clock().now().wall
    }

    /// The number that `sql` selects, by a reader that sees only what is committed.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        self.farm
            .read(move |conn| Ok::<_, StoreError>(conn.query_row(sql, [], |row| row.get(0))?))
            .await
            .unwrap()
    }

    /// Lets the file grow by `pages` at most; without, as it likes.
    pub(crate) async fn limit(&self, pages: Option<i64>) {
        let set = move |tx: &mut farm::Tx<'_>| {
            let now: i64 = tx
                .conn()
                .query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let most = pages.map_or(1_000_000, |pages| now + pages);
            tx.conn()
                .query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))?;
            Ok::<_, StoreError>(())
        };
        self.farm.write(Actor::System, set).await.unwrap();
    }

    /// Runs one statement in the store, such as one that makes it refuse something.
    pub(crate) async fn execute(&self, sql: &'static str) {
        let run = move |tx: &mut farm::Tx<'_>| Ok::<_, StoreError>(tx.conn().execute_batch(sql)?);
        self.farm.write(Actor::System, run).await.unwrap();
    }

    pub(crate) async fn alerts(&self) -> Vec<AlertKind> {
        let open = self.farm.read(alerts::open).await.unwrap();
        open.into_iter().map(|alert| alert.kind).collect()
    }

    /// One round of the rules that time drives.
    pub(crate) async fn look(&self) -> Vec<AlertKind> {
        farm::watch::round(&self.farm).await.unwrap();
        self.alerts().await
    }

    /// Waits until the open alerts are as `wanted` says.
    pub(crate) async fn until_alerts(&self, wanted: &[AlertKind]) {
        let mut changes = self.farm.events().subscribe();
        loop {
            let open = self.alerts().await;
            if open == wanted {
                return;
            }
            tokio::time::timeout(PATIENCE, changes.next())
                .await
                .unwrap_or_else(|_| panic!("open alerts are {open:?}, not {wanted:?}"));
        }
    }
}

/// A good value.
pub(crate) fn measured(quantity: Quantity, value: f64) -> Body {
    Body::measured(quantity, Milli::from_f64(value).unwrap())
}

/// Waits for something that must happen.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it should have happened long ago")
}

/// Asks again and again until it is so; for what tells nobody when it changes.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let mut again = tokio::time::interval(Duration::from_millis(5));
    within(async {
        while !is_so() {
            again.tick().await;
        }
    })
    .await;
}
