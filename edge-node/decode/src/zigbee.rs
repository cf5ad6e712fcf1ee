//! Zigbee devices as Zigbee2MQTT publishes them: `zigbee2mqtt/{friendly name}`, the device's whole state as a JSON object.
//!
//! Its units are fixed by its documentation; each value that has a quantity here is turned into that quantity's unit. Left
//! out are the link quality (a number of the radio's maker, no dBm), the battery's percentage (the voltage is taken), and
//! the pressure of the air (hPa of some devices, kPa of others, and never over ambient). Invariant: what is no number where
//! a number stands is refused, never read as 0.

use farm_model::{
    observation::{Body, Flaw},
    quantity::{Milli, Quantity},
    time::UnixMillis,
};
use serde::Deserialize;

use crate::{
    json::{Fault, Scalar, pick},
    topics,
};

/// Longest payload.
pub const MAX_PAYLOAD: usize = 16 * 1024;

/// Longest friendly name, in bytes.
pub const MAX_NAME: usize = 128;

/// What every topic of the bridge begins with.
const BASE: &str = "zigbee2mqtt/";

/// What one message says.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// The device's address, `0x` and 16 lower-case hexadecimal digits, where the message tells it; else its friendly name.
    pub name: String,
    /// When the device was heard last, if the bridge says so.
    pub at: Option<UnixMillis>,
    /// What it measured.
    pub bodies: Vec<Body>,
}

/// Why a message was rejected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum ReportReject {
    /// The friendly name is empty, too long or not printable.
    #[error("a name in the topic is empty, too long or not printable")]
    BadName,
    /// The payload is too long.
    #[error("the payload is longer than 16,384 bytes")]
    TooLong,
    /// The payload is not JSON.
    #[error("the payload is not JSON")]
    NotJson,
    /// The payload is JSON, but no object.
    #[error("the payload is not a JSON object")]
    NotAnObject,
    /// A key stands twice.
    #[error("a key stands twice")]
    Duplicate,
    /// A value is not a number.
    #[error("the value is not a number")]
    NotANumber,
    /// A number is too large or too small.
    #[error("a number is larger or smaller than can be true")]
    OutOfRange,
    /// The time is not of this century.
    #[error("the time is not RFC 3339 or Unix milliseconds, or not of this century")]
    BadTimestamp,
}

impl ReportReject {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::BadName,
        Self::TooLong,
        Self::NotJson,
        Self::NotAnObject,
        Self::Duplicate,
        Self::NotANumber,
        Self::OutOfRange,
        Self::BadTimestamp,
    ];

    /// The name used in metrics, the quarantine and as a translation key.
    pub fn key(self) -> &'static str {
        match self {
            Self::BadName => "bad_name",
            Self::TooLong => "too_long",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::Duplicate => "duplicate_key",
            Self::NotANumber => "not_a_number",
            Self::OutOfRange => "out_of_range",
            Self::BadTimestamp => "bad_timestamp",
        }
    }
}

impl From<Fault> for ReportReject {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotJson => Self::NotJson,
            Fault::NotAnObject => Self::NotAnObject,
            Fault::Duplicate => Self::Duplicate,
            Fault::OutOfRange => Self::OutOfRange,
        }
    }
}

/// The friendly name of the device whose state is published on `topic`; none for what is the bridge's own business: its
/// state and log, availability (silence is noticed here), requests.
pub fn name_of(topic: &str) -> Option<&str> {
    let name = topic.strip_prefix(BASE)?;
    let is_bridge = name == "bridge" || name.starts_with("bridge/");
    let is_verb = name
        .split('/')
        .skip(1)
        .any(|level| matches!(level, "set" | "get"));
    let is_state = !is_bridge && !is_verb && !name.ends_with("/availability");
    is_state.then_some(name)
}

/// Reads what was published about the device called `name`, see [`name_of`].
///
/// # Errors
/// Why it cannot be read.
pub fn decode(name: &str, payload: &[u8]) -> Result<Report, ReportReject> {
    let fits = (1..=MAX_NAME).contains(&name.len());
    if !fits || name.chars().any(|c| c.is_control() || "+#".contains(c)) {
        return Err(ReportReject::BadName);
    }
    if payload.len() > MAX_PAYLOAD {
        return Err(ReportReject::TooLong);
    }
    let keys = [
        "temperature",
        "humidity",
        "co2",
        "power",
        "energy",
        "voltage",
        "battery",
        "last_seen",
        "device",
    ];
    let [
        temperature,
        humidity,
        co2,
        power,
        energy,
        voltage,
        battery,
        seen,
        device,
    ] = pick(payload, keys)?;
    // A plug's voltage is the mains', in volts; whatever has a battery tells the battery's, in millivolts.
    let voltage = voltage.filter(|_| battery.is_some());
    let values = [
        (Quantity::Temperature, temperature, 1.0),
        (Quantity::Humidity, humidity, 1.0),
        // Parts per million.
        (Quantity::CarbonDioxide, co2, 1e-4),
        // Watts.
        (Quantity::Power, power, 1e-3),
        (Quantity::Energy, energy, 1.0),
        (Quantity::Battery, voltage, 1e-3),
    ];
    let told = values
        .into_iter()
        .filter_map(|(quantity, value, scale)| Some((quantity, value?, scale)));
    let bodies = told.map(|(quantity, value, scale)| body(quantity, &value, scale));
    let address = match device {
        Some(Scalar::Compound) => address_within(payload),
        _ => None,
    };
    Ok(Report {
        name: address
            .or_else(|| address_of(name))
            .unwrap_or_else(|| name.to_owned()),
        at: topics::read_timestamp(seen).map_err(|_| ReportReject::BadTimestamp)?,
        bodies: bodies.collect::<Result<_, _>>()?,
    })
}

/// A value; the bridge says null for what its device has not told yet.
fn body(quantity: Quantity, value: &Scalar, scale: f64) -> Result<Body, ReportReject> {
    let number = match value {
        Scalar::Null => return Ok(Body::missing(quantity, Flaw::NotANumber)),
        Scalar::Integer(n) => *n as f64,
        Scalar::Number(n) => *n,
        Scalar::Text(_) | Scalar::Bool | Scalar::Compound => return Err(ReportReject::NotANumber),
    };
    let value = Milli::from_f64(number * scale).ok_or(ReportReject::OutOfRange)?;
    Ok(Body::measured(quantity, value))
}

#[derive(Deserialize)]
struct Informed {
    device: Information,
}

#[derive(Deserialize)]
struct Information {
    #[serde(rename = "ieeeAddr")]
    ieee_addr: String,
}

/// The address that a bridge with `include_device_information` adds.
fn address_within(payload: &[u8]) -> Option<String> {
    let informed: Informed = serde_json::from_slice(payload).ok()?;
    address_of(&informed.device.ieee_addr)
}

/// An IEEE address as the bridge writes it; a device without a friendly name is called by it.
fn address_of(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x")?;
    let is_address = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_address.then(|| text.to_ascii_lowercase())
}
