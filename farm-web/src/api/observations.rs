//! `POST /api/v1/observations`: the same values that devices send over MQTT, through the same pipeline.

use std::collections::HashMap;

use axum::extract::State;
use farm::devices;
use farm_model::{
    Body, Clock as _, Device, Milli, Observation, Quantity, Stamp, Tag, observation::MAX_RAW,
    time::ClockQuality,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    batch::{Batch, ItemResult, sort_out},
    when::Moment,
};
use crate::{app::Web, error::Error};

/// Something a device measured or read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObservationItem {
    /// The device's slug.
    device: String,
    /// What it measured: `temperature`, `level`, …; absent when a tag was read.
    #[schema(value_type = Option<String>)]
    quantity: Option<Quantity>,
    /// The value in the quantity's unit.
    value: Option<f64>,
    /// The tag it read.
    #[schema(value_type = Option<String>)]
    tag: Option<Tag>,
    /// When: RFC 3339 or milliseconds since 1970; now when absent.
    #[schema(value_type = Option<String>)]
    at: Option<Moment>,
    /// The sender's own identity of this observation: sent twice, it is stored once.
    id: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
pub(crate) struct ObservationsBody {
    items: Vec<ObservationItem>,
}

/// What became of the observations. Answered when they are on disk.
#[derive(Serialize, ToSchema)]
pub(crate) struct Submitted {
    /// Stored now.
    stored: u64,
    /// Known already by their `id`.
    duplicates: u64,
    /// Items that were not taken, each with the reason.
    rejected: Vec<ItemResult>,
}

/// Takes observations in, as if they had come over MQTT.
#[utoipa::path(post, path = "/api/v1/observations", tag = "observations", request_body = ObservationsBody,
    responses((status = OK, body = Submitted)))]
pub(crate) async fn submit(
    State(web): State<Web>,
    batch: Batch<ObservationItem>,
) -> Result<axum::Json<Submitted>, Error> {
    let devices = web.farm.read(devices::list).await?;
    let devices: HashMap<String, Device> =
        devices.into_iter().map(|d| (d.slug.clone(), d)).collect();
    let now = web.farm.clock().now();
    let (items, mut rejected) = sort_out(batch);
    let mut good = Vec::with_capacity(items.len());
    for (index, item) in items {
        match observation(&devices, now, item) {
            Ok(observation) => good.push(observation),
            Err(why) => rejected.push(ItemResult::rejected(index, &why)),
        }
    }
    let report = web.ingest.submit(good).await?;
    rejected.sort_by_key(|r| r.index);
    Ok(axum::Json(Submitted {
        stored: report.stored,
        duplicates: report.duplicates,
        rejected,
    }))
}

fn observation(
    devices: &HashMap<String, Device>,
    now: Stamp,
    item: ObservationItem,
) -> Result<Observation, String> {
    let device = devices
        .get(&item.device)
        .ok_or_else(|| format!("device: none is called “{}”", item.device))?;
    let body = match (item.quantity, item.value, item.tag) {
        (Some(quantity), Some(value), None) => {
            let value = Milli::from_f64(value).ok_or("value: too large")?;
            Body::measured(quantity, value)
        }
        (None, None, Some(tag)) => Body::Identified { tag },
        (Some(_), None, None) => return Err("value: missing".into()),
        (None, Some(_), None) => return Err("quantity: missing".into()),
        (None, None, None) => return Err("give quantity and value, or tag".into()),
        (_, _, Some(_)) => return Err("tag: not together with quantity and value".into()),
    };
    if item.id.as_ref().is_some_and(|id| id.len() > MAX_RAW) {
        return Err(format!("id: at most {MAX_RAW} bytes"));
    }
    let at = match item.at {
        // The sender's own clock; ours vouches for it as far as for a person's word.
        Some(moment) => Stamp {
            wall: now
                .told(moment.of_this_century().map_err(|e| format!("at: {e}"))?)
                .wall,
            clock: now.clock.min(ClockQuality::Told),
            boot: 0,
            mono: 0,
        },
        None => now,
    };
    Ok(Observation {
        device: device.id,
        at,
        body,
        raw: Vec::new(),
        key: item.id,
    })
}
