//! Logging in by name and PIN, sessions, and tokens for programs.
//!
//! Only hashes of tokens are stored. A failed PIN is counted *before* it is tried, so that attempts side by side cannot
//! outrun the lock-out; the count is on disk, so that a restart does not forgive. Few PINs are tried at once, because each
//! try takes 19 MiB. Invariant: a lock-out is never shortened by a wall clock that nobody vouches for.

use farm_model::{Role, StaffId, Stamp, UnixMillis, hex};
use rand::RngExt as _;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use sqlite_store::FileError;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    sql,
    staff::{self, Pin, PinHash, Staff},
    store::{Actor, Change, Farm, StoreError, Tx, store_error},
    text::Name,
};

/// Failures that cost nothing but their count.
const FREE_FAILURES: i64 = 4;
/// Wait after the first failure that costs, doubled by each further one.
const FIRST_WAIT_MS: i64 = 30_000;
/// Longest wait.
const LONGEST_WAIT_MS: i64 = 15 * 60_000;
/// A session ends this long after its log-in,
const SESSION_MS: i64 = 30 * 86_400_000;
/// or this long after it was last used.
const IDLE_MS: i64 = 7 * 86_400_000;
/// How old the stored time of last use may become.
const SEEN_MS: i64 = 3_600_000;
/// Crockford's base 32, in lower case: no i, l, o or u.
const TYPED: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// PINs of members of staff that are tried at once.
static TRIES: Semaphore = Semaphore::const_new(2);
/// The same for people who do not exist: no lock-out bounds them, so they must not keep others waiting.
static VAIN_TRIES: Semaphore = Semaphore::const_new(1);

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Wrong name or PIN; the two are not told apart.
    #[error("the name or the PIN is wrong: try again")]
    Wrong,
    /// Too many failures.
    #[error("too many wrong tries: wait {seconds} seconds, then try again")]
    Locked {
        /// Seconds to wait.
        seconds: i64,
    },
    /// No such token.
    #[error("this token is not known: reload the list")]
    UnknownToken,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(AuthError);

/// A secret that a browser, program or device holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// One for programs: 64 hexadecimal digits.
    fn fresh() -> Self {
        let bytes: [u8; 32] = rand::rng().random();
        Self(hex::encode(&bytes))
    }

    /// One that a person may have to type into a device: 160 bits as 32 letters and digits of which none looks like another.
    pub(crate) fn to_type() -> Self {
        let bytes: [u8; 32] = rand::rng().random();
        Self(
            bytes
                .iter()
                .map(|b| char::from(TYPED[usize::from(b % 32)]))
                .collect(),
        )
    }

    /// The secret as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A session that is valid now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Who.
    pub staff: Staff,
    /// When it ends at the latest.
    pub expires: UnixMillis,
    /// Whether [`touch`] should be called, so that use keeps it alive.
    pub wants_touch: bool,
}

/// Logs somebody in: counts the attempt, tries the PIN on a thread that may block, opens a session.
///
/// # Errors
/// [`AuthError::Wrong`] or [`AuthError::Locked`].
pub async fn login(
    farm: &Farm,
    who: StaffId,
    pin: Pin,
    agent: String,
) -> Result<Secret, AuthError> {
    let hash = farm.write(Actor::System, move |tx| begin(tx, who)).await?;
    let places = if hash.is_nobody() {
        &VAIN_TRIES
    } else {
        &TRIES
    };
    let place = places
        .acquire()
        .await
        .map_err(|_| StoreError::from(FileError::Closed))?;
    // The place goes along: a request that is given up does not stop the thread that tries its PIN.
    let matches = tokio::task::spawn_blocking(move || {
        let matches = pin.matches(&hash);
        drop(place);
        matches
    })
    .await
    .map_err(|_| StoreError::from(FileError::Panicked))?;
    if !matches {
        return Err(AuthError::Wrong);
    }
    farm.write(Actor::Staff(who), move |tx| open(tx, who, &agent))
        .await
}

