//! The hub that this appliance sends the farm to: where it is, and the key that it knows us by.
//!
//! Invariants: the key is this file's own; it is never replicated, shown or logged. It counts for the site that made it: a copy that
//! took an identity of its own knows no hub. A key is on disk before the hub hears of it, so no answer that is lost locks us out.

use farm_model::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;
use sync::{
    Site,
    keys::{NoRandomness, SecretKey},
    site,
};

use crate::{
    sql,
    store::{StoreError, Tx},
};

/// The hub that the farm is sent to.
#[derive(Debug)]
pub struct Joined {
    /// Its address.
    pub address: String,
    /// The farm's name there.
    pub farm: String,
    /// The key that signs.
    pub key: SecretKey,
    /// Since when.
    pub at: UnixMillis,
}

/// A claim under way.
#[derive(Debug)]
pub struct Asking {
    /// The key that is to sign.
    pub key: SecretKey,
    /// The site that asks.
    pub site: Site,
    /// The version of its schema.
    pub schema: u32,
}

/// Why the farm was not joined.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The farm began anew at the hub, and this file holds another beginning.
    #[error(
        "the farm was set up anew at the hub: start this appliance with an empty farm file, then connect it with a new code"
    )]
    NotEmpty,
    /// Nobody asked to join.
    #[error("no claim is under way: connect with a claim code from the hub")]
    NotAsked,
    /// No key could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for HubError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The hub that this file sends to, if there is one.
///
/// # Errors
/// When the database fails.
pub fn joined(conn: &Connection) -> Result<Option<Joined>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT address, farm, seed, at FROM hub_link
             WHERE state = 'joined' AND site = (SELECT id FROM sync_site WHERE ordinal = 0)",
        )?
        .query_row([], |row| {
            Ok(Joined {
                address: sql::text(row, 0)?,
                farm: sql::text(row, 1)?,
                key: SecretKey::from_seed(row.get(2)?),
                at: UnixMillis(row.get(3)?),
            })
        })
        .optional()?;
    Ok(found)
}

/// Begins a claim at the hub of this address, or takes up the one whose answer was lost.
///
/// # Errors
/// When no key can be made, or the database fails.
pub fn ask(tx: &mut Tx<'_>, address: &str) -> Result<Asking, HubError> {
    let site = tx.memory.site;
    let under_way: Option<[u8; 32]> = tx
        .conn()
        .query_row(
            "SELECT seed FROM hub_link WHERE state = 'asked' AND address = ?1 AND site = ?2",
            params![address, site.0],
            |row| row.get(0),
        )
        .optional()?;
    let key = match under_way {
        Some(seed) => SecretKey::from_seed(seed),
        None => SecretKey::generate()?,
    };
    tx.conn().execute(
        "INSERT OR REPLACE INTO hub_link (state, address, site, seed, at) VALUES ('asked', ?1, ?2, ?3, ?4)",
        params![address, site.0, key.seed(), tx.wall().0],
    )?;
    let schema = tx
        .conn()
        .query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(Asking { key, site, schema })
}

/// The hub took the claim: from now on the farm is sent there.
///
/// # Errors
/// When this file holds another beginning of the farm than the hub, or the database fails.
pub fn join(tx: &mut Tx<'_>, farm: &str, epoch: u32) -> Result<(), HubError> {
    if site::epoch(tx.conn())? != epoch {
        if holds_a_farm(tx.conn())? {
            return Err(HubError::NotEmpty);
        }
        site::set_epoch(tx.conn(), epoch)?;
    }
    let moved = tx.conn().execute(
        "UPDATE OR REPLACE hub_link SET state = 'joined', farm = ?1, at = ?2 WHERE state = 'asked'",
        params![farm, tx.wall().0],
    )?;
    if moved == 0 {
        return Err(HubError::NotAsked);
    }
    let address: String = tx
        .conn()
        .query_row("SELECT address FROM hub_link", [], |row| row.get(0))?;
    tx.audit("hub.join", &address, Some(&json!({ "farm": farm })))?;
    Ok(())
}

/// The hub took another key in place of `old`; whether that is still the key of the hub that is joined. Another hub may have been joined
/// while this one answered: its key stays.
///
/// # Errors
/// When the database fails.
pub fn change_key(tx: &mut Tx<'_>, old: &SecretKey, new: &SecretKey) -> Result<bool, StoreError> {
    let changed = tx.conn().execute(
        "UPDATE hub_link SET seed = ?2 WHERE state = 'joined' AND seed = ?1",
        [old.seed(), new.seed()],
    )?;
    if changed > 0 {
        tx.audit("hub.change_key", &new.public().to_string(), None)?;
    }
    Ok(changed > 0)
}

/// Sends the farm to no hub any more, and forgets the key; whether there was one.
///
/// # Errors
/// When the database fails.
pub fn leave(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let Some(hub) = joined(tx.conn())? else {
        return Ok(false);
    };
    tx.conn().execute("DELETE FROM hub_link", [])?;
    tx.audit(
        "hub.leave",
        &hub.address,
        Some(&json!({ "farm": hub.farm })),
    )?;
    Ok(true)
}

fn holds_a_farm(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM animal) OR EXISTS (SELECT 1 FROM milking)",
        [],
        |row| row.get(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Actor, Farm, Options};

    #[test]
    fn a_key_that_came_too_late_leaves_the_hub_that_was_joined_meanwhile_alone() {
        let dir = tempfile::tempdir().unwrap();
        let farm = Farm::open(&dir.path().join("farm.db"), Options::default()).unwrap();
        let join_hub = |address: &'static str| {
            farm.write_blocking(Actor::System, move |tx| {
                let key = ask(tx, address)?.key;
                join(tx, "farm", 0)?;
                Ok::<_, HubError>(key)
            })
            .unwrap()
        };
        let change = |old: &SecretKey, new: &SecretKey| {
            let [old, new] = [old, new].map(|key| SecretKey::from_seed(*key.seed()));
            farm.write_blocking(Actor::System, move |tx| change_key(tx, &old, &new))
                .unwrap()
        };
        let public = || farm.read_blocking(joined).unwrap().unwrap().key.public();
        let [first_next, second_next] =
            [SecretKey::generate(), SecretKey::generate()].map(Result::unwrap);

        let first = join_hub("https://one.example");
        let second = join_hub("https://two.example");
        assert!(!change(&first, &first_next));
        assert_eq!(public(), second.public());
        assert!(change(&second, &second_next));
        assert_eq!(public(), second_next.public());
    }
}
