//! Sites: who wrote a change, and who may hand it to us.
//!
//! A site's identity is that of its file, as cr-sqlite made it. Tables hold its ordinal, a small number that means something in
//! this file only; 0 is this site itself.

use std::fmt;

use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};

use crate::{Error, Refused};

/// How many sites a farm may have had in its life, dead ones included.
pub const MAX_SITES: i64 = 256;

/// A site's identity: 16 bytes, made with its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Site(pub [u8; 16]);

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Who hands us a part, as its key or its address proved it; never what the part itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// An edge: it speaks for itself alone.
    Edge(Site),
    /// The farm's hub, itself a site: it passes on what it holds of everyone.
    Hub(Site),
}

impl Sender {
    /// The sender's own site.
    pub fn site(self) -> Site {
        match self {
            Self::Edge(site) | Self::Hub(site) => site,
        }
    }
}

/// This file's own site.
///
/// # Errors
/// When the file fails.
pub fn own(conn: &Connection) -> rusqlite::Result<Site> {
    conn.query_row("SELECT crsql_site_id()", [], |row| row.get(0))
        .map(Site)
}

/// How often the whole farm was seeded anew, as far as this file knows. Files of different epochs do not exchange.
///
/// # Errors
/// When the file fails.
pub fn epoch(conn: &Connection) -> rusqlite::Result<u32> {
    conn.prepare_cached("SELECT epoch FROM sync_epoch")?
        .query_row([], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// Makes this file one of another epoch: once it joins a farm, or when the farm is seeded anew.
///
/// # Errors
/// When the file fails.
pub fn set_epoch(conn: &Connection, epoch: u32) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO sync_epoch (one, epoch) VALUES (1, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch",
        [epoch],
    )?;
    Ok(())
}

/// Every site that this file knows, itself first.
///
/// # Errors
/// When the file fails.
pub fn all(conn: &Connection) -> rusqlite::Result<Vec<Site>> {
    conn.prepare_cached("SELECT id FROM sync_site ORDER BY ordinal")?
        .query_map([], |row| row.get(0).map(Site))?
        .collect()
}

/// Makes a site known, and says its ordinal; one that is known keeps what it has.
///
/// # Errors
/// When the file fails, or has [`MAX_SITES`] sites already.
pub fn register(conn: &Connection, site: Site) -> Result<i64, Error> {
    if let Some(ordinal) = ordinal(conn, site)? {
        return Ok(ordinal);
    }
    let next: i64 = conn.query_row("SELECT count(*) FROM sync_site", [], |row| row.get(0))?;
    if next >= MAX_SITES {
        return Err(Refused::TooManySites.into());
    }
    conn.execute(
        "INSERT INTO sync_site (ordinal, id) VALUES (?, ?)",
        (next, site.0),
    )?;
    Ok(next)
}

/// The ordinal of a site, if it is known here.
///
/// # Errors
/// When the file fails.
pub fn ordinal(conn: &Connection, site: Site) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT ordinal FROM sync_site WHERE id = ?")?
        .query_row([site.0], |row| row.get(0))
        .optional()
}

/// Whether this sender may speak for this site, and the site's ordinal.
pub(crate) fn admit(conn: &Connection, sender: Sender, site: Site) -> Result<i64, Error> {
    if site == own(conn)? {
        return Err(Refused::OurOwn.into());
    }
    match sender {
        Sender::Hub(_) => register(conn, site),
        Sender::Edge(proven) if proven == site => {
            Ok(ordinal(conn, site)?.ok_or(Refused::UnknownSite)?)
        }
        Sender::Edge(_) => Err(Refused::NotTheSenders.into()),
    }
}
