//! What runs beside the readings until the appliance ends: pages, jobs, letters to nodes.
//!
//! A task that panics dies alone: it is counted, and started again if it should have gone on.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::error::Elapsed;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks that run, and the word that ends them.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    running: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Starts a task that ends when it is told to.
    pub(crate) fn start<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.running.spawn(task(self.stop.clone()));
    }

    /// Starts a task that ends when it is told to, and begins again should it panic.
    pub(crate) fn keep<F>(
        &self,
        name: &'static str,
        task: impl FnMut(CancellationToken) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.running.spawn(keep(name, self.stop.clone(), task));
    }

    /// Tells all of them to end, and waits for them.
    ///
    /// # Errors
    /// When some still run after that long.
    pub(crate) async fn end(&self, within: Duration) -> Result<(), Elapsed> {
        self.stop.cancel();
        self.running.close();
        tokio::time::timeout(within, self.running.wait()).await
    }
}

async fn keep<F: Future<Output = ()>>(
    name: &'static str,
    stop: CancellationToken,
    mut task: impl FnMut(CancellationToken) -> F,
) {
    while AssertUnwindSafe(task(stop.clone()))
        .catch_unwind()
        .await
        .is_err()
    {
        count_panic(name);
        let pause = tokio::time::sleep(Duration::from_secs(1));
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Counts a panic of what is named so.
pub(crate) fn count_panic(name: &'static str) {
    metrics::counter!("job_panics_total", "job" => name).increment(1);
    tracing::error!(job = name, "a job panicked; it is started again");
}
