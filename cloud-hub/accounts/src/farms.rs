//! Farms, and which of them somebody belongs to. Who else does is in [`crate::members`].

use hub_store::{Micros, Row, StoreError, Tx, args};

use crate::{Account, AccountId, Actor, FarmId, Name, Role, Secret, audit, members};

/// Words that stand in addresses for something else.
const RESERVED: &[&str] = &["new", "all", "api", "assets", "sync"];
/// Longest slug.
const SLUG: usize = 40;

/// A farm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Farm {
    /// Identity.
    pub id: FarmId,
    /// Its word in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Micros,
    /// When it goes for good, once somebody asked for that.
    pub goes: Option<Micros>,
}

/// A farm and what somebody may do there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The farm.
    pub farm: Farm,
    /// What they may do.
    pub role: Role,
}

/// A farm of somebody's list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mine {
    /// The farm and the role.
    pub membership: Membership,
    /// Machines that belong to it now.
    pub sites: i64,
    /// When one of them was last heard.
    pub heard: Option<Micros>,
    /// How much they had not sent yet, then.
    pub waiting: i64,
}

/// Why a farm was not made.
#[derive(Debug, thiserror::Error)]
pub enum FarmError {
    /// Somebody without a second factor would own a farm.
    #[error("an owner needs a second factor: set it up under My account first")]
    NoSecondFactor,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a farm that `owner` owns.
///
/// # Errors
/// [`FarmError::NoSecondFactor`].
pub fn create(tx: &mut Tx<'_>, owner: &Account, name: &Name) -> Result<Farm, FarmError> {
    make(tx, owner, name, FarmId::new(), "farm.add")
}

/// Makes a farm of this identity that `owner` owns, and that came as a file.
///
/// # Errors
/// [`FarmError::NoSecondFactor`].
pub fn import(
    tx: &mut Tx<'_>,
    owner: &Account,
    name: &Name,
    id: FarmId,
) -> Result<Farm, FarmError> {
    make(tx, owner, name, id, "farm.import")
}

fn make(
    tx: &mut Tx<'_>,
    owner: &Account,
    name: &Name,
    id: FarmId,
    deed: &str,
) -> Result<Farm, FarmError> {
    if !owner.second_factor {
        return Err(FarmError::NoSecondFactor);
    }
    let farm = Farm {
        id,
        slug: free_slug(tx, name)?,
        name: name.to_string(),
        created: tx.now(),
        goes: None,
    };
    tx.execute(
        "INSERT INTO farm (id, slug, name, created_at) VALUES ($1, $2, $3, $4)",
        args![
            farm.id,
            farm.slug.as_str(),
            farm.name.as_str(),
            farm.created
        ],
    )?;
    members::put(tx, farm.id, owner.id, Role::Owner)?;
    let by = Actor::Account(owner.id);
    audit::record(tx, by, Some(farm.id), deed, &farm.slug, &farm.name)?;
    Ok(farm)
}

/// The farms somebody belongs to, by name.
///
/// # Errors
/// When the database fails.
pub fn of_account(tx: &mut Tx<'_>, account: AccountId) -> Result<Vec<Mine>, StoreError> {
    tx.all(
        "SELECT f.id, f.slug, f.name, f.created_at, f.goes_at, m.role,
                (SELECT count(*) FROM site s WHERE s.farm = f.id AND s.revoked_at IS NULL),
                (SELECT max(s.heard_at) FROM site s WHERE s.farm = f.id AND s.revoked_at IS NULL),
                (SELECT coalesce(sum(s.waiting), 0) FROM site s WHERE s.farm = f.id AND s.revoked_at IS NULL)
         FROM member m JOIN farm f ON f.id = m.farm WHERE m.account = $1 AND f.gone_at IS NULL ORDER BY f.name, f.id",
        args![account],
        |row| {
            Ok(Mine {
                membership: membership(row)?,
                sites: row.get(6)?,
                heard: row.get(7)?,
                waiting: row.get(8)?,
            })
        },
    )
}

/// What somebody may do on the farm of this slug; nothing when there is no such farm or they do not belong to it.
///
/// # Errors
/// When the database fails.
pub fn membership_of(
    tx: &mut Tx<'_>,
    account: AccountId,
    slug: &str,
) -> Result<Option<Membership>, StoreError> {
    tx.first(
        "SELECT f.id, f.slug, f.name, f.created_at, f.goes_at, m.role
         FROM member m JOIN farm f ON f.id = m.farm WHERE m.account = $1 AND f.slug = $2 AND f.gone_at IS NULL",
        args![account, slug],
        membership,
    )
}

/// What somebody may do on a farm; nothing when they do not belong to it.
///
/// # Errors
/// When the database fails.
pub fn role_of(
    tx: &mut Tx<'_>,
    account: AccountId,
    farm: FarmId,
) -> Result<Option<Role>, StoreError> {
    tx.first(
        "SELECT m.role FROM member m JOIN farm f ON f.id = m.farm
         WHERE m.account = $1 AND m.farm = $2 AND f.gone_at IS NULL",
        args![account, farm],
        |row| row.get(0),
    )
}

/// A farm; nothing when there never was one or it went.
///
/// # Errors
/// When the database fails.
pub fn get(tx: &mut Tx<'_>, farm: FarmId) -> Result<Option<Farm>, StoreError> {
    tx.first(
        "SELECT id, slug, name, created_at, goes_at FROM farm WHERE id = $1 AND gone_at IS NULL",
        args![farm],
        read,
    )
}

/// Every farm that did not go.
///
/// # Errors
/// When the database fails.
pub fn every(tx: &mut Tx<'_>) -> Result<Vec<FarmId>, StoreError> {
    tx.all(
        "SELECT id FROM farm WHERE gone_at IS NULL ORDER BY id",
        &[],
        |row| row.get(0),
    )
}

/// Whether somebody owns a farm.
///
/// # Errors
/// When the database fails.
pub fn owns_any(tx: &mut Tx<'_>, account: AccountId) -> Result<bool, StoreError> {
    tx.exists(
        "SELECT 1 FROM member WHERE account = $1 AND role = $2",
        args![account, Role::Owner],
    )
}

fn membership(row: &Row<'_>) -> Result<Membership, StoreError> {
    Ok(Membership {
        farm: read(row)?,
        role: row.get(5)?,
    })
}

fn read(row: &Row<'_>) -> Result<Farm, StoreError> {
    Ok(Farm {
        id: row.get(0)?,
        slug: row.get(1)?,
        name: row.get(2)?,
        created: row.get(3)?,
        goes: row.get(4)?,
    })
}

/// A slug that is near the name and that no farm has.
fn free_slug(tx: &mut Tx<'_>, name: &Name) -> Result<String, StoreError> {
    let near = slug_of(name.as_str());
    let taken =
        |tx: &mut Tx<'_>, slug: &str| tx.exists("SELECT 1 FROM farm WHERE slug = $1", args![slug]);
    if near.len() >= 3 && !RESERVED.contains(&near.as_str()) && !taken(tx, &near)? {
        return Ok(near);
    }
    let stem = if near.is_empty() { "farm" } else { &near };
    loop {
        let tail = Secret::to_type::<5>().as_str().to_ascii_lowercase();
        let slug = format!("{stem}-{tail}");
        if !taken(tx, &slug)? {
            return Ok(slug);
        }
    }
}

/// What is left of a name in small letters, digits and dashes; nothing of a Bengali one.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == SLUG {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_what_is_left_of_a_name() {
        for (name, slug) in [
            ("Green Field Dairy", "green-field-dairy"),
            ("  A & B!  ", "a-b"),
            ("সবুজ খামার", ""),
            ("সবুজ 2", "2"),
        ] {
            assert_eq!(slug_of(name), slug);
        }
        assert_eq!(slug_of(&"x".repeat(90)).len(), SLUG);
    }
}
