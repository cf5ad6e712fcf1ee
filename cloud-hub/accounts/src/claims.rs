//! How a machine becomes a site of a farm: by a code that a manager makes, that works once and ends soon.
//!
//! The machine brings its own key with the code. A code that was made to swap a machine revokes the old one's key in the same
//! transaction, so that never both are let in.

use hub_store::{Micros, StoreError, Tx, args};

use crate::{AccountId, Actor, FarmId, Secret, SiteId, audit, ids::ClaimId};

/// A code ends this long after it was made.
const LIVES_S: i64 = 24 * 3600;
/// Letters of a code: 80 bits.
const LETTERS: usize = 16;

/// A machine of a farm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Identity.
    pub id: SiteId,
    /// Since when.
    pub enrolled: Micros,
    /// When it was last heard.
    pub heard: Option<Micros>,
    /// When its key was revoked.
    pub revoked: Option<Micros>,
}

/// A code that can still be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Identity.
    pub id: ClaimId,
    /// The machine that it replaces.
    pub replaces: Option<SiteId>,
    /// When it ends.
    pub expires: Micros,
}

/// Why a machine was not let in.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Never made, used, ended or replaced: which of them is not told.
    #[error("this code is not valid: make a new one on the farm's page at the hub")]
    NotValid,
    /// Another machine has this key, or had it.
    #[error("this key was enrolled before: make a new key, then claim again")]
    KeyKnown,
    /// There is no such machine, or it was revoked.
    #[error("this machine is not known any more: go back and reload the page")]
    UnknownSite,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a code; those that were made before for the same purpose end.
///
/// # Errors
/// [`ClaimError::UnknownSite`] when it is to replace a machine that is none of the farm's.
pub fn make(
    tx: &mut Tx<'_>,
    by: AccountId,
    farm: FarmId,
    replaces: Option<SiteId>,
) -> Result<Secret, ClaimError> {
    if let Some(site) = replaces {
        let stands = tx.exists(
            "SELECT 1 FROM site WHERE id = $1 AND farm = $2 AND revoked_at IS NULL",
            args![site, farm],
        )?;
        if !stands {
            return Err(ClaimError::UnknownSite);
        }
    }
    let purpose = replaces.map(|s| s.to_string()).unwrap_or_default();
    tx.execute(
        "DELETE FROM claim WHERE farm = $1 AND used_at IS NULL AND coalesce(replaces, '') = $2",
        args![farm, purpose.as_str()],
    )?;
    let (id, secret, now) = (ClaimId::new(), Secret::to_type::<LETTERS>(), tx.now());
    tx.execute(
        "INSERT INTO claim (hash, id, farm, replaces, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![secret.hash(), id, farm, replaces, by, now, now.plus_seconds(LIVES_S)],
    )?;
    let by = Actor::Account(by);
    audit::record(tx, by, Some(farm), "claim.make", &id.to_string(), &purpose)?;
    Ok(secret)
}

/// The codes of a farm that can still be used.
///
/// # Errors
/// When the database fails.
pub fn open(tx: &mut Tx<'_>, farm: FarmId) -> Result<Vec<Claim>, StoreError> {
    tx.all(
        "SELECT id, replaces, expires_at FROM claim
         WHERE farm = $1 AND used_at IS NULL AND expires_at > $2 ORDER BY created_at",
        args![farm, tx.now()],
        |row| {
            Ok(Claim {
                id: row.get(0)?,
                replaces: row.get(1)?,
                expires: row.get(2)?,
            })
        },
    )
}

/// Ends a code that was not used; whether there was one.
///
/// # Errors
/// When the database fails.
pub fn withdraw(
    tx: &mut Tx<'_>,
    by: AccountId,
    farm: FarmId,
    id: ClaimId,
) -> Result<bool, StoreError> {
    let ended = tx.execute(
        "DELETE FROM claim WHERE id = $1 AND farm = $2 AND used_at IS NULL",
        args![id, farm],
    )?;
    if ended > 0 {
        let by = Actor::Account(by);
        audit::record(tx, by, Some(farm), "claim.withdraw", &id.to_string(), "")?;
    }
    Ok(ended > 0)
}

/// Uses a code: the machine `site` with this public key belongs to the code's farm from now on.
///
/// # Errors
/// [`ClaimError::NotValid`] or [`ClaimError::KeyKnown`].
pub fn claim(
    tx: &mut Tx<'_>,
    code: &Secret,
    site: SiteId,
    public_key: &[u8; 32],
) -> Result<FarmId, ClaimError> {
    let now = tx.now();
    let used: Option<(FarmId, Option<SiteId>, ClaimId)> = tx.first(
        "UPDATE claim SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2
         RETURNING farm, replaces, id",
        args![code.hash(), now],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let (farm, replaces, id) = used.ok_or(ClaimError::NotValid)?;
    let made = tx.execute(
        "INSERT INTO site (id, farm, public_key, enrolled_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        args![site, farm, hex(public_key), now],
    )?;
    if made == 0 {
        return Err(ClaimError::KeyKnown);
    }
    let by = Actor::Site(site);
    audit::record(
        tx,
        by,
        Some(farm),
        "claim.use",
        &site.to_string(),
        &id.to_string(),
    )?;
    if let Some(old) = replaces {
        revoke_key(tx, by, farm, old)?;
    }
    Ok(farm)
}

/// Makes a machine's key worthless from now on.
///
/// # Errors
/// [`ClaimError::UnknownSite`].
pub fn revoke(
    tx: &mut Tx<'_>,
    by: AccountId,
    farm: FarmId,
    site: SiteId,
) -> Result<(), ClaimError> {
    if revoke_key(tx, Actor::Account(by), farm, site)? {
        Ok(())
    } else {
        Err(ClaimError::UnknownSite)
    }
}

fn revoke_key(tx: &mut Tx<'_>, by: Actor, farm: FarmId, site: SiteId) -> Result<bool, StoreError> {
    let revoked = tx.execute(
        "UPDATE site SET revoked_at = $3 WHERE id = $1 AND farm = $2 AND revoked_at IS NULL",
        args![site, farm, tx.now()],
    )?;
    if revoked > 0 {
        audit::record(tx, by, Some(farm), "site.revoke", &site.to_string(), "")?;
    }
    Ok(revoked > 0)
}

/// Which machine of which farm signs with this key; nothing when nobody does or it was revoked.
///
/// # Errors
/// When the database fails.
pub fn owner_of(
    tx: &mut Tx<'_>,
    public_key: &[u8; 32],
) -> Result<Option<(FarmId, SiteId)>, StoreError> {
    tx.first(
        "SELECT farm, id FROM site WHERE public_key = $1 AND revoked_at IS NULL",
        args![hex(public_key)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Writes down that a machine was heard.
///
/// # Errors
/// When the database fails.
pub fn heard(tx: &mut Tx<'_>, site: SiteId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE site SET heard_at = $2 WHERE id = $1 AND (heard_at IS NULL OR heard_at < $2)",
        args![site, tx.now()],
    )?;
    Ok(())
}

/// The machines of a farm, the newest first.
///
/// # Errors
/// When the database fails.
pub fn sites(tx: &mut Tx<'_>, farm: FarmId) -> Result<Vec<Site>, StoreError> {
    tx.all(
        "SELECT id, enrolled_at, heard_at, revoked_at FROM site WHERE farm = $1 ORDER BY enrolled_at DESC, id DESC",
        args![farm],
        |row| {
            Ok(Site {
                id: row.get(0)?,
                enrolled: row.get(1)?,
                heard: row.get(2)?,
                revoked: row.get(3)?,
            })
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
