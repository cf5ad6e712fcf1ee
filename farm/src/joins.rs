//! Devices that ask to join: they wait, a person types the code on the sticker, they receive their credential.
//!
//! Asking needs no credential, so what it can cost is bounded: [`MOST`] requests, [`MOST_OF_ONE`] of an address, each for
//! [`LASTS_MS`], and none outlives a restart (a device asks again by itself). Invariants: nobody is approved who did not prove
//! to know the code; what the device is told is sealed for it; the code itself is stored nowhere.

mod sealing;

use std::net::IpAddr;

use farm_model::{DeviceId, DeviceKind, Stamp, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

pub use self::sealing::{HalfKey, JoinCode, JoinKeys, NotACode, Side};
use crate::{
    credentials::{self, CredentialError},
    devices::{self, DeviceError, DeviceForm},
    sql,
    store::{Change, StoreError, Tx, store_error},
};

/// Requests that may wait at once.
pub const MOST: i64 = 64;
/// Requests of one address; a newer one takes the place of its oldest.
pub const MOST_OF_ONE: i64 = 8;
/// How long a request, or the answer to it, is kept.
pub const LASTS_MS: u64 = 3_600_000;

/// Why a device did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Too many wait.
    #[error("too many devices ask to join: approve or refuse some of them on the Devices page")]
    TooMany,
    /// No waiting device knows the code.
    #[error(
        "no waiting device has this code: compare it with the sticker, and see that the device is switched on and in the list"
    )]
    NoSuchCode,
    /// No such request.
    #[error("this device is not asking any more: switch it off and on again")]
    Unknown,
    /// The device could not be added.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Its credential could not be made.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(JoinError);

/// What a device says when it asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Its serial number, as on the sticker.
    pub serial: String,
    /// What it says of itself.
    pub said: Said,
    /// Its public key.
    pub public: [u8; 32],
    /// Its proof over [`Said::text`].
    pub proof: [u8; 32],
}

/// What a device says of itself: three short lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// What it is for, as it wrote it.
    pub kind: String,
    /// Maker and model.
    pub model: String,
    /// Version of its firmware.
    pub firmware: String,
}

impl Said {
    /// The text that the proof covers: the three lines.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}", self.kind, self.model, self.firmware)
    }
}

/// A device that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Number of the request.
    pub id: i64,
    /// The device's serial number.
    pub serial: String,
    /// What it is for, if it is a kind that is known.
    pub kind: Option<DeviceKind>,
    /// What it says of itself. Anybody may say anything before the code is proven: show it as hearsay.
    pub said: Said,
    /// Address it asks from.
    pub peer: String,
    /// When it asked.
    pub asked: UnixMillis,
    /// The device that this serial number joined as before, if it did.
    pub before: Option<DeviceId>,
}

/// As what a device joins.
#[derive(Clone, PartialEq, Debug)]
pub enum JoinAs {
    /// As a new one.
    New(Box<DeviceForm>),
    /// As one that is known already, whose secret and frame key it takes over.
    Known(DeviceId),
}

/// What every device is told when it joins.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Welcome {
    /// Certificate of the farm's authority, PEM, by which the device knows the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Port of MQTT over TLS, if it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_port: Option<u16>,
}

/// What one device is told when it joins, as JSON in the sealed answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// User name: the device's short name.
    pub user: String,
    /// Its secret.
    pub secret: String,
    /// Its frame key, 64 hexadecimal digits.
    pub frame_key: String,
    /// What everybody is told.
    #[serde(flatten)]
    pub welcome: Welcome,
}

/// A sealed answer, ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// For whom.
    pub serial: String,
    /// Nonce and sealed [`Grant`].
    pub sealed: Vec<u8>,
}

/// The appliance's public key for joining, made at the first call.
///
/// # Errors
/// When the database fails.
pub fn public_key(tx: &mut Tx<'_>) -> Result<[u8; 32], StoreError> {
    if let Some(key) = own_key(tx.conn())? {
        return Ok(key.public());
    }
    let key = HalfKey::fresh();
    tx.conn().execute(
        "INSERT INTO join_key (one, secret) VALUES (1, ?1)",
        [key.to_bytes()],
    )?;
    Ok(key.public())
}

/// Sets what every device is told from now on.
///
/// # Errors
/// When the database fails.
pub fn set_welcome(tx: &mut Tx<'_>, welcome: &Welcome) -> Result<(), StoreError> {
    public_key(tx)?;
    tx.conn()
        .execute("UPDATE join_key SET welcome = ?1", [sql::to_json(welcome)])?;
    Ok(())
}

