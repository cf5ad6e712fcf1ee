//! Reading configuration text: keys that are not known, and values that types cannot refuse, each with its line and what to write.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use farm_firmware::TrustedKey;
use sync_http::client::HubAddress;
use toml::de::{DeTable, DeValue};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{
    ClockConfig, Config, DataConfig, FirmwareConfig, HubConfig, LogConfig, MqttConfig, Problem,
    WebConfig,
};

/// Checks and reads configuration text.
///
/// # Errors
/// Every problem found, in the order of lines.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let table = DeTable::parse(text).map_err(|e| vec![at(text, &e)])?;
    let known =
        toml::Value::try_from(Config::default()).expect("the default configuration is plain data");
    let mut problems = Vec::new();
    unknown_keys(text, table.get_ref(), &known, "", &mut problems);
    if problems.is_empty() {
        let config: Config = toml::from_str(text).map_err(|e| vec![at(text, &e)])?;
        let mut values = Values {
            text,
            table: table.get_ref(),
            problems,
        };
        values.check(&config);
        problems = values.problems;
        if problems.is_empty() {
            return Ok(config);
        }
    }
    problems.sort_by_key(|p| p.line);
    Err(problems)
}

/// What the names of types mean to whoever writes the file.
const IN_WORDS: &[(&str, &str)] = &[
    ("struct", "a section, as of"),
    ("a sequence", "a list in brackets, such as [\"…\"]"),
    ("u32", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i64", "a whole number"),
    ("f64", "a number"),
];

fn at(text: &str, error: &toml::de::Error) -> Problem {
    let Some(span) = error.span() else {
        return Problem {
            line: 0,
            message: error.message().replace('\n', " "),
        };
    };
    let written = text.get(span.clone()).unwrap_or_default();
    let message = match error.message() {
        "invalid socket address syntax" => {
            format!("{written} is no address with a port; write it as \"0.0.0.0:8080\"")
        }
        "invalid IP address syntax" => {
            format!("{written} is no address; write it as \"192.168.1.50\"")
        }
        other => IN_WORDS
            .iter()
            .fold(other.replace('\n', " "), |said, (type_name, words)| {
                said.replace(
                    &format!("expected {type_name}"),
                    &format!("expected {words}"),
                )
            }),
    };
    Problem {
        line: line_of(text, span.start),
        message,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|b| **b == b'\n').count() + 1
}

fn unknown_keys(
    text: &str,
    table: &DeTable<'_>,
    known: &toml::Value,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let toml::Value::Table(known) = known else {
        return;
    };
    for (key, value) in table {
        let name: &str = key.get_ref().as_ref();
        match (known.get(name), value.get_ref()) {
            (Some(inner), DeValue::Table(table)) => {
                unknown_keys(text, table, inner, &format!("{path}{name}."), problems);
            }
            (Some(_), _) => {}
            (None, _) => problems.push(Problem {
                line: line_of(text, key.span().start),
                message: format!("unknown key `{path}{name}`; {}", hint(name, path, known)),
            }),
        }
    }
}

/// What may have been meant: the nearest key, or all there are.
fn hint(name: &str, path: &str, known: &toml::Table) -> String {
    let likeness = |key: &str| strsim::jaro_winkler(name, key);
    let nearest = known
        .keys()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(near) if likeness(near) > 0.75 => format!("did you mean `{path}{near}`?"),
        _ => {
            let keys: Vec<_> = known.keys().map(|key| format!("`{key}`")).collect();
            format!("known here: {}", keys.join(", "))
        }
    }
}

/// What types cannot say: ranges, names that must resolve.
struct Values<'a> {
    text: &'a str,
    table: &'a DeTable<'a>,
    problems: Vec<Problem>,
}

