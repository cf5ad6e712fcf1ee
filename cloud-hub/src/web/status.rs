//! What machines ask about the hub: is it alive, is it ready, and its figures.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hub_store::StoreError;

use super::{Error, Reason, Web};

/// The program runs and answers.
pub(crate) async fn healthz() -> Response {
    Json(serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})).into_response()
}

/// The database can be read.
pub(crate) async fn readyz(State(web): State<Web>) -> Response {
    let read = web
        .store
        .read(|tx| tx.exists("SELECT 1 FROM schema_version", &[]))
        .await;
    let ready = matches!(read, Ok::<bool, StoreError>(true));
    let (status, word) = if ready {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not-ready")
    };
    let health = serde_json::json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "checks": {"writer_queue": web.store.waiting()},
    });
    (status, Json(health)).into_response()
}

/// Prometheus' text form of every figure.
pub(crate) async fn metrics(State(web): State<Web>) -> Result<Response, Error> {
    let handle = web.options.metrics.as_ref().ok_or(Reason::NotFound)?;
    metrics::gauge!("hub_writer_queue").set(web.store.waiting() as f64);
    metrics::counter!("hub_commits_total").absolute(web.store.commits());
    handle.run_upkeep();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], handle.render()).into_response())
}
