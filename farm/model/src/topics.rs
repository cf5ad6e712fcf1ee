//! The MQTT topics that are a device's own: what it may tell readings on, and where it is spoken to.
//!
//! One place for the door, which permits these and no others, and for the page that shows them to an installer. Invariant: a
//! device speaks of itself and of the place where it stands, within what its kind measures; it hears what is said to it alone.

use crate::{
    device::{Device, DeviceKind},
    place::{Place, PlaceKind},
};

/// Topic filters: `+` stands for one level, `#` for all that follow.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topics {
    /// What it may publish on.
    pub tells: Vec<String>,
    /// What it may subscribe to.
    pub hears: Vec<String>,
}

impl Topics {
    /// Those of `device`, which stands at `place`; none when a name, which may have come with a replica, would make a filter
    /// wider.
    pub fn of(device: &Device, place: Option<&Place>) -> Self {
        let slug = &device.slug;
        if !is_level(slug) || !place.is_none_or(|place| is_level(&place.slug)) {
            return Self::default();
        }
        let mut tells = vec![
            format!("farm/device/{slug}/+"),
            format!("khamar/node/{slug}/up/#"),
            format!("khamar/node/{slug}/csr"),
        ];
        tells.extend(of_kind(device.kind, place));
        Self {
            tells,
            hears: vec![format!("khamar/node/{slug}/#")],
        }
    }
}

/// Where the device called `slug` is told the certificate that it asked for on `khamar/node/{slug}/csr`.
pub fn certificate(slug: &str) -> String {
    format!("khamar/node/{slug}/certificate")
}

/// The farm's topics of a kind at a place, besides the device's own.
fn of_kind(kind: DeviceKind, place: Option<&Place>) -> Vec<String> {
    let stands = place.map(|place| (place.kind, place.slug.as_str()));
    match (kind, stands) {
        (DeviceKind::RfidReader, Some((PlaceKind::Stall, stall))) => {
            vec![format!("farm/stall/{stall}/tag")]
        }
        // A meter that knows the cow tells a whole milking, whichever cow it is.
        (DeviceKind::MilkMeter, _) => vec!["farm/milk/+/+".to_owned()],
        (DeviceKind::TemperatureProbe, Some((PlaceKind::Tank, tank))) => vec![
            format!("farm/tank/{tank}/temp"),
            format!("farm/tank/{tank}/temperature"),
        ],
        (DeviceKind::TemperatureProbe, Some((PlaceKind::Room, room))) => vec![
            format!("farm/environment/{room}/temp"),
            format!("farm/environment/{room}/temperature"),
        ],
        (DeviceKind::LevelSensor, Some((PlaceKind::Tank, tank))) => vec![
            format!("farm/tank/{tank}/level"),
            format!("farm/tank/{tank}/distance"),
        ],
        (DeviceKind::Sensor, Some((PlaceKind::Tank, tank))) => vec![format!("farm/tank/{tank}/+")],
        (DeviceKind::Sensor | DeviceKind::BiogasMonitor, Some((PlaceKind::Room, room))) => {
            vec![format!("farm/environment/{room}/+")]
        }
        _ => Vec::new(),
    }
}

/// Whether a name is one level of a topic, and only itself.
fn is_level(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '+', '#', '\0'])
}
