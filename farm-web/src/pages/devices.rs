//! Devices: what there is, whether it is heard, what was refused and why; adding and editing one; the auto-decoder.

mod credentials;
mod decoder;
mod device;
mod form;
mod handout;
mod joins;
mod list;
mod node;
mod refused;
mod registers;
mod state;

use farm::{
    credentials::CredentialError, devices::DeviceError, joins::JoinError, places::PlaceError,
};
use farm_model::{Link, device::RegisterMap, staff::Role};
use ui::Lang;

pub(crate) use self::{device::fragments_of, list::fragments};
use super::{Ctx, context::Done};
use crate::{
    access::{Needs, Routes},
    border::AuthorityError,
    error::{Error, Reason},
};

pub(crate) mod t {
    ui::texts! {
        add = "Add a device" / "যন্ত্র যোগ করুন";
        heard = "Last heard" / "শেষ সাড়া";
        rejects(n) = "{n} message refused" | "{n} messages refused" / "{n}টি বার্তা বাতিল";
        reached = "Reached by" / "সংযোগ";
        place = "Place" / "জায়গা";
        kind = "What it is" / "কী যন্ত্র";
        short_name = "Short name" / "ছোট নাম";
        transport_serial = "Reader on a serial port" / "সিরিয়াল পোর্টে রিডার";
        transport_modbus_rtu = "Modbus on a serial bus" / "সিরিয়াল বাসে মডবাস";
        transport_modbus_tcp = "Modbus over the network" / "নেটওয়ার্কে মডবাস";
        transport_one_wire = "Temperature probe (1-wire)" / "তাপমাত্রার প্রোব (ওয়ান-ওয়্যার)";
        transport_mqtt = "MQTT" / "এমকিউটিটি (MQTT)";
        transport_chirpstack = "LoRaWAN (ChirpStack)" / "লোরাওয়ান (ChirpStack)";
        transport_zigbee = "Zigbee" / "জিগবি";
        transport_node = "Node on a serial port" / "সিরিয়াল পোর্টে নোড";
        transport_input = "Input of a node" / "নোডের একটি ইনপুট";
        transport_http = "Program over HTTP" / "এইচটিটিপি প্রোগ্রাম";
    }
}

/// Who may see and change devices.
const MANAGER: Needs = Needs::Role(Role::Manager);

pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = routes.get(MANAGER, "/devices", list::page);
    device::routes(routes).at_the_farm(own)
}

/// What concerns ports and keys of the machine that hears the devices.
fn own(routes: Routes) -> Routes {
    let routes = routes.get(MANAGER, "/devices/refused", refused::page);
    [
        credentials::routes,
        node::routes,
        joins::routes,
        form::routes,
        decoder::routes,
        registers::routes,
    ]
    .into_iter()
    .fold(routes, |routes, add| add(routes))
}

/// How a device is reached.
pub(crate) fn transport(lang: Lang, link: &Link) -> &'static str {
    match link {
        Link::Serial { .. } => t::transport_serial(lang),
        Link::ModbusRtu { .. } => t::transport_modbus_rtu(lang),
        Link::ModbusTcp { .. } => t::transport_modbus_tcp(lang),
        Link::OneWire { .. } => t::transport_one_wire(lang),
        Link::Mqtt { .. } => t::transport_mqtt(lang),
        Link::ChirpStack { .. } => t::transport_chirpstack(lang),
        Link::Zigbee { .. } => t::transport_zigbee(lang),
        Link::Node { .. } => t::transport_node(lang),
        Link::Input { .. } => t::transport_input(lang),
        Link::Http => t::transport_http(lang),
    }
}

/// Where it is reached: port, host, identity.
fn endpoint(link: &Link) -> String {
    match link {
        Link::Serial { port, .. } | Link::Node { port, .. } => port.clone(),
        Link::ModbusRtu { port, unit, .. } => format!("{port} · {unit}"),
        Link::ModbusTcp {
            host, port, unit, ..
        } => format!("{host}:{port} · {unit}"),
        Link::OneWire { rom } => rom.clone(),
        Link::Mqtt { client } => client.clone().unwrap_or_default(),
        Link::ChirpStack { dev_eui, .. } => dev_eui.clone(),
        Link::Zigbee { name } => name.clone(),
        Link::Input { node, channel } => format!("{node} · {channel}"),
        Link::Http => String::new(),
    }
}

/// The register map of a Modbus device.
fn map_of(link: &Link) -> Option<&RegisterMap> {
    match link {
        Link::ModbusRtu { map, .. } | Link::ModbusTcp { map, .. } => Some(map),
        _ => None,
    }
}

/// The register map of a Modbus device, to change.
fn map_of_mut(link: &mut Link) -> Option<&mut RegisterMap> {
    match link {
        Link::ModbusRtu { map, .. } | Link::ModbusTcp { map, .. } => Some(map),
        _ => None,
    }
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Store(error) => error.into(),
            DeviceError::Unknown => Reason::NotFound.into(),
            DeviceError::SlugTaken(_) | DeviceError::NoNode(_) | DeviceError::InputTaken { .. } => {
                Self::from(Reason::Conflict).detail(error.to_string())
            }
        }
    }
}

impl From<CredentialError> for Error {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Store(error) => error.into(),
            CredentialError::UnknownDevice => Reason::NotFound.into(),
            CredentialError::NothingToRevoke | CredentialError::UnknownCertificate => {
                Self::from(Reason::Conflict).detail(error.to_string())
            }
        }
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Store(error) => error.into(),
            JoinError::Device(error) => error.into(),
            JoinError::Credential(error) => error.into(),
            JoinError::Unknown => Reason::NotFound.into(),
            JoinError::TooMany | JoinError::NoSuchCode => {
                Self::from(Reason::Conflict).detail(error.to_string())
            }
        }
    }
}

impl From<AuthorityError> for Error {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Farm(error) => error.into(),
            AuthorityError::BadRequest => Self::invalid(error.to_string()),
            AuthorityError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<PlaceError> for Error {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Store(error) => error.into(),
            PlaceError::Unknown => Reason::NotFound.into(),
            PlaceError::SlugTaken(_) => Self::from(Reason::Conflict).detail(error.to_string()),
        }
    }
}
