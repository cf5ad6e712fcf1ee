//! The hub's configuration: one commented TOML file, checked before anything starts.
//!
//! Invariant: a key that is not known is an error that names the key, its line and the nearest key that exists; a hub that
//! people reach over a network sends its cookies over HTTPS only.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use farm_model::{Clock, UnixMillis, time::ScaledClock};
use hub_accounts::sessions::Lifetimes;
use program::{
    config::{Configured, Values},
    log::{LogFormat, is_level},
};
use serde::{Deserialize, Serialize};

/// The commented file that `cloud-hub check-config --print-default` writes.
pub const DEFAULT: &str = include_str!("../cloud-hub.toml");

/// Everything that can be configured.
#[derive(Clone, Debug, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where data is kept.
    pub data: DataConfig,
    /// Where the hub listens and how it is reached.
    pub web: WebConfig,
    /// The farms' files.
    pub farms: FarmsConfig,
    /// Log-ins.
    pub accounts: AccountsConfig,
    /// Logs.
    pub log: LogConfig,
}

/// Where data is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Folder of the database and of the farms' files.
    pub dir: PathBuf,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/lib/khamar-hub"),
        }
    }
}

/// Where the hub listens and how it is reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// The address under which people and farms reach it.
    pub url: String,
    /// Whether a proxy says who calls.
    pub behind_proxy: bool,
    /// Demonstrations only: the page on which the line to the farm can be cut.
    pub demo_switch: String,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8090))],
            url: "http://127.0.0.1:8090".to_owned(),
            behind_proxy: false,
            demo_switch: String::new(),
        }
    }
}

/// The farms' files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FarmsConfig {
    /// Farms that are open at once.
    pub open_at_most: usize,
    /// Minutes after which a farm that nobody asks for is closed.
    pub idle_minutes: u32,
    /// Megabytes of the largest farm that is taken in as a file.
    pub import_at_most_mb: u64,
    /// Demonstrations only: the farms' time when the hub starts, in milliseconds since 1970.
    pub simulated_start_ms: i64,
    /// Demonstrations only: how much faster than real time the farms live; 0 switches simulation off.
    pub simulated_rate: f64,
}

impl Default for FarmsConfig {
    fn default() -> Self {
        Self {
            open_at_most: 500,
            idle_minutes: 10,
            import_at_most_mb: 4096,
            simulated_start_ms: 0,
            simulated_rate: 0.0,
        }
    }
}

impl FarmsConfig {
    /// The clock of a demonstration, when there is one; it starts now.
    pub(crate) fn simulated(&self) -> Option<Arc<dyn Clock>> {
        let start = UnixMillis(self.simulated_start_ms);
        let clock = || ScaledClock::new(start, self.simulated_rate, 0);
        (self.simulated_rate > 0.0).then(|| Arc::new(clock()) as Arc<dyn Clock>)
    }
}

/// Log-ins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountsConfig {
    /// Minutes after which a log-in that is not used ends.
    pub idle_minutes: u32,
    /// Hours after which every log-in ends.
    pub longest_hours: u32,
}

impl Default for AccountsConfig {
    fn default() -> Self {
        Self {
            idle_minutes: 30,
            longest_hours: 12,
        }
    }
}

impl AccountsConfig {
    /// How long sessions live.
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            longest_s: i64::from(self.longest_hours) * 3600,
            idle_s: i64::from(self.idle_minutes) * 60,
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
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            level: "info".to_owned(),
        }
    }
}

impl Configured for Config {
    const ADDRESS: &'static str = "127.0.0.1:8090";

