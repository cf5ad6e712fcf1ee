//! Who did what, and when: appended by every command that a person gives, each entry chained to the one before by its hash.
//!
//! Whoever changes, removes or moves an entry breaks the chain from there on, which [`verify`] finds. What cannot be seen
//! from the file alone is that its newest entries were cut off: for that, [`Head`] is written down elsewhere and compared.

use std::fmt;

use hub_store::{Micros, Row, StoreError, Tx, args};
use sha2::{Digest as _, Sha256};

use crate::{AccountId, FarmId, SiteId};

/// Who is responsible for a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor {
    /// Nobody who is known: somebody who tries to log in.
    Nobody,
    /// A person.
    Account(AccountId),
    /// A machine on a farm.
    Site(SiteId),
    /// The hub itself.
    System,
    /// Whoever runs the hub, at its command line.
    CommandLine,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::Site(id) => write!(f, "site:{id}"),
            Self::System => f.write_str("system"),
            Self::CommandLine => f.write_str("command-line"),
        }
    }
}

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: i64,
    /// When.
    pub at: Micros,
    /// Who: `account:` and an identity, `site:` and an identity, `command-line`, …
    pub actor: String,
    /// Which farm it concerns, if one.
    pub farm: Option<FarmId>,
    /// What: `member.role`.
    pub action: String,
    /// To whom or what.
    pub subject: String,
    /// More of it.
    pub detail: String,
    hash: String,
}

impl Entry {
    /// The hash over all of it and over the hash of the entry before.
    fn chained(&self, before: &str) -> String {
        let (seq, at) = (self.seq.to_string(), self.at.0.to_string());
        let farm = self.farm.map(|f| f.to_string()).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [
            before,
            &seq,
            &at,
            &self.actor,
            &farm,
            &self.action,
            &self.subject,
            &self.detail,
        ] {
            // With its length, so that nothing can move from one part to the next.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        data_encoding::HEXLOWER.encode(&hash.finalize())
    }
}

/// The end of the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Number of the newest entry; 0 when there is none.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (seq, hash) = text.trim().split_once(':').ok_or(NotAHead)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| NotAHead)?,
            hash: hash.to_owned(),
        })
    }
}

/// The text is no end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the end of the audit is written as NUMBER:HASH, as `audit verify` prints it")]
pub struct NotAHead;

/// Why the audit is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum Tampered {
    /// An entry is not as it was written, or the one before it was removed or changed.
    #[error(
        "entry {seq} is not as it was written, or one before it was removed: the audit cannot be believed from there on"
    )]
    Broken {
        /// Its number.
        seq: i64,
    },
    /// The newest entries were cut off or written anew.
    #[error(
        "the audit was {known} before and does not hold that entry any more: it was cut off or written anew"
    )]
    Cut {
        /// The end that was written down.
        known: Head,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Appends an entry.
///
/// # Errors
/// When the database fails.
pub fn record(
    tx: &mut Tx<'_>,
    actor: Actor,
    farm: Option<FarmId>,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<(), StoreError> {
    let head = head(tx)?;
    let mut entry = Entry {
        seq: head.seq + 1,
        at: tx.now(),
        actor: actor.to_string(),
        farm,
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
        hash: String::new(),
    };
    entry.hash = entry.chained(&head.hash);
    tx.execute(
        "INSERT INTO audit (seq, at, actor, farm, action, subject, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            entry.seq,
            entry.at,
            entry.actor,
            entry.farm,
            entry.action,
            entry.subject,
            entry.detail,
            entry.hash
        ],
    )?;
    Ok(())
}

/// The end of the chain.
///
/// # Errors
/// When the database fails.
pub fn head(tx: &mut Tx<'_>) -> Result<Head, StoreError> {
    let head = tx.first(
        "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
        &[],
        |row| {
            Ok(Head {
                seq: row.get(0)?,
                hash: row.get(1)?,
            })
        },
    )?;
    Ok(head.unwrap_or(Head {
        seq: 0,
        hash: String::new(),
    }))
}

/// A farm's entries before number `before`, newest first.
///
/// # Errors
/// When the database fails.
pub fn of_farm(
    tx: &mut Tx<'_>,
    farm: FarmId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    tx.all(
        "SELECT seq, at, actor, farm, action, subject, detail, hash FROM audit
         WHERE farm = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
        args![farm, before.unwrap_or(i64::MAX), limit],
        read,
    )
}

/// Walks the whole chain; its end when it holds. `known` is an end that was written down before.
///
/// # Errors
/// [`Tampered`], which names the first entry that does not fit.
pub fn verify(tx: &mut Tx<'_>, known: Option<&Head>) -> Result<Head, Tampered> {
    let mut head = Head {
        seq: 0,
        hash: String::new(),
    };
    let mut broken = None;
    let mut met = known.is_none_or(|k| k.seq == 0);
    tx.each(
        "SELECT seq, at, actor, farm, action, subject, detail, hash FROM audit ORDER BY seq",
        &[],
        |row| {
            let entry = read(row)?;
            let fits = entry.seq == head.seq + 1 && entry.hash == entry.chained(&head.hash);
            if !fits && broken.is_none() {
                broken = Some(entry.seq);
            }
            head = Head {
                seq: entry.seq,
                hash: entry.hash,
            };
            met |= known == Some(&head);
            Ok(())
        },
    )?;
    if let Some(seq) = broken {
        return Err(Tampered::Broken { seq });
    }
    match known {
        Some(known) if !met => Err(Tampered::Cut {
            known: known.clone(),
        }),
        _ => Ok(head),
    }
}

fn read(row: &Row<'_>) -> Result<Entry, StoreError> {
    Ok(Entry {
        seq: row.get(0)?,
        at: row.get(1)?,
        actor: row.get(2)?,
        farm: row.get(3)?,
        action: row.get(4)?,
        subject: row.get(5)?,
        detail: row.get(6)?,
        hash: row.get(7)?,
    })
}
