//! People with a log-in.

use hub_store::{Micros, Row, StoreError, Tx, args};

use crate::{AccountId, Actor, Email, Name, PasswordHash, audit, sessions};

/// A person with a log-in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Identity.
    pub id: AccountId,
    /// Address.
    pub email: String,
    /// Name.
    pub name: String,
    /// When it was made.
    pub created: Micros,
    /// Whether a second factor is asked for.
    pub second_factor: bool,
}

/// Why an account was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The address has an account.
    #[error("{0} has an account already: log in with it, or choose another address")]
    Taken(Email),
    /// There is no such account.
    #[error("this account is not known: see `cloud-hub accounts list`")]
    Unknown,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an account.
///
/// # Errors
/// [`AccountError::Taken`].
pub fn add(
    tx: &mut Tx<'_>,
    by: Actor,
    email: &Email,
    name: &Name,
    password: &PasswordHash,
) -> Result<AccountId, AccountError> {
    let id = AccountId::new();
    let made = tx.execute(
        "INSERT INTO account (id, email, name, password, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (email) DO NOTHING",
        args![
            id,
            email.as_str(),
            name.as_str(),
            password.as_str(),
            tx.now()
        ],
    )?;
    if made == 0 {
        return Err(AccountError::Taken(email.clone()));
    }
    let by = if by == Actor::Nobody {
        Actor::Account(id)
    } else {
        by
    };
    audit::record(tx, by, None, "account.add", &id.to_string(), email.as_str())?;
    Ok(id)
}

/// Everybody, by address.
///
/// # Errors
/// When the database fails.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Account>, StoreError> {
    tx.all(
        "SELECT id, email, name, created_at, totp_since FROM account ORDER BY email",
        &[],
        read,
    )
}

/// An account.
///
/// # Errors
/// When the database fails.
pub fn get(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<Account>, StoreError> {
    tx.first(
        "SELECT id, email, name, created_at, totp_since FROM account WHERE id = $1",
        args![id],
        read,
    )
}

/// The account of an address.
///
/// # Errors
/// When the database fails.
pub fn by_email(tx: &mut Tx<'_>, email: &Email) -> Result<Option<Account>, StoreError> {
    tx.first(
        "SELECT id, email, name, created_at, totp_since FROM account WHERE email = $1",
        args![email.as_str()],
        read,
    )
}

/// The hash of an account's password.
///
/// # Errors
/// When the database fails.
pub fn password(tx: &mut Tx<'_>, id: AccountId) -> Result<Option<PasswordHash>, StoreError> {
    let hash: Option<String> = tx.first(
        "SELECT password FROM account WHERE id = $1",
        args![id],
        |row| row.get(0),
    )?;
    Ok(hash.map(PasswordHash::stored))
}

/// Gives an account another password and ends its sessions, but for the one that is kept.
///
/// # Errors
/// [`AccountError::Unknown`].
pub fn set_password(
    tx: &mut Tx<'_>,
    by: Actor,
    id: AccountId,
    password: &PasswordHash,
    keep: Option<crate::ids::SessionId>,
) -> Result<(), AccountError> {
    let changed = tx.execute(
        "UPDATE account SET password = $2 WHERE id = $1",
        args![id, password.as_str()],
    )?;
    if changed == 0 {
        return Err(AccountError::Unknown);
    }
    sessions::end_all(tx, id, keep)?;
    audit::record(tx, by, None, "account.password", &id.to_string(), "")?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.get(0)?,
        email: row.get(1)?,
        name: row.get(2)?,
        created: row.get(3)?,
        second_factor: row.get::<Option<i64>>(4)?.is_some(),
    })
}
