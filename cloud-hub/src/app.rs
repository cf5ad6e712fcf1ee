//! The hub put together: data folder, database, pages.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use hub_accounts::{SealKey, seal};
use hub_store::{Clock, Store, system_clock};
use metrics_exporter_prometheus::PrometheusHandle;
use program::{
    Asked, DataLock, Until,
    front::{self, Bounds},
    log,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Address, Config, DataConfig},
    farms::Farms,
    house,
    web::{Hub, Options, router},
};

/// How long open pages may take to end.
const TASKS_END: Duration = Duration::from_secs(2);

/// Each farm leaves a request waiting, and each page that is looked at a stream of events. A connection of an appliance lies idle
/// for as long as it keeps one.
const BOUNDS: Bounds = Bounds {
    places: 8_192,
    per_peer: 256,
    head: Duration::from_secs(120),
};

/// Opens the database of a data folder.
///
/// # Errors
/// When it is of a newer program, or the disk fails.
pub fn open_store(data: &DataConfig, clock: Clock) -> anyhow::Result<Store> {
    let store = Store::open(&data.dir.join("hub.db"), &[hub_accounts::SCHEMA], clock)?;
    Ok(store)
}

/// The key of the database's own secrets, from the file beside it; made at the first start.
///
/// # Errors
/// When it is missing or another's; the message says what to do.
pub fn open_key(data: &DataConfig, store: &Store) -> anyhow::Result<SealKey> {
    Ok(seal::open(&key_file(data), store)?)
}

/// Where the key is.
pub(crate) fn key_file(data: &DataConfig) -> PathBuf {
    data.dir.join("hub.key")
}

/// Runs the hub.
///
/// # Errors
/// When it can't start.
pub(crate) fn run(config: Config, until: Until) -> anyhow::Result<()> {
    log::start(config.log.format, &config.log.level, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        // From now on a signal is an order to end, not an end without order.
        let asked = Asked::listen(until)?;
        let metrics = farm_web::install_metrics()?;
        let running = Running::start(config, Some(metrics), system_clock()).await?;
        asked.wait().await;
        tracing::info!("stopping");
        running.stop().await
    });
    runtime.shutdown_timeout(TASKS_END);
    result
}

/// A running hub.
#[derive(Debug)]
pub struct Running {
    store: Store,
    farms: Farms,
    web: Vec<SocketAddr>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _lock: DataLock,
}

impl Running {
    /// Starts it; `metrics` renders `/metrics`, if the process has a recorder.
    ///
    /// # Errors
    /// When the data folder is in use, the database is of a newer version, or an address is taken.
    pub async fn start(
        config: Config,
        metrics: Option<PrometheusHandle>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let lock = DataLock::take(&config.data.dir, "cloud-hub")?;
        let data = config.data.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let store = open_store(&data, clock)?;
            let seal = open_key(&data, &store)?;
            anyhow::Ok((store, seal))
        });
        let (store, seal) = opened.await??;
        let address = Address::of(&config.web.url).map_err(anyhow::Error::msg)?;
        let lives = config.accounts.lifetimes();
        let farms = Farms::new(
            &config.data.dir.join("farms"),
            store.clone(),
            lives,
            config.farms.open_at_most,
            i64::from(config.farms.idle_minutes) * 60,
            config.farms.simulated(),
        );
        let hub = Hub {
            store: store.clone(),
            seal,
            farms: farms.clone(),
            options: Options {
                address,
                lives,
                behind_proxy: config.web.behind_proxy,
                demo_switch: Some(config.web.demo_switch).filter(|url| !url.is_empty()),
                import_most: config.farms.import_at_most_mb.saturating_mul(1_000_000),
                metrics,
            },
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(house::keep(store.clone(), farms.clone(), stop.clone()));
        let mut web = Vec::new();
        // One for all addresses: it remembers which requests came, and who tried too often.
        let routes = router(hub.clone());
        for address in &config.web.listen {
            let listener = TcpListener::bind(address).await.with_context(|| {
                format!("the web address {address} cannot be used; see who has it with: ss -ltnp")
            })?;
            web.push(listener.local_addr()?);
            tasks.spawn(front::serve(listener, routes.clone(), BOUNDS, stop.clone()));
        }
        tracing::info!(?web, url = hub.options.address.url, "the hub runs");
        Ok(Self {
            store,
            farms,
            web,
            tasks,
            stop,
            _lock: lock,
        })
    }

    /// Its database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where its pages are.
    pub fn web(&self) -> &[SocketAddr] {
        &self.web
    }

    /// Ends it in order; whatever was acknowledged is on disk in any case.
    ///
    /// # Errors
    /// When a thread of it panicked.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.farms.end_waits();
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(TASKS_END, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::debug!("some pages are still open");
        }
        self.farms.close_all().await;
        drop(self.farms);
        let store = self.store;
        // The last handle waits for the writer to close the file.
        tokio::task::spawn_blocking(move || drop(store)).await?;
        Ok(())
    }
}
