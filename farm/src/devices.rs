//! Readers, meters, probes and nodes, described in data.

use std::collections::HashMap;

use farm_model::{Device, DeviceId, DeviceKind, Link, PlaceId, Quality, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    live::LiveValue,
    sql,
    store::{Change, StoreError, Tx, store_error},
    text::{Name, Slug},
};

/// Why a device was not saved.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Another device has the slug.
    #[error("a device is called {0} already: choose another short name, or edit that one")]
    SlugTaken(Slug),
    /// No such device.
    #[error("this device is not known: go back to the list and choose another")]
    Unknown,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(DeviceError);

/// What a person says of a device.
#[derive(Clone, PartialEq, Debug)]
pub struct DeviceForm {
    /// Short ASCII name, one per farm.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// What it is for.
    pub kind: DeviceKind,
    /// How it is reached.
    pub link: Link,
    /// Where it stands.
    pub place: Option<PlaceId>,
    /// Seconds within which it should be heard.
    pub expect_every_s: Option<u32>,
}

/// Adds a device, enabled.
///
/// # Errors
/// When another device has the slug.
pub fn add(tx: &mut Tx<'_>, form: &DeviceForm) -> Result<DeviceId, DeviceError> {
    if find(tx.conn(), form.slug.as_str())?.is_some() {
        return Err(DeviceError::SlugTaken(form.slug.clone()));
    }
    let id = DeviceId::new();
    tx.conn().execute(
        "INSERT INTO device (id, slug, name, kind, link, place, expect_every_s, enabled, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8)",
        params![
            id.as_bytes(),
            form.slug.as_str(),
            form.name.as_str(),
            form.kind.key(),
            sql::to_json(&form.link),
            form.place.as_ref().map(PlaceId::as_bytes),
            form.expect_every_s,
            tx.wall().0
        ],
    )?;
    tx.audit("device.add", &id.to_string(), None)?;
    tx.tell(Change::Device { device: id });
    Ok(id)
}

/// The first of `base`, `base-2`, `base-3` … that no device has.
///
/// # Errors
/// When the database fails.
pub fn free_slug(conn: &Connection, base: &Slug) -> Result<Slug, StoreError> {
    let mut slug = base.clone();
    for n in 2.. {
        if find(conn, slug.as_str())?.is_none() {
            break;
        }
        // Room for the dash and the number.
        let stem: String = base.as_str().chars().take(48).collect();
        slug = Slug::nearest(&format!("{stem}-{n}")).unwrap_or(slug);
    }
    Ok(slug)
}

/// How many devices there are.
///
/// # Errors
/// When the database fails.
pub fn count(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn
        .prepare_cached("SELECT count(*) FROM device")?
        .query_row([], |row| row.get(0))?)
}

/// Changes a device.
///
/// # Errors
/// When there is no such device, or another one has the slug.
pub fn edit(tx: &mut Tx<'_>, id: DeviceId, form: &DeviceForm) -> Result<(), DeviceError> {
    if find(tx.conn(), form.slug.as_str())?.is_some_and(|d| d.id != id) {
        return Err(DeviceError::SlugTaken(form.slug.clone()));
    }
    let n = tx.conn().execute(
        "UPDATE device SET slug = ?2, name = ?3, kind = ?4, link = ?5, place = ?6, expect_every_s = ?7 WHERE id = ?1",
        params![
            id.as_bytes(),
            form.slug.as_str(),
            form.name.as_str(),
            form.kind.key(),
            sql::to_json(&form.link),
            form.place.as_ref().map(PlaceId::as_bytes),
            form.expect_every_s
        ],
    )?;
    if n == 0 {
        return Err(DeviceError::Unknown);
    }
    tx.audit("device.edit", &id.to_string(), None)?;
    tx.tell(Change::Device { device: id });
    Ok(())
}

/// Starts or stops the drivers of a device.
///
/// # Errors
/// When there is no such device.
pub fn set_enabled(tx: &mut Tx<'_>, id: DeviceId, enabled: Enabled) -> Result<(), DeviceError> {
    let on = enabled == Enabled::Yes;
    let n = tx.conn().execute(
        "UPDATE device SET enabled = ?2 WHERE id = ?1",
        params![id.as_bytes(), on],
    )?;
    if n == 0 {
        return Err(DeviceError::Unknown);
    }
    let action = if on {
        "device.enable"
    } else {
        "device.disable"
    };
    tx.audit(action, &id.to_string(), None)?;
    tx.tell(Change::Device { device: id });
    Ok(())
}

/// Whether drivers run for a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Enabled {
    /// They run.
    Yes,
    /// They do not.
    No,
}

