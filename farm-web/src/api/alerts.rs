//! What a person must know or do.

use axum::{Json, extract::State};
use farm::alerts::{self, Alert};
use serde::Serialize;
use utoipa::ToSchema;

use super::Items;
use crate::{app::Web, error::Error};

/// An open alert.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertJson {
    /// Identity.
    id: String,
    /// What it is about: `tank_warm`, `withdrawal`, …
    kind: &'static str,
    /// Whom: `animal:…`, `device:…`, `place:…`, `visit:…`, `stall:…` or `farm`.
    subject: String,
    /// `warning` or `critical`.
    #[schema(value_type = String)]
    severity: farm::alerts::Severity,
    /// Milliseconds since 1970.
    raised: i64,
    /// When somebody said that they have seen it.
    acknowledged: Option<i64>,
    /// Figures by name.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
}

impl From<Alert> for AlertJson {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id.to_string(),
            kind: alert.kind.key(),
            subject: alert.subject.to_string(),
            severity: alert.severity,
            raised: alert.raised.0,
            acknowledged: alert.acknowledged.map(|(at, _)| at.0),
            detail: alert.detail,
        }
    }
}

/// Open alerts, most urgent first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", responses((status = OK, body = Items<AlertJson>)))]
pub(crate) async fn list(State(web): State<Web>) -> Result<Json<Items<AlertJson>>, Error> {
    let open = web.farm.read(alerts::open).await?;
    let items = open.into_iter().map(AlertJson::from).collect();
    Ok(Json(Items { items }))
}
