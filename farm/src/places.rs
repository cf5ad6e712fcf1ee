//! Stalls, tanks, rooms and digesters.

use farm_model::{Place, PlaceId, PlaceKind, place::PlaceDetails};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    sql,
    store::{Change, StoreError, Tx, store_error},
    text::{Name, Slug},
};

/// Why a place was not saved.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Another place of the kind has the slug.
    #[error("{0} exists already: choose another short name, or edit that one")]
    SlugTaken(Slug),
    /// No such place.
    #[error("this place is not known: go back to the list and choose another")]
    Unknown,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(PlaceError);

/// What a person says of a place.
#[derive(Clone, PartialEq, Debug)]
pub struct PlaceForm {
    /// What sort.
    pub kind: PlaceKind,
    /// Short ASCII name, one per kind.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// Capacity, limits, calibration.
    pub details: PlaceDetails,
}

/// Adds a place.
///
/// # Errors
/// When another place of the kind has the slug.
pub fn add(tx: &mut Tx<'_>, form: &PlaceForm) -> Result<PlaceId, PlaceError> {
    if find(tx.conn(), form.kind, form.slug.as_str())?.is_some() {
        return Err(PlaceError::SlugTaken(form.slug.clone()));
    }
    let id = PlaceId::new();
    tx.conn().execute(
        "INSERT INTO place (id, kind, slug, name, details) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            id.as_bytes(),
            form.kind.key(),
            form.slug.as_str(),
            form.name.as_str(),
            sql::to_json(&form.details)
        ],
    )?;
    tx.audit("place.add", &id.to_string(), None)?;
    tx.tell(Change::Place { place: id });
    Ok(id)
}

/// Changes a place.
///
/// # Errors
/// When there is no such place, or another one of the kind has the slug.
pub fn edit(tx: &mut Tx<'_>, id: PlaceId, form: &PlaceForm) -> Result<(), PlaceError> {
    if find(tx.conn(), form.kind, form.slug.as_str())?.is_some_and(|p| p.id != id) {
        return Err(PlaceError::SlugTaken(form.slug.clone()));
    }
    let n = tx.conn().execute(
        "UPDATE place SET kind = ?2, slug = ?3, name = ?4, details = ?5 WHERE id = ?1",
        params![
            id.as_bytes(),
            form.kind.key(),
            form.slug.as_str(),
            form.name.as_str(),
            sql::to_json(&form.details)
        ],
    )?;
    if n == 0 {
        return Err(PlaceError::Unknown);
    }
    tx.audit("place.edit", &id.to_string(), None)?;
    tx.tell(Change::Place { place: id });
    Ok(())
}

/// The place of this kind and slug, made when there is none: a new tank's topic needs no configuration.
///
/// # Errors
/// When the database fails.
pub fn ensure(tx: &mut Tx<'_>, kind: PlaceKind, slug: &Slug) -> Result<PlaceId, PlaceError> {
    if let Some(place) = find(tx.conn(), kind, slug.as_str())? {
        return Ok(place.id);
    }
    let form = PlaceForm {
        kind,
        slug: slug.clone(),
        name: Name::new(slug.as_str()).expect("a slug is a short line of text"),
        details: PlaceDetails::default(),
    };
    add(tx, &form)
}

const COLUMNS: &str = "id, kind, slug, name, details";

/// All places, by kind, then by slug with numbers in their order.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &Connection) -> Result<Vec<Place>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM place ORDER BY kind, length(slug), slug, id"
    ))?;
    let rows = statement.query_map([], read)?;
    Ok(sql::known(rows)?)
}

/// One place.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &Connection, id: PlaceId) -> Result<Option<Place>, StoreError> {
    let place = conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM place WHERE id = ?1"))?
        .query_row([id.as_bytes()], read)
        .optional()?;
    Ok(place.flatten())
}

/// The place of this kind and slug; the oldest when a merge made two.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &Connection, kind: PlaceKind, slug: &str) -> Result<Option<Place>, StoreError> {
    let place = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM place WHERE kind = ?1 AND slug = ?2 ORDER BY id LIMIT 1"
        ))?
        .query_row(params![kind.key(), slug], read)
        .optional()?;
    Ok(place.flatten())
}

/// A row whose kind this program does not know is of a newer site; it is left out.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Place>> {
    let Some(kind) = PlaceKind::from_key(&sql::text(row, 1)?) else {
        return Ok(None);
    };
    Ok(Some(Place {
        id: sql::id(row, 0)?,
        kind,
        slug: sql::text(row, 2)?,
        name: sql::text(row, 3)?,
        details: serde_json::from_str(&sql::text(row, 4)?).unwrap_or_default(),
    }))
}