/// Counts an attempt as failed and returns the hash to try; [`open`] clears the count.
///
/// # Errors
/// [`AuthError::Locked`] while the person must wait.
pub fn begin(tx: &mut Tx<'_>, who: StaffId) -> Result<PinHash, AuthError> {
    let hash: Option<String> = tx
        .conn()
        .prepare_cached("SELECT pin FROM staff WHERE id = ?1 AND coalesce(active, 1) = 1")?
        .query_row([who.as_bytes()], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(hash) = hash.map(PinHash::stored) else {
        // Whoever does not exist cannot be locked out, and leaves no row behind.
        return Ok(PinHash::nobody());
    };
    count_attempt(tx, &format!("staff:{who}"))?;
    Ok(hash)
}

/// Who tries the setup code; there is one code, so all who try it wait together.
const SETUP: &str = "setup";

/// Counts an attempt at the setup code as failed; [`setup_is_right`] clears the count.
///
/// # Errors
/// [`AuthError::Locked`] while everybody must wait.
pub fn begin_setup(tx: &mut Tx<'_>) -> Result<(), AuthError> {
    count_attempt(tx, SETUP)
}

/// The setup code was right.
///
/// # Errors
/// When the database fails.
pub fn setup_is_right(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    forget_attempts(tx, SETUP)
}

fn forget_attempts(tx: &Tx<'_>, subject: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("DELETE FROM login_attempt WHERE subject = ?1")?
        .execute([subject])?;
    Ok(())
}

/// Counts an attempt before it is made, unless it is too early for one.
fn count_attempt(tx: &mut Tx<'_>, subject: &str) -> Result<(), AuthError> {
    let now = tx.now();
    let failed: Option<(i64, Stamp)> = tx
        .conn()
        .prepare_cached("SELECT failures, at, boot, mono FROM login_attempt WHERE subject = ?1")?
        .query_row([subject], |row| {
            let stamp = Stamp {
                wall: UnixMillis(row.get(1)?),
                boot: row.get(2)?,
                mono: row.get::<_, i64>(3)? as u64,
                ..Stamp::default()
            };
            Ok((row.get(0)?, stamp))
        })
        .optional()?;
    let failures = failed.as_ref().map_or(0, |(n, _)| *n);
    if let Some((n, at)) = failed {
        let left = wait_after(n) - passed(&at, &now);
        if left > 0 {
            return Err(AuthError::Locked {
                seconds: (left + 999) / 1000,
            });
        }
    }
    tx.conn()
        .prepare_cached(
            "INSERT INTO login_attempt (subject, failures, at, boot, mono) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (subject) DO UPDATE SET failures = ?2, at = ?3, boot = ?4, mono = ?5",
        )?
        .execute(params![
            subject,
            failures + 1,
            // A date that nobody vouches for would count, after a restart, as long ago.
            if now.clock.is_trusted() { now.wall.0 } else { i64::MAX },
            now.boot,
            now.mono as i64
        ])?;
    Ok(())
}

/// Opens a session for somebody whose PIN was right.
///
/// # Errors
/// [`AuthError::Wrong`] when they were deactivated meanwhile.
pub fn open(tx: &mut Tx<'_>, who: StaffId, agent: &str) -> Result<Secret, AuthError> {
    let staff = staff::get(tx.conn(), who)?.filter(|s| s.active);
    if staff.is_none() {
        return Err(AuthError::Wrong);
    }
    forget_attempts(tx, &format!("staff:{who}"))?;
    tx.conn().execute(
        "DELETE FROM login_session WHERE expires_at < ?1 OR seen_at < ?2",
        params![tx.wall().0, tx.wall().0 - IDLE_MS],
    )?;
    let secret = Secret::fresh();
    tx.conn().execute(
        "INSERT INTO login_session (token, staff, created_at, seen_at, expires_at, agent) VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
        params![
            hash(secret.as_str()),
            who.as_bytes(),
            tx.wall().0,
            tx.wall().0 + SESSION_MS,
            agent.chars().take(200).collect::<String>()
        ],
    )?;
    tx.audit("auth.login", &who.to_string(), None)?;
    Ok(secret)
}

/// Whose session `secret` is, if it is valid at `now`.
///
/// # Errors
/// When the database fails.
pub fn session(
    conn: &Connection,
    secret: &str,
    now: UnixMillis,
) -> Result<Option<Session>, StoreError> {
    let found: Option<(StaffId, i64, i64)> = conn
        .prepare_cached(
            "SELECT staff, expires_at, seen_at FROM login_session
             WHERE token = ?1 AND expires_at > ?2 AND seen_at > ?3",
        )?
        .query_row(params![hash(secret), now.0, now.0 - IDLE_MS], |row| {
            Ok((sql::id(row, 0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((who, expires, seen)) = found else {
        return Ok(None);
    };
    Ok(staff::get(conn, who)?
        .filter(|s| s.active)
        .map(|staff| Session {
            staff,
            expires: UnixMillis(expires),
            wants_touch: now.0 - seen > SEEN_MS,
        }))
}

/// Writes down that a session is in use.
///
/// # Errors
/// When the database fails.
pub fn touch(tx: &mut Tx<'_>, secret: &str) -> Result<(), StoreError> {
    tx.conn().execute(
        "UPDATE login_session SET seen_at = max(seen_at, ?2) WHERE token = ?1",
        params![hash(secret), tx.wall().0],
    )?;
    Ok(())
}

/// Ends one session.
///
/// # Errors
/// When the database fails.
pub fn logout(tx: &mut Tx<'_>, secret: &str) -> Result<(), StoreError> {
    tx.conn().execute(
        "DELETE FROM login_session WHERE token = ?1",
        params![hash(secret)],
    )?;
    Ok(())
}

/// Ends every session of a person; returns how many there were.
///
/// # Errors
/// When the database fails.
pub fn logout_everywhere(tx: &mut Tx<'_>, who: StaffId) -> Result<usize, StoreError> {
    let n = tx.conn().execute(
        "DELETE FROM login_session WHERE staff = ?1",
        [who.as_bytes()],
    )?;
    Ok(n)
}

/// After a merge: ends the sessions of a person that may no longer log in, or whose PIN came anew.
pub(crate) fn end_stale_sessions(
    tx: &mut Tx<'_>,
    who: StaffId,
    pin_came: bool,
) -> Result<(), StoreError> {
    let is_active = staff::get(tx.conn(), who)?.is_some_and(|s| s.active);
    if pin_came || !is_active {
        logout_everywhere(tx, who)?;
    }
    Ok(())
}

/// What the holder of a token may do.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read everything but staff and tokens.
    Read,
    /// Also post observations.
    Observe,
    /// Also whatever a manager may do.
    Manage,
}

impl Scope {
    /// Every scope, least first.
    pub const ALL: &[Self] = &[Self::Read, Self::Observe, Self::Manage];

    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Observe => "observe",
            Self::Manage => "manage",
        }
    }

    /// The scope called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.key() == key)
    }

    /// The role that may do as much, for rules that ask for a role.
    pub fn role(self) -> Role {
        match self {
            Self::Read | Self::Observe => Role::Worker,
            Self::Manage => Role::Manager,
        }
    }
}

/// A token that a program uses; its secret is shown once.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct ApiToken {
    /// Identity.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// When it was made.
    pub created: UnixMillis,
    /// When it was last used, to the hour.
    pub used: Option<UnixMillis>,
}

/// Makes a token.
///
/// # Errors
/// When the database fails.
pub fn add_token(tx: &mut Tx<'_>, name: &Name, scope: Scope) -> Result<(Uuid, Secret), AuthError> {
    let (id, secret) = (Uuid::now_v7(), Secret::fresh());
    tx.conn().execute(
        "INSERT INTO api_token (id, name, hash, scope, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            id.as_bytes(),
            name.as_str(),
            hash(secret.as_str()),
            scope.key(),
            tx.wall().0
        ],
    )?;
    tx.audit("token.add", name.as_str(), None)?;
    tx.tell(Change::Token { token: id });
    Ok((id, secret))
}

