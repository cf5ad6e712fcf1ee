//! Log-ins of browsers: a random secret in a cookie, of which the store has the hash.
//!
//! Invariant: a session that ended, expired or lay idle is refused from the next request on; one that has seen the password
//! only is worth nothing but a try at the second factor.

use hub_store::{Column, Micros, Row, StoreError, Tx, Value, ValueRef, args};

use crate::{Account, AccountId, Actor, Secret, audit, ids::SessionId};

/// How long sessions live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// Seconds from the log-in on, however much it is used.
    pub longest_s: i64,
    /// Seconds since it was last used.
    pub idle_s: i64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            longest_s: 12 * 3600,
            idle_s: 30 * 60,
        }
    }
}

/// Between password and second factor there is this much time.
const PENDING_S: i64 = 10 * 60;
/// Sessions of one account at once; the one unused for longest gives way.
const AT_ONCE: i64 = 5;
/// How old the stored moment of last use may become, in seconds.
const SEEN_S: i64 = 60;

/// How far a log-in has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The password was right; the second factor is still to come.
    Password,
    /// All that was asked for was right.
    Whole,
}

impl Stage {
    fn key(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Whole => "whole",
        }
    }
}

impl From<Stage> for Value {
    fn from(stage: Stage) -> Self {
        stage.key().into()
    }
}

impl Column for Stage {
    fn read(value: ValueRef<'_>) -> Option<Self> {
        [Self::Password, Self::Whole]
            .into_iter()
            .find(|stage| value == ValueRef::Text(stage.key()))
    }
}

/// From where somebody comes, as their list of sessions shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    /// What the browser calls itself.
    pub agent: String,
    /// Its address.
    pub address: String,
}

impl Client {
    /// At most so much of what a browser calls itself.
    const LONGEST: usize = 200;

    fn short(text: &str) -> String {
        text.chars().take(Self::LONGEST).collect()
    }

    /// Address and browser in one line, for the audit.
    pub fn told(&self) -> String {
        format!("{} {}", self.address, Self::short(&self.agent))
            .trim()
            .to_owned()
    }
}

/// A session that is valid now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Identity.
    pub id: SessionId,
    /// Whose.
    pub account: Account,
    /// How far the log-in has come.
    pub stage: Stage,
    /// Whether [`touch`] should be called, so that use keeps it alive.
    pub wants_touch: bool,
}

/// A line of the list of sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Identity.
    pub id: SessionId,
    /// From where.
    pub client: Client,
    /// When it began.
    pub created: Micros,
    /// When it was last used, to the minute.
    pub seen: Micros,
}

/// Opens a session.
///
/// # Errors
/// When the database fails.
pub fn open(
    tx: &mut Tx<'_>,
    account: AccountId,
    stage: Stage,
    client: &Client,
    lives: Lifetimes,
) -> Result<Secret, StoreError> {
    let now = tx.now();
    tx.execute(
        "DELETE FROM session WHERE expires_at <= $1 OR seen_at <= $2",
        args![now, now.plus_seconds(-lives.idle_s)],
    )?;
    tx.execute(
        "DELETE FROM session WHERE account = $1 AND id NOT IN (
             SELECT id FROM session WHERE account = $1 ORDER BY seen_at DESC, id DESC LIMIT $2)",
        args![account, AT_ONCE - 1],
    )?;
    let secret = Secret::fresh();
    let lives_s = match stage {
        Stage::Password => PENDING_S,
        Stage::Whole => lives.longest_s,
    };
    tx.execute(
        "INSERT INTO session (hash, id, account, stage, created_at, seen_at, expires_at, agent, address)
         VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8)",
        args![
            secret.hash(),
            SessionId::new(),
            account,
            stage,
            now,
            now.plus_seconds(lives_s),
            Client::short(&client.agent),
            Client::short(&client.address)
        ],
    )?;
    Ok(secret)
}

