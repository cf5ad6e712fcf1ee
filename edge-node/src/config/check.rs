//! Values that types cannot refuse: ranges, names that must resolve.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use farm_firmware::TrustedKey;
use farm_model::time::ScaledClock;
use program::{
    config::{Configured, Values},
    log::is_level,
};
use sync_http::client::HubAddress;

use super::{
    ClockConfig, Config, DataConfig, FirmwareConfig, HubConfig, LogConfig, MqttConfig, WebConfig,
};

impl Configured for Config {
    const ADDRESS: &'static str = "0.0.0.0:8080";

    fn check(&self, values: &mut Values<'_>) {
        data(values, &self.data);
        web(values, &self.web);
        mqtt(values, &self.mqtt);
        listened_twice(values, self);
        firmware(values, &self.firmware);
        values.at_least_one("onewire.every_s", self.onewire.every_s.into());
        milking(values, &self.milking);
        clock(values, &self.clock);
        hub(values, &self.hub);
        log(values, &self.log);
    }
}

fn data(values: &mut Values<'_>, data: &DataConfig) {
    if data.copy_at.parse::<jiff::civil::Time>().is_err() {
        let what = format!(
            "is {:?}, which is no time of day; write it as \"02:30\"",
            data.copy_at
        );
        values.wrong("data.copy_at", &what);
    }
    values.folder("data.dir", &data.dir, "/var/lib/khamar");
    values.at_least_one("data.copies", data.copies.into());
}

fn web(values: &mut Values<'_>, web: &WebConfig) {
    if web.listen.is_empty() {
        let what = "is empty: nobody could open a page; write [\"0.0.0.0:8080\"]";
        values.wrong("web.listen", what);
    }
}

fn mqtt(values: &mut Values<'_>, mqtt: &MqttConfig) {
    if mqtt.max_packet_bytes < 1024 {
        values.wrong("mqtt.max_packet_bytes", "must be at least 1024");
    }
    if mqtt.max_connections == 0 {
        let what = "must be at least 1; to switch plain MQTT off, set `mqtt.listen` to []";
        values.wrong("mqtt.max_connections", what);
    }
    for name in mqtt.names.iter().filter(|name| !is_name(name)) {
        let what = format!(
            "has \"{name}\", which is neither a host name nor an address; write it as \"farm.example\" or \"192.168.1.10\""
        );
        values.wrong("mqtt.names", &what);
    }
}

/// An address that two listeners would want; port 0 is any free one.
fn listened_twice(values: &mut Values<'_>, config: &Config) {
    let lists = [
        ("web.listen", &config.web.listen),
        ("mqtt.listen", &config.mqtt.listen),
        ("mqtt.websocket", &config.mqtt.websocket),
        ("mqtt.tls", &config.mqtt.tls),
    ];
    let mut seen = HashMap::<SocketAddr, &str>::new();
    for (key, addresses) in lists {
        for address in addresses.iter().filter(|address| address.port() != 0) {
            let Some(first) = seen.insert(*address, key) else {
                continue;
            };
            let line = values.line(key).or_else(|| values.line(first));
            let message =
                format!("`{first}` and `{key}` both listen on {address}; give each its own port");
            values.note(line, message);
        }
    }
}

fn firmware(values: &mut Values<'_>, firmware: &FirmwareConfig) {
    for key in &firmware.trusted_keys {
        if let Err(error) = key.parse::<TrustedKey>() {
            values.wrong("firmware.trusted_keys", &format!("has \"{key}\": {error}"));
        }
    }
    let rate = firmware.bytes_per_second.into();
    values.at_least_one("firmware.bytes_per_second", rate);
    values.at_least_one("firmware.at_once", firmware.at_once.into());
}

/// What would make the parlour's rules meaningless.
fn milking(values: &mut Values<'_>, rules: &edge_milking::Config) {
    for (key, value) in [
        ("milking.milk_flow_ml_min", rules.milk_flow_ml_min),
        ("milking.end_after_s", rules.end_after_s.into()),
        ("milking.max_visit_s", rules.max_visit_s.into()),
        ("milking.max_flow_ml_min", rules.max_flow_ml_min),
        ("milking.gap_after_s", rules.gap_after_s.into()),
    ] {
        values.at_least_one(key, value);
    }
    if rules.min_visit_ml < 0 {
        values.wrong("milking.min_visit_ml", "must be at least 0");
    }
}

fn clock(values: &mut Values<'_>, clock: &ClockConfig) {
    let rate = clock.simulated_rate;
    if rate != 0.0 && !ScaledClock::RATES.contains(&rate) {
        let what = "must be 0 or between 0.001 and 10000";
        values.wrong("clock.simulated_rate", what);
    }
}

fn hub(values: &mut Values<'_>, hub: &HubConfig) {
    for address in &hub.allowed {
        if let Err(error) = address.parse::<HubAddress>() {
            values.wrong("hub.allowed", &format!("has {address:?}: {error}"));
        }
    }
}

fn log(values: &mut Values<'_>, log: &LogConfig) {
    if !is_level(&log.level) {
        let what = format!(
            "is {:?}, which is no level; write error, warn, info, debug or trace",
            log.level
        );
        values.wrong("log.level", &what);
    }
}

/// Whether a certificate can be for this name.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}