/// Takes a request in; one that is repeated stays one.
///
/// # Errors
/// [`JoinError::TooMany`] when there is no room for it.
pub fn ask(tx: &mut Tx<'_>, ask: &Ask, peer: IpAddr) -> Result<(), JoinError> {
    forget_old(tx)?;
    let peer = peer.to_canonical().to_string();
    let (conn, now) = (tx.conn(), tx.now());
    let again = conn.execute(
        "UPDATE join_request SET mono = ?3 WHERE serial = ?1 AND public = ?2",
        params![ask.serial, ask.public, now.mono as i64],
    )?;
    if again > 0 {
        return Ok(());
    }
    conn.execute(
        "DELETE FROM join_request WHERE device IS NULL AND id IN (
             SELECT id FROM join_request WHERE peer = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2)",
        params![peer, MOST_OF_ONE - 1],
    )?;
    let waiting: i64 = conn.query_row("SELECT count(*) FROM join_request", [], |row| row.get(0))?;
    if waiting >= MOST {
        return Err(JoinError::TooMany);
    }
    conn.execute(
        "INSERT INTO join_request (serial, kind, model, firmware, public, proof, peer, asked_at, boot, mono)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            ask.serial,
            ask.said.kind,
            ask.said.model,
            ask.said.firmware,
            ask.public,
            ask.proof,
            peer,
            now.wall.0,
            now.boot,
            now.mono as i64
        ],
    )?;
    tx.tell(Change::Join);
    Ok(())
}

/// The devices that wait to be approved, oldest first.
///
/// # Errors
/// When the database fails.
pub fn waiting(conn: &Connection, now: &Stamp) -> Result<Vec<Request>, StoreError> {
    Ok(rows(conn, now)?
        .into_iter()
        .map(|row| row.request)
        .collect())
}

/// The waiting device whose sticker carries `code`, so that a page can show what it found before anybody approves.
///
/// # Errors
/// When the database fails.
pub fn by_code(
    conn: &Connection,
    code: &JoinCode,
    now: &Stamp,
) -> Result<Option<Request>, StoreError> {
    Ok(prove(conn, code, now)?.map(|(request, _)| request))
}

/// Approves the waiting device whose sticker carries `code`: it becomes a device, and gets a secret and a frame key.
///
/// # Errors
/// [`JoinError::NoSuchCode`] when no waiting device proved to know the code; whatever adding a device can meet.
pub fn approve(tx: &mut Tx<'_>, code: &JoinCode, joins_as: &JoinAs) -> Result<DeviceId, JoinError> {
    let (request, keys) = prove(tx.conn(), code, &tx.now())?.ok_or(JoinError::NoSuchCode)?;
    let device = match joins_as {
        JoinAs::New(form) => devices::add(tx, form)?,
        JoinAs::Known(device) => *device,
    };
    let secret = credentials::issue_secret(tx, device)?;
    let frame_key = credentials::issue_frame_key(tx, device)?;
    let user = devices::get(tx.conn(), device)?
        .ok_or(DeviceError::Unknown)?
        .slug;
    let grant = Grant {
        user,
        secret: secret.as_str().to_owned(),
        frame_key: frame_key.to_hex(),
        welcome: welcome(tx.conn())?,
    };
    let sealed = keys.seal(&request.serial, sql::to_json(&grant).as_bytes());
    let conn = tx.conn();
    conn.execute(
        "UPDATE device_credential SET serial = CASE WHEN device = ?1 THEN ?2 END WHERE device = ?1 OR serial = ?2",
        params![device.as_bytes(), request.serial],
    )?;
    conn.execute(
        "DELETE FROM join_request WHERE (serial = ?1 OR device = ?2) AND id <> ?3",
        params![request.serial, device.as_bytes(), request.id],
    )?;
    conn.execute(
        "UPDATE join_request SET device = ?2, answer = ?3, mono = ?4 WHERE id = ?1",
        params![request.id, device.as_bytes(), sealed, tx.now().mono as i64],
    )?;
    let detail = serde_json::json!({ "serial": request.serial });
    tx.audit("device.join", &device.to_string(), Some(&detail))?;
    tx.tell(Change::Join);
    Ok(device)
}

