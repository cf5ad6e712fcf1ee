//! The command line: `run`, and what an operator does without a browser.

use std::{
    io::{BufRead, Write},
    path::PathBuf,
};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use farm::{
    Actor, Farm, auth, backup, devices,
    staff::{self, Pin},
    text::Name,
};
use farm_model::{Device, Role};

use crate::{
    app, clock, config,
    config::Config,
    doctor::{self, Verdict},
    lock::DataLock,
};

/// The farm appliance.
#[derive(Parser, Debug)]
#[command(
    name = "edge-node",
    version,
    about = "The farm appliance: reads the parlour, keeps the records, serves the workers' phones"
)]
pub struct Cli {
    /// The configuration file; without it every setting has its default.
    #[arg(long, short, env = "KHAMAR_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the appliance.
    Run {
        /// End when standard input closes, so that a demonstration leaves nothing behind.
        #[arg(long)]
        until_stdin_closes: bool,
    },
    /// Check the configuration and say what is wrong, with lines.
    CheckConfig {
        /// Print the configuration with every default, commented, and do nothing else.
        #[arg(long)]
        print_default: bool,
    },
    /// List, export or import devices.
    Devices {
        #[command(subcommand)]
        what: Devices,
    },
    /// Add or list members of staff.
    Staff {
        #[command(subcommand)]
        what: Staff,
    },
    /// Make or revoke tokens for the JSON API and MQTT clients.
    Token {
        #[command(subcommand)]
        what: Token,
    },
    /// Copy the database to a new file, also while the appliance runs.
    Backup {
        /// The new file.
        #[arg(long)]
        to: PathBuf,
    },
    /// Look at clock, disk, database, ports, permissions and 1-wire, and say what to do.
    Doctor {
        /// One JSON object a line instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand, Debug)]
enum Devices {
    /// Every device, where it stands and how it is reached.
    List,
    /// All devices as JSON on standard output.
    Export,
    /// Add the devices of a file made by `export`; those with a known short name are edited.
    Import {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Subcommand, Debug)]
enum Staff {
    /// Add somebody; the PIN is read from standard input.
    Add {
        /// Name as it appears on the log-in page.
        #[arg(long)]
        name: String,
        /// What they may do.
        #[arg(long, value_enum)]
        role: RoleName,
    },
    /// Everybody who works here.
    List,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    Worker,
    Manager,
    Owner,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Worker => Self::Worker,
            RoleName::Manager => Self::Manager,
            RoleName::Owner => Self::Owner,
        }
    }
}

#[derive(Subcommand, Debug)]
enum Token {
    /// Make a token; it is printed once and never again.
    Add {
        /// Whose it is, for you to recognise it.
        #[arg(long)]
        name: String,
        /// What its holder may do.
        #[arg(long, value_enum)]
        scope: ScopeName,
    },
    /// Every token, without its secret.
    List,
    /// Revoke a token by its id.
    Revoke {
        /// The id that `list` shows.
        id: uuid::Uuid,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeName {
    Read,
    Observe,
    Manage,
}

impl From<ScopeName> for auth::Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Read => Self::Read,
            ScopeName::Observe => Self::Observe,
            ScopeName::Manage => Self::Manage,
        }
    }
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// When it can't be done; the message says what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let load = || match &self.config {
            Some(path) => config::load(path).map_err(anyhow::Error::from),
            None => Ok(Config::default()),
        };
        let mut out = std::io::stdout().lock();
        match self.command {
            Command::CheckConfig {
                print_default: true,
            } => write!(out, "{}", config::DEFAULT)?,
            Command::CheckConfig { .. } => {
                load()?;
                writeln!(out, "the configuration is good")?;
            }
            Command::Run { until_stdin_closes } => {
                drop(out);
                app::run(
                    load()?,
                    if until_stdin_closes {
                        app::Until::StdinCloses
                    } else {
                        app::Until::Signal
                    },
                )?;
            }
            Command::Devices { what } => devices_command(&load()?, what, &mut out)?,
            Command::Staff { what } => staff_command(&load()?, what, &mut out)?,
            Command::Token { what } => token_command(&load()?, what, &mut out)?,
            Command::Backup { to } => {
                let bytes = backup::copy(&database(&load()?), &to)?;
                writeln!(
                    out,
                    "{} holds a whole copy, {:.1} MB",
                    to.display(),
                    bytes as f64 / 1e6
                )?;
            }
            Command::Doctor { json } => {
                let checks = doctor::examine(&load()?);
                for check in &checks {
                    if json {
                        writeln!(out, "{}", serde_json::to_string(check)?)?;
                    } else {
                        writeln!(out, "{check}")?;
                    }
                }
                if checks.iter().any(|c| c.verdict == Verdict::Bad) {
                    bail!("something needs attention");
                }
            }
        }
        Ok(())
    }
}

/// Where the database is.
pub(crate) fn database(config: &Config) -> PathBuf {
    config.data.dir.join("farm.db")
}

