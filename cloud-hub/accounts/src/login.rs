//! Logging in by address and password, and by a second factor where there is one.
//!
//! Whether an address has an account is not told: an unknown one is counted, locked and takes as long to try as a known one.

use hub_store::{Store, StoreError, Tx, args};

use crate::{
    AccountId, Actor, Email, Password, PasswordHash, Secret, audit,
    lockout::{self, Locked},
    password::Busy,
    sessions::{self, Client, Lifetimes, Stage},
};

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The address and the password do not go together.
    #[error("the e-mail address or the password is wrong: try again")]
    Wrong,
    /// Too many failures.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// Too many log in at this moment.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a right password opens.
#[derive(Debug)]
pub struct Opened {
    /// The session's secret, for the cookie.
    pub secret: Secret,
    /// How far the log-in has come.
    pub stage: Stage,
}

/// Tries a password and opens a session.
///
/// # Errors
/// [`LoginError::Wrong`] or [`LoginError::Locked`], whether or not the address has an account.
pub async fn log_in(
    store: &Store,
    email: Email,
    password: Password,
    client: Client,
    lives: Lifetimes,
) -> Result<Opened, LoginError> {
    let address = email.clone();
    let found = store.write(move |tx| begin(tx, &address)).await?;
    let found = found?;
    let (id, hash) = found.map_or((None, PasswordHash::nobody()), |(id, hash)| {
        (Some(id), hash)
    });
    let right = password.matches(hash.clone()).await?;
    store
        .write(move |tx| match id.filter(|_| right) {
            Some(id) => open(tx, id, &hash, &email, &client, lives),
            None => {
                // Of addresses without an account there could be any number: the audit keeps those that have one.
                if let Some(id) = id {
                    let (by, subject) = (Actor::Nobody, id.to_string());
                    audit::record(tx, by, None, "login.failed", &subject, &client.told())?;
                }
                Ok(None)
            }
        })
        .await?
        .ok_or(LoginError::Wrong)
}

/// Counts a try; whose it is and the hash to try.
type Begun = Result<Option<(AccountId, PasswordHash)>, Locked>;

fn begin(tx: &mut Tx<'_>, email: &Email) -> Result<Begun, StoreError> {
    if let Err(locked) = lockout::count(tx, "login", email.as_str())? {
        return Ok(Err(locked));
    }
    let found = tx.first(
        "SELECT id, password FROM account WHERE email = $1",
        args![email.as_str()],
        |row| Ok((row.get(0)?, PasswordHash::stored(row.get(1)?))),
    )?;
    Ok(Ok(found))
}

/// Opens a session; nothing when the password was changed meanwhile.
fn open(
    tx: &mut Tx<'_>,
    id: AccountId,
    tried: &PasswordHash,
    email: &Email,
    client: &Client,
    lives: Lifetimes,
) -> Result<Option<Opened>, StoreError> {
    let totp: Option<Option<i64>> = tx.first(
        "SELECT totp_since FROM account WHERE id = $1 AND password = $2",
        args![id, tried.as_str()],
        |row| row.get(0),
    )?;
    let Some(totp) = totp else {
        return Ok(None);
    };
    lockout::forgive(tx, "login", email.as_str())?;
    let stage = match totp {
        Some(_) => Stage::Password,
        None => Stage::Whole,
    };
    let secret = sessions::open(tx, id, stage, client, lives)?;
    if stage == Stage::Whole {
        let by = Actor::Account(id);
        audit::record(tx, by, None, "login", &id.to_string(), &client.told())?;
    }
    Ok(Some(Opened { secret, stage }))
}
