//! A new password for whoever forgot theirs: by a link that works once and ends soon.
//!
//! The second factor stays: a link alone opens no account that has one.

use hub_store::{StoreError, Tx, args};

use crate::{
    AccountId, Actor, Email, PasswordHash, Secret, accounts, accounts::AccountError, audit,
};

/// A link ends this long after it was made.
const LIVES_S: i64 = 3600;

/// Makes a link for the account of this address; those made before end.
///
/// # Errors
/// [`AccountError::Unknown`]: to be told to an operator, never to a stranger.
pub fn make(tx: &mut Tx<'_>, by: Actor, email: &Email) -> Result<Secret, AccountError> {
    let account = accounts::by_email(tx, email)?.ok_or(AccountError::Unknown)?;
    let (secret, now) = (Secret::fresh(), tx.now());
    tx.execute(
        "DELETE FROM password_reset WHERE account = $1 OR expires_at <= $2",
        args![account.id, now],
    )?;
    tx.execute(
        "INSERT INTO password_reset (hash, account, expires_at) VALUES ($1, $2, $3)",
        args![secret.hash(), account.id, now.plus_seconds(LIVES_S)],
    )?;
    audit::record(tx, by, None, "password.reset", &account.id.to_string(), "")?;
    Ok(secret)
}

/// Whose password this link resets; nothing when it ended.
///
/// # Errors
/// When the database fails.
pub fn whose(tx: &mut Tx<'_>, secret: &Secret) -> Result<Option<(AccountId, Email)>, StoreError> {
    let found: Option<(AccountId, String)> = tx.first(
        "SELECT a.id, a.email FROM password_reset r JOIN account a ON a.id = r.account
         WHERE r.hash = $1 AND r.expires_at > $2",
        args![secret.hash(), tx.now()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(found.and_then(|(id, email)| Some((id, Email::new(&email).ok()?))))
}

/// Uses a link up: the account has this password from now on, and every log-in of it is ended.
///
/// # Errors
/// [`AccountError::Unknown`] when the link ended.
pub fn finish(
    tx: &mut Tx<'_>,
    secret: &Secret,
    password: &PasswordHash,
) -> Result<(), AccountError> {
    let (id, email) = whose(tx, secret)?.ok_or(AccountError::Unknown)?;
    tx.execute("DELETE FROM password_reset WHERE account = $1", args![id])?;
    crate::lockout::forgive(tx, "login", email.as_str())?;
    accounts::set_password(tx, Actor::Account(id), id, password, None)
}
