//! What a client may do follows from what it is. `docs/devices.md` shows the same as a table.
//!
//! Invariant: deny by default. A device speaks of itself and of the place where it stands, within what its kind measures; it
//! hears what is said to it alone.

use edge_broker::{Filter, Permit};
use farm::{auth::Scope, credentials::Basis};
use farm_model::{DeviceKind, Place, PlaceKind};

use super::{joining, who::Who};

/// Topics that holders of tokens, and whoever is trusted by address, may tell readings on.
const TELL: [&str; 2] = ["farm/#", "application/#"];
/// Topics that they may listen to.
const LISTEN: [&str; 3] = ["farm/#", "khamar/#", "homeassistant/#"];

/// What the holder of a token of this scope may do; whoever is trusted by address may as much as `Scope::Observe`.
pub(super) fn of_scope(who: &Who, scope: Scope) -> Permit {
    let publish: &[&str] = if scope == Scope::Read { &[] } else { &TELL };
    permit(who, publish, &LISTEN)
}

/// What a device that asks to join may do: ask under its own serial number, and hear the answer.
pub(super) fn of_joining(who: &Who, serial: &str) -> Permit {
    permit(
        who,
        &[joining::ask_topic(serial)],
        &[joining::KEY.to_owned(), joining::answer_topic(serial)],
    )
}

/// What a device may do.
pub(super) fn of_device(who: &Who, basis: &Basis) -> Permit {
    let slug = &basis.device.slug;
    if !is_level(slug)
        || !basis
            .place
            .as_ref()
            .is_none_or(|place| is_level(&place.slug))
    {
        // A name that came with a replica: no filter may become wider by it.
        return permit::<&str, &str>(who, &[], &[]);
    }
    let mut publish = vec![
        format!("farm/device/{slug}/+"),
        format!("khamar/node/{slug}/up/#"),
        csr_topic(slug),
    ];
    publish.extend(of_kind(basis.device.kind, basis.place.as_ref()));
    let subscribe = [format!("khamar/node/{slug}/#")];
    permit(who, &publish, &subscribe)
}

/// Where a device asks for a certificate.
pub(super) fn csr_topic(slug: &str) -> String {
    format!("khamar/node/{slug}/csr")
}

/// Where it is told its certificate.
pub(super) fn certificate_topic(slug: &str) -> String {
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

fn permit<S: AsRef<str>, T: AsRef<str>>(who: &Who, publish: &[S], subscribe: &[T]) -> Permit {
    Permit {
        identity: Some(who.to_string().into()),
        publish: publish.iter().map(|t| filter(t.as_ref())).collect(),
        subscribe: subscribe.iter().map(|t| filter(t.as_ref())).collect(),
    }
}

fn filter(text: &str) -> Filter {
    text.parse()
        .expect("names that are one level of a topic make a filter")
}

/// Whether a name is one level of a topic, and only itself.
fn is_level(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '+', '#', '\0'])
}

#[cfg(test)]
mod tests;
