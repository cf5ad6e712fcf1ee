//! The hub's JSON API, in the form of the farm's: lists as `items`, pages with `next`, errors as problem JSON, times in milliseconds
//! since 1970.
//!
//! `openapi.json` is made from the handlers themselves, so that neither can drift. A caller is logged in, as on the pages; each farm's
//! own API stands beside its pages, under `/farms/{slug}/api/v1`.

mod farms;
mod machines;
mod members;

use axum::{
    Json, Router,
    extract::{FromRequest, Request},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use farm_web::common::Entry as _;
use hub_accounts::Role;
use hub_store::Micros;
use serde::{Serialize, de::DeserializeOwned};
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::security::{ApiKey, ApiKeyValue, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::web::{Error, Needs, Reason, RouteEntry, Routes, Web};

/// Where the API is described.
const DOCUMENT: &str = "/api/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Khamar hub",
        description = "The hub's interface for programs. Log in at the hub and send the session's cookie. Each farm's own interface is described at /farms/{slug}/api/v1/openapi.json."
    ),
    security(("session" = [])),
    modifiers(&Session)
)]
struct Document;

struct Session;

impl Modify for Session {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let cookie = ApiKey::Cookie(ApiKeyValue::new("__Host-session"));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// Whether a request asks a program's question: then it is answered in JSON, whatever goes wrong.
pub(crate) fn is_api(path: &str) -> bool {
    let of_a_farm = || path.strip_prefix("/farms/")?.split_once('/');
    path.starts_with("/api/") || of_a_farm().is_some_and(|(_, rest)| rest.starts_with("api/"))
}

/// Adds the API to the hub's routes.
pub(crate) fn routes(routes: Routes) -> Routes {
    let (router, _) = documented();
    let router = router.route(DOCUMENT, get(openapi));
    routes.merge(router, table())
}

fn table() -> Vec<RouteEntry> {
    let get = |needs, path| RouteEntry::new(Method::GET, path, needs);
    let post = |needs, path| RouteEntry::new(Method::POST, path, needs);
    let (reader, manager, owner) = (
        Needs::Member(Role::ReadOnly),
        Needs::Member(Role::Manager),
        Needs::Member(Role::Owner),
    );
    vec![
        get(Needs::Nothing, DOCUMENT),
        get(Needs::Account, "/api/v1/farms"),
        post(Needs::TwoFactors, "/api/v1/farms"),
        get(reader, "/api/v1/farms/{slug}"),
        get(manager, "/api/v1/farms/{slug}/audit"),
        get(reader, "/api/v1/farms/{slug}/machines"),
        post(owner, "/api/v1/farms/{slug}/machines/{site}/revoke"),
        get(owner, "/api/v1/farms/{slug}/claims"),
        post(owner, "/api/v1/farms/{slug}/claims"),
        post(owner, "/api/v1/farms/{slug}/claims/{claim}/withdraw"),
        get(manager, "/api/v1/farms/{slug}/members"),
        post(owner, "/api/v1/farms/{slug}/members/{account}/role"),
        post(owner, "/api/v1/farms/{slug}/members/{account}/remove"),
        get(owner, "/api/v1/farms/{slug}/invitations"),
        post(owner, "/api/v1/farms/{slug}/invitations"),
        post(
            owner,
            "/api/v1/farms/{slug}/invitations/{invitation}/withdraw",
        ),
    ]
}

fn documented() -> (Router<Web>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(farms::list, farms::add))
        .routes(routes!(farms::show))
        .routes(routes!(farms::history))
        .routes(routes!(machines::list))
        .routes(routes!(machines::revoke))
        .routes(routes!(machines::claims, machines::claim))
        .routes(routes!(machines::withdraw))
        .routes(routes!(members::list))
        .routes(routes!(members::set_role))
        .routes(routes!(members::remove))
        .routes(routes!(members::invitations, members::invite))
        .routes(routes!(members::withdraw))
        .split_for_parts()
}

async fn openapi() -> Response {
    let (_, mut document) = documented();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    Json(document).into_response()
}

/// A list in an answer.
#[derive(Serialize, ToSchema)]
struct Items<T> {
    /// The things.
    items: Vec<T>,
}

impl<T> Items<T> {
    fn of<U: Into<T>>(things: Vec<U>) -> Json<Self> {
        let items = things.into_iter().map(Into::into).collect();
        Json(Self { items })
    }
}

/// A page of a longer list.
#[derive(Serialize, ToSchema)]
struct Page<T> {
    /// The things.
    items: Vec<T>,
    /// Ask again with `cursor=` this for more; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A body that was read; one that was not is refused with what is wrong with it.
struct Told<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Told<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(told)) => Ok(Self(told)),
            Err(refused) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Reason::TooLarge.into())
            }
            Err(refused) => Err(Error::invalid(refused.body_text())),
        }
    }
}

/// A role by its name.
fn role(key: &str) -> Result<Role, Error> {
    Role::from_key(key).ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.iter().map(|role| role.key()).collect();
        Error::invalid(format!("role: “{key}” is none of {}", known.join(", ")))
    })
}

/// Milliseconds since 1970.
fn ms(at: Micros) -> i64 {
    at.millis()
}
