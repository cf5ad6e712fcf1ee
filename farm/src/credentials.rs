//! What devices prove themselves with: a secret, client certificates, a key for frames. Issued, renewed, revoked.
//!
//! They belong to this appliance alone and are never replicated. Of a secret only a hash is stored, and it is shown once;
//! it is random enough (160 bits) that one fast keyed hash protects it. The frame key stands in clear, because the edge
//! computes with it: whoever reads the file can speak as the device, so the file belongs to the appliance's user alone.
//! Invariants: a device without a row here cannot log in; [`revoke`] ends everything that a device holds, at once.

mod certificates;

use std::{collections::HashMap, fmt};

use farm_model::{Device, DeviceId, Place, UnixMillis, hex};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

pub use self::certificates::{
    Certificate, Fingerprint, Standing, add_certificate, certificate, certificates,
    revoke_certificate, used_certificate,
};
use crate::{
    auth::Secret,
    devices, places, sql,
    store::{Change, StoreError, Tx, store_error},
};

/// Why a credential was not issued or revoked.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// No such device.
    #[error("this device is not known: go back to the list and choose another")]
    UnknownDevice,
    /// The device has nothing to revoke.
    #[error("this device holds no secret, certificate or key: there is nothing to revoke")]
    NothingToRevoke,
    /// No such certificate of this device, or it is revoked already.
    #[error("this certificate is not valid any more: reload the device's page")]
    UnknownCertificate,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(CredentialError);

/// What a device holds, without any of it being shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credentials {
    /// The serial number that the device said when it joined.
    pub serial: Option<String>,
    /// Since when it has its secret.
    pub secret_since: Option<UnixMillis>,
    /// Since when it has its frame key.
    pub frame_key_since: Option<UnixMillis>,
    /// When everything it held was revoked; none once something new was issued.
    pub revoked: Option<UnixMillis>,
    /// Its certificates, newest first; those revoked or expired too, until newer ones push them out.
    pub certificates: Vec<Certificate>,
}

/// The symmetric key of a device's frames: 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct FrameKey(pub [u8; 32]);

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameKey(…)")
    }
}

impl FrameKey {
    /// The key as 64 hexadecimal digits, for the device's configuration.
    pub fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }
}

/// Gives a device a fresh secret, to be shown once; an older one ends, and a revoked device may enter again.
///
/// # Errors
/// When there is no such device.
pub fn issue_secret(tx: &mut Tx<'_>, device: DeviceId) -> Result<Secret, CredentialError> {
    known(tx.conn(), device)?;
    let secret = Secret::to_type();
    tx.conn().execute(
        "INSERT INTO device_credential (device, secret_hash, secret_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (device) DO UPDATE
         SET secret_hash = ?2, secret_at = ?3, revoked_at = NULL, generation = generation + 1",
        params![
            device.as_bytes(),
            hash(device, secret.as_str()),
            tx.wall().0
        ],
    )?;
    issued(tx, "device.secret", device)?;
    Ok(secret)
}

/// Gives a device a fresh key for its frames, to be shown once; an older one ends.
///
/// # Errors
/// When there is no such device.
pub fn issue_frame_key(tx: &mut Tx<'_>, device: DeviceId) -> Result<FrameKey, CredentialError> {
    known(tx.conn(), device)?;
    let key = FrameKey(rand::rng().random());
    tx.conn().execute(
        "INSERT INTO device_credential (device, frame_key, frame_key_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (device) DO UPDATE SET frame_key = ?2, frame_key_at = ?3, revoked_at = NULL",
        params![device.as_bytes(), key.0, tx.wall().0],
    )?;
    issued(tx, "device.frame_key", device)?;
    Ok(key)
}

/// Ends all that a device holds: its secret, its certificates, its frame key. Whatever is issued later lets it in again.
///
/// # Errors
/// When there is no such device, or it holds nothing.
pub fn revoke(tx: &mut Tx<'_>, device: DeviceId) -> Result<(), CredentialError> {
    known(tx.conn(), device)?;
    let n = tx.conn().execute(
        "UPDATE device_credential
         SET secret_hash = NULL, secret_at = NULL, frame_key = NULL, frame_key_at = NULL, revoked_at = ?2,
             generation = generation + 1
         WHERE device = ?1 AND revoked_at IS NULL",
        params![device.as_bytes(), tx.wall().0],
    )?;
    if n == 0 {
        return Err(CredentialError::NothingToRevoke);
    }
    certificates::revoke_all(tx, device)?;
    tx.conn().execute(
        "DELETE FROM join_request WHERE device = ?1",
        [device.as_bytes()],
    )?;
    issued(tx, "device.revoke", device)
}

