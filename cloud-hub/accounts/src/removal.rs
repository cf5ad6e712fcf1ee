//! A farm leaves the hub: somebody asks for it, time passes in which it can be kept, then it goes for good.
//!
//! What is on the farm's own machines stays theirs. The farm's line in the database stays without a name, so that a machine that
//! comes later is told that it went, and the audit outlives it.

use hub_store::{Micros, StoreError, Tx, args};

use crate::{AccountId, Actor, Farm, FarmId, audit};

/// Time in which it can be kept.
pub const GRACE_S: i64 = 14 * 86_400;

/// Asks for a farm's removal; when it goes.
///
/// # Errors
/// When the database fails.
pub fn ask(tx: &mut Tx<'_>, by: AccountId, farm: &Farm) -> Result<Micros, StoreError> {
    let goes = tx.now().plus_seconds(GRACE_S);
    let asked = tx.execute(
        "UPDATE farm SET goes_at = $2 WHERE id = $1 AND goes_at IS NULL AND gone_at IS NULL",
        args![farm.id, goes],
    )?;
    if asked > 0 {
        let by = Actor::Account(by);
        audit::record(tx, by, Some(farm.id), "farm.removal", &farm.slug, "")?;
    }
    Ok(farm.goes.unwrap_or(goes))
}

/// Keeps a farm whose removal was asked for.
///
/// # Errors
/// When the database fails.
pub fn keep(tx: &mut Tx<'_>, by: AccountId, farm: &Farm) -> Result<(), StoreError> {
    let kept = tx.execute(
        "UPDATE farm SET goes_at = NULL WHERE id = $1 AND goes_at IS NOT NULL AND gone_at IS NULL",
        args![farm.id],
    )?;
    if kept > 0 {
        let by = Actor::Account(by);
        audit::record(tx, by, Some(farm.id), "farm.kept", &farm.slug, "")?;
    }
    Ok(())
}

/// Farms whose time has come.
///
/// # Errors
/// When the database fails.
pub fn due(tx: &mut Tx<'_>) -> Result<Vec<FarmId>, StoreError> {
    tx.all(
        "SELECT id FROM farm WHERE goes_at <= $1 AND gone_at IS NULL",
        args![tx.now()],
        |row| row.get(0),
    )
}

/// Whether a farm went. One that the database never knew did not: its file is there for another reason, and kept.
///
/// # Errors
/// When the database fails.
pub fn is_gone(tx: &mut Tx<'_>, farm: FarmId) -> Result<bool, StoreError> {
    tx.exists(
        "SELECT 1 FROM farm WHERE id = $1 AND gone_at IS NOT NULL",
        args![farm],
    )
}

/// Lets a farm go whose time has come; its file is deleted afterwards. Whether it went now.
///
/// # Errors
/// When the database fails.
pub fn finish(tx: &mut Tx<'_>, farm: FarmId) -> Result<bool, StoreError> {
    let went = tx.execute(
        "UPDATE farm SET gone_at = $2, name = '', slug = id WHERE id = $1 AND goes_at <= $2 AND gone_at IS NULL",
        args![farm, tx.now()],
    )?;
    if went == 0 {
        return Ok(false);
    }
    tx.execute("DELETE FROM member WHERE farm = $1", args![farm])?;
    tx.execute("DELETE FROM invitation WHERE farm = $1", args![farm])?;
    tx.execute("DELETE FROM claim WHERE farm = $1", args![farm])?;
    audit::record(
        tx,
        Actor::System,
        Some(farm),
        "farm.gone",
        &farm.to_string(),
        "",
    )?;
    Ok(true)
}
