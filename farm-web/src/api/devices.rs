//! Readers, meters, probes and nodes.

use std::collections::HashMap;

use axum::{Json, extract::State};
use farm::{
    Tx, credentials,
    devices::{self, DeviceForm, Enabled},
    places,
    text::{Name, Slug},
};
use farm_model::{Device, DeviceKind, Link};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Items,
    batch::{Batch, BatchResult, Outcome, each},
    credentials::CredentialsJson,
    places::{PlaceRef, SaveError},
};
use crate::{app::Web, auth::Caller, error::Error};

/// A device.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceJson {
    /// Identity.
    id: String,
    /// ASCII name, one per farm.
    slug: String,
    /// What people call it.
    name: String,
    /// What it is for: `milk_meter`, `rfid_reader`, …
    kind: &'static str,
    /// How it is reached.
    #[schema(value_type = Object)]
    link: Link,
    /// Where it stands.
    place: Option<PlaceRef>,
    /// Seconds within which it should be heard, as a person said; 0 for never.
    expect_every_s: Option<u32>,
    /// Seconds within which it is heard, as learnt from what it sent; used while nobody said.
    learnt_every_s: Option<u32>,
    /// Whether drivers run for it.
    enabled: bool,
    /// When it was last heard, milliseconds since 1970.
    heard_at: Option<i64>,
    /// Messages of it that were refused.
    rejects: i64,
    /// What it logs in with, if it ever had anything.
    credentials: Option<CredentialsJson>,
}

/// A device to store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceItem {
    /// ASCII name; the key by which a device is known again.
    slug: String,
    /// What people call it; the slug when absent.
    name: Option<String>,
    /// What it is for: `milk_meter`, `rfid_reader`, …
    #[schema(value_type = String)]
    kind: DeviceKind,
    /// How it is reached.
    #[schema(value_type = Object)]
    link: Link,
    /// Where it stands; made when it does not exist yet.
    place: Option<PlaceRef>,
    /// Seconds within which it should be heard; 0 for never. When absent, it is learnt for those that send by themselves.
    expect_every_s: Option<u32>,
    /// Whether drivers run for it; they do when absent.
    enabled: Option<bool>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
pub(crate) struct DevicesBody {
    items: Vec<DeviceItem>,
}

/// All devices with what was heard of each.
#[utoipa::path(get, path = "/api/v1/devices", tag = "devices", responses((status = OK, body = Items<DeviceJson>)))]
pub(crate) async fn list(State(web): State<Web>) -> Result<Json<Items<DeviceJson>>, Error> {
    let newest = web.farm.live().values();
    let (rows, places, mut held) = web
        .farm
        .read(move |conn| {
            let rows = devices::overview(conn, &newest)?;
            Ok::<_, farm::StoreError>((rows, places::list(conn)?, credentials::all(conn)?))
        })
        .await?;
    let places: HashMap<_, _> = places.into_iter().map(|p| (p.id, p)).collect();
    let items = rows
        .into_iter()
        .map(|row| {
            let Device {
                id,
                slug,
                name,
                kind,
                link,
                place,
                expect_every_s,
                enabled,
            } = row.device;
            DeviceJson {
                id: id.to_string(),
                slug,
                name,
                kind: kind.key(),
                link,
                place: place.and_then(|id| places.get(&id)).map(|p| PlaceRef {
                    kind: p.kind,
                    slug: p.slug.clone(),
                }),
                expect_every_s,
                learnt_every_s: row.learnt_every_s,
                enabled,
                heard_at: row.heard_at.map(|at| at.0),
                rejects: row.rejects,
                credentials: held.remove(&id).map(Into::into),
            }
        })
        .collect();
    Ok(Json(Items { items }))
}

/// Stores devices; one whose slug is known is changed.
#[utoipa::path(post, path = "/api/v1/devices", tag = "devices", request_body = DevicesBody,
    responses((status = OK, body = BatchResult)))]
pub(crate) async fn save(
    State(web): State<Web>,
    caller: Caller,
    batch: Batch<DeviceItem>,
) -> BatchResult {
    each(&web.farm, &caller.actor(), batch, store).await
}

fn store(tx: &mut Tx<'_>, item: &DeviceItem) -> Result<(Outcome, String), SaveError> {
    let slug = Slug::new(&item.slug).map_err(|e| SaveError::field("slug", &e))?;
    let name = Name::new(item.name.as_deref().unwrap_or(&item.slug))
        .map_err(|e| SaveError::field("name", &e))?;
    let place = match &item.place {
        Some(PlaceRef { kind, slug }) => {
            let slug = Slug::new(slug).map_err(|e| SaveError::field("place.slug", &e))?;
            Some(places::ensure(tx, *kind, &slug)?)
        }
        None => None,
    };
    let form = DeviceForm {
        slug,
        name,
        kind: item.kind,
        link: item.link.clone(),
        place,
        expect_every_s: item.expect_every_s,
    };
    let enabled = item.enabled.unwrap_or(true);
    let Some(old) = devices::find(tx.conn(), &item.slug)? else {
        let id = devices::add(tx, &form)?;
        if !enabled {
            devices::set_enabled(tx, id, Enabled::No)?;
        }
        return Ok((Outcome::Created, id.to_string()));
    };
    let new = Device {
        id: old.id,
        slug: item.slug.clone(),
        name: form.name.as_str().to_owned(),
        kind: form.kind,
        link: form.link.clone(),
        place,
        expect_every_s: form.expect_every_s,
        enabled,
    };
    if new == old {
        return Ok((Outcome::Unchanged, old.id.to_string()));
    }
    devices::edit(tx, old.id, &form)?;
    if enabled != old.enabled {
        let switch = if enabled { Enabled::Yes } else { Enabled::No };
        devices::set_enabled(tx, old.id, switch)?;
    }
    Ok((Outcome::Updated, old.id.to_string()))
}
