//! What the hub does by itself: closes farms that nobody asks for, looks after open files, and lets farms go whose time has come.

use std::time::Duration;

use hub_accounts::{FarmId, removal};
use hub_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::farms::Farms;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);

/// Keeps house until `stop`.
pub(crate) async fn keep(store: Store, farms: Farms, stop: CancellationToken) {
    loop {
        tidy(&store, &farms).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Looks once. What fails is tried again the next time.
pub async fn tidy(store: &Store, farms: &Farms) {
    let open = farms.sweep().await;
    metrics::gauge!("hub_farms_open").set(open as f64);
    metrics::gauge!("hub_appliances_waiting").set(farms.waiting() as f64);
    farms.look_after_files().await;
    let due = match store.read(removal::due).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(%error, "farms whose time has come cannot be read");
            return;
        }
    };
    for id in due {
        match store.write(move |tx| removal::finish(tx, id)).await {
            Ok(true) => tracing::info!(farm = %id, "a farm left the hub"),
            Ok(false) => {}
            Err(error) => tracing::error!(farm = %id, %error, "a farm could not leave"),
        }
    }
    for id in farms.files().await {
        if matches!(is_gone(store, id).await, Ok(true))
            && let Err(error) = farms.remove(id).await
        {
            tracing::error!(farm = %id, %error, "the file of a farm that left is still there");
        }
    }
}

async fn is_gone(store: &Store, id: FarmId) -> Result<bool, StoreError> {
    store.read(move |tx| removal::is_gone(tx, id)).await
}
