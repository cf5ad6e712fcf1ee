//! What machines ask about the machine: is it alive, is it ready, and its figures.
//!
//! `/healthz` and `/readyz` are open to all. `/metrics` is for a scraper on this machine (loopback, and no proxy in between), for
//! the holder of an API token, and for managers: it tells which devices there are.

use std::{net::SocketAddr, time::Instant};

use axum::{
    Json,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use crate::{
    app::Web,
    error::{Error, Reason},
};

/// Installs the recorder whose figures `/metrics` shows; to be called once by the program.
///
/// # Errors
/// When another recorder is installed already.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    let seconds = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
    ];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds)?
        .install_recorder()?;
    metrics::describe_counter!(
        "http_requests_total",
        "Requests answered, by route and status."
    );
    metrics::describe_histogram!(
        "http_request_duration_seconds",
        "Seconds to the answer of a request, by route."
    );
    metrics::describe_gauge!(
        "farm_writer_queue",
        "Commands that wait for the writer of the database."
    );
    metrics::describe_counter!("farm_commits_total", "Commits of the database.");
    metrics::describe_gauge!("live_subscribers", "Pages that follow the farm live.");
    Ok(handle)
}

/// An answer that was counted, however many layers it still passes.
#[derive(Clone, Copy)]
struct Measured;

/// Counts and times a request by its route, never by its path, so that the number of series is bounded.
pub async fn measure(request: Request, next: Next) -> Response {
    measure_under(State(""), request, next).await
}

/// The same, with this before the route: of a farm's pages at a host that has routes of its own.
pub(crate) async fn measure_under(
    State(base): State<&'static str>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().as_str().to_owned();
    let mut response = next.run(request).await;
    if response.extensions_mut().insert(Measured).is_some() {
        return response;
    }
    let route = response.extensions().get::<MatchedPath>();
    let route = format!("{base}{}", route.map_or("none", |p| p.as_str()));
    let status = response.status().as_u16().to_string();
    metrics::counter!("http_requests_total", "method" => method.clone(), "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("http_request_duration_seconds", "method" => method, "route" => route)
        .record(started.elapsed().as_secs_f64());
    response
}

/// Whether the client is this machine itself, without a proxy in between.
pub(crate) fn is_local(request: &Request) -> bool {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    !forwarded
        && request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .is_some_and(|ConnectInfo(address)| address.ip().is_loopback())
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    database: &'static str,
    writer_queue: usize,
    clock: farm_model::time::ClockQuality,
}

/// The program runs and answers.
pub(crate) async fn healthz(State(web): State<Web>) -> Response {
    Json(serde_json::json!({"status": "ok", "version": web.options.version})).into_response()
}

/// The database can be read and the program can do its work.
pub(crate) async fn readyz(State(web): State<Web>) -> Response {
    use farm_model::Clock as _;
    let readable = web
        .farm
        .read(|conn| {
            conn.query_row("SELECT count(*) FROM local", [], |row| row.get::<_, i64>(0))
                .map_err(farm::StoreError::from)
        })
        .await
        .is_ok();
    let ready = readable && web.options.ready.as_ref().is_none_or(|ask| ask());
    let health = Health {
        status: if ready { "ok" } else { "not-ready" },
        version: web.options.version,
        checks: Checks {
            database: if readable { "ok" } else { "failed" },
            writer_queue: web.farm.waiting(),
            clock: web.farm.clock().now().clock,
        },
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

/// Prometheus' text form of every figure.
pub(crate) async fn metrics(State(web): State<Web>) -> Result<Response, Error> {
    let handle = web.options.metrics.as_ref().ok_or(Reason::NotFound)?;
    metrics::gauge!("farm_writer_queue").set(web.farm.waiting() as f64);
    metrics::counter!("farm_commits_total").absolute(web.farm.commits());
    metrics::gauge!("live_subscribers").set(web.hub().watchers() as f64);
    handle.run_upkeep();
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        handle.render(),
    )
        .into_response())
}
