//! How a machine becomes a site of a farm: by a code that a manager makes, that works once and ends soon.
//!
//! The machine brings its own key with the code. A code that was made to swap a machine revokes the old one's key in the same
//! transaction, so that never both are let in.

use hub_store::{Micros, StoreError, Tx, args};

use crate::{AccountId, Actor, FarmId, Name, Secret, SiteId, audit, ids::ClaimId};

/// A code ends this long after it was made.
const LIVES_S: i64 = 24 * 3600;
/// A key that is this old should be followed by another.
const OLD_S: i64 = 180 * 86_400;
/// More is not written down of what waits at a machine, so that what it says of itself can be added up.
const MOST_WAITING: i64 = 1 << 40;
/// Letters of a code: 80 bits.
const LETTERS: usize = 16;

/// A machine of a farm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Identity.
    pub id: SiteId,
    /// What it calls itself.
    pub name: String,
    /// Since when.
    pub enrolled: Micros,
    /// When it was last heard.
    pub heard: Option<Micros>,
    /// How much it had not sent yet, then.
    pub waiting: i64,
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

/// A machine that asks to belong to a farm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Newcomer {
    /// Its identity.
    pub site: SiteId,
    /// The key that it has proved to hold.
    pub key: [u8; 32],
    /// What it calls itself.
    pub name: String,
}

/// Uses a code: the machine belongs to the code's farm from now on. The same claim by the same key is answered the same again.
///
/// # Errors
/// [`ClaimError::NotValid`] or [`ClaimError::KeyKnown`].
pub fn claim(tx: &mut Tx<'_>, code: &Secret, newcomer: &Newcomer) -> Result<FarmId, ClaimError> {
    let (now, site, key) = (tx.now(), newcomer.site, hex(&newcomer.key));
    let again = tx.first(
        "SELECT c.farm FROM claim c JOIN site_key k ON k.public_key = c.used_by JOIN site s ON s.id = k.site
         WHERE c.hash = $1 AND c.used_by = $2 AND k.site = $3 AND k.ended_at IS NULL AND s.revoked_at IS NULL",
        args![code.hash(), key.as_str(), site],
        |row| row.get(0),
    )?;
    if let Some(farm) = again {
        return Ok(farm);
    }
    let used: Option<(FarmId, Option<SiteId>, ClaimId)> = tx.first(
        "UPDATE claim SET used_at = $2, used_by = $3 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2
         RETURNING farm, replaces, id",
        args![code.hash(), now, key.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let (farm, replaces, id) = used.ok_or(ClaimError::NotValid)?;
    let name = Name::new(&newcomer.name).map_or_else(|_| String::new(), |name| name.to_string());
    let put = tx.execute(
        "INSERT INTO site (id, farm, name, enrolled_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, enrolled_at = excluded.enrolled_at, revoked_at = NULL
         WHERE site.farm = excluded.farm",
        args![site, farm, name, now],
    )?;
    if put == 0 {
        // It is a machine of another farm.
        return Err(ClaimError::NotValid);
    }
    end_keys(tx, site)?;
    let made = tx.execute(
        "INSERT INTO site_key (public_key, site, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        args![key, site, now],
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
    if let Some(old) = replaces.filter(|old| *old != site) {
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
        end_keys(tx, site)?;
        audit::record(tx, by, Some(farm), "site.revoke", &site.to_string(), "")?;
    }
    Ok(revoked > 0)
}

fn end_keys(tx: &mut Tx<'_>, site: SiteId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE site_key SET ended_at = $2 WHERE site = $1 AND ended_at IS NULL",
        args![site, tx.now()],
    )?;
    Ok(())
}

/// Who signs with a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The farm.
    pub farm: FarmId,
    /// The machine.
    pub site: SiteId,
    /// Whether the key ended.
    pub revoked: bool,
    /// Whether its first use ends the key before it: then [`arrive`] is to be called.
    pub ends_another: bool,
    /// Whether it is so old that another should follow it.
    pub is_old: bool,
}

/// Who signs with this key, ended ones included; nothing when nobody ever did.
///
/// # Errors
/// When the database fails.
pub fn holder(tx: &mut Tx<'_>, key: &[u8; 32]) -> Result<Option<Holder>, StoreError> {
    let now = tx.now();
    tx.first(
        "SELECT s.farm, s.id, k.ended_at, s.revoked_at, old.public_key, k.since
         FROM site_key k JOIN site s ON s.id = k.site
         LEFT JOIN site_key old ON old.public_key = k.follows AND old.ended_at IS NULL
         WHERE k.public_key = $1",
        args![hex(key)],
        |row| {
            let ended: Option<Micros> = row.get(2)?;
            let cut: Option<Micros> = row.get(3)?;
            let old: Option<String> = row.get(4)?;
            Ok(Holder {
                farm: row.get(0)?,
                site: row.get(1)?,
                revoked: ended.is_some() || cut.is_some(),
                ends_another: old.is_some(),
                is_old: now.seconds_since(row.get(5)?) > OLD_S,
            })
        },
    )
}

/// Lets the holder of `key` use `next` as well, until that is first used. Doing it again changes nothing.
///
/// # Errors
/// [`ClaimError::NotValid`] when nobody holds `key` any more, [`ClaimError::KeyKnown`] when `next` is somebody's.
pub fn rotate(tx: &mut Tx<'_>, key: &[u8; 32], next: &[u8; 32]) -> Result<(), ClaimError> {
    let holder = holder(tx, key)?.filter(|h| !h.revoked);
    let holder = holder.ok_or(ClaimError::NotValid)?;
    let (key, next) = (hex(key), hex(next));
    let done = tx.exists(
        "SELECT 1 FROM site_key WHERE public_key = $1 AND follows = $2 AND ended_at IS NULL",
        args![next.as_str(), key.as_str()],
    )?;
    if done {
        return Ok(());
    }
    // Of several that were to follow, the last one does.
    tx.execute(
        "UPDATE site_key SET ended_at = $2 WHERE follows = $1 AND ended_at IS NULL",
        args![key.as_str(), tx.now()],
    )?;
    let made = tx.execute(
        "INSERT INTO site_key (public_key, site, follows, since) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        args![next, holder.site, key, tx.now()],
    )?;
    if made == 0 {
        return Err(ClaimError::KeyKnown);
    }
    let (by, site) = (Actor::Site(holder.site), holder.site.to_string());
    audit::record(tx, by, Some(holder.farm), "key.rotate", &site, "")?;
    Ok(())
}

/// A key that follows another is used for the first time: the other one ends.
///
/// # Errors
/// When the database fails.
pub fn arrive(tx: &mut Tx<'_>, key: &[u8; 32]) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE site_key SET ended_at = $2 WHERE ended_at IS NULL AND public_key =
             (SELECT follows FROM site_key WHERE public_key = $1 AND ended_at IS NULL)",
        args![hex(key), tx.now()],
    )?;
    Ok(())
}

