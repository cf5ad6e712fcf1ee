//! Tells Home Assistant of every series, and every new value, over the appliance's own MQTT door.
//!
//! Discovery messages are retained, so a Home Assistant that starts later finds them. Only good values are told; a sensor that
//! has nothing good to say becomes unavailable by itself (`expire_after`).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use edge_broker::{Door, Retain};
use edge_decode::homeassistant::Series;
use farm::{Change, Farm, Resume, devices};
use farm_model::{Device, DeviceId, Quality, Quantity};
use tokio_util::sync::CancellationToken;

/// Where the appliance says that it is there.
const STATUS: &str = "khamar/status";
/// Seconds after which a value is too old, when nobody said how often its device speaks.
const EXPIRE_S: u32 = 900;

/// Publishes until `stop`.
pub(crate) async fn publish(farm: Farm, door: Arc<Door>, stop: CancellationToken) {
    let mut changes = farm.events().subscribe();
    let mut told = Told {
        door,
        devices: HashMap::new(),
        announced: HashSet::new(),
    };
    told.say(STATUS, "online", Retain::Yes);
    told.load(&farm).await;
    for value in farm.live().values() {
        let good = value.value.filter(|_| value.quality == Quality::Good);
        told.value(value.device, value.quantity, good.map(|v| v.to_string()));
    }
    while let Some(resume) = stop.run_until_cancelled(changes.next()).await {
        let Resume::Events(events) = resume else {
            // Devices may have changed among what was missed; values come again by themselves.
            told.load(&farm).await;
            continue;
        };
        for event in events {
            match &event.change {
                Change::Device { .. } => told.load(&farm).await,
                Change::Reading {
                    device,
                    quantity,
                    value: Some(value),
                    quality: Quality::Good,
                    ..
                } => {
                    told.value(*device, *quantity, Some(value.to_string()));
                }
                _ => {}
            }
        }
    }
    told.say(STATUS, "offline", Retain::Yes);
}

struct Told {
    door: Arc<Door>,
    devices: HashMap<DeviceId, Device>,
    announced: HashSet<(DeviceId, Quantity)>,
}

impl Told {
    async fn load(&mut self, farm: &Farm) {
        match farm.read(devices::list).await {
            Ok(list) => self.devices = list.into_iter().map(|d| (d.id, d)).collect(),
            Err(error) => {
                tracing::error!(%error, "the devices cannot be read; Home Assistant is told of the old ones");
            }
        }
        // A device that was edited is announced anew with its next value.
        self.announced.clear();
    }

    fn value(&mut self, device: DeviceId, quantity: Quantity, value: Option<String>) {
        let Some(device) = self.devices.get(&device) else {
            return;
        };
        let state = format!("khamar/{}/{quantity}", device.slug);
        if self.announced.insert((device.id, quantity)) {
            let series = Series {
                device: &device.slug,
                device_name: &device.name,
                quantity,
                name: quantity.key(),
                state_topic: &state,
                availability_topic: STATUS,
                expire_after_s: device
                    .expected_s()
                    .map_or(EXPIRE_S, |s| s.saturating_mul(3)),
            };
            match series.announce() {
                Ok(discovery) => self.say(&discovery.topic, &discovery.payload, Retain::Yes),
                Err(error) => {
                    tracing::warn!(%error, device = device.slug, "not announced to Home Assistant");
                }
            }
        }
        if let Some(value) = value {
            self.say(&state, &format!("{{\"value\": {value}}}"), Retain::No);
        }
    }

    fn say(&self, topic: &str, payload: &str, retain: Retain) {
        if let Err(error) = self.door.publish(topic, payload.to_owned(), retain) {
            tracing::warn!(%error, topic, "not published");
        }
    }
}
