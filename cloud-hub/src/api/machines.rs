//! The machines of a farm, and the codes that connect and swap them.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use hub_accounts::{
    SiteId,
    claims::{self, Claim, Site},
    ids::ClaimId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Items, Told, ms};
use crate::web::{Error, Here, Me, Reason, Web};

/// A machine of the farm.
#[derive(Serialize, ToSchema)]
pub(super) struct MachineJson {
    /// Identity.
    id: String,
    /// What it calls itself.
    name: String,
    /// Since when it is connected.
    enrolled: i64,
    /// When it was last heard; `null` when it never was.
    heard: Option<i64>,
    /// Changes that had not arrived then.
    waiting: i64,
    /// Since when it is refused; `null` while it is let in.
    revoked: Option<i64>,
}

impl From<Site> for MachineJson {
    fn from(site: Site) -> Self {
        Self {
            id: site.id.to_string(),
            name: site.name,
            enrolled: ms(site.enrolled),
            heard: site.heard.map(ms),
            waiting: site.waiting,
            revoked: site.revoked.map(ms),
        }
    }
}

/// Machines, newest first.
#[utoipa::path(get, path = "/api/v1/farms/{slug}/machines", tag = "machines", params(("slug" = String, Path)), responses((status = OK, body = Items<MachineJson>)))]
pub(super) async fn list(
    State(web): State<Web>,
    here: Here,
) -> Result<Json<Items<MachineJson>>, Error> {
    let farm = here.farm.id;
    let sites = web.store.read(move |tx| claims::sites(tx, farm)).await?;
    Ok(Items::of(sites))
}

/// Refuses a machine from now on.
#[utoipa::path(post, path = "/api/v1/farms/{slug}/machines/{site}/revoke", tag = "machines", params(("slug" = String, Path), ("site" = String, Path)), responses((status = NO_CONTENT)))]
pub(super) async fn revoke(
    State(web): State<Web>,
    me: Me,
    here: Here,
    at: Path<(String, SiteId)>,
) -> Result<StatusCode, Error> {
    let site = at.0.1;
    let (by, farm) = (me.account.id, here.farm.id);
    web.store
        .write(move |tx| claims::revoke(tx, by, farm, site))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A code that waits; the code itself was shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct ClaimJson {
    /// Identity.
    id: String,
    /// The machine whose place the new one takes.
    replaces: Option<String>,
    expires: i64,
}

impl From<Claim> for ClaimJson {
    fn from(claim: Claim) -> Self {
        Self {
            id: claim.id.to_string(),
            replaces: claim.replaces.map(|site| site.to_string()),
            expires: ms(claim.expires),
        }
    }
}

/// Codes that wait.
#[utoipa::path(get, path = "/api/v1/farms/{slug}/claims", tag = "machines", params(("slug" = String, Path)), responses((status = OK, body = Items<ClaimJson>)))]
pub(super) async fn claims(
    State(web): State<Web>,
    here: Here,
) -> Result<Json<Items<ClaimJson>>, Error> {
    let farm = here.farm.id;
    let codes = web.store.read(move |tx| claims::open(tx, farm)).await?;
    Ok(Items::of(codes))
}

/// What a code is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewClaim {
    /// The machine whose place the new one takes; left out, the new one stands beside it.
    #[schema(value_type = Option<String>)]
    replaces: Option<SiteId>,
}

/// A code that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeJson {
    /// Works once; shown here alone.
    code: String,
    /// The hub's address, which the machine is told with it.
    hub: String,
}

/// Makes a code for a machine; it ends the one that waited for the same purpose.
#[utoipa::path(post, path = "/api/v1/farms/{slug}/claims", tag = "machines", params(("slug" = String, Path)), request_body = NewClaim, responses((status = CREATED, body = MadeJson)))]
pub(super) async fn claim(
    State(web): State<Web>,
    me: Me,
    here: Here,
    Told(new): Told<NewClaim>,
) -> Result<(StatusCode, Json<MadeJson>), Error> {
    let (by, farm) = (me.account.id, here.farm.id);
    let code = web
        .store
        .write(move |tx| claims::make(tx, by, farm, new.replaces))
        .await?;
    let made = MadeJson {
        code: code.grouped(),
        hub: web.options.address.url.clone(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Withdraws a code.
#[utoipa::path(post, path = "/api/v1/farms/{slug}/claims/{claim}/withdraw", tag = "machines", params(("slug" = String, Path), ("claim" = String, Path)), responses((status = NO_CONTENT)))]
pub(super) async fn withdraw(
    State(web): State<Web>,
    me: Me,
    here: Here,
    at: Path<(String, ClaimId)>,
) -> Result<StatusCode, Error> {
    let claim = at.0.1;
    let (by, farm) = (me.account.id, here.farm.id);
    let ended = web
        .store
        .write(move |tx| claims::withdraw(tx, by, farm, claim))
        .await?;
    if ended {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Reason::NotFound.into())
    }
}
