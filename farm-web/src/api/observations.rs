//! `POST /api/v1/observations`: the same values that devices send over MQTT, through the same pipeline.

use std::{collections::HashMap, str::FromStr};

use axum::extract::State;
use farm::devices;
use farm_model::{
    Body, Clock as _, Device, Milli, Observation, Quantity, Stamp, Tag, UnixMillis,
    observation::MAX_RAW, time::ClockQuality,
};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

use super::batch::{Batch, ItemResult, sort_out};
use crate::{app::Web, error::Error};

/// A moment: RFC 3339 text, or milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) UnixMillis);

impl Moment {
    /// The moment, for something that happened then.
    ///
    /// # Errors
    /// When it can only come from a clock that was never set.
    pub(crate) fn of_this_century(self) -> Result<UnixMillis, &'static str> {
        Some(self.0)
            .filter(|at| at.is_of_this_century())
            .ok_or("not of this century: look at the sender's clock")
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(millis) = text.parse() {
            return Ok(Self(UnixMillis(millis)));
        }
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(UnixMillis(t.as_millisecond())))
            .map_err(|e| format!("expected RFC 3339 or milliseconds: {e}"))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Moment;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("RFC 3339 text or milliseconds since 1970")
            }

            fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Moment, E> {
                Ok(Moment(UnixMillis(millis)))
            }

            fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Moment, E> {
                i64::try_from(millis)
                    .map(|millis| Moment(UnixMillis(millis)))
                    .map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_both_forms() {
        for (text, millis) in [
            ("1763600000000", 1_763_600_000_000),
            ("\"2025-11-20T01:00:00Z\"", 1_763_600_400_000),
            ("\"2025-11-20T07:00:00+06:00\"", 1_763_600_400_000),
        ] {
            let moment: Moment = serde_json::from_str(text).unwrap();
            assert_eq!(moment.0, UnixMillis(millis), "{text}");
        }
        for text in ["\"yesterday\"", "1.5", "null", "18446744073709551615"] {
            assert!(serde_json::from_str::<Moment>(text).is_err(), "{text}");
        }
    }
}
