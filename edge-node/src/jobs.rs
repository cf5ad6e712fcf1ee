//! What happens by itself, beside the readings: sums and what the hub is told of them, retention, the daily copy, the watch
//! over devices and tanks.
//!
//! Each job is a loop of its own that logs its failure, or its panic, counts it and goes on; none holds the writer for
//! long.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use edge_acquire::Drivers;
use edge_broker::Door;
use farm::{
    Actor, Change, Farm, Resume, StoreError,
    alerts::{self, AlertKind, Subject},
    backup, devices, settings, upkeep,
};
use farm_model::Clock;
use futures_util::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::{
    config::DataConfig,
    figures,
    hub::HubLink,
    ingest::Pulse,
    tasks::{Tasks, count_panic},
};

/// Below this many free megabytes the alarm sounds.
const LOW_DISK_MB: u64 = 500;

/// What jobs look after.
pub(crate) struct Charge {
    pub(crate) farm: Farm,
    pub(crate) drivers: Arc<Drivers>,
    pub(crate) door: Arc<Door>,
    pub(crate) pulse: Pulse,
    pub(crate) hub: HubLink,
    pub(crate) data: DataConfig,
}

/// Whether the database and its copies are sound, as far as was last seen; one alert tells of both.
#[derive(Default)]
struct Unsound {
    file: AtomicBool,
    copy: AtomicBool,
}

/// Starts every job.
pub(crate) fn start(charge: Charge, tasks: &Tasks) {
    let Charge {
        farm,
        drivers,
        door,
        pulse,
        hub,
        data,
    } = charge;
    let unsound = Arc::new(Unsound::default());
    let every = |seconds: u64, name: &'static str, job: Job| {
        tasks.start(|stop| repeat(Duration::from_secs(seconds), name, job, stop));
    };
    every(20, "compact", job(&farm, compact));
    every(600, "retention", job(&farm, keep_budget));
    every(2, "watch", job(&farm, watch_farm));
    let folder = data.dir.clone();
    every(
        60,
        "disk",
        job(&farm, move |farm| watch_disk(farm, folder.clone())),
    );
    let sound = Arc::clone(&unsound);
    every(
        30,
        "daily copy",
        job(&farm, move |farm| {
            daily_copy(farm, data.clone(), Arc::clone(&sound))
        }),
    );
    every(
        86_400,
        "integrity",
        job(&farm, move |farm| check_file(farm, Arc::clone(&unsound))),
    );
    let shown = Arc::clone(&drivers);
    every(
        5,
        "figures",
        job(&farm, move |farm| {
            hub.show();
            figures::show(farm, Arc::clone(&shown), Arc::clone(&door), pulse.clone())
        }),
    );
    tasks.keep("devices", move |stop| {
        follow_devices(farm.clone(), Arc::clone(&drivers), stop)
    });
}

type Job = Box<dyn FnMut() -> BoxFuture<'static, anyhow::Result<()>> + Send>;

fn job<F>(farm: &Farm, mut run: impl FnMut(Farm) -> F + Send + 'static) -> Job
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let farm = farm.clone();
    Box::new(move || run(farm.clone()).boxed())
}

async fn repeat(every: Duration, name: &'static str, mut job: Job, stop: CancellationToken) {
    let mut pause = Duration::from_secs(1);
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        let started = Instant::now();
        match AssertUnwindSafe(job()).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                metrics::counter!("job_failures_total", "job" => name).increment(1);
                tracing::error!(
                    job = name,
                    error = format!("{error:#}"),
                    "a job failed; it will be tried again"
                );
            }
            Err(_) => count_panic(name),
        }
        tracing::debug!(
            job = name,
            took_ms = started.elapsed().as_millis() as u64,
            "job done"
        );
        pause = every;
    }
}

async fn compact(farm: Farm) -> anyhow::Result<()> {
    upkeep::compact(&farm).await?;
    Ok(())
}

