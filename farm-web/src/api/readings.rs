//! What devices measured, over time.

use axum::{Json, extract::State};
use farm::{
    devices,
    readings::{self, Resolution},
};
use farm_model::{Clock as _, Quantity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{query::Asked, when::Moment};
use crate::{
    app::Web,
    error::{Error, Reason},
};

const DAY_MS: i64 = 86_400_000;
/// Most points in one answer; a longer range wants a coarser resolution.
const MOST: usize = 50_000;

/// Which readings.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The device's slug.
    device: String,
    /// What it measures: `temperature`, `level`, …
    #[param(value_type = String)]
    quantity: Quantity,
    /// Beginning, RFC 3339 or milliseconds since 1970; a day before the end when absent.
    #[param(value_type = Option<String>)]
    from: Option<Moment>,
    /// End, not included; now when absent.
    #[param(value_type = Option<String>)]
    to: Option<Moment>,
    /// `raw`, `minute`, `hour` or `day`; one that suits the range when absent.
    #[param(value_type = Option<String>)]
    resolution: Option<Resolution>,
}

/// A series over time. Values are numbers in `unit`; one that is missing is null, never 0.
#[derive(Serialize, ToSchema)]
pub(crate) struct SeriesJson {
    device: String,
    quantity: &'static str,
    unit: &'static str,
    /// `raw`, `minute`, `hour` or `day`.
    #[schema(value_type = String)]
    resolution: Resolution,
    points: Vec<PointJson>,
}

/// A reading, or the good readings of a period.
#[derive(Serialize, ToSchema)]
pub(crate) struct PointJson {
    /// Milliseconds since 1970: the moment, or the beginning of the period.
    at: i64,
    /// The value, or the mean.
    value: Option<f64>,
    /// Smallest of the period.
    min: Option<f64>,
    /// Largest of the period.
    max: Option<f64>,
    /// Good values.
    n: i64,
    /// Values that were flagged or missing.
    bad: i64,
}

/// A series over time.
#[utoipa::path(get, path = "/api/v1/readings", tag = "readings", params(Wanted), responses((status = OK, body = SeriesJson)))]
pub(crate) async fn list(
    State(web): State<Web>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<SeriesJson>, Error> {
    let to = wanted
        .to
        .map_or_else(|| web.farm.clock().now().wall.plus(1), |m| m.0);
    let from = wanted
        .from
        .map_or_else(|| to.plus(-DAY_MS), |m: Moment| m.0);
    if from >= to {
        return Err(Error::invalid("from: must be before to"));
    }
    let resolution = wanted
        .resolution
        .unwrap_or_else(|| readings::resolution_for(to.since(from)));
    let Wanted {
        device, quantity, ..
    } = wanted;
    let slug = device.clone();
    let points = web
        .farm
        .read(move |conn| {
            let device = devices::find(conn, &slug)?
                .ok_or_else(|| Error::from(Reason::NotFound).detail(format!("device: {slug}")))?;
            if readings::is_longer_than(conn, device.id, quantity, from, to, resolution, MOST)? {
                return Err(Error::invalid(
                    "resolution: too many points, ask for a coarser one or a shorter range",
                ));
            }
            readings::history(conn, device.id, quantity, from, to, resolution).map_err(Error::from)
        })
        .await?;
    let number = |m: farm_model::Milli| m.to_f64();
    let points = points
        .into_iter()
        .map(|p| PointJson {
            at: p.at.0,
            value: p.value.map(number),
            min: p.min.map(number),
            max: p.max.map(number),
            n: p.n,
            bad: p.bad,
        })
        .collect();
    Ok(Json(SeriesJson {
        device,
        quantity: quantity.key(),
        unit: quantity.unit(),
        resolution,
        points,
    }))
}
