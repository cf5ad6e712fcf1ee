//! What a farm's file needs by the clock, wherever it is: readings in their order and their sums, and no more of them than are to be kept.
//!
//! Both work on what is this file's own, raw readings and the sums made of them, at the appliance and at the hub alike. Facts and records are never
//! deleted here: what a site has said stays at every site, so nothing that went in one place comes back from another.

use crate::{
    readings,
    retention::{self, Budget},
    samples, settings,
    store::{Actor, Farm, StoreError},
};

/// Readings moved in one transaction.
const AT_ONCE: usize = 4_000;
const DAY_MS: i64 = 86_400_000;

/// Moves all logged readings into their table and their sums, and tells other places of the spans that are over.
///
/// # Errors
/// When the database fails.
pub async fn compact(farm: &Farm) -> Result<(), StoreError> {
    let moves = || farm.write(Actor::System, |tx| readings::compact(tx, AT_ONCE));
    while moves().await? == AT_ONCE {}
    while farm.write(Actor::System, samples::tell).await? {}
    Ok(())
}

/// Deletes raw readings, and sums per minute, that the farm's settings do not keep; how many went.
///
/// # Errors
/// When the database fails.
pub async fn keep_budget(farm: &Farm) -> Result<usize, StoreError> {
    let settings = farm.read(settings::load).await?;
    let budget = Budget {
        raw_ms: settings.raw_days * DAY_MS,
        bytes: settings.budget_mb.max(1).unsigned_abs() * 1_000_000,
    };
    let mut deleted = 0;
    loop {
        let step = farm
            .write(Actor::System, move |tx| retention::enforce(tx, budget))
            .await?;
        deleted += step.deleted;
        if !step.more {
            return Ok(deleted);
        }
    }
}
