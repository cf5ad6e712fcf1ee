//! The second factor of an account: setting it up, trying it, and the codes for the day when the phone is gone.
//!
//! Invariants: a code of the app is taken once; a backup code is taken once; setting up is finished only by a right code, so
//! that nobody locks themselves out; changing it ends every other session; the app's key lies sealed.

use hub_store::{StoreError, Tx, args};

use crate::{
    Account, AccountId, Actor, SealKey, Secret, audit,
    ids::SessionId,
    lockout::{self, Locked},
    sessions::{self, Client, Lifetimes, Stage},
    totp::TotpKey,
};

/// What keys of apps are sealed for.
pub(crate) const SEALED_FOR: &str = "totp";
/// Backup codes of an account.
const BACKUP_CODES: usize = 10;
/// Letters of a backup code: 50 bits, behind a lock-out.
const LETTERS: usize = 10;

/// Why a second factor was not taken or set up.
#[derive(Debug, thiserror::Error)]
pub enum SecondFactorError {
    /// The code is wrong, too old, or was used.
    #[error("the code is wrong or was used before: wait for the next one and type it")]
    Wrong,
    /// Too many wrong codes.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// There is none to try or finish, or there is one already.
    #[error("the second factor was changed meanwhile: reload the page")]
    NotNow,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Begins to set a second factor up, or goes on with it: the key for the app.
///
/// # Errors
/// [`SecondFactorError::NotNow`] when there is one already.
pub fn begin(
    tx: &mut Tx<'_>,
    seal: &SealKey,
    account: AccountId,
) -> Result<TotpKey, SecondFactorError> {
    let fresh = TotpKey::fresh().base32();
    let sealed = seal.seal(SEALED_FOR, &account.to_string(), &fresh);
    tx.execute(
        "UPDATE account SET totp = $2, totp_step = 0 WHERE id = $1 AND totp IS NULL",
        args![account, sealed],
    )?;
    pending(tx, seal, account)
}

/// The key that is being set up.
fn pending(
    tx: &mut Tx<'_>,
    seal: &SealKey,
    account: AccountId,
) -> Result<TotpKey, SecondFactorError> {
    let sealed: Option<Option<String>> = tx.first(
        "SELECT totp FROM account WHERE id = $1 AND totp_since IS NULL",
        args![account],
        |row| row.get(0),
    )?;
    let sealed = sealed.flatten();
    let key = sealed.and_then(|sealed| opened(seal, account, &sealed));
    key.ok_or(SecondFactorError::NotNow)
}

/// The key in a row; nothing, and a line in the log, when it is not this row's.
fn opened(seal: &SealKey, account: AccountId, sealed: &str) -> Option<TotpKey> {
    let key = seal.unseal(SEALED_FOR, &account.to_string(), sealed);
    let key = key.and_then(|key| TotpKey::typed(&key));
    if key.is_none() {
        tracing::error!(%account, "the key of a second factor does not open: its row was altered");
    }
    key
}

/// Counts a try; what is done with a code comes after it, in another transaction.
///
/// # Errors
/// [`SecondFactorError::Locked`].
pub fn count(tx: &mut Tx<'_>, account: AccountId) -> Result<Result<(), Locked>, StoreError> {
    lockout::count(tx, "second", &account.to_string())
}

/// Finishes setting up, when `code` is the app's; the backup codes, which are shown once.
///
/// # Errors
/// [`SecondFactorError::Wrong`] or [`SecondFactorError::NotNow`].
pub fn finish(
    tx: &mut Tx<'_>,
    seal: &SealKey,
    account: AccountId,
    code: &str,
    keep: SessionId,
) -> Result<Vec<Secret>, SecondFactorError> {
    let key = pending(tx, seal, account)?;
    let step = key.step_of(code, tx.now().seconds(), 0);
    let step = step.ok_or(SecondFactorError::Wrong)?;
    tx.execute(
        "UPDATE account SET totp_since = $2, totp_step = $3 WHERE id = $1",
        args![account, tx.now(), step],
    )?;
    lockout::forgive(tx, "second", &account.to_string())?;
    sessions::end_all(tx, account, Some(keep))?;
    let by = Actor::Account(account);
    audit::record(tx, by, None, "second_factor.set", &account.to_string(), "")?;
    Ok(renew_codes(tx, account)?)
}

/// Makes new backup codes; the old ones are worth nothing any more.
///
/// # Errors
/// When the database fails.
pub fn renew_codes(tx: &mut Tx<'_>, account: AccountId) -> Result<Vec<Secret>, StoreError> {
    tx.execute("DELETE FROM backup_code WHERE account = $1", args![account])?;
    let codes: Vec<Secret> = (0..BACKUP_CODES)
        .map(|_| Secret::to_type::<LETTERS>())
        .collect();
    for code in &codes {
        tx.execute(
            "INSERT INTO backup_code (account, hash) VALUES ($1, $2)",
            args![account, backup_hash(account, code)],
        )?;
    }
    let by = Actor::Account(account);
    audit::record(
        tx,
        by,
        None,
        "second_factor.codes",
        &account.to_string(),
        "",
    )?;
    Ok(codes)
}

/// How many backup codes are left.
///
/// # Errors
/// When the database fails.
pub fn codes_left(tx: &mut Tx<'_>, account: AccountId) -> Result<i64, StoreError> {
    let left = tx.first(
        "SELECT count(*) FROM backup_code WHERE account = $1 AND used_at IS NULL",
        args![account],
        |row| row.get(0),
    )?;
    Ok(left.unwrap_or(0))
}

/// Tries a code of the app or a backup code, and exchanges the half session for a whole one.
///
/// # Errors
/// [`SecondFactorError::Wrong`].
pub fn log_in(
    tx: &mut Tx<'_>,
    seal: &SealKey,
    account: &Account,
    half: SessionId,
    code: &str,
    client: &Client,
    lives: Lifetimes,
) -> Result<Secret, SecondFactorError> {
    let way = check(tx, seal, account.id, code)?;
    lockout::forgive(tx, "second", &account.id.to_string())?;
    sessions::end(tx, account.id, half)?;
    let secret = sessions::open(tx, account.id, Stage::Whole, client, lives)?;
    let by = Actor::Account(account.id);
    audit::record(
        tx,
        by,
        None,
        "login",
        &account.id.to_string(),
        &format!("{way}, {}", client.told()),
    )?;
    Ok(secret)
}

/// Writes down that a code was wrong, after the try was undone.
///
/// # Errors
/// When the database fails.
pub fn failed(tx: &mut Tx<'_>, account: AccountId, client: &Client) -> Result<(), StoreError> {
    let (by, subject) = (Actor::Nobody, account.to_string());
    audit::record(
        tx,
        by,
        None,
        "second_factor.failed",
        &subject,
        &client.told(),
    )
}

/// Uses a code up; which kind it was.
///
/// # Errors
/// [`SecondFactorError::Wrong`].
pub fn check(
    tx: &mut Tx<'_>,
    seal: &SealKey,
    account: AccountId,
    code: &str,
) -> Result<&'static str, SecondFactorError> {
    let found: Option<(Option<String>, i64)> = tx.first(
        "SELECT totp, totp_step FROM account WHERE id = $1 AND totp_since IS NOT NULL",
        args![account],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (key, used) = found.ok_or(SecondFactorError::NotNow)?;
    let key = key.and_then(|sealed| opened(seal, account, &sealed));
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(step) = key.and_then(|key| key.step_of(&digits, tx.now().seconds(), used)) {
        tx.execute(
            "UPDATE account SET totp_step = $2 WHERE id = $1",
            args![account, step],
        )?;
        return Ok("app");
    }
    let spent = tx.execute(
        "UPDATE backup_code SET used_at = $3 WHERE account = $1 AND hash = $2 AND used_at IS NULL",
        args![
            account,
            backup_hash(account, &Secret::typed(code)),
            tx.now()
        ],
    )?;
    if spent == 0 {
        return Err(SecondFactorError::Wrong);
    }
    Ok("backup code")
}

/// Takes the second factor away: for whoever lost phone and codes, by whoever runs the hub.
///
/// # Errors
/// When the database fails.
pub fn remove(tx: &mut Tx<'_>, by: Actor, account: AccountId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE account SET totp = NULL, totp_since = NULL, totp_step = 0 WHERE id = $1",
        args![account],
    )?;
    tx.execute("DELETE FROM backup_code WHERE account = $1", args![account])?;
    sessions::end_all(tx, account, None)?;
    audit::record(
        tx,
        by,
        None,
        "second_factor.remove",
        &account.to_string(),
        "",
    )
}

/// Salted with the account, so that one list of codes does not fit all.
fn backup_hash(account: AccountId, code: &Secret) -> String {
    crate::secret::hash(&format!("{account}:{}", code.as_str()))
}
