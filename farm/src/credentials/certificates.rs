//! Client certificates as the farm knows them: whose each is, how long it is good, whether it was revoked.
//!
//! The farm does not read certificates: the edge's authority makes them, and the door checks their signatures. Invariants: a
//! certificate that does not stand here opens nothing; dates count only by a trusted clock, because a Pi that wakes in the
//! wrong year must still hear its meters.

use std::fmt;

use farm_model::{DeviceId, Stamp, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{CredentialError, issued, known};
use crate::{
    sql,
    store::{StoreError, Tx},
};

/// Certificates kept per device, those that are not valid any more included.
const KEPT: i64 = 8;

/// SHA-256 of a certificate's DER form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    /// As tools print it: `a1:b2:…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A certificate of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// The authority's number of it, in hexadecimal digits.
    pub serial: String,
    /// From when it is good.
    pub not_before: UnixMillis,
    /// Until when.
    pub not_after: UnixMillis,
    /// When it was made.
    pub issued: UnixMillis,
    /// When the device first came with it.
    pub used: Option<UnixMillis>,
    /// When it was revoked, or replaced by a newer one.
    pub revoked: Option<UnixMillis>,
}

/// What a certificate is worth at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It lets its device in.
    Good,
    /// It was revoked or replaced.
    Revoked,
    /// Its time is over, and the clock can be believed.
    Expired,
}

impl Certificate {
    /// What it is worth `now`. A clock that nobody vouches for refuses nobody.
    pub fn standing(&self, now: &Stamp) -> Standing {
        if self.revoked.is_some() {
            Standing::Revoked
        } else if now.clock.is_trusted() && now.wall > self.not_after {
            Standing::Expired
        } else {
            Standing::Good
        }
    }

    /// Whether the device should ask for its successor: a third of its time, or less, is left.
    pub fn wants_renewal(&self, now: &Stamp) -> bool {
        let life = self.not_after.since(self.not_before);
        self.not_after.since(now.wall) < life / 3
    }
}

/// Enters a certificate that the authority made for `device`; a revoked device may enter again. Older ones stay good until
/// the device first comes with this one, so that an answer which is lost locks nobody out.
///
/// # Errors
/// When there is no such device.
pub fn add_certificate(
    tx: &mut Tx<'_>,
    device: DeviceId,
    certificate: &Certificate,
) -> Result<(), CredentialError> {
    known(tx.conn(), device)?;
    tx.conn().execute(
        "INSERT INTO device_credential (device) VALUES (?1) ON CONFLICT (device) DO UPDATE SET revoked_at = NULL",
        [device.as_bytes()],
    )?;
    tx.conn().execute(
        "INSERT INTO device_certificate (fingerprint, device, serial, not_before, not_after, issued_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            certificate.fingerprint.0,
            device.as_bytes(),
            certificate.serial,
            certificate.not_before.0,
            certificate.not_after.0,
            tx.wall().0
        ],
    )?;
    tx.conn().execute(
        "DELETE FROM device_certificate WHERE device = ?1 AND fingerprint NOT IN (
             SELECT fingerprint FROM device_certificate WHERE device = ?1
             ORDER BY fingerprint = ?2 DESC, revoked_at IS NULL DESC, issued_at DESC LIMIT ?3)",
        params![device.as_bytes(), certificate.fingerprint.0, KEPT],
    )?;
    issued(tx, "device.certificate", device)
}

/// Whose certificate this is, with the certificate; it may be one that is not valid any more.
///
/// # Errors
/// When the database fails.
pub fn certificate(
    conn: &Connection,
    fingerprint: &Fingerprint,
) -> Result<Option<(DeviceId, Certificate)>, StoreError> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM device_certificate WHERE fingerprint = ?1"
        ))?
        .query_row([fingerprint.0], read)
        .optional()?)
}

/// The certificates of a device, newest first.
///
/// # Errors
/// When the database fails.
pub fn certificates(conn: &Connection, device: DeviceId) -> Result<Vec<Certificate>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM device_certificate WHERE device = ?1 ORDER BY issued_at DESC, fingerprint"
    ))?;
    let rows = statement.query_map([device.as_bytes()], |row| Ok(read(row)?.1))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes down that the device came with this certificate, which ends those it replaces.
///
/// # Errors
/// When the database fails.
pub fn used_certificate(tx: &mut Tx<'_>, fingerprint: &Fingerprint) -> Result<(), CredentialError> {
    let first: Option<DeviceId> = tx
        .conn()
        .prepare_cached(
            "UPDATE device_certificate SET used_at = ?2 WHERE fingerprint = ?1 AND used_at IS NULL RETURNING device",
        )?
        .query_row(params![fingerprint.0, tx.wall().0], |row| sql::id(row, 0))
        .optional()?;
    let Some(device) = first else {
        return Ok(());
    };
    tx.conn().execute(
        "UPDATE device_certificate SET revoked_at = ?3
         WHERE device = ?1 AND fingerprint <> ?2 AND revoked_at IS NULL
           AND issued_at <= (SELECT issued_at FROM device_certificate WHERE fingerprint = ?2)",
        params![device.as_bytes(), fingerprint.0, tx.wall().0],
    )?;
    issued(tx, "device.certificate.used", device)
}

/// Ends the certificate called `name`: its fingerprint as `a1:b2:…`, or the authority's number of it.
///
/// # Errors
/// When the device has no such certificate, or it is revoked already.
pub fn revoke_certificate(
    tx: &mut Tx<'_>,
    device: DeviceId,
    name: &str,
) -> Result<(), CredentialError> {
    let name = name.to_ascii_lowercase();
    let held = certificates(tx.conn(), device)?;
    let meant = held
        .iter()
        .find(|held| held.serial == name || held.fingerprint.to_string() == name)
        .filter(|held| held.revoked.is_none())
        .ok_or(CredentialError::UnknownCertificate)?;
    tx.conn().execute(
        "UPDATE device_certificate SET revoked_at = ?2 WHERE fingerprint = ?1",
        params![meant.fingerprint.0, tx.wall().0],
    )?;
    tx.conn().execute(
        "UPDATE device_credential SET generation = generation + 1 WHERE device = ?1",
        [device.as_bytes()],
    )?;
    issued(tx, "device.certificate.revoke", device)
}

/// Ends every certificate of a device.
pub(super) fn revoke_all(tx: &mut Tx<'_>, device: DeviceId) -> Result<(), CredentialError> {
    tx.conn().execute(
        "UPDATE device_certificate SET revoked_at = ?2 WHERE device = ?1 AND revoked_at IS NULL",
        params![device.as_bytes(), tx.wall().0],
    )?;
    Ok(())
}

/// Every certificate with its device, newest first.
pub(super) fn every(conn: &Connection) -> Result<Vec<(DeviceId, Certificate)>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM device_certificate ORDER BY issued_at DESC, fingerprint"
    ))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const COLUMNS: &str =
    "device, fingerprint, serial, not_before, not_after, issued_at, used_at, revoked_at";

fn read(row: &Row<'_>) -> rusqlite::Result<(DeviceId, Certificate)> {
    let certificate = Certificate {
        fingerprint: Fingerprint(row.get(1)?),
        serial: sql::text(row, 2)?,
        not_before: UnixMillis(row.get(3)?),
        not_after: UnixMillis(row.get(4)?),
        issued: UnixMillis(row.get(5)?),
        used: row.get::<_, Option<i64>>(6)?.map(UnixMillis),
        revoked: row.get::<_, Option<i64>>(7)?.map(UnixMillis),
    };
    Ok((sql::id(row, 0)?, certificate))
}