/// Writes down that a machine was heard, and how much it had not sent yet.
///
/// # Errors
/// When the database fails.
pub fn heard(tx: &mut Tx<'_>, site: SiteId, waiting: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE site SET heard_at = $2, waiting = $3 WHERE id = $1 AND (heard_at IS NULL OR heard_at <= $2)",
        args![site, tx.now(), waiting.clamp(0, MOST_WAITING)],
    )?;
    Ok(())
}

/// When a machine of a farm was last heard.
///
/// # Errors
/// When the database fails.
pub fn last_heard(tx: &mut Tx<'_>, farm: FarmId) -> Result<Option<Micros>, StoreError> {
    let heard = tx.first(
        "SELECT max(heard_at) FROM site WHERE farm = $1",
        args![farm],
        |row| row.get(0),
    )?;
    Ok(heard.flatten())
}

/// The machines of a farm, the newest first.
///
/// # Errors
/// When the database fails.
pub fn sites(tx: &mut Tx<'_>, farm: FarmId) -> Result<Vec<Site>, StoreError> {
    tx.all(
        "SELECT id, name, enrolled_at, heard_at, waiting, revoked_at FROM site WHERE farm = $1 ORDER BY enrolled_at DESC, id DESC",
        args![farm],
        |row| {
            Ok(Site {
                id: row.get(0)?,
                name: row.get(1)?,
                enrolled: row.get(2)?,
                heard: row.get(3)?,
                waiting: row.get(4)?,
                revoked: row.get(5)?,
            })
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
