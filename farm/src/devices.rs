//! Readers, meters, probes and nodes, described in data.

mod inputs;

use std::collections::{HashMap, HashSet};

use farm_model::{Device, DeviceId, DeviceKind, Link, PlaceId, Quality, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

pub(crate) use self::inputs::carriers;
pub use self::inputs::{Input, inputs};
use crate::{
    alerts::{self, AlertKind, Subject},
    live::{LiveValue, Origin},
    samples, sql,
    store::{Change, StoreError, Tx, store_error},
    text::{Name, Slug},
};

/// Why a device was not saved.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Another device has the slug.
    #[error("a device is called {0} already: choose another short name, or edit that one")]
    SlugTaken(Slug),
    /// An input of a node that is not there, or that is an input itself.
    #[error("no node is called {0}: add the node first, or write the short name of another device")]
    NoNode(String),
    /// Another device is at this input of the node.
    #[error(
        "{by} is at input {channel} of this node already: choose another input, or edit that device"
    )]
    InputTaken {
        /// Which input.
        channel: u8,
        /// Who is there.
        by: String,
    },
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
/// When another device has the slug, or its link is to an input that is not there or taken.
pub fn add(tx: &mut Tx<'_>, form: &DeviceForm) -> Result<DeviceId, DeviceError> {
    if find(tx.conn(), form.slug.as_str())?.is_some() {
        return Err(DeviceError::SlugTaken(form.slug.clone()));
    }
    inputs::check(tx.conn(), None, &form.link)?;
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

/// Changes a device; inputs of a node follow it to its new short name.
///
/// # Errors
/// When there is no such device, another one has the slug, or its link is to an input that is not there or taken.
pub fn edit(tx: &mut Tx<'_>, id: DeviceId, form: &DeviceForm) -> Result<(), DeviceError> {
    if find(tx.conn(), form.slug.as_str())?.is_some_and(|d| d.id != id) {
        return Err(DeviceError::SlugTaken(form.slug.clone()));
    }
    inputs::check(tx.conn(), Some(id), &form.link)?;
    let before = get(tx.conn(), id)?.ok_or(DeviceError::Unknown)?;
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
    inputs::follow(tx, &before.slug, form.slug.as_str())?;
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
/// When an input's node is not there or the input is taken, or the database fails.
pub fn import(tx: &mut Tx<'_>, forms: &[DeviceForm]) -> Result<Vec<DeviceId>, DeviceError> {
    // Nodes before what is on their inputs.
    let is_input = |form: &&DeviceForm| matches!(form.link, Link::Input { .. });
    let (inputs, others): (Vec<_>, Vec<_>) = forms.iter().partition(is_input);
    let all = others.into_iter().chain(inputs);
    all.map(|form| match find(tx.conn(), form.slug.as_str())? {
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
    /// When anything of it was last heard; of a node that sends no values of its own, when a frame came.
    pub heard_at: Option<UnixMillis>,
    /// Messages refused so far, all reasons together.
    pub rejects: i64,
    /// Seconds within which it is heard, as far as that was learnt from what it sent.
    pub learnt_every_s: Option<u32>,
    /// Where it was heard last: of what was heard elsewhere, word comes some minutes later.
    pub origin: Origin,
    /// Whether the alarm of its silence is open.
    pub is_missed: bool,
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

/// All devices with what was heard of each, here or elsewhere: the store knows when tags came, `newest` when values did. A value
/// that is missing was not heard.
///
/// # Errors
/// When the database fails.
pub fn overview(conn: &Connection, newest: &[LiveValue]) -> Result<Vec<DeviceRow>, StoreError> {
    let mut heard: HashMap<DeviceId, (UnixMillis, Origin)> = HashMap::new();
    let mut hear = |device, at: UnixMillis, origin| {
        let latest = heard.entry(device).or_insert((at, origin));
        if at >= latest.0 {
            *latest = (at, origin);
        }
    };
    for (device, word) in samples::heard_elsewhere(conn)? {
        hear(device, word.at, Origin::Elsewhere);
    }
    for value in newest.iter().filter(|v| v.quality != Quality::Missing) {
        hear(value.device, value.at, value.origin);
    }
    let missed: HashSet<Subject> = alerts::open_subjects(conn, AlertKind::Silent)?;
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, s.heard_at, (SELECT coalesce(sum(n), 0) FROM reject_count WHERE source = d.slug), s.every_s,
            n.heard_at
         FROM device d LEFT JOIN device_state s ON s.device = d.id LEFT JOIN node n ON n.device = d.id ORDER BY d.slug, d.id"
    ))?;
    let rows = statement.query_map([], |row| {
        let Some(device) = read(row)? else {
            return Ok(None);
        };
        let tagged: Option<i64> = row.get(8)?;
        let tagged = tagged.map(|at| (UnixMillis(at), Origin::Here));
        let said = [tagged, heard.get(&device.id).copied()];
        let said = said.into_iter().flatten().max_by_key(|(at, _)| *at);
        let framed: Option<i64> = row.get(11)?;
        let row = DeviceRow {
            heard_at: said.map(|(at, _)| at),
            rejects: row.get(9)?,
            learnt_every_s: row.get(10)?,
            origin: said.map_or(Origin::Here, |(_, origin)| origin),
            is_missed: missed.contains(&Subject::Device(device.id)),
            device,
        };
        Ok(Some((row, framed.map(UnixMillis))))
    })?;
    let rows: Vec<_> = sql::known(rows)?;
    let carriers = carriers(rows.iter().map(|(row, _)| &row.device));
    let heard = |(mut row, framed): (DeviceRow, Option<UnixMillis>)| {
        let counts = row.heard_at.is_none() || carriers.contains(&row.device.slug);
        if counts && framed > row.heard_at {
            (row.heard_at, row.origin) = (framed, Origin::Here);
        }
        row
    };
    Ok(rows.into_iter().map(heard).collect())
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
