//! The hub's web server: routes with who may use them, guards and layers.
//!
//! From the outside in: figures, headers, errors written out, time limit, compression, cross-site guard, access guard, handler.

mod access;
mod error;
mod limit;
mod present;
mod status;
mod who;

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::Method,
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
};
use farm_web::common::{self, Entry as _};
use hub_accounts::{SealKey, sessions::Lifetimes};
use hub_store::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::compression::{CompressionLayer, CompressionLevel};

pub use self::access::{Needs, RouteEntry};
pub(crate) use self::{
    access::{Here, Routes},
    error::{Error, Reason},
    limit::Limit,
    who::{Caller, Me, Peer, Pending, begin_cookie, end_cookie},
};
use crate::{api, config::Address, farms::Farms, pages, sync::Replicas};

/// Longest that an answer may take to begin.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// When an address that claimed too often may claim again.
const TRY_AGAIN_S: u32 = 60;
/// Largest form, in bytes.
const FORM_LIMIT: usize = 64 * 1024;

/// What the router is built from.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The hub's database.
    pub store: Store,
    /// What the database's own secrets are sealed with.
    pub seal: SealKey,
    /// The farms' files.
    pub farms: Farms,
    /// What differs from one installation to the next.
    pub options: Options,
}

/// What differs from one installation to the next.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address under which people and farms reach the hub.
    pub address: Address,
    /// How long log-ins live.
    pub lives: Lifetimes,
    /// Whether a proxy says who calls.
    pub behind_proxy: bool,
    /// Demonstrations only: where the line to the farm can be cut.
    pub demo_switch: Option<String>,
    /// Bytes of the largest farm that is taken in as a file.
    pub import_most: u64,
    /// Renders `/metrics`, if the program installed a recorder.
    pub metrics: Option<PrometheusHandle>,
}

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Web(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) seal: SealKey,
    pub(crate) farms: Farms,
    pub(crate) options: Options,
    /// Tries to log in and to claim, by address.
    pub(crate) tries: Limit,
    pub(crate) readiness: status::Readiness,
}

impl Deref for Web {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The hub's pages, and beside them what machines of farms exchange.
///
/// An exchange may wait minutes for news, and its seal is its guard: the layers of the pages do not concern it. Must be called
/// inside a tokio runtime.
pub fn router(hub: Hub) -> Router {
    let replicas = Replicas::new(hub.store.clone(), hub.farms.clone());
    let web = web_of(hub);
    sync_http::endpoint::router(replicas)
        .layer(from_fn_with_state(web.clone(), not_too_often))
        .merge(pages_of(web))
}

fn web_of(hub: Hub) -> Web {
    Web(Arc::new(Shared {
        store: hub.store,
        seal: hub.seal,
        farms: hub.farms,
        options: hub.options,
        tries: Limit::per_minute(20),
        readiness: status::Readiness::default(),
    }))
}

fn pages_of(web: Web) -> Router {
    let (routes, table) = routes().into_parts();
    routes
        .route_layer(from_fn_with_state(
            (web.clone(), access::Table::new(table)),
            access::guard,
        ))
        .fallback(async || Error::from(Reason::NotFound))
        .layer(from_fn(protect))
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .layer(CompressionLayer::new().quality(CompressionLevel::Precise(4)))
        .layer(from_fn(in_time))
        .layer(from_fn_with_state(web.clone(), present::present))
        .layer(from_fn_with_state(web.clone(), headers))
        .layer(from_fn(common::measure))
        .with_state(web)
}

/// Every route with what it needs; for the test that compares it with the intended table.
pub fn route_table() -> Vec<RouteEntry> {
    routes().into_parts().1
}

fn routes() -> Routes {
    let routes = Routes::default()
        .get(Needs::Nothing, "/assets/{name}", assets)
        .post(Needs::Nothing, "/preferences", common::choose)
        .get(Needs::Nothing, "/healthz", status::healthz)
        .get(Needs::Nothing, "/readyz", status::readyz)
        .get(Needs::Local, "/metrics", status::metrics);
    let routes = [sync_http::EXCHANGE, sync_http::ENROL, sync_http::ROTATE]
        .into_iter()
        .fold(routes, |routes, path| {
            routes.beside(RouteEntry::new(Method::POST, path, Needs::Key))
        });
    api::routes(pages::routes(routes))
}

/// What the design system serves; each address holds a hash of the content and may be kept for good.
async fn assets(request: Request) -> Result<Response, Error> {
    common::assets(request)
        .await
        .map_err(|_| Reason::NotFound.into())
}

/// Ends what takes too long; a farm's file comes as slowly as its line is, and is watched piece by piece.
async fn in_time(request: Request, next: Next) -> Result<Response, Error> {
    if request.method() == Method::POST && request.uri().path() == pages::UPLOAD {
        return Ok(next.run(request).await);
    }
    let answer = tokio::time::timeout(TIME_LIMIT, next.run(request)).await;
    answer.map_err(|_| Reason::TimedOut.into())
}

/// Lets an address claim only so often; machines that belong here already exchange as they like, and this machine is nobody from outside.
async fn not_too_often(State(web): State<Web>, request: Request, next: Next) -> Response {
    if request.uri().path() != sync_http::ENROL {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let peer = Peer::of(&web.options, &parts);
    if !peer.0.is_loopback() && !web.tries.take(peer.0, web.store.now()) {
        return sync_http::endpoint::busy(TRY_AGAIN_S);
    }
    next.run(Request::from_parts(parts, body)).await
}

/// Refuses what another site makes somebody's browser send.
async fn protect(request: Request, next: Next) -> Result<Response, Error> {
    if common::is_own(request.method(), request.headers()) {
        Ok(next.run(request).await)
    } else {
        Err(Reason::CrossSite.into())
    }
}

async fn headers(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut response = common::headers(request, next).await;
    if web.options.address.is_https {
        response.headers_mut().insert(
            axum::http::header::STRICT_TRANSPORT_SECURITY,
            axum::http::HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    response
}
