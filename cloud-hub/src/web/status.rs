//! What machines ask about the hub: is it alive, is it ready, and its figures.

use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hub_store::StoreError;
use tokio::sync::Mutex;

use super::{Error, Reason, Web};

/// For how long an answer to whether the hub is ready holds: nobody makes it write more often.
const HOLDS: Duration = Duration::from_secs(5);
/// How long a change may take to be on disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// Megabytes that have to be free on the disk.
const ROOM_MB: u64 = 500;

/// What was found when it was last looked.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Found)>>);

/// What was found.
#[derive(Clone, Debug)]
struct Found {
    free_mb: Option<u64>,
    /// What is wrong, each with what to do.
    wrong: Vec<String>,
}

/// The program runs and answers.
pub(crate) async fn healthz() -> Response {
    Json(serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})).into_response()
}

/// A change gets to the disk, and there is room for more; else what is wrong, in words.
pub(crate) async fn readyz(State(web): State<Web>) -> Response {
    let found = found(&web).await;
    let (status, word) = if found.wrong.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not-ready")
    };
    let health = serde_json::json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "checks": {"writer_queue": web.store.waiting(), "disk_free_mb": found.free_mb},
        "wrong": found.wrong,
    });
    (status, Json(health)).into_response()
}

async fn found(web: &Web) -> Found {
    let mut last = web.readiness.0.lock().await;
    match &*last {
        Some((at, found)) if at.elapsed() < HOLDS => found.clone(),
        _ => {
            let found = look(web).await;
            *last = Some((Instant::now(), found.clone()));
            found
        }
    }
}

async fn look(web: &Web) -> Found {
    let mut wrong = Vec::new();
    // Setting what is set writes a page, and so shows that the disk takes it.
    let written = web
        .store
        .write(|tx| tx.execute("UPDATE schema_version SET version = version", &[]));
    match tokio::time::timeout(PATIENCE, written).await {
        Ok(Ok::<usize, StoreError>(_)) => {}
        Ok(Err(error)) => wrong.push(format!(
            "the database cannot be written: {error}; run: cloud-hub doctor"
        )),
        Err(_) => wrong.push(format!(
            "nothing was stored for {} seconds: look at the disk, and at the log: journalctl -u cloud-hub -n 50",
            PATIENCE.as_secs()
        )),
    }
    let free_mb = web.farms.free_bytes().map(|bytes| bytes / 1_000_000);
    match &free_mb {
        Ok(free) if *free < ROOM_MB => wrong.push(format!(
            "the disk has {free} MB free: free at least {ROOM_MB} MB, before nothing more can be stored"
        )),
        Ok(_) => {}
        Err(error) => wrong.push(format!(
            "the data folder cannot be looked at ({error}): check that its disk is mounted"
        )),
    }
    Found {
        free_mb: free_mb.ok(),
        wrong,
    }
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
