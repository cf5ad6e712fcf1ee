//! The appliance's configuration: one commented TOML file, checked before anything starts.
//!
//! What is physical about this Pi stands here (addresses, paths, budgets); what hangs on it (devices, places, staff) is
//! in the store, because people edit it in the web UI and it is synchronised. Invariant: a key that is not known is an
//! error that names the key, its line and the nearest key that exists.

mod check;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use farm_firmware::{Rules, TrustedKey};
use farm_model::UnixMillis;
use program::log::LogFormat;
use serde::{Deserialize, Serialize};

/// The commented file that `edge-node check-config --print-default` writes.
pub const DEFAULT: &str = include_str!("../khamar.toml");

/// Everything that can be configured.
#[derive(Clone, Debug, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where data is kept and for how long.
    pub data: DataConfig,
    /// The web server on the farm's network.
    pub web: WebConfig,
    /// The MQTT door.
    pub mqtt: MqttConfig,
    /// Frames of nodes over CoAP.
    pub coap: CoapConfig,
    /// Updates of nodes.
    pub firmware: FirmwareConfig,
    /// Serial ports and buses.
    pub serial: SerialConfig,
    /// Temperature probes on the 1-wire bus.
    pub onewire: OneWireConfig,
    /// Rules of the parlour.
    pub milking: edge_milking::Config,
    /// Where time comes from.
    pub clock: ClockConfig,
    /// Discovery messages for Home Assistant.
    pub homeassistant: HomeAssistantConfig,
    /// The farm's hub.
    pub hub: HubConfig,
    /// Logs.
    pub log: LogConfig,
}

/// Where data is kept and for how long.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Folder of the database, its copies and the setup code.
    pub dir: PathBuf,
    /// Daily copies kept.
    pub copies: u32,
    /// Local time of the daily copy, `HH:MM`.
    pub copy_at: String,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/lib/khamar"),
            copies: 7,
            copy_at: "02:30".to_owned(),
        }
    }
}

/// The web server on the farm's network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 8080))],
        }
    }
}

/// The MQTT door.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqttConfig {
    /// Addresses for plain MQTT; none switches it off.
    pub listen: Vec<SocketAddr>,
    /// Addresses for MQTT over WebSocket; none switches it off.
    pub websocket: Vec<SocketAddr>,
    /// Addresses for MQTT over TLS; none switches it off.
    pub tls: Vec<SocketAddr>,
    /// The oldest version of TLS that is spoken.
    pub tls_min: TlsVersion,
    /// Names and addresses under which devices reach this machine, besides those that it knows itself.
    pub names: Vec<String>,
    /// Whether devices may ask to join.
    pub join: bool,
    /// Addresses whose clients may come without a name and secret. Deny by default.
    pub anonymous_from: Vec<IpAddr>,
    /// Largest packet taken, in bytes.
    pub max_packet_bytes: u32,
    /// Clients connected at once.
    pub max_connections: u32,
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 1883))],
            websocket: Vec::new(),
            tls: vec![SocketAddr::from(([0, 0, 0, 0], 8883))],
            tls_min: TlsVersion::V1_2,
            names: Vec::new(),
            join: true,
            anonymous_from: Vec::new(),
            max_packet_bytes: 65_536,
            max_connections: 2_500,
        }
    }
}

/// Frames of nodes over CoAP.
#[derive(Clone, Debug, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct CoapConfig {
    /// UDP addresses to listen on; none switches it off.
    pub listen: Vec<SocketAddr>,
}

/// Updates of nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirmwareConfig {
    /// Public keys of the vendors whose images are believed, each the line of a PEM file between BEGIN and END.
    pub trusted_keys: Vec<String>,
    /// Bytes a second that go to one node at most.
    pub bytes_per_second: u32,
    /// Minutes that the first node must run an image before the others follow.
    pub prove_minutes: u32,
    /// Nodes that are brought up to date at once.
    pub at_once: u32,
}

