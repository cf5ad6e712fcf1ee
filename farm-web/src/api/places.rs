//! Stalls, tanks, rooms and digesters.

use axum::{Json, extract::State};
use farm::{
    StoreError, Tx,
    places::{self, PlaceError, PlaceForm},
    text::{Name, Slug},
};
use farm_model::{Place, PlaceKind, place::PlaceDetails};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Items,
    batch::{Batch, BatchResult, Outcome, each},
};
use crate::{app::Web, auth::Caller, error::Error};

/// A place.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlaceJson {
    /// Identity.
    id: String,
    /// `stall`, `tank`, `room` or `digester`.
    kind: &'static str,
    /// ASCII name, one per kind.
    slug: String,
    /// What people call it.
    name: String,
    /// Capacity, limits and calibration.
    #[schema(value_type = Object)]
    details: PlaceDetails,
}

impl From<Place> for PlaceJson {
    fn from(place: Place) -> Self {
        Self {
            id: place.id.to_string(),
            kind: place.kind.key(),
            slug: place.slug,
            name: place.name,
            details: place.details,
        }
    }
}

/// A place to store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceItem {
    /// `stall`, `tank`, `room` or `digester`.
    #[schema(value_type = String)]
    kind: PlaceKind,
    /// ASCII name, one per kind; the key by which a place is known again.
    slug: String,
    /// What people call it; the slug when absent.
    name: Option<String>,
    /// Capacity, limits and calibration.
    #[serde(default)]
    #[schema(value_type = Object)]
    details: PlaceDetails,
}

/// Which place, by the name that people and programs use.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceRef {
    /// `stall`, `tank`, `room` or `digester`.
    #[schema(value_type = String)]
    pub(crate) kind: PlaceKind,
    /// ASCII name.
    pub(crate) slug: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
pub(crate) struct PlacesBody {
    items: Vec<PlaceItem>,
}

/// All places.
#[utoipa::path(get, path = "/api/v1/places", tag = "places", responses((status = OK, body = Items<PlaceJson>)))]
pub(crate) async fn list(State(web): State<Web>) -> Result<Json<Items<PlaceJson>>, Error> {
    let places = web.farm.read(places::list).await?;
    let items = places.into_iter().map(PlaceJson::from).collect();
    Ok(Json(Items { items }))
}

/// Stores places; one whose kind and slug are known is changed.
#[utoipa::path(post, path = "/api/v1/places", tag = "places", request_body = PlacesBody,
    responses((status = OK, body = BatchResult)))]
pub(crate) async fn save(
    State(web): State<Web>,
    caller: Caller,
    batch: Batch<PlaceItem>,
) -> BatchResult {
    each(&web.farm, &caller.actor(), batch, store).await
}

fn store(tx: &mut Tx<'_>, item: &PlaceItem) -> Result<(Outcome, String), SaveError> {
    let slug = Slug::new(&item.slug).map_err(|e| SaveError::field("slug", &e))?;
    let name = Name::new(item.name.as_deref().unwrap_or(&item.slug))
        .map_err(|e| SaveError::field("name", &e))?;
    let form = PlaceForm {
        kind: item.kind,
        slug,
        name,
        details: item.details.clone(),
    };
    let Some(old) = places::find(tx.conn(), item.kind, &item.slug)? else {
        return Ok((Outcome::Created, places::add(tx, &form)?.to_string()));
    };
    if old.name == form.name.as_str() && old.details == form.details {
        return Ok((Outcome::Unchanged, old.id.to_string()));
    }
    places::edit(tx, old.id, &form)?;
    Ok((Outcome::Updated, old.id.to_string()))
}

/// Why an item was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    /// A field cannot be taken.
    #[error("{field}: {why}")]
    Field {
        /// Its name.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// The place was not saved.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The device was not saved.
    #[error(transparent)]
    Device(#[from] farm::devices::DeviceError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SaveError {
    pub(crate) fn field(field: &'static str, why: &impl ToString) -> Self {
        Self::Field {
            field,
            why: why.to_string(),
        }
    }
}
