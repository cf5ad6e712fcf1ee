//! The hub's configuration: one commented TOML file, checked before anything starts.
//!
//! Invariant: a key that is not known is an error that names the key, its line and the nearest key that exists; a hub that
//! people reach over a network sends its cookies over HTTPS only.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use hub_accounts::sessions::Lifetimes;
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

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
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8090))],
            url: "http://127.0.0.1:8090".to_owned(),
            behind_proxy: false,
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
}

impl Default for FarmsConfig {
    fn default() -> Self {
        Self {
            open_at_most: 500,
            idle_minutes: 10,
        }
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

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What is wrong with a configuration, all of it at once.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that is not understood.
    #[error("{path} is not a valid configuration:\n{}", list(problems))]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Each problem.
        problems: Vec<Problem>,
    },
}

/// One thing wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1; 0 when the problem has no line.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}: {}", self.message),
        }
    }
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|p| format!("  {p}")).collect();
    lines.join("\n")
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// When the file can't be read, or any key or value in it is wrong; all wrong keys are named at once.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|problems| ConfigError::Invalid {
        path: path.to_owned(),
        problems,
    })
}

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
    if !problems.is_empty() {
        problems.sort_by_key(|p| p.line);
        return Err(problems);
    }
    let config: Config = toml::from_str(text).map_err(|e| vec![at(text, &e)])?;
    let problems = wrong_values(text, &config);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

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
            format!("{written} is no address with a port; write it as \"127.0.0.1:8090\"")
        }
        other => other
            .replace('\n', " ")
            .replace("expected struct", "expected a section, as of"),
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

/// The nearest key, or all of them.
fn hint(name: &str, path: &str, known: &toml::Table) -> String {
    let likeness = |key: &String| strsim::jaro_winkler(name, key);
    let nearest = known
        .keys()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(near) if likeness(near) > 0.75 => format!("did you mean `{path}{near}`?"),
        _ => {
            let keys: Vec<String> = known.keys().map(|key| format!("`{key}`")).collect();
            format!("known here: {}", keys.join(", "))
        }
    }
}

/// What types cannot say.
fn wrong_values(text: &str, config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |key: &str, message: String| {
        let line = text
            .lines()
            .position(|l| l.trim_start().starts_with(key))
            .map_or(0, |i| i + 1);
        problems.push(Problem { line, message });
    };
    if config.data.dir.as_os_str().is_empty() {
        wrong(
            "dir",
            "`data.dir` is empty; write the folder, such as \"/var/lib/khamar-hub\"".to_owned(),
        );
    }
    if config.web.listen.is_empty() {
        wrong(
            "listen",
            "`web.listen` is empty: nobody could reach the hub; write [\"127.0.0.1:8090\"]"
                .to_owned(),
        );
    }
    if let Err(why) = Address::of(&config.web.url) {
        wrong("url", format!("`web.url`: \"{}\" {why}", config.web.url));
    }
    if config.farms.open_at_most == 0 {
        wrong(
            "open_at_most",
            "`farms.open_at_most` must be at least 1".to_owned(),
        );
    }
    if config.accounts.idle_minutes == 0 {
        wrong(
            "idle_minutes",
            "`accounts.idle_minutes` must be at least 1".to_owned(),
        );
    }
    if config.accounts.longest_hours == 0 {
        wrong(
            "longest_hours",
            "`accounts.longest_hours` must be at least 1".to_owned(),
        );
    }
    if !is_level(&config.log.level) {
        let level = &config.log.level;
        wrong(
            "level",
            format!(
                "`log.level`: \"{level}\" is no level; write error, warn, info, debug or trace"
            ),
        );
    }
    problems.sort_by_key(|p| p.line);
    problems
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

/// Whether logs understand it: a level, or directives of modules.
fn is_level(text: &str) -> bool {
    let is_directive = |part: &str| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        level.trim().parse::<LevelFilter>().is_ok()
    };
    text.split(',').all(is_directive) && EnvFilter::try_new(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        list(&parse(text).unwrap_err())
    }

    #[test]
    fn the_shipped_file_is_the_default_and_explains_every_key() {
        let known = toml::Value::try_from(Config::default()).unwrap();
        let shipped: toml::Value = toml::from_str(DEFAULT).unwrap();
        assert_eq!(shipped, known);
        assert_eq!(
            toml::Value::try_from(parse(DEFAULT).unwrap()).unwrap(),
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