impl Default for FirmwareConfig {
    fn default() -> Self {
        Self {
            trusted_keys: Vec::new(),
            bytes_per_second: 4_096,
            prove_minutes: 30,
            at_once: 4,
        }
    }
}

impl FirmwareConfig {
    /// The trusted keys; a text that is none is left out.
    pub fn keys(&self) -> Vec<TrustedKey> {
        let keys = self.trusted_keys.iter();
        keys.filter_map(|text| text.parse().ok()).collect()
    }

    /// The rules of rollouts.
    pub fn rules(&self) -> Rules {
        Rules {
            prove_ms: i64::from(self.prove_minutes) * 60_000,
            at_once: self.at_once as usize,
            ..Rules::default()
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2: small devices.
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// Serial ports and buses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SerialConfig {
    /// Folders whose entries are offered as ports on the Devices page.
    pub dirs: Vec<PathBuf>,
}

impl Default for SerialConfig {
    fn default() -> Self {
        Self {
            dirs: vec![PathBuf::from("/dev/serial/by-id")],
        }
    }
}

/// Temperature probes on the 1-wire bus.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneWireConfig {
    /// The kernel's folder of devices.
    pub root: PathBuf,
    /// Seconds between readings of each probe.
    pub every_s: u32,
}

impl Default for OneWireConfig {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/sys/bus/w1/devices"),
            every_s: 30,
        }
    }
}

/// Where time comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockConfig {
    /// `ntp`: trusted once the kernel says that it is synchronised. `system`: trusted as it is (a Pi with a clock chip).
    pub trust: ClockTrust,
    /// Demonstrations only: the farm's time at start, in milliseconds since 1970.
    pub simulated_start_ms: i64,
    /// Demonstrations only: how much faster than real time the farm lives; 0 switches simulation off.
    pub simulated_rate: f64,
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self {
            trust: ClockTrust::Ntp,
            simulated_start_ms: 0,
            simulated_rate: 0.0,
        }
    }
}

impl ClockConfig {
    /// Start and rate of the demonstration's clock, when there is one.
    pub fn simulated(&self) -> Option<(UnixMillis, f64)> {
        (self.simulated_rate > 0.0)
            .then_some((UnixMillis(self.simulated_start_ms), self.simulated_rate))
    }
}

/// When the machine's clock is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockTrust {
    /// Once the kernel reports synchronisation.
    Ntp,
    /// Always.
    System,
}

/// Discovery messages for Home Assistant.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HomeAssistantConfig {
    /// Whether to publish them.
    pub enabled: bool,
}

/// The farm's hub. To which one the farm is sent, its owner says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubConfig {
    /// Whether the farm may be sent to a hub at all.
    pub enabled: bool,
    /// Addresses of hubs that may be joined; none allows every one.
    pub allowed: Vec<String>,
    /// Minutes between visits, on a line that costs by the minute; 0 stays in touch all the time.
    pub visit_minutes: u32,
    /// Demonstrations only: the page on which the line to the hub can be cut.
    pub demo_switch: String,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed: Vec::new(),
            visit_minutes: 0,
            demo_switch: String::new(),
        }
    }
}