/// Sends a waiting device away; it may ask again.
///
/// # Errors
/// When there is no such request.
pub fn refuse(tx: &mut Tx<'_>, id: i64) -> Result<(), JoinError> {
    let serial: String = tx
        .conn()
        .query_row(
            "DELETE FROM join_request WHERE id = ?1 AND device IS NULL RETURNING serial",
            [id],
            |row| row.get(0),
        )
        .optional()?
        .ok_or(JoinError::Unknown)?;
    tx.audit("device.join.refuse", &serial, None)?;
    tx.tell(Change::Join);
    Ok(())
}

/// Answers that their devices have not used yet.
///
/// # Errors
/// When the database fails.
pub fn answers(conn: &Connection, now: &Stamp) -> Result<Vec<Answer>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT serial, answer FROM join_request
         WHERE answer IS NOT NULL AND boot = ?1 AND mono >= ?2 ORDER BY id",
    )?;
    let rows = statement.query_map(params![now.boot, oldest(now)], |row| {
        Ok(Answer {
            serial: row.get(0)?,
            sealed: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether an answer waits for `device` to come with it.
///
/// # Errors
/// When the database fails.
pub fn is_awaited(conn: &Connection, device: DeviceId) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("SELECT 1 FROM join_request WHERE device = ?1")?
        .exists([device.as_bytes()])?)
}

/// The device came with what it was told: the answer is thrown away.
///
/// # Errors
/// When the database fails.
pub fn arrived(tx: &mut Tx<'_>, device: DeviceId) -> Result<(), StoreError> {
    let n = tx.conn().execute(
        "DELETE FROM join_request WHERE device = ?1",
        [device.as_bytes()],
    )?;
    if n > 0 {
        tx.tell(Change::Join);
    }
    Ok(())
}

/// Throws requests and answers away whose time is over.
///
/// # Errors
/// When the database fails.
pub fn forget_old(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let now = tx.now();
    let n = tx.conn().execute(
        "DELETE FROM join_request WHERE boot <> ?1 OR mono < ?2",
        params![now.boot, oldest(&now)],
    )?;
    if n > 0 {
        tx.tell(Change::Join);
    }
    Ok(())
}

/// A request with what proves it.
struct Asked {
    request: Request,
    public: [u8; 32],
    proof: [u8; 32],
}

/// The waiting request whose proof was made with `code`, and the keys agreed with its device.
fn prove(
    conn: &Connection,
    code: &JoinCode,
    now: &Stamp,
) -> Result<Option<(Request, JoinKeys)>, StoreError> {
    let Some(own) = own_key(conn)? else {
        return Ok(None);
    };
    Ok(rows(conn, now)?.into_iter().find_map(|row| {
        let serial = &row.request.serial;
        let keys = JoinKeys::agree(Side::Edge, &own, &row.public, serial, code)?;
        let is_right = keys.is_proof(&row.request.said.text(), &row.proof);
        is_right.then_some((row.request, keys))
    }))
}

fn rows(conn: &Connection, now: &Stamp) -> Result<Vec<Asked>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT id, serial, kind, model, firmware, peer, asked_at, public, proof,
                (SELECT c.device FROM device_credential c WHERE c.serial = r.serial LIMIT 1)
         FROM join_request r WHERE device IS NULL AND boot = ?1 AND mono >= ?2 ORDER BY id",
    )?;
    let rows = statement.query_map(params![now.boot, oldest(now)], asked)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn asked(row: &Row<'_>) -> rusqlite::Result<Asked> {
    let said = Said {
        kind: row.get(2)?,
        model: row.get(3)?,
        firmware: row.get(4)?,
    };
    Ok(Asked {
        request: Request {
            id: row.get(0)?,
            serial: row.get(1)?,
            kind: DeviceKind::from_key(&said.kind),
            said,
            peer: row.get(5)?,
            asked: UnixMillis(row.get(6)?),
            before: sql::id_opt(row, 9)?,
        },
        public: row.get(7)?,
        proof: row.get(8)?,
    })
}

/// The monotonic moment before which everything is too old.
fn oldest(now: &Stamp) -> i64 {
    now.mono.saturating_sub(LASTS_MS) as i64
}

fn own_key(conn: &Connection) -> Result<Option<HalfKey>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT secret FROM join_key")?
        .query_row([], |row| row.get(0))
        .optional()?
        .map(HalfKey::from_bytes))
}

fn welcome(conn: &Connection) -> Result<Welcome, StoreError> {
    let stored: Option<String> = conn
        .prepare_cached("SELECT welcome FROM join_key")?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(stored
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}