/// The farm, for a command that writes; only while no appliance runs on it.
fn open(config: &Config) -> anyhow::Result<(DataLock, Farm)> {
    let lock = DataLock::take(&config.data.dir)?;
    let (clock, _) = clock::build(&config.clock, 0);
    let farm = Farm::open(
        &database(config),
        farm::Options {
            clock,
            readers: 1,
            ..farm::Options::default()
        },
    )?;
    Ok((lock, farm))
}

/// The farm, for a command that only reads; beside a running appliance too.
fn reader(config: &Config) -> anyhow::Result<rusqlite::Connection> {
    let path = database(config);
    if !path.exists() {
        bail!(
            "{} is not there yet: start the appliance once",
            path.display()
        );
    }
    backup::check(&path)?;
    Ok(rusqlite::Connection::open_with_flags(
        &path,
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )?)
}

fn devices_command(config: &Config, what: Devices, out: &mut impl Write) -> anyhow::Result<()> {
    match what {
        Devices::List => {
            for device in devices::list(&reader(config)?)? {
                let state = if device.enabled {
                    ""
                } else {
                    " (switched off)"
                };
                writeln!(
                    out,
                    "{:<24} {:<18} {}{state}",
                    device.slug,
                    device.kind.key(),
                    describe(&device)
                )?;
            }
        }
        Devices::Export => writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&devices::list(&reader(config)?)?)?
        )?,
        Devices::Import { file } => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let list: Vec<Device> = serde_json::from_str(&text).with_context(|| {
                format!(
                    "{} is no list of devices as `export` writes it",
                    file.display()
                )
            })?;
            let forms = list
                .into_iter()
                .map(form)
                .collect::<anyhow::Result<Vec<_>>>()?;
            let (_lock, farm) = open(config)?;
            let ids =
                farm.write_blocking(Actor::CommandLine, move |tx| devices::import(tx, &forms))?;
            writeln!(out, "{} devices imported", ids.len())?;
        }
    }
    Ok(())
}

fn describe(device: &Device) -> String {
    use farm_model::Link;
    match &device.link {
        Link::Serial { port, .. } => format!("serial {port}"),
        Link::ModbusRtu { port, unit, .. } => format!("Modbus RTU {port}, unit {unit}"),
        Link::ModbusTcp {
            host, port, unit, ..
        } => format!("Modbus TCP {host}:{port}, unit {unit}"),
        Link::OneWire { rom } => format!("1-wire {rom}"),
        Link::Mqtt { .. } => "MQTT".to_owned(),
        Link::ChirpStack { dev_eui, .. } => format!("LoRaWAN {dev_eui}"),
        Link::Http => "HTTP".to_owned(),
    }
}

fn form(device: Device) -> anyhow::Result<devices::DeviceForm> {
    Ok(devices::DeviceForm {
        slug: farm::text::Slug::new(&device.slug)
            .with_context(|| format!("the short name {:?}", device.slug))?,
        name: Name::new(&device.name).with_context(|| format!("the name of {}", device.slug))?,
        kind: device.kind,
        link: device.link,
        place: device.place,
        expect_every_s: device.expect_every_s,
    })
}

fn staff_command(config: &Config, what: Staff, out: &mut impl Write) -> anyhow::Result<()> {
    match what {
        Staff::Add { name, role } => {
            let name = Name::new(&name).context("the name")?;
            let pin = Pin::new(first_line()?.trim())
                .context("the PIN, on standard input")?
                .hash();
            let (_lock, farm) = open(config)?;
            farm.write_blocking(Actor::CommandLine, move |tx| {
                staff::add(tx, &name, role.into(), &pin)
            })?;
            writeln!(out, "added")?;
        }
        Staff::List => {
            for member in staff::list(&reader(config)?)? {
                let state = if member.active { "" } else { " (left)" };
                writeln!(out, "{:<8} {}{state}", member.role.key(), member.name)?;
            }
        }
    }
    Ok(())
}

fn token_command(config: &Config, what: Token, out: &mut impl Write) -> anyhow::Result<()> {
    match what {
        Token::Add { name, scope } => {
            let name = Name::new(&name).context("the name")?;
            let (_lock, farm) = open(config)?;
            let (_, secret) = farm.write_blocking(Actor::CommandLine, move |tx| {
                auth::add_token(tx, &name, scope.into())
            })?;
            writeln!(out, "{}", secret.as_str())?;
        }
        Token::List => {
            for token in auth::tokens(&reader(config)?)? {
                writeln!(out, "{}  {:<8} {}", token.id, token.scope.key(), token.name)?;
            }
        }
        Token::Revoke { id } => {
            let (_lock, farm) = open(config)?;
            farm.write_blocking(Actor::CommandLine, move |tx| auth::revoke_token(tx, id))?;
            writeln!(out, "revoked")?;
        }
    }
    Ok(())
}

/// The first line of standard input: secrets do not stand in process lists.
fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("standard input")?;
    Ok(line)
}