/// Logs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `json` for machines, `text` for people.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or per-module directives as `tracing` understands them.
    pub level: String,
    /// A file to write to beside standard output; empty for none.
    pub file: PathBuf,
    /// Size in megabytes at which the file is rotated.
    pub rotate_megabytes: u64,
    /// Rotated files kept.
    pub keep_files: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            level: "info".to_owned(),
            file: PathBuf::new(),
            rotate_megabytes: 10,
            keep_files: 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use program::config::{list, parse};

    use super::*;

    fn problems(text: &str) -> String {
        list(&parse::<Config>(text).unwrap_err())
    }

    #[test]
    fn the_shipped_file_is_the_default() {
        let shipped: Config = parse(DEFAULT).unwrap();
        assert_eq!(
            toml::Value::try_from(shipped).unwrap(),
            toml::Value::try_from(Config::default()).unwrap()
        );
    }

    #[test]
    fn every_known_key_stands_in_the_shipped_file() {
        let shipped: toml::Value = toml::from_str(DEFAULT).unwrap();
        let known = toml::Value::try_from(Config::default()).unwrap();
        for (section, keys) in known.as_table().unwrap() {
            for key in keys.as_table().unwrap().keys() {
                assert!(
                    shipped[section].get(key).is_some(),
                    "{section}.{key} is not explained in khamar.toml"
                );
            }
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line_and_the_nearest() {
        insta::assert_snapshot!(problems("[web]\nlisten = [\"0.0.0.0:80\"]\n\n[mqtt]\nlissten = []\n[dta]\n"), @r"
          line 5: unknown key `mqtt.lissten`; did you mean `mqtt.listen`?
          line 6: unknown key `dta`; did you mean `data`?
        ");
    }

    #[test]
    fn wrong_values_say_what_to_write() {
        insta::assert_snapshot!(problems("[mqtt]\nlisten = []\n[web]\nlisten = []\n[data]\ncopy_at = \"25:00\"\n"), @r#"
          line 4: `web.listen` is empty: nobody could open a page; write ["0.0.0.0:8080"]
          line 6: `data.copy_at` is "25:00", which is no time of day; write it as "02:30"
        "#);
        insta::assert_snapshot!(problems("[mqtt]\nnames = [\"farm.local\", \"ফার্ম\"]\n"), @r#"  line 2: `mqtt.names` has "ফার্ম", which is neither a host name nor an address; write it as "farm.example" or "192.168.1.10""#);
        insta::assert_snapshot!(problems("[mqtt]\ntls_min = \"1.1\"\n"), @"  line 2: unknown variant `1.1`, expected `1.2` or `1.3`");
        insta::assert_snapshot!(problems("[data]\ncopies = \"thirty\"\n"), @r#"  line 2: invalid type: string "thirty", expected a whole number, 0 or more"#);
        insta::assert_snapshot!(problems("[data]\ncopies = -1\n"), @"  line 2: invalid value: integer `-1`, expected a whole number, 0 or more");
        insta::assert_snapshot!(problems("[web]\nlisten = \"0.0.0.0:8080\"\n"), @r#"  line 2: invalid type: string "0.0.0.0:8080", expected a list in brackets, such as ["…"]"#);
        insta::assert_snapshot!(problems("[web]\nlisten = [\"localhost:8080\"]\n"), @r#"  line 2: "localhost:8080" is no address with a port; write it as "0.0.0.0:8080""#);
        insta::assert_snapshot!(problems("[mqtt]\nanonymous_from = [\"10.0.0.0/8\"]\n"), @r#"  line 2: "10.0.0.0/8" is no address; write it as "192.168.1.50""#);
        insta::assert_snapshot!(problems("web = 3\n"), @"  line 1: invalid type: integer `3`, expected a section, as of WebConfig");
        insta::assert_snapshot!(problems("[data]\ndir = \"\"\ncopies = 0\n[log]\nlevel = \"loud\"\n"), @r#"
          line 2: `data.dir` is empty; write the folder, such as "/var/lib/khamar"
          line 3: `data.copies` must be at least 1
          line 5: `log.level` is "loud", which is no level; write error, warn, info, debug or trace
        "#);
        insta::assert_snapshot!(problems("[milking]\nend_after_s = 0\ngap_after_s = 0\nmin_visit_ml = -1\n"), @r"
          line 2: `milking.end_after_s` must be at least 1
          line 3: `milking.gap_after_s` must be at least 1
          line 4: `milking.min_visit_ml` must be at least 0
        ");
        insta::assert_snapshot!(problems("[web]\nlisten = [\"0.0.0.0:1883\"]\n"), @"  line 2: `web.listen` and `mqtt.listen` both listen on 0.0.0.0:1883; give each its own port");
        insta::assert_snapshot!(problems("[data\n"), @"  line 1: unclosed table, expected `]`");
    }
}