/// The device called `slug`, if `secret` is its own. Tries exactly one hash, whoever asks.
///
/// # Errors
/// When the database fails.
pub fn device_by_secret(
    conn: &Connection,
    slug: &str,
    secret: &str,
) -> Result<Option<Device>, StoreError> {
    let Some(device) = devices::find(conn, slug)? else {
        return Ok(None);
    };
    let stored: Option<[u8; 32]> = conn
        .prepare_cached("SELECT secret_hash FROM device_credential WHERE device = ?1")?
        .query_row([device.id.as_bytes()], |row| row.get(0))
        .optional()?
        .flatten();
    let is_right = stored.is_some_and(|stored| hash(device.id, secret).ct_eq(&stored).into());
    Ok(is_right.then_some(device))
}

/// The key of a device's frames; none if it has none or was revoked.
///
/// # Errors
/// When the database fails.
pub fn frame_key(conn: &Connection, device: DeviceId) -> Result<Option<FrameKey>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT frame_key FROM device_credential WHERE device = ?1")?
        .query_row([device.as_bytes()], |row| row.get::<_, Option<[u8; 32]>>(0))
        .optional()?
        .flatten()
        .map(FrameKey))
}

/// What `device` holds.
///
/// # Errors
/// When the database fails.
pub fn of(conn: &Connection, device: DeviceId) -> Result<Credentials, StoreError> {
    let found = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM device_credential WHERE device = ?1"
        ))?
        .query_row([device.as_bytes()], |row| Ok(read(row)?.1))
        .optional()?;
    let mut held = found.unwrap_or_default();
    held.certificates = certificates(conn, device)?;
    Ok(held)
}

/// What each device holds; those that never held anything are left out.
///
/// # Errors
/// When the database fails.
pub fn all(conn: &Connection) -> Result<HashMap<DeviceId, Credentials>, StoreError> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM device_credential"))?;
    let rows = statement.query_map([], read)?;
    let mut held = rows.collect::<Result<HashMap<_, _>, _>>()?;
    for (device, certificate) in certificates::every(conn)? {
        held.entry(device)
            .or_default()
            .certificates
            .push(certificate);
    }
    Ok(held)
}

/// What a device's rights at the door follow from. Two equal values mean that an open connection may stay open.
#[derive(Clone, PartialEq, Debug)]
pub struct Basis {
    /// The device.
    pub device: Device,
    /// Where it stands.
    pub place: Option<Place>,
    generation: i64,
}

/// What the rights of `device` follow from now; none if there is no such device.
///
/// # Errors
/// When the database fails.
pub fn basis(conn: &Connection, device: DeviceId) -> Result<Option<Basis>, StoreError> {
    let Some(mut device) = devices::get(conn, device)? else {
        return Ok(None);
    };
    // What people call it and how often it should speak is nobody's right.
    device.name.clear();
    device.expect_every_s = None;
    let place = match device.place {
        Some(place) => places::get(conn, place)?.map(|mut place| {
            (place.name, place.details) = Default::default();
            place
        }),
        None => None,
    };
    let generation = conn
        .prepare_cached("SELECT generation FROM device_credential WHERE device = ?1")?
        .query_row([device.id.as_bytes()], |row| row.get(0))
        .optional()?
        .unwrap_or_default();
    Ok(Some(Basis {
        device,
        place,
        generation,
    }))
}

/// Writes down and tells that something was issued or ended.
fn issued(tx: &mut Tx<'_>, action: &str, device: DeviceId) -> Result<(), CredentialError> {
    tx.audit(action, &device.to_string(), None)?;
    tx.tell(Change::Device { device });
    Ok(())
}

fn known(conn: &Connection, device: DeviceId) -> Result<Device, CredentialError> {
    devices::get(conn, device)?.ok_or(CredentialError::UnknownDevice)
}

const COLUMNS: &str = "device, serial, secret_at, frame_key_at, revoked_at";

fn read(row: &Row<'_>) -> rusqlite::Result<(DeviceId, Credentials)> {
    let moment =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixMillis));
    let held = Credentials {
        serial: row.get(1)?,
        secret_since: moment(2)?,
        frame_key_since: moment(3)?,
        revoked: moment(4)?,
        certificates: Vec::new(),
    };
    Ok((sql::id(row, 0)?, held))
}

/// Keyed by the device, so that a hash copied to another device's row lets nobody in.
fn hash(device: DeviceId, secret: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(device.as_bytes()).expect("any length is a key");
    mac.update(secret.as_bytes());
    mac.finalize().into_bytes().into()
}
