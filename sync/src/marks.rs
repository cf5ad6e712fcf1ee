//! Up to where a stream is held, without a hole, and a hash over all of it.
//!
//! A mark moves in the transaction that stores what it counts. `crsql_db_versions` is no such mark: it is the greatest
//! number ever seen. The hash finds a sender whose file was restored or copied: it counts on from an older number with
//! other content, and its hash no longer fits the receiver's. Such histories are never merged ([`Refused::Fork`]).
//!
//! [`Refused::Fork`]: crate::Refused::Fork

use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Error, Outcome, Refused};

/// The stream of a site's record changes; any other name is that of a facts log.
pub const RECORDS: &str = "";

/// No number of a version, of edits or of a fact is ever greater: at a thousand a second, 35 years.
pub const LIMIT: i64 = 1 << 40;

/// How many offers are remembered for each peer; a peer that stands further back cannot be checked.
const OFFERS_KEPT: i64 = 4_096;

/// The first half of a SHA-256 over a stream's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hash(pub [u8; 16]);

impl Hash {
    /// The hash after one more piece of content.
    pub(crate) fn then(self, content: &impl Serialize) -> Result<Self, Error> {
        let bytes = postcard::to_stdvec(content).map_err(|_| Error::Damaged {
            what: "a change that is to be hashed",
        })?;
        let whole: [u8; 32] = Sha256::new()
            .chain_update(self.0)
            .chain_update(bytes)
            .finalize()
            .into();
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        Ok(Self(half))
    }
}

/// A point in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// The last version or fact that is held; 0 when there is none.
    pub upto: i64,
    /// The hash over all of them.
    pub hash: Hash,
}

impl Mark {
    /// What becomes of a part from `from` to `to` of a stream that is held up to this mark, when it is not the next one.
    pub(crate) fn out_of_turn(self, from: Self, to: i64) -> Option<Outcome> {
        if to <= self.upto {
            Some(Outcome::Known)
        } else if from.upto != self.upto {
            Some(Outcome::OutOfStep { have: self.upto })
        } else {
            None
        }
    }

    /// Refuses what goes on from here with another history.
    pub(crate) fn check_history(self, from: Self) -> Result<(), Refused> {
        if from.hash == self.hash {
            Ok(())
        } else {
            Err(Refused::Fork)
        }
    }
}

/// What a peer's mark of one of our own streams says of its file and ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds what we sent; go on from there.
    Sound,
    /// It stands before all that we can still prove: it was restored from an old copy. Go on from there.
    Unproven,
    /// It holds what we never sent: our file was restored or copied. Stop, and take a new identity.
    Fork,
}

/// Up to where this stream of a site is held.
///
/// # Errors
/// When the file fails.
pub fn have(conn: &Connection, stream: &str, ordinal: i64) -> rusqlite::Result<Mark> {
    conn.prepare_cached("SELECT upto, hash FROM sync_mark WHERE stream = ? AND site = ?")?
        .query_row((stream, ordinal), mark)
        .optional()
        .map(Option::unwrap_or_default)
}

/// Moves a mark; the caller has just stored what lies between.
pub(crate) fn advance(
    conn: &Connection,
    stream: &str,
    ordinal: i64,
    to: Mark,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO sync_mark (stream, site, upto, hash) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET upto = excluded.upto, hash = excluded.hash",
    )?
    .execute((stream, ordinal, to.upto, to.hash.0))?;
    Ok(())
}

/// How many streams of a site there are.
pub(crate) fn streams(conn: &Connection, ordinal: i64) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT count(*) FROM sync_mark WHERE site = ?")?
        .query_row([ordinal], |row| row.get(0))
}

/// Notes that our own record changes up to here are about to be offered to a peer. It must be on disk before they leave:
/// that is also what keeps the versions themselves from being given out twice after a power cut.
///
/// # Errors
/// When the file fails.
pub fn note_offer(conn: &Connection, peer: i64, end: Mark) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO sync_offered (peer, upto, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )?
    .execute((peer, end.upto, end.hash.0))?;
    conn.prepare_cached(
        "DELETE FROM sync_offered WHERE peer = ?1 AND upto <=
         (SELECT upto FROM sync_offered WHERE peer = ?1 ORDER BY upto DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute((peer, OFFERS_KEPT))?;
    Ok(())
}

/// Judges what a peer says it holds of our own record changes.
///
/// What was offered to another proves as much: a peer may be a copy of it, that took an identity of its own.
///
/// # Errors
/// When the file fails.
pub fn standing(conn: &Connection, peer: i64, theirs: Mark) -> rusqlite::Result<Standing> {
    if theirs == Mark::default() {
        return Ok(Standing::Sound);
    }
    let (noted, oldest): (bool, Option<i64>) = conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM sync_offered WHERE peer = ?1 AND upto = ?2 AND hash = ?3),
                    (SELECT min(upto) FROM sync_offered WHERE peer = ?1)",
        )?
        .query_row((peer, theirs.upto, theirs.hash.0), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if noted {
        return Ok(Standing::Sound);
    }
    let (noted, oldest): (bool, Option<i64>) = conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM sync_offered WHERE upto = ?1 AND hash = ?2),
                    coalesce(?3, (SELECT min(upto) FROM sync_offered))",
        )?
        .query_row((theirs.upto, theirs.hash.0, oldest), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok(match oldest {
        _ if noted => Standing::Sound,
        Some(oldest) if (1..oldest).contains(&theirs.upto) => Standing::Unproven,
        _ => Standing::Fork,
    })
}

fn mark(row: &rusqlite::Row<'_>) -> rusqlite::Result<Mark> {
    Ok(Mark {
        upto: row.get(0)?,
        hash: Hash(row.get(1)?),
    })
}