    fn check(&self, values: &mut Values<'_>) {
        values.folder("data.dir", &self.data.dir, "/var/lib/khamar-hub");
        if self.web.listen.is_empty() {
            let what = "is empty: nobody could reach the hub; write [\"127.0.0.1:8090\"]";
            values.wrong("web.listen", what);
        }
        if let Err(why) = Address::of(&self.web.url) {
            let message = format!("`web.url`: \"{}\" {why}", self.web.url);
            values.note(values.line("web.url"), message);
        }
        let open_at_most = i64::try_from(self.farms.open_at_most).unwrap_or(i64::MAX);
        values.at_least_one("farms.open_at_most", open_at_most);
        let import_at_most = i64::try_from(self.farms.import_at_most_mb).unwrap_or(i64::MAX);
        values.at_least_one("farms.import_at_most_mb", import_at_most);
        let rate = self.farms.simulated_rate;
        if rate != 0.0 && !ScaledClock::RATES.contains(&rate) {
            let what = "must be 0 or between 0.001 and 10000";
            values.wrong("farms.simulated_rate", what);
        }
        let accounts = &self.accounts;
        values.at_least_one("accounts.idle_minutes", accounts.idle_minutes.into());
        values.at_least_one("accounts.longest_hours", accounts.longest_hours.into());
        if !is_level(&self.log.level) {
            let message = format!(
                "`log.level`: \"{}\" is no level; write error, warn, info, debug or trace",
                self.log.level
            );
            values.note(values.line("log.level"), message);
        }
    }
}

/// The address under which the hub is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Scheme and host, without a slash at the end.
    pub url: String,
    /// Whether it is encrypted.
    pub is_https: bool,
}

impl Address {
    /// The address, if it is one that cookies may go to.
    ///
    /// # Errors
    /// What is wrong with it and what to write.
    pub fn of(url: &str) -> Result<Self, &'static str> {
        let url = url.trim_end_matches('/');
        let (scheme, host) = url
            .split_once("://")
            .ok_or("is no address; write it as \"https://hub.example\"")?;
        if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
            return Err("has more or less than a host; write it as \"https://hub.example\"");
        }
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_here = name == "localhost"
            || name
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback());
        let is_https = match scheme {
            "https" => true,
            "http" if is_here => false,
            "http" => return Err("would send passwords in the clear; write it with https://"),
            _ => return Err("is no address of a web site; write it as \"https://hub.example\""),
        };
        Ok(Self {
            url: url.to_owned(),
            is_https,
        })
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
    fn the_shipped_file_is_the_default_and_explains_every_key() {
        let known = toml::Value::try_from(Config::default()).unwrap();
        let shipped: toml::Value = toml::from_str(DEFAULT).unwrap();
        assert_eq!(shipped, known);
        assert_eq!(
            toml::Value::try_from(parse::<Config>(DEFAULT).unwrap()).unwrap(),
            known
        );
    }

    #[test]
    fn wrong_keys_and_values_say_what_to_write() {
        insta::assert_snapshot!(problems("[web]\nlissten = []\n[dta]\n[log]\nzzz = 1\n"), @r"
          line 2: unknown key `web.lissten`; did you mean `web.listen`?
          line 3: unknown key `dta`; did you mean `data`?
          line 5: unknown key `log.zzz`; known here: `format`, `level`
        ");
        insta::assert_snapshot!(problems("[web]\nlisten = []\nurl = \"http://hub.example\"\n[log]\nlevel = \"loud\"\n[accounts]\nidle_minutes = 0\n"), @r#"
          line 2: `web.listen` is empty: nobody could reach the hub; write ["127.0.0.1:8090"]
          line 3: `web.url`: "http://hub.example" would send passwords in the clear; write it with https://
          line 5: `log.level`: "loud" is no level; write error, warn, info, debug or trace
          line 7: `accounts.idle_minutes` must be at least 1
        "#);
        insta::assert_snapshot!(problems("[web]\nlisten = [\"hub:80\"]\n"), @r#"  line 2: "hub:80" is no address with a port; write it as "127.0.0.1:8090""#);
        insta::assert_snapshot!(problems("[web]\nurl = \"https://hub.example/khamar\"\n"), @r#"  line 2: `web.url`: "https://hub.example/khamar" has more or less than a host; write it as "https://hub.example""#);
        insta::assert_snapshot!(problems("[farms]\nsimulated_rate = -1.0\n"), @"  line 2: `farms.simulated_rate` must be 0 or between 0.001 and 10000");
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for (url, https) in [
            ("https://hub.example/", Some(true)),
            ("http://127.0.0.1:8090", Some(false)),
            ("http://[::1]:80", Some(false)),
            ("http://localhost", Some(false)),
            ("http://10.0.0.5", None),
            ("ftp://hub.example", None),
            ("hub.example", None),
            ("https://a@hub.example", None),
        ] {
            let address = Address::of(url).ok();
            assert_eq!(address.map(|a| a.is_https), https, "{url}");
        }
    }
}
