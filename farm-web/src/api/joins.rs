//! Devices that ask to join: who waits, and letting one in by the code on its sticker.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use farm::{
    devices::{self, DeviceForm},
    joins::{self, JoinAs, JoinCode},
    places,
    text::{Name, Slug},
};
use farm_model::{Clock as _, DeviceKind, Link};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Items, credentials::read, places::PlaceRef};
use crate::{
    app::Web,
    auth::Caller,
    error::{Error, Reason},
};

/// A device that waits. What it says of itself is not proven until its code is given.
#[derive(Serialize, ToSchema)]
pub(crate) struct JoinJson {
    /// Number of the request.
    id: i64,
    /// Its serial number.
    serial: String,
    /// What it is for, as it says.
    kind: String,
    /// Maker and model, as it says.
    model: String,
    /// Version of its firmware, as it says.
    firmware: String,
    /// Address it asks from.
    address: String,
    /// When it asked, milliseconds since 1970.
    asked_at: i64,
    /// The device that this serial number joined as before, if it did.
    before: Option<String>,
}

/// Whom to let in, and as what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinItem {
    /// The code on its sticker.
    code: String,
    /// ASCII name of the device that it becomes, or of the known device whose place it takes.
    slug: String,
    /// What people call it; the slug when absent.
    name: Option<String>,
    /// What it is for: `milk_meter`, `rfid_reader`, …; absent when it takes the place of a known device, whose own it is then.
    #[schema(value_type = Option<String>)]
    kind: Option<DeviceKind>,
    /// Where it stands; made when it does not exist yet.
    place: Option<PlaceRef>,
    /// Seconds within which it should be heard; 0 for never.
    expect_every_s: Option<u32>,
}

/// What a device became.
#[derive(Serialize, ToSchema)]
pub(crate) struct JoinedJson {
    /// Identity of the device.
    id: String,
}

/// Devices that ask to join, oldest first.
#[utoipa::path(get, path = "/api/v1/joins", tag = "devices", responses((status = OK, body = Items<JoinJson>)))]
pub(crate) async fn list(State(web): State<Web>) -> Result<Json<Items<JoinJson>>, Error> {
    let now = web.farm.clock().now();
    let waiting = web.farm.read(move |conn| joins::waiting(conn, &now));
    let items = waiting.await?.into_iter().map(|request| JoinJson {
        id: request.id,
        serial: request.serial,
        kind: request.said.kind,
        model: request.said.model,
        firmware: request.said.firmware,
        address: request.peer,
        asked_at: request.asked.0,
        before: request.before.map(|id| id.to_string()),
    });
    let items = items.collect();
    Ok(Json(Items { items }))
}

/// Lets the waiting device in whose sticker carries the code. It receives its log-in by itself, sealed.
#[utoipa::path(post, path = "/api/v1/joins", tag = "devices", request_body = JoinItem,
    responses((status = OK, body = JoinedJson)))]
pub(crate) async fn approve(
    State(web): State<Web>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<JoinedJson>, Error> {
    let item: JoinItem = read(&body)?;
    let code = JoinCode::new(&item.code).map_err(|e| Error::invalid(format!("code: {e}")))?;
    let slug = Slug::new(&item.slug).map_err(|e| Error::invalid(format!("slug: {e}")))?;
    let name = item.name.as_deref().unwrap_or(&item.slug);
    let name = Name::new(name).map_err(|e| Error::invalid(format!("name: {e}")))?;
    let place = match item.place {
        Some(PlaceRef { kind, slug }) => {
            let slug = Slug::new(&slug).map_err(|e| Error::invalid(format!("place.slug: {e}")))?;
            Some((kind, slug))
        }
        None => None,
    };
    let write = web.farm.write(caller.actor(), move |tx| {
        let joins_as = match (item.kind, devices::find(tx.conn(), slug.as_str())?) {
            (Some(kind), _) => JoinAs::New(Box::new(DeviceForm {
                slug,
                name,
                kind,
                link: Link::Mqtt { client: None },
                place: place
                    .map(|(kind, slug)| places::ensure(tx, kind, &slug))
                    .transpose()?,
                expect_every_s: item.expect_every_s,
            })),
            (None, Some(device)) => JoinAs::Known(device.id),
            (None, None) => {
                let text = "kind: missing, and no device is called so";
                return Err(Error::invalid(text));
            }
        };
        joins::approve(tx, &code, &joins_as).map_err(Error::from)
    });
    let id = write.await?.to_string();
    Ok(Json(JoinedJson { id }))
}

/// Sends a waiting device away; it may ask again.
#[utoipa::path(post, path = "/api/v1/joins/{request}/refuse", tag = "devices", params(("request" = i64, Path)),
    responses((status = NO_CONTENT)))]
pub(crate) async fn refuse(
    State(web): State<Web>,
    caller: Caller,
    Path(request): Path<String>,
) -> Result<StatusCode, Error> {
    let request: i64 = request.parse().map_err(|_| Reason::NotFound)?;
    web.farm
        .write(caller.actor(), move |tx| joins::refuse(tx, request))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
