//! Home Assistant's MQTT discovery: the retained message that makes a series of readings appear there.
//!
//! One component per series, `homeassistant/sensor/{device}/{quantity}/config`; an empty payload takes it away again.
//! Topics and ids are ASCII, names may be in any script. `expire_after` makes a dead sensor show as unavailable instead
//! of standing still.

use farm_model::quantity::Quantity;
use serde_json::{Map, Value, json};

/// Longest id.
const MAX_ID: usize = 64;

/// A series to announce.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The device's slug.
    pub device: &'a str,
    /// What people call the device.
    pub device_name: &'a str,
    /// What is measured.
    pub quantity: Quantity,
    /// What people call the series.
    pub name: &'a str,
    /// Where the values are published as `{"value": 4.25}`.
    pub state_topic: &'a str,
    /// Where `online` and `offline` are published.
    pub availability_topic: &'a str,
    /// Seconds without a value after which the sensor is unavailable.
    pub expire_after_s: u32,
}

/// A message to publish, retained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Discovery {
    /// Topic.
    pub topic: String,
    /// JSON, or nothing to take the series away.
    pub payload: String,
}

/// Why a series cannot be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// Ids are made of a few characters.
    #[error("an id has 1 to 64 of the letters a to z, digits, _ and -")]
    Id,
    /// Topics are printable ASCII without wildcards.
    #[error("a topic is printable ASCII without + and #")]
    Topic,
}

impl Series<'_> {
    /// The message that announces the series.
    ///
    /// # Errors
    /// When the device's slug is no id or a topic is not ASCII.
    pub fn announce(&self) -> Result<Discovery, DiscoveryError> {
        let topic = self.topic()?;
        for topic in [self.state_topic, self.availability_topic] {
            let plain = |b: u8| b.is_ascii_graphic() && !b"+#".contains(&b);
            if topic.is_empty() || !topic.bytes().all(plain) {
                return Err(DiscoveryError::Topic);
            }
        }
        let mut config = Map::new();
        let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
        set("name", self.name.into());
        set(
            "unique_id",
            format!("khamar_{}_{}", self.device, self.quantity).into(),
        );
        set("state_topic", self.state_topic.into());
        set("value_template", "{{ value_json.value }}".into());
        set("availability_topic", self.availability_topic.into());
        set("expire_after", self.expire_after_s.into());
        let state_class = if self.quantity.is_counter() {
            "total_increasing"
        } else {
            "measurement"
        };
        set("state_class", state_class.into());
        if !self.quantity.unit().is_empty() {
            set("unit_of_measurement", self.quantity.unit().into());
        }
        if let Some(class) = device_class(self.quantity) {
            set("device_class", class.into());
        }
        set(
            "device",
            json!({ "identifiers": [format!("khamar_{}", self.device)], "name": self.device_name }),
        );
        set("origin", json!({ "name": "Khamar" }));
        let payload = Value::Object(config).to_string();
        Ok(Discovery { topic, payload })
    }

    /// The message that takes the series away.
    ///
    /// # Errors
    /// When the device's slug is no id.
    pub fn withdraw(&self) -> Result<Discovery, DiscoveryError> {
        Ok(Discovery {
            topic: self.topic()?,
            payload: String::new(),
        })
    }

    fn topic(&self) -> Result<String, DiscoveryError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        let sound = (1..=MAX_ID).contains(&self.device.len()) && self.device.bytes().all(plain);
        if !sound {
            return Err(DiscoveryError::Id);
        }
        let (device, quantity) = (self.device, self.quantity);
        Ok(format!("homeassistant/sensor/{device}/{quantity}/config"))
    }
}

/// Home Assistant's class for a quantity, where it has one that takes our unit.
fn device_class(quantity: Quantity) -> Option<&'static str> {
    Some(match quantity {
        Quantity::Temperature => "temperature",
        Quantity::Humidity => "humidity",
        Quantity::Distance => "distance",
        Quantity::MilkFlow | Quantity::GasFlow => "volume_flow_rate",
        Quantity::MilkTotal => "volume",
        Quantity::Pressure | Quantity::Vacuum => "pressure",
        Quantity::Battery => "voltage",
        Quantity::Weight => "weight",
        Quantity::SignalStrength => "signal_strength",
        Quantity::Power => "power",
        Quantity::Energy => "energy",
        _ => return None,
    })
}