/// The device called `form.slug`, made from `form` when there is none: a new topic needs no configuration.
///
/// # Errors
/// When the database fails.
pub fn ensure(tx: &mut Tx<'_>, form: &DeviceForm) -> Result<DeviceId, DeviceError> {
    match find(tx.conn(), form.slug.as_str())? {
        Some(device) => Ok(device.id),
        None => add(tx, form),
    }
}

/// Adds the devices whose slugs are new and edits those whose slugs are known; others stay as they are.
///
/// # Errors
/// When the database fails.
pub fn import(tx: &mut Tx<'_>, forms: &[DeviceForm]) -> Result<Vec<DeviceId>, DeviceError> {
    forms
        .iter()
        .map(|form| match find(tx.conn(), form.slug.as_str())? {
            Some(device) => edit(tx, device.id, form).map(|()| device.id),
            None => add(tx, form),
        })
        .collect()
}

const COLUMNS: &str = "d.id, d.slug, d.name, d.kind, d.link, d.place, d.expect_every_s, d.enabled";

/// All devices by name.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &Connection) -> Result<Vec<Device>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM device d ORDER BY d.slug, d.id"
    ))?;
    let rows = statement.query_map([], read)?;
    Ok(sql::known(rows)?)
}

/// One device.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &Connection, id: DeviceId) -> Result<Option<Device>, StoreError> {
    let device = conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM device d WHERE d.id = ?1"))?
        .query_row([id.as_bytes()], read)
        .optional()?;
    Ok(device.flatten())
}

/// The device called `slug`; the oldest when a merge made two.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &Connection, slug: &str) -> Result<Option<Device>, StoreError> {
    let device = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM device d WHERE d.slug = ?1 ORDER BY d.id LIMIT 1"
        ))?
        .query_row([slug], read)
        .optional()?;
    Ok(device.flatten())
}

/// A device and what was heard of it.
#[derive(Clone, PartialEq, Debug)]
pub struct DeviceRow {
    /// The device.
    pub device: Device,
    /// When anything of it was last heard.
    pub heard_at: Option<UnixMillis>,
    /// Messages refused so far, all reasons together.
    pub rejects: i64,
    /// Seconds within which it is heard, as far as that was learnt from what it sent.
    pub learnt_every_s: Option<u32>,
}

impl DeviceRow {
    /// Seconds within which it should be heard: what a person said, else what was learnt.
    pub fn every_s(&self) -> Option<u32> {
        match self.device.expect_every_s {
            Some(_) => self.device.expected_s(),
            None => self.learnt_every_s,
        }
    }
}

/// All devices with what was heard of each: the store knows when tags came, `newest` when values did. A value that is
/// missing was not heard.
///
/// # Errors
/// When the database fails.
pub fn overview(conn: &Connection, newest: &[LiveValue]) -> Result<Vec<DeviceRow>, StoreError> {
    let mut values: HashMap<DeviceId, UnixMillis> = HashMap::new();
    for value in newest.iter().filter(|v| v.quality != Quality::Missing) {
        let at = values.entry(value.device).or_insert(value.at);
        *at = (*at).max(value.at);
    }
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, s.heard_at, (SELECT coalesce(sum(n), 0) FROM reject_count WHERE source = d.slug), s.every_s
         FROM device d LEFT JOIN device_state s ON s.device = d.id ORDER BY d.slug, d.id"
    ))?;
    let rows = statement.query_map([], |row| {
        let Some(device) = read(row)? else {
            return Ok(None);
        };
        let tagged: Option<i64> = row.get(8)?;
        let heard_at = tagged.map(UnixMillis);
        Ok(Some(DeviceRow {
            heard_at: heard_at.max(values.get(&device.id).copied()),
            rejects: row.get(9)?,
            learnt_every_s: row.get(10)?,
            device,
        }))
    })?;
    Ok(sql::known(rows)?)
}

/// A row whose kind or link this program does not know is of a newer site; it is left out.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Device>> {
    let (Some(kind), Ok(link)) = (
        DeviceKind::from_key(&sql::text(row, 3)?),
        serde_json::from_str(&sql::text(row, 4)?),
    ) else {
        return Ok(None);
    };
    Ok(Some(Device {
        id: sql::id(row, 0)?,
        slug: sql::text(row, 1)?,
        name: sql::text(row, 2)?,
        kind,
        link,
        place: sql::id_opt(row, 5)?,
        expect_every_s: row.get(6)?,
        enabled: row.get::<_, Option<bool>>(7)?.unwrap_or(true),
    }))
}
