//! What happens by itself, beside the readings: sums, retention, the daily copy, the watch over devices and tanks.
//!
//! Each job is a loop of its own that logs its failure and goes on; none holds the writer for long.

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use edge_acquire::Drivers;
use farm::{
    Actor, Change, Farm, Resume, StoreError,
    alerts::{self, AlertKind, Subject},
    backup, devices, readings,
    retention::{self, Budget},
    settings,
};
use farm_model::{Clock, ClockQuality};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::DataConfig;

/// Readings moved in one transaction.
const COMPACT: usize = 4_000;
/// Below this many free megabytes the alarm sounds.
const LOW_DISK_MB: u64 = 500;

/// Starts every job; each ends with `stop`.
pub(crate) fn start(
    farm: &Farm,
    drivers: &Arc<Drivers>,
    data: &DataConfig,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let every = |seconds: u64, name: &'static str, job: Job| {
        tasks.spawn(repeat(
            Duration::from_secs(seconds),
            name,
            job,
            stop.clone(),
        ));
    };
    let this = farm.clone();
    every(
        20,
        "compact",
        Box::new(move || Box::pin(compact(this.clone()))),
    );
    let this = farm.clone();
    every(
        600,
        "retention",
        Box::new(move || Box::pin(keep_budget(this.clone()))),
    );
    let (this, folder) = (farm.clone(), data.clone());
    every(
        30,
        "daily copy",
        Box::new(move || Box::pin(daily_copy(this.clone(), folder.clone()))),
    );
    let this = farm.clone();
    every(
        86_400,
        "integrity",
        Box::new(move || Box::pin(check_file(this.clone()))),
    );
    let (this, folder) = (farm.clone(), data.dir.clone());
    every(
        60,
        "disk",
        Box::new(move || Box::pin(watch_disk(this.clone(), folder.clone()))),
    );
    let this = farm.clone();
    every(
        2,
        "watch",
        Box::new(move || Box::pin(watch_farm(this.clone()))),
    );
    tasks.spawn(follow_devices(
        farm.clone(),
        Arc::clone(drivers),
        stop.clone(),
    ));
}

type Job =
    Box<dyn FnMut() -> std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send>;

async fn repeat(every: Duration, name: &'static str, mut job: Job, stop: CancellationToken) {
    let mut pause = Duration::from_secs(1);
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        let started = Instant::now();
        if let Err(error) = job().await {
            tracing::error!(
                job = name,
                error = format!("{error:#}"),
                "a job failed; it will be tried again"
            );
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
    while farm
        .write(Actor::System, |tx| readings::compact(tx, COMPACT))
        .await?
        == COMPACT
    {}
    Ok(())
}

async fn keep_budget(farm: Farm) -> anyhow::Result<()> {
    let settings = farm.read(settings::load).await?;
    let budget = Budget {
        raw_ms: settings.raw_days * 86_400_000,
        bytes: (settings.budget_mb.max(1) as u64) * 1_000_000,
    };
    let mut deleted = 0;
    loop {
        let step = farm
            .write(Actor::System, move |tx| retention::enforce(tx, budget))
            .await?;
        deleted += step.deleted;
        if !step.more {
            break;
        }
    }
    if deleted > 0 {
        tracing::info!(deleted, "old readings went");
    }
    Ok(())
}

async fn daily_copy(farm: Farm, data: DataConfig) -> anyhow::Result<()> {
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
    tell(&farm, AlertKind::Database, made.is_err()).await?;
    if let Some(copy) = made? {
        tracing::info!(copy = %copy.display(), "daily copy made");
    }
    Ok(())
}

async fn check_file(farm: Farm) -> anyhow::Result<()> {
    let path = farm.path().to_owned();
    let sound = tokio::task::spawn_blocking(move || backup::check(&path)).await?;
    if let Err(error) = &sound {
        tracing::error!(%error, "the database is not sound");
    }
    tell(&farm, AlertKind::Database, sound.is_err()).await?;
    Ok(())
}

async fn watch_disk(farm: Farm, folder: PathBuf) -> anyhow::Result<()> {
    let stat = rustix::fs::statvfs(&folder)?;
    let free_mb = stat.f_bavail * stat.f_frsize / 1_000_000;
    tell(&farm, AlertKind::DiskFull, free_mb < LOW_DISK_MB).await?;
    Ok(())
}

/// Tanks out of range, silent devices, the unknown clock.
async fn watch_farm(farm: Farm) -> anyhow::Result<()> {
    farm::watch::round(&farm).await?;
    tell(
        &farm,
        AlertKind::ClockUnknown,
        farm.clock().now().clock < ClockQuality::Told,
    )
    .await?;
    Ok(())
}

/// Raises or clears an alert of the farm itself; writes only when that changes something.
async fn tell(farm: &Farm, kind: AlertKind, wrong: bool) -> Result<(), StoreError> {
    let open = farm
        .read(move |conn| alerts::find_open(conn, kind, Subject::Farm))
        .await?
        .is_some();
    if open == wrong {
        return Ok(());
    }
    farm.write(Actor::System, move |tx| match wrong {
        true => alerts::raise(tx, kind, Subject::Farm, &serde_json::json!({})).map(drop),
        false => alerts::clear(tx, kind, Subject::Farm).map(drop),
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