/// Whose session this secret is, if it is valid now.
///
/// # Errors
/// When the database fails.
pub fn find(
    tx: &mut Tx<'_>,
    secret: &Secret,
    lives: Lifetimes,
) -> Result<Option<Session>, StoreError> {
    let now = tx.now();
    tx.first(
        "SELECT s.id, s.stage, s.seen_at, a.id, a.email, a.name, a.created_at, a.totp_since
         FROM session s JOIN account a ON a.id = s.account
         WHERE s.hash = $1 AND s.expires_at > $2 AND s.seen_at > $3",
        args![secret.hash(), now, now.plus_seconds(-lives.idle_s)],
        |row| {
            Ok(Session {
                id: row.get(0)?,
                stage: row.get(1)?,
                wants_touch: now.seconds_since(row.get(2)?) >= SEEN_S,
                account: Account {
                    id: row.get(3)?,
                    email: row.get(4)?,
                    name: row.get(5)?,
                    created: row.get(6)?,
                    second_factor: row.get::<Option<i64>>(7)?.is_some(),
                },
            })
        },
    )
}

/// Whether this session of an account is whole and valid now.
///
/// # Errors
/// When the database fails.
pub fn is_open(
    tx: &mut Tx<'_>,
    account: AccountId,
    id: SessionId,
    lives: Lifetimes,
) -> Result<bool, StoreError> {
    let now = tx.now();
    tx.exists(
        "SELECT 1 FROM session WHERE id = $1 AND account = $2 AND stage = $3 AND expires_at > $4 AND seen_at > $5",
        args![id, account, Stage::Whole, now, now.plus_seconds(-lives.idle_s)],
    )
}

/// Writes down that a session is in use.
///
/// # Errors
/// When the database fails.
pub fn touch(tx: &mut Tx<'_>, id: SessionId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE session SET seen_at = $2 WHERE id = $1 AND seen_at < $2",
        args![id, tx.now()],
    )?;
    Ok(())
}

/// The sessions of an account, the newest used first.
///
/// # Errors
/// When the database fails.
pub fn list(
    tx: &mut Tx<'_>,
    account: AccountId,
    lives: Lifetimes,
) -> Result<Vec<Listed>, StoreError> {
    let now = tx.now();
    tx.all(
        "SELECT id, agent, address, created_at, seen_at FROM session
         WHERE account = $1 AND stage = $2 AND expires_at > $3 AND seen_at > $4 ORDER BY seen_at DESC, id DESC",
        args![account, Stage::Whole, now, now.plus_seconds(-lives.idle_s)],
        listed,
    )
}

/// Ends one session of an account; whether there was one.
///
/// # Errors
/// When the database fails.
pub fn end(tx: &mut Tx<'_>, account: AccountId, id: SessionId) -> Result<bool, StoreError> {
    let ended = tx.execute(
        "DELETE FROM session WHERE id = $1 AND account = $2",
        args![id, account],
    )?;
    Ok(ended > 0)
}

/// Ends one session of an account because whoever has it asked for that, from here; whether there was one.
///
/// # Errors
/// When the database fails.
pub fn end_asked(
    tx: &mut Tx<'_>,
    account: AccountId,
    id: SessionId,
    how: Ending,
    client: &Client,
) -> Result<bool, StoreError> {
    let ended = end(tx, account, id)?;
    if ended {
        let by = Actor::Account(account);
        let action = match how {
            Ending::LogOut => "logout",
            Ending::FromList => "session.end",
        };
        audit::record(tx, by, None, action, &account.to_string(), &client.told())?;
    }
    Ok(ended)
}

/// How somebody ends a session of theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// By logging out of it.
    LogOut,
    /// From another one, in the list.
    FromList,
}

/// Ends the sessions of an account, but for the one that is kept; how many there were.
///
/// # Errors
/// When the database fails.
pub fn end_all(
    tx: &mut Tx<'_>,
    account: AccountId,
    keep: Option<SessionId>,
) -> Result<usize, StoreError> {
    let keep = keep.map(|id| id.to_string()).unwrap_or_default();
    tx.execute(
        "DELETE FROM session WHERE account = $1 AND id <> $2",
        args![account, keep],
    )
}

fn listed(row: &Row<'_>) -> Result<Listed, StoreError> {
    Ok(Listed {
        id: row.get(0)?,
        client: Client {
            agent: row.get(1)?,
            address: row.get(2)?,
        },
        created: row.get(3)?,
        seen: row.get(4)?,
    })
}