async fn keep_budget(farm: Farm) -> anyhow::Result<()> {
    let deleted = upkeep::keep_budget(&farm).await?;
    if deleted > 0 {
        tracing::info!(deleted, "old readings went");
    }
    Ok(())
}

async fn daily_copy(farm: Farm, data: DataConfig, unsound: Arc<Unsound>) -> anyhow::Result<()> {
    let at: jiff::civil::Time = data.copy_at.parse()?;
    let tz = farm.read(settings::load).await?.tz();
    let now = farm.clock().now();
    let local = now.wall.timestamp().to_zoned(tz);
    if local.time() < at {
        return Ok(());
    }
    let (path, folder, date) = (
        farm.path().to_owned(),
        data.dir.join("copies"),
        local.date(),
    );
    let keep = data.copies as usize;
    let made =
        tokio::task::spawn_blocking(move || backup::daily(&path, &folder, date, keep)).await?;
    unsound.copy.store(made.is_err(), Ordering::Relaxed);
    tell_unsound(&farm, &unsound).await?;
    if let Some(copy) = made? {
        tracing::info!(copy = %copy.display(), "daily copy made");
    }
    Ok(())
}

async fn check_file(farm: Farm, unsound: Arc<Unsound>) -> anyhow::Result<()> {
    let path = farm.path().to_owned();
    let sound = tokio::task::spawn_blocking(move || backup::check(&path)).await?;
    if let Err(error) = &sound {
        tracing::error!(%error, "the database is not sound");
    }
    unsound.file.store(sound.is_err(), Ordering::Relaxed);
    tell_unsound(&farm, &unsound).await?;
    Ok(())
}

async fn tell_unsound(farm: &Farm, unsound: &Unsound) -> Result<(), StoreError> {
    let is_unsound = unsound.file.load(Ordering::Relaxed) || unsound.copy.load(Ordering::Relaxed);
    tell(farm, AlertKind::Database, Found::of(is_unsound)).await
}

async fn watch_disk(farm: Farm, folder: PathBuf) -> anyhow::Result<()> {
    let stat = rustix::fs::statvfs(&folder)?;
    let free_mb = stat.f_bavail * stat.f_frsize / 1_000_000;
    let found = Found::of(free_mb < LOW_DISK_MB);
    tell(&farm, AlertKind::DiskFull, found).await?;
    Ok(())
}

/// Tanks out of range, methane, silent devices, the unknown clock.
async fn watch_farm(farm: Farm) -> anyhow::Result<()> {
    Ok(farm::watch::round(&farm).await?)
}

/// What a look at the machine found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Wrong,
    Right,
}

impl Found {
    fn of(is_wrong: bool) -> Self {
        if is_wrong { Self::Wrong } else { Self::Right }
    }
}

/// Raises or clears an alert of the farm itself; writes only when that changes something.
async fn tell(farm: &Farm, kind: AlertKind, found: Found) -> Result<(), StoreError> {
    let open = farm
        .read(move |conn| alerts::find_open(conn, kind, Subject::Farm))
        .await?;
    if Found::of(open.is_some()) == found {
        return Ok(());
    }
    farm.write(Actor::System, move |tx| match found {
        Found::Wrong => alerts::raise(tx, kind, Subject::Farm, &serde_json::json!({})).map(drop),
        Found::Right => alerts::clear(tx, kind, Subject::Farm).map(drop),
    })
    .await
}

/// Keeps the running drivers in step with the devices.
async fn follow_devices(farm: Farm, drivers: Arc<Drivers>, stop: CancellationToken) {
    let mut changes = farm.events().subscribe();
    loop {
        match farm.read(devices::list).await {
            Ok(list) => drivers.apply(list).await,
            Err(error) => {
                tracing::error!(%error, "the devices cannot be read; drivers stay as they are");
            }
        }
        loop {
            let Some(resume) = stop.run_until_cancelled(changes.next()).await else {
                return;
            };
            let Resume::Events(events) = resume else {
                break;
            };
            if events
                .iter()
                .any(|e| matches!(e.change, Change::Device { .. }))
            {
                break;
            }
        }
    }
}
