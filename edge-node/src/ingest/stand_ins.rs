//! Devices that stand in for whoever tells something without being one.
//!
//! A new tank, room, node, collar or Zigbee sensor needs no configuration: its first message makes its device, as long as there
//! are few. Invariant: whatever clients send, the farm has at most [`MOST_DEVICES`] that nobody asked for.

use edge_acquire::RejectRecord;
use edge_decode::topics::Target;
use farm::{
    Actor, Farm, StoreError, Tx,
    devices::{self, DeviceForm},
    places,
    text::{Name, Slug},
};
use farm_model::{Device, DeviceId, DeviceKind, Link, PlaceId, PlaceKind, Quantity, hex};

use super::commit::RETRY;

/// Devices that messages alone may bring a farm to; a person may add more.
const MOST_DEVICES: i64 = 1_000;

/// Makes what a new topic needs. While the store can't write, its sender waits as everybody else does.
pub(super) async fn make<T: Send + 'static>(
    farm: &Farm,
    make: impl Fn(&mut Tx<'_>) -> Result<T, StoreError> + Clone + Send + 'static,
) -> Result<T, StoreError> {
    loop {
        let make = make.clone();
        match farm.write(Actor::System, move |tx| make(tx)).await {
            Err(error) if error.is_transient() => tokio::time::sleep(RETRY).await,
            done => return done,
        }
    }
}

/// What is kept of a message whose device would be one too many. Its topic is no source of its own: those are counted for good.
pub(super) fn crowded(source: &str, raw: &[u8]) -> RejectRecord {
    RejectRecord::new(None, source, "too_many_devices", raw)
}

/// Whether a device was there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Made {
    Before,
    Now,
}

/// The device that speaks for `target`, made when there is none; none when there are too many.
pub(super) fn of_target(
    tx: &mut Tx<'_>,
    target: &Target,
) -> Result<Option<(DeviceId, Made)>, StoreError> {
    let (place, slug, kind) = match target {
        Target::Milk { .. } => (None, "milk-topic".to_owned(), DeviceKind::MilkMeter),
        Target::Environment(location) => (
            Some((PlaceKind::Room, location.clone())),
            format!("{location}-mqtt"),
            DeviceKind::Sensor,
        ),
        Target::Tank(tank) => (
            Some((PlaceKind::Tank, tank.clone())),
            format!("tank-{tank}-mqtt"),
            DeviceKind::Sensor,
        ),
        Target::Stall(stall) => (
            Some((PlaceKind::Stall, stall.to_string())),
            format!("stall-{stall}-mqtt"),
            DeviceKind::RfidReader,
        ),
        Target::Device(slug) => (None, slug.clone(), DeviceKind::Sensor),
    };
    let slug = slug_of(&slug);
    if let Some(device) = devices::find(tx.conn(), slug.as_str())? {
        return Ok(Some((device.id, Made::Before)));
    }
    if devices::count(tx.conn())? >= MOST_DEVICES {
        return Ok(None);
    }
    let place = match place {
        Some((kind, name)) => Some(places::ensure(tx, kind, &slug_of(&name)).map_err(store_only)?),
        None => None,
    };
    let form = form(slug, kind, Link::Mqtt { client: None }, place);
    let device = devices::add(tx, &form).map_err(device_store_only)?;
    Ok(Some((device, Made::Now)))
}

/// The device of a LoRaWAN identity, made when there is none; none when there are too many.
pub(super) fn of_uplink(tx: &mut Tx<'_>, eui: &str) -> Result<Option<Device>, StoreError> {
    let known = devices::list(tx.conn())?
        .into_iter()
        .find(|d| matches!(&d.link, Link::ChirpStack { dev_eui, .. } if dev_eui.eq_ignore_ascii_case(eui)));
    if known.is_some() {
        return Ok(known);
    }
    if devices::count(tx.conn())? >= MOST_DEVICES {
        return Ok(None);
    }
    let slug = slug_of(&format!("lora-{eui}"));
    let fields = Quantity::ALL
        .iter()
        .map(|q| (q.key().to_owned(), *q))
        .collect();
    let link = Link::ChirpStack {
        dev_eui: eui.to_owned(),
        fields,
    };
    let form = form(slug, DeviceKind::Sensor, link, None);
    let id = devices::ensure(tx, &form).map_err(device_store_only)?;
    devices::get(tx.conn(), id)
}

/// The device of a Zigbee name, made when there is none; none when there are too many.
pub(super) fn of_zigbee(tx: &mut Tx<'_>, name: &str) -> Result<Option<DeviceId>, StoreError> {
    let known = devices::list(tx.conn())?.into_iter().find(
        |d| matches!(&d.link, Link::Zigbee { name: known } if known.eq_ignore_ascii_case(name)),
    );
    if let Some(device) = known {
        return Ok(Some(device.id));
    }
    if devices::count(tx.conn())? >= MOST_DEVICES {
        return Ok(None);
    }
    let slug = slug_of(&format!("zigbee-{name}"));
    let link = Link::Zigbee {
        name: name.to_owned(),
    };
    let form = form(slug, DeviceKind::Sensor, link, None);
    devices::ensure(tx, &form)
        .map(Some)
        .map_err(device_store_only)
}

/// A device that nobody described yet: it is called as its topic is.
fn form(slug: Slug, kind: DeviceKind, link: Link, place: Option<PlaceId>) -> DeviceForm {
    DeviceForm {
        name: Name::new(slug.as_str()).expect("a slug is a short line"),
        slug,
        kind,
        link,
        place,
        expect_every_s: None,
    }
}

/// A slug from a name that a topic allows: any script, folded to what a slug may be.
fn slug_of(name: &str) -> Slug {
    Slug::nearest(name).unwrap_or_else(|| {
        let bytes = name.as_bytes();
        let digits = hex::encode(&bytes[..bytes.len().min(31)]);
        Slug::new(&format!("t-{digits}")).expect("hexadecimal digits make a slug")
    })
}

/// A device that was looked for before it is made can only fail with the store.
fn device_store_only(error: devices::DeviceError) -> StoreError {
    match error {
        devices::DeviceError::Store(error) => error,
        other => StoreError::Unreadable {
            what: "device",
            value: other.to_string(),
        },
    }
}

fn store_only(error: places::PlaceError) -> StoreError {
    match error {
        places::PlaceError::Store(error) => error,
        other => StoreError::Unreadable {
            what: "place",
            value: other.to_string(),
        },
    }
}
