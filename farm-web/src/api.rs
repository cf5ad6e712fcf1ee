//! The JSON API: everything a program on the farm may read, and how devices, animals and history are put in.
//!
//! `openapi.json` is made from the handlers themselves, so that neither can drift. A caller shows `Authorization: Bearer …`;
//! the pages' own session works too, so that the API can be tried in a browser. Errors are problem JSON.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::Method,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Server,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{Needs, RouteEntry, Served},
    app::Web,
    common::Entry as _,
    mount::Mount,
};

mod alerts;
mod animals;
mod batch;
mod credentials;
mod devices;
mod firmware;
mod joins;
mod milkings;
mod mobile;
mod nodes;
mod observations;
mod places;
mod query;
mod readings;
mod sessions;
mod when;

/// Largest body, in bytes: a season's history in one request.
pub(crate) const BODY_LIMIT: usize = 32 * 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Khamar",
        description = "The farm's own interface for programs. Send `Authorization: Bearer <token>`; the owner makes tokens on the Staff page."
    ),
    security(("token" = [])),
    modifiers(&BearerToken)
)]
struct Document;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", scheme);
    }
}

/// The API's routes and who may use them.
pub(crate) fn routes() -> (Router<Web>, Vec<RouteEntry>) {
    let (router, document) = documented();
    drop(document);
    let router = router
        .route("/api/v1/openapi.json", axum::routing::get(openapi))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    let entry = |method, path, needs| RouteEntry {
        served: served(path),
        ..RouteEntry::new(method, path, needs)
    };
    let get = |path| entry(Method::GET, path, Needs::Read);
    let post = |path| entry(Method::POST, path, Needs::Manage);
    let table = vec![
        entry(Method::GET, "/api/v1/openapi.json", Needs::Nothing),
        get("/api/v1/animals"),
        post("/api/v1/animals"),
        get("/api/v1/milkings"),
        post("/api/v1/milkings"),
        get("/api/v1/places"),
        post("/api/v1/places"),
        get("/api/v1/devices"),
        post("/api/v1/devices"),
        post("/api/v1/devices/{device}/secret"),
        post("/api/v1/devices/{device}/frame-key"),
        post("/api/v1/devices/{device}/certificate"),
        post("/api/v1/devices/{device}/certificate/revoke"),
        post("/api/v1/devices/{device}/revoke"),
        get("/api/v1/devices/{device}/node"),
        post("/api/v1/devices/{device}/node/settings"),
        post("/api/v1/devices/{device}/node/commands"),
        get("/api/v1/authority"),
        get("/api/v1/firmware"),
        get("/api/v1/joins"),
        post("/api/v1/joins"),
        post("/api/v1/joins/{request}/refuse"),
        get("/api/v1/sessions"),
        post("/api/v1/sessions"),
        get("/api/v1/readings"),
        get("/api/v1/alerts"),
        entry(Method::POST, "/api/v1/observations", Needs::Observe),
        entry(Method::POST, "/api/v1/mobile/sync/push", Needs::Record),
    ];
    (router, table)
}

/// Keys, joins, nodes and what devices tell concern the farm's own appliance.
fn served(path: &str) -> Served {
    let own = [
        "/devices/{device}/",
        "/authority",
        "/firmware",
        "/joins",
        "/observations",
    ];
    if own.iter().any(|part| path.contains(part)) {
        Served::Appliance
    } else {
        Served::Everywhere
    }
}

fn documented() -> (Router<Web>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(animals::list, animals::save))
        .routes(routes!(milkings::list, milkings::save))
        .routes(routes!(places::list, places::save))
        .routes(routes!(devices::list, devices::save))
        .routes(routes!(credentials::secret))
        .routes(routes!(credentials::frame_key))
        .routes(routes!(credentials::certificate))
        .routes(routes!(credentials::end_certificate))
        .routes(routes!(credentials::revoke))
        .routes(routes!(nodes::show))
        .routes(routes!(nodes::settings))
        .routes(routes!(nodes::command))
        .routes(routes!(credentials::authority))
        .routes(routes!(firmware::list))
        .routes(routes!(joins::list, joins::approve))
        .routes(routes!(joins::refuse))
        .routes(routes!(sessions::list, sessions::save))
        .routes(routes!(readings::list))
        .routes(routes!(alerts::list))
        .routes(routes!(observations::submit))
        .routes(routes!(mobile::push))
        .split_for_parts()
}

async fn openapi(State(web): State<Web>) -> Response {
    let (_, mut document) = documented();
    web.options.version.clone_into(&mut document.info.version);
    if let Some(mount) = web.mount() {
        at_host(&mut document, mount);
    }
    Json(document).into_response()
}

/// What a host serves of the API, and where; who may is the host's to say.
fn at_host(document: &mut utoipa::openapi::OpenApi, mount: &Mount) {
    document.servers = Some(vec![Server::new(mount.base.as_str())]);
    document
        .paths
        .paths
        .retain(|path, _| served(path) == Served::Everywhere);
    document.info.description = Some(AT_HOST.to_owned());
    document.security = None;
    if let Some(components) = &mut document.components {
        components.security_schemes.clear();
    }
}

const AT_HOST: &str = "A farm's interface for programs, as its hub serves it over a replica. Log in at the hub; what concerns ports and keys is done at the farm.";

/// A list in an answer.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Items<T> {
    /// The things.
    pub(crate) items: Vec<T>,
}

/// A page of a longer list.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    /// The things.
    pub(crate) items: Vec<T>,
    /// Ask again with `cursor=` this for more; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}