/// Makes a token worthless.
///
/// # Errors
/// When there is no such token.
pub fn revoke_token(tx: &mut Tx<'_>, id: Uuid) -> Result<(), AuthError> {
    let n = tx.conn().execute(
        "UPDATE api_token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
        params![id.as_bytes(), tx.wall().0],
    )?;
    if n == 0 {
        return Err(AuthError::UnknownToken);
    }
    tx.audit("token.revoke", &id.to_string(), None)?;
    tx.tell(Change::Token { token: id });
    Ok(())
}

/// The token whose secret this is, unless it was revoked.
///
/// # Errors
/// When the database fails.
pub fn token(conn: &Connection, secret: &str) -> Result<Option<ApiToken>, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT id, name, scope, created_at, used_at FROM api_token WHERE hash = ?1 AND revoked_at IS NULL",
        )?
        .query_row([hash(secret)], read_token)
        .optional()?)
}

/// Whether the token with this identity is valid.
///
/// # Errors
/// When the database fails.
pub fn is_valid_token(conn: &Connection, id: Uuid) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("SELECT 1 FROM api_token WHERE id = ?1 AND revoked_at IS NULL")?
        .exists([id.as_bytes()])?)
}

/// Writes down that a token is in use.
///
/// # Errors
/// When the database fails.
pub fn touch_token(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    tx.conn().execute(
        "UPDATE api_token SET used_at = ?2 WHERE id = ?1",
        params![id.as_bytes(), tx.wall().0],
    )?;
    Ok(())
}

/// Every token that is valid, newest first.
///
/// # Errors
/// When the database fails.
pub fn tokens(conn: &Connection) -> Result<Vec<ApiToken>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, name, scope, created_at, used_at FROM api_token WHERE revoked_at IS NULL ORDER BY id DESC",
    )?;
    let rows = statement.query_map([], read_token)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_token(row: &rusqlite::Row<'_>) -> rusqlite::Result<ApiToken> {
    Ok(ApiToken {
        id: Uuid::from_bytes(row.get(0)?),
        name: sql::text(row, 1)?,
        scope: Scope::from_key(&sql::text(row, 2)?).unwrap_or(Scope::Read),
        created: UnixMillis(row.get(3)?),
        used: row.get::<_, Option<i64>>(4)?.map(UnixMillis),
    })
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn wait_after(failures: i64) -> i64 {
    if failures <= FREE_FAILURES {
        return 0;
    }
    let doublings = u32::try_from(failures - FREE_FAILURES - 1).unwrap_or(u32::MAX);
    FIRST_WAIT_MS
        .saturating_mul(1i64.checked_shl(doublings.min(20)).unwrap_or(i64::MAX))
        .min(LONGEST_WAIT_MS)
}

/// Milliseconds that have certainly passed since `then`.
fn passed(then: &Stamp, now: &Stamp) -> i64 {
    if then.boot == now.boot {
        return now.mono.saturating_sub(then.mono) as i64;
    }
    let since_boot = now.mono as i64;
    if now.clock.is_trusted() {
        since_boot.max(now.wall.since(then.wall))
    } else {
        since_boot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let waits: Vec<i64> = (3..12).map(|n| wait_after(n) / 1000).collect();
        assert_eq!(waits, [0, 0, 30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(wait_after(i64::MAX), LONGEST_WAIT_MS);
    }
}
