//! Puts routes, guards and layers together.
//!
//! From the outside in: figures, headers, errors written out, time limit, compression, cross-site guard, role guard, handler.

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use farm_model::staff::Role;
use tower_http::{
    compression::{CompressionLayer, CompressionLevel},
    timeout::TimeoutLayer,
};

use crate::{
    access::{self, Needs, RouteEntry, Routes, Table},
    address::to,
    api,
    app::{App, Web},
    csrf,
    error::{Error, Reason},
    lang::{self, Speak},
    live, pages, present, status,
};

/// Longest that an answer may take to begin.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Largest form, in bytes.
const FORM_LIMIT: usize = 256 * 1024;

/// The most bytes that a body sent to `path` may have.
pub(crate) fn body_limit(path: &str) -> usize {
    if path.starts_with("/api/") {
        api::BODY_LIMIT
    } else {
        FORM_LIMIT
    }
}

/// The farm's pages, live events and API.
///
/// Must be called inside a tokio runtime, because the live pages follow the farm from then on; they stop when the last clone
/// of the router is dropped.
pub fn router(app: App) -> Router {
    over(&Web::new(app, None))
}

/// The router of what `web` shares.
pub(crate) fn over(web: &Web) -> Router {
    live::follow(web);
    let (routes, table) = routes().into_parts();
    let table = Table::new(table);
    let base = web.mount().map_or("", |_| "{farm}");
    routes
        .route_layer(from_fn_with_state((web.clone(), table), access::guard))
        .fallback(async || Error::from(Reason::NotFound))
        .layer(from_fn(csrf::protect))
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .layer(CompressionLayer::new().quality(CompressionLevel::Precise(4)))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            TIME_LIMIT,
        ))
        .layer(from_fn_with_state(web.clone(), present::present))
        .layer(from_fn(headers))
        .layer(from_fn_with_state(base, status::measure_under))
        .with_state(web.clone())
}

/// Every route with what it needs; for the test that compares it with the intended table.
pub fn route_table() -> Vec<RouteEntry> {
    routes().into_parts().1
}

fn routes() -> Routes {
    let worker = Needs::Role(Role::Worker);
    let routes = Routes::default()
        .get(Needs::Nothing, "/assets/{name}", assets)
        .get(worker, "/live", live::stream::live)
        .get(worker, "/live/poll", live::poll::poll)
        .get(worker, "/live/ws", live::ws::ws)
        .at_the_farm(own);
    let routes = pages::routes(routes);
    let (router, entries) = api::routes();
    routes.merge(router, entries)
}

/// What concerns the machine and the browser in front of it, which is a host's own business.
fn own(routes: Routes) -> Routes {
    let routes = routes
        .post(Needs::Nothing, "/preferences", lang::choose)
        .get(Needs::Nothing, "/healthz", status::healthz)
        .get(Needs::Nothing, "/readyz", status::readyz)
        .get(Needs::Figures, "/metrics", status::metrics);
    if cfg!(debug_assertions) {
        routes.get(Needs::Nothing, "/styleguide", styleguide)
    } else {
        routes
    }
}

/// Every part of the design system on one page, for whoever works on it: only in debug builds.
async fn styleguide(Speak(lang): Speak, headers: HeaderMap) -> maud::Markup {
    ui::shell::Page::new(lang, ui::styleguide::title(lang))
        .theme(lang::theme_of(&headers))
        .preferences(to!("/preferences"))
        .path(to!("/styleguide"))
        .wide()
        .body(ui::styleguide::styleguide(lang))
        .render()
}

/// What the design system serves; each address holds a hash of the content and may be kept for good.
pub async fn assets(request: Request) -> Result<Response, Error> {
    let asset = ui::assets::by_url(request.uri().path()).ok_or(Reason::NotFound)?;
    Ok((
        [
            (header::CONTENT_TYPE, asset.content_type),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ],
        asset.bytes.as_slice(),
    )
        .into_response())
}

const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// Puts on each answer what keeps pages to themselves.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Says to old browsers what `frame-ancestors` says to the others.
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages are someone's: neither a proxy nor the next one at this phone may have them.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