impl Values<'_> {
    /// Notes what is wrong with the key `section.name`.
    fn wrong(&mut self, key: &str, what: &str) {
        self.problems.push(Problem {
            line: self.line(key).unwrap_or(0),
            message: format!("`{key}` {what}"),
        });
    }

    /// The line where `section.name` stands, if it does.
    fn line(&self, key: &str) -> Option<usize> {
        let (section, name) = key.split_once('.')?;
        let DeValue::Table(section) = self.table.get(section)?.get_ref() else {
            return None;
        };
        let (key, _) = section.get_key_value(name)?;
        Some(line_of(self.text, key.span().start))
    }

    fn at_least_one(&mut self, key: &str, value: i64) {
        if value < 1 {
            self.wrong(key, "must be at least 1");
        }
    }

    fn check(&mut self, config: &Config) {
        self.data(&config.data);
        self.web(&config.web);
        self.mqtt(&config.mqtt);
        self.listened_twice(config);
        self.firmware(&config.firmware);
        self.at_least_one("onewire.every_s", config.onewire.every_s.into());
        self.milking(&config.milking);
        self.clock(&config.clock);
        self.hub(&config.hub);
        self.log(&config.log);
    }

    fn data(&mut self, data: &DataConfig) {
        if data.copy_at.parse::<jiff::civil::Time>().is_err() {
            let what = format!(
                "is {:?}, which is no time of day; write it as \"02:30\"",
                data.copy_at
            );
            self.wrong("data.copy_at", &what);
        }
        if data.dir.as_os_str().is_empty() {
            let what = "is empty; write the folder, such as \"/var/lib/khamar\"";
            self.wrong("data.dir", what);
        }
        self.at_least_one("data.copies", data.copies.into());
    }

    fn web(&mut self, web: &WebConfig) {
        if web.listen.is_empty() {
            let what = "is empty: nobody could open a page; write [\"0.0.0.0:8080\"]";
            self.wrong("web.listen", what);
        }
    }

    fn mqtt(&mut self, mqtt: &MqttConfig) {
        if mqtt.max_packet_bytes < 1024 {
            self.wrong("mqtt.max_packet_bytes", "must be at least 1024");
        }
        if mqtt.max_connections == 0 {
            let what = "must be at least 1; to switch plain MQTT off, set `mqtt.listen` to []";
            self.wrong("mqtt.max_connections", what);
        }
        for name in mqtt.names.iter().filter(|name| !is_name(name)) {
            let what = format!(
                "has \"{name}\", which is neither a host name nor an address; write it as \"farm.example\" or \"192.168.1.10\""
            );
            self.wrong("mqtt.names", &what);
        }
    }

    /// An address that two listeners would want; port 0 is any free one.
    fn listened_twice(&mut self, config: &Config) {
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
                let line = self.line(key).or_else(|| self.line(first));
                self.problems.push(Problem {
                    line: line.unwrap_or(0),
                    message: format!(
                        "`{first}` and `{key}` both listen on {address}; give each its own port"
                    ),
                });
            }
        }
    }

    fn firmware(&mut self, firmware: &FirmwareConfig) {
        for key in &firmware.trusted_keys {
            if let Err(error) = key.parse::<TrustedKey>() {
                self.wrong("firmware.trusted_keys", &format!("has \"{key}\": {error}"));
            }
        }
        let rate = firmware.bytes_per_second.into();
        self.at_least_one("firmware.bytes_per_second", rate);
        self.at_least_one("firmware.at_once", firmware.at_once.into());
    }

    /// What would make the parlour's rules meaningless.
    fn milking(&mut self, rules: &edge_milking::Config) {
        for (key, value) in [
            ("milking.milk_flow_ml_min", rules.milk_flow_ml_min),
            ("milking.end_after_s", rules.end_after_s.into()),
            ("milking.max_visit_s", rules.max_visit_s.into()),
            ("milking.max_flow_ml_min", rules.max_flow_ml_min),
            ("milking.gap_after_s", rules.gap_after_s.into()),
        ] {
            self.at_least_one(key, value);
        }
        if rules.min_visit_ml < 0 {
            self.wrong("milking.min_visit_ml", "must be at least 0");
        }
    }

    fn clock(&mut self, clock: &ClockConfig) {
        let rate = clock.simulated_rate;
        if rate != 0.0 && !(0.001..=10_000.0).contains(&rate) {
            let what = "must be 0 or between 0.001 and 10000";
            self.wrong("clock.simulated_rate", what);
        }
    }

    fn hub(&mut self, hub: &HubConfig) {
        for address in &hub.allowed {
            if let Err(error) = address.parse::<HubAddress>() {
                self.wrong("hub.allowed", &format!("has {address:?}: {error}"));
            }
        }
    }

    fn log(&mut self, log: &LogConfig) {
        if !is_level(&log.level) {
            let what = format!(
                "is {:?}, which is no level; write error, warn, info, debug or trace",
                log.level
            );
            self.wrong("log.level", &what);
        }
    }
}

/// Whether logs understand it: a level, or directives of modules. A word that is no level would name a module and silence all
/// others.
fn is_level(text: &str) -> bool {
    let is_directive = |part: &str| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        level.trim().parse::<LevelFilter>().is_ok()
    };
    text.split(',').all(is_directive) && EnvFilter::try_new(text).is_ok()
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
