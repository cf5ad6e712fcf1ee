//! LoRaWAN uplinks as ChirpStack v4 publishes them over MQTT: `application/{id}/device/{dev_eui}/event/up`.
//!
//! ChirpStack has decoded the device's payload into `object`; its numbers are taken up by the names of the device's map.
//! `deduplicationId` is the key by which a redelivery is known.

use farm_model::{
    observation::{Body, Flaw},
    quantity::{Milli, Quantity},
    time::UnixMillis,
};
use serde::Deserialize;
use serde_json::Value;

use crate::topics;

/// Longest payload.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// Most numbers taken from one uplink.
pub const MAX_VALUES: usize = 64;

/// How deep objects may nest within `object`.
const MAX_DEPTH: usize = 4;

/// What one uplink says.
#[derive(Clone, PartialEq, Debug)]
pub struct Uplink {
    /// Device EUI, 16 lower-case hexadecimal digits.
    pub dev_eui: String,
    /// The uplink's identity.
    pub key: Option<String>,
    /// The device's frame counter.
    pub f_cnt: Option<u32>,
    /// When the gateway heard it.
    pub at: Option<UnixMillis>,
    /// The numbers of `object` by name, nested names joined by a point; `None` where the device sent null.
    pub values: Vec<(String, Option<Milli>)>,
    /// Battery voltage, if `object` holds one under a usual name.
    pub battery: Option<Milli>,
    /// The strongest signal among the gateways that heard it, in thousandths of a dBm.
    pub rssi: Option<Milli>,
}

/// Why an uplink was rejected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum UplinkReject {
    /// The topic is not that of an uplink.
    #[error("not the topic of an uplink")]
    UnknownTopic,
    /// The payload is too long.
    #[error("the payload is longer than 65,536 bytes")]
    TooLong,
    /// The payload is not the JSON of an uplink.
    #[error("the payload is not the JSON of an uplink")]
    NotJson,
    /// No device EUI of 16 hexadecimal digits.
    #[error("the device EUI is not 16 hexadecimal digits")]
    BadDevEui,
    /// Topic and payload name different devices.
    #[error("topic and payload name different devices")]
    OtherDevice,
    /// The time is not RFC 3339, or not of this century.
    #[error("the time is not RFC 3339, or not of this century")]
    BadTimestamp,
    /// The deduplication id is empty or too long.
    #[error("the deduplication id is empty or longer than 64 bytes")]
    BadId,
}

impl UplinkReject {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::UnknownTopic,
        Self::TooLong,
        Self::NotJson,
        Self::BadDevEui,
        Self::OtherDevice,
        Self::BadTimestamp,
        Self::BadId,
    ];

    /// The name used in metrics, the quarantine and as a translation key.
    pub fn key(self) -> &'static str {
        match self {
            Self::UnknownTopic => "unknown_topic",
            Self::TooLong => "too_long",
            Self::NotJson => "not_json",
            Self::BadDevEui => "bad_dev_eui",
            Self::OtherDevice => "other_device",
            Self::BadTimestamp => "bad_timestamp",
            Self::BadId => "bad_id",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Up {
    deduplication_id: Option<String>,
    time: Option<String>,
    device_info: DeviceInfo,
    f_cnt: Option<u32>,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    rx_info: Vec<RxInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceInfo {
    dev_eui: String,
}

#[derive(Deserialize)]
struct RxInfo {
    rssi: Option<i32>,
}

/// Reads an uplink.
///
/// # Errors
/// Why it cannot be read.
pub fn decode(topic: &str, payload: &[u8]) -> Result<Uplink, UplinkReject> {
    let of_topic = match topic.split('/').collect::<Vec<_>>()[..] {
        ["application", _, "device", eui, "event", "up"] => dev_eui(eui)?,
        _ => return Err(UplinkReject::UnknownTopic),
    };
    if payload.len() > MAX_PAYLOAD {
        return Err(UplinkReject::TooLong);
    }
    let up: Up = serde_json::from_slice(payload).map_err(|_| UplinkReject::NotJson)?;
    let dev_eui = dev_eui(&up.device_info.dev_eui)?;
    if dev_eui != of_topic {
        return Err(UplinkReject::OtherDevice);
    }
    let key = up.deduplication_id;
    if key
        .as_ref()
        .is_some_and(|key| !(1..=topics::MAX_NAME).contains(&key.len()))
    {
        return Err(UplinkReject::BadId);
    }
    let at = up.time.map(|time| topics::rfc3339(&time)).transpose();
    let mut values = Vec::new();
    flatten("", &up.object, MAX_DEPTH, &mut values);
    let rssi = up.rx_info.iter().filter_map(|rx| rx.rssi).max();
    Ok(Uplink {
        dev_eui,
        key,
        f_cnt: up.f_cnt,
        at: at.map_err(|_| UplinkReject::BadTimestamp)?,
        battery: battery(&values),
        values,
        rssi: rssi.map(|dbm| Milli(i64::from(dbm) * 1000)),
    })
}

impl Uplink {
    /// The uplink's values by a device's map from names to quantities, then battery and signal.
    ///
    /// A name that this uplink does not hold says nothing (many devices send their values in turn); null is missing.
    pub fn bodies(&self, fields: &[(String, Quantity)]) -> Vec<Body> {
        let mapped = fields.iter().filter_map(|(name, quantity)| {
            let (_, value) = self.values.iter().find(|(known, _)| known == name)?;
            Some(match value {
                Some(value) => Body::measured(*quantity, *value),
                None => Body::missing(*quantity, Flaw::NotANumber),
            })
        });
        let told = |wanted| fields.iter().any(|(_, quantity)| *quantity == wanted);
        let own = [
            (Quantity::Battery, self.battery),
            (Quantity::SignalStrength, self.rssi),
        ];
        let own = own.into_iter().filter(|(quantity, _)| !told(*quantity));
        mapped
            .chain(own.filter_map(|(quantity, value)| Some(Body::measured(quantity, value?))))
            .collect()
    }
}

fn dev_eui(text: &str) -> Result<String, UplinkReject> {
    if text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(UplinkReject::BadDevEui)
    }
}

/// Gathers the numbers of `object` under their names.
fn flatten(prefix: &str, object: &Value, depth: usize, values: &mut Vec<(String, Option<Milli>)>) {
    let (Value::Object(members), 1..) = (object, depth) else {
        return;
    };
    for (name, value) in members {
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        if path.len() > topics::MAX_NAME {
            continue;
        }
        let number = match value {
            Value::Number(number) => number.as_f64().and_then(Milli::from_f64),
            Value::Null => None,
            _ => {
                flatten(&path, value, depth - 1, values);
                continue;
            }
        };
        if values.len() < MAX_VALUES {
            values.push((path, number));
        }
    }
}

/// A battery's voltage under one of the names that makers use; percentages have other names.
fn battery(values: &[(String, Option<Milli>)]) -> Option<Milli> {
    const NAMES: [&str; 5] = ["batv", "bat_v", "battery_voltage", "batteryvoltage", "vbat"];
    let named = |name: &str| NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
    values.iter().find(|(name, _)| named(name))?.1
}
