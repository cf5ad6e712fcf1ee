//! Who works here: names, roles and PINs.
//!
//! A PIN is hashed by argon2 before a command sees it, because hashing takes a tenth of a second and the writer's thread
//! has none to spare: [`Pin::hash`] belongs on a thread that may block.

use farm_model::{Role, StaffId};
use rusqlite::{Connection, OptionalExtension, Row, params};
pub use slow_hash::SlowHash as PinHash;

use crate::{
    sql,
    store::{Change, StoreError, Tx, store_error},
    text::{Name, fold},
};

/// Why a member of staff was not saved.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// Another active member has the name.
    #[error("somebody is called {0} already: add a surname or a number")]
    NameTaken(Name),
    /// No such person.
    #[error("this person is not known: go back to the list and choose another")]
    Unknown,
    /// The last owner would be gone.
    #[error("one active owner must remain: make somebody else an owner first")]
    LastOwner,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(StaffError);

/// A member of staff.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Staff {
    /// Identity.
    pub id: StaffId,
    /// Name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may log in.
    pub active: bool,
}

/// A PIN as it was typed: 4 to 12 digits, ASCII or Bengali.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(String);

impl Pin {
    /// A PIN.
    ///
    /// # Errors
    /// When it is not 4 to 12 digits.
    pub fn new(text: &str) -> Result<Self, NotAPin> {
        let digits = fold(text);
        let fits = (4..=12).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then_some(Self(digits)).ok_or(NotAPin)
    }

    /// Its argon2id hash, with a fresh salt. Slow by intent.
    pub fn hash(&self) -> PinHash {
        PinHash::of(self.0.as_bytes())
    }

    /// Whether this is the PIN of `hash`. Slow by intent.
    pub fn matches(&self, hash: &PinHash) -> bool {
        hash.fits(self.0.as_bytes())
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// The text is no PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PIN has 4 to 12 digits")]
pub struct NotAPin;

/// Adds a member of staff.
///
/// # Errors
/// When another active member has the name.
pub fn add(tx: &mut Tx<'_>, name: &Name, role: Role, pin: &PinHash) -> Result<StaffId, StaffError> {
    name_is_free(tx, name, None)?;
    let id = StaffId::new();
    tx.conn().execute(
        "INSERT INTO staff (id, name, role, pin, active, created_at) VALUES (?1, ?2, ?3, ?4, 1, ?5)",
        params![id.as_bytes(), name.as_str(), role.key(), pin.as_str(), tx.wall().0],
    )?;
    changed(tx, "staff.add", id)
}

/// Changes a name and a role.
///
/// # Errors
/// When there is no such person, the name is another's, or no owner would remain.
pub fn edit(tx: &mut Tx<'_>, id: StaffId, name: &Name, role: Role) -> Result<(), StaffError> {
    let old = get(tx.conn(), id)?.ok_or(StaffError::Unknown)?;
    name_is_free(tx, name, Some(id))?;
    if old.role == Role::Owner && role != Role::Owner {
        another_owner(tx, id)?;
    }
    tx.conn().execute(
        "UPDATE staff SET name = ?2, role = ?3 WHERE id = ?1",
        params![id.as_bytes(), name.as_str(), role.key()],
    )?;
    changed(tx, "staff.edit", id).map(drop)
}

/// Gives a new PIN and ends the person's sessions.
///
/// # Errors
/// When there is no such person.
pub fn set_pin(tx: &mut Tx<'_>, id: StaffId, pin: &PinHash) -> Result<(), StaffError> {
    get(tx.conn(), id)?.ok_or(StaffError::Unknown)?;
    tx.conn().execute(
        "UPDATE staff SET pin = ?2 WHERE id = ?1",
        params![id.as_bytes(), pin.as_str()],
    )?;
    crate::auth::logout_everywhere(tx, id)?;
    changed(tx, "staff.pin", id).map(drop)
}

/// Lets somebody log in no more, and ends their sessions; what they did stays theirs.
///
/// # Errors
/// When there is no such person, or no owner would remain.
pub fn deactivate(tx: &mut Tx<'_>, id: StaffId) -> Result<(), StaffError> {
    let old = get(tx.conn(), id)?.ok_or(StaffError::Unknown)?;
    if old.role == Role::Owner {
        another_owner(tx, id)?;
    }
    tx.conn()
        .execute("UPDATE staff SET active = 0 WHERE id = ?1", [id.as_bytes()])?;
    crate::auth::logout_everywhere(tx, id)?;
    changed(tx, "staff.deactivate", id).map(drop)
}

/// Lets somebody log in again.
///
/// # Errors
/// When there is no such person, or another active member has the name by now.
pub fn reactivate(tx: &mut Tx<'_>, id: StaffId) -> Result<(), StaffError> {
    let old = get(tx.conn(), id)?.ok_or(StaffError::Unknown)?;
    if let Ok(name) = Name::new(&old.name) {
        name_is_free(tx, &name, Some(id))?;
    }
    tx.conn()
        .execute("UPDATE staff SET active = 1 WHERE id = ?1", [id.as_bytes()])?;
    changed(tx, "staff.reactivate", id).map(drop)
}

/// Everybody, active ones first, by name.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &Connection) -> Result<Vec<Staff>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, name, role, active FROM staff ORDER BY coalesce(active, 1) DESC, name, id",
    )?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One member of staff.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &Connection, id: StaffId) -> Result<Option<Staff>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT id, name, role, active FROM staff WHERE id = ?1")?
        .query_row([id.as_bytes()], read)
        .optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Staff> {
    Ok(Staff {
        id: sql::id(row, 0)?,
        name: sql::text(row, 1)?,
        role: Role::from_key(&sql::text(row, 2)?).unwrap_or(Role::Worker),
        active: row.get::<_, Option<bool>>(3)?.unwrap_or(true),
    })
}

fn name_is_free(tx: &Tx<'_>, name: &Name, except: Option<StaffId>) -> Result<(), StaffError> {
    let wanted = fold(name.as_str());
    let taken = list(tx.conn())?
        .into_iter()
        .any(|s| s.active && Some(s.id) != except && fold(&s.name) == wanted);
    if taken {
        Err(StaffError::NameTaken(name.clone()))
    } else {
        Ok(())
    }
}

fn another_owner(tx: &Tx<'_>, except: StaffId) -> Result<(), StaffError> {
    let others = list(tx.conn())?
        .into_iter()
        .any(|s| s.active && s.id != except && s.role == Role::Owner);
    if others {
        Ok(())
    } else {
        Err(StaffError::LastOwner)
    }
}

fn changed(tx: &mut Tx<'_>, action: &str, id: StaffId) -> Result<StaffId, StaffError> {
    tx.audit(action, &id.to_string(), None)?;
    tx.tell(Change::Staff { staff: id });
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_fits_its_own_hash_only() {
        let (pin, other) = (Pin::new("২৫৮0").unwrap(), Pin::new("2581").unwrap());
        let hash = Pin::new("2580").unwrap().hash();
        assert!(pin.matches(&hash) && !other.matches(&hash));
    }
}
