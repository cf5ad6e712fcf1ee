//! The command line: `run`, and what an operator does without a browser.
//!
//! Whatever changes the farm works while the appliance runs, too: [`carry_out`] hands it over.

mod devices;
mod firmware;
mod node;

use std::{io::Write, path::PathBuf};

use anyhow::bail;
use clap::{Parser, Subcommand, ValueEnum};
use farm::{auth, backup, staff};
use farm_model::Role;
use program::cli;

use self::{devices::Devices, firmware::Firmware};
use crate::{
    app, config,
    config::Config,
    control::{Edit, HubOrder, Order, carry_out},
    doctor,
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
    /// Run the appliance, until SIGTERM or Ctrl-C.
    Run(cli::Run),
    /// Check the configuration file and name every mistake with its line.
    CheckConfig(cli::CheckConfig),
    /// Devices: list, add, let in, cut off.
    ///
    /// Works whether or not the appliance runs: while it does, orders are handed to it.
    Devices {
        #[command(subcommand)]
        what: Devices,
    },
    /// Firmware of nodes: add signed images, offer them, watch them; for vendors, sign them.
    Firmware {
        #[command(subcommand)]
        what: Firmware,
    },
    /// People who log in to the pages: add, list.
    Staff {
        #[command(subcommand)]
        what: Staff,
    },
    /// Tokens, with which other programs use the JSON API and MQTT: make, list, revoke.
    Token {
        #[command(subcommand)]
        what: Token,
    },
    /// Connect the farm to a hub, with a claim code that the hub shows on the farm's page.
    ///
    /// Works whether or not the appliance runs.
    Enrol {
        /// The claim code.
        code: String,
        /// Address of the hub, such as https://hub.example.org.
        #[arg(long)]
        hub: String,
    },
    /// The farm's hub: how the exchange goes, try again now, leave it.
    Hub {
        #[command(subcommand)]
        what: HubCommand,
    },
    /// Copy the database to a new file; the appliance may run meanwhile.
    ///
    /// The copy holds the keys of devices: keep it where nobody else may read it.
    Backup {
        /// The file to make; it must not exist yet.
        #[arg(long)]
        to: PathBuf,
    },
    /// Examine clock, disk, database, network ports, serial ports and 1-wire, and say what to do about what is wrong.
    Doctor {
        /// Print one JSON object a line, for programs.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand, Debug)]
enum Staff {
    /// Add somebody; their PIN (4 to 12 digits) is read from standard input.
    Add {
        /// Their name, as the log-in page shows it.
        #[arg(long)]
        name: String,
        /// What they may do: workers record, managers also decide and set up, owners also see to staff and tokens.
        #[arg(long, value_enum)]
        role: RoleName,
    },
    /// List everybody, those who left included.
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
    /// Make a token, and print it once.
    Add {
        /// What it is for, so that you know it again in the list.
        #[arg(long)]
        name: String,
        /// What its holder may do: read; observe, which is to send readings too; manage, which is all that a manager may.
        #[arg(long, value_enum)]
        scope: ScopeName,
    },
    /// List the tokens that are valid: id, scope, name.
    List,
    /// Revoke a token: it is worth nothing from now on, and whoever is connected with it is cut off.
    Revoke {
        /// Its id, as `list` shows it.
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

#[derive(Subcommand, Debug)]
enum HubCommand {
    /// Say to which hub the farm is sent, and how that goes.
    Status,
    /// Try again now.
    Send,
    /// Send the farm there no more, and forget the key.
    Leave,
}

impl From<HubCommand> for HubOrder {
    fn from(what: HubCommand) -> Self {
        match what {
            HubCommand::Status => Self::Status,
            HubCommand::Send => Self::Send,
            HubCommand::Leave => Self::Leave,
        }
    }
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// When it can't be done; the message says what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let load = || cli::load(self.config.as_deref());
        let mut out = std::io::stdout().lock();
        match self.command {
            Command::CheckConfig(check) => check.run(config::DEFAULT, load, &mut out)?,
            Command::Run(run) => {
                drop(out);
                app::run(load()?, run.until())?;
            }
            Command::Devices { what } => devices::run(&load()?, what, &mut out)?,
            Command::Firmware { what } => firmware::run(&load()?, what, &mut out)?,
            Command::Staff { what } => staff_command(&load()?, what, &mut out)?,
            Command::Token { what } => token_command(&load()?, what, &mut out)?,
            Command::Enrol { code, hub } => {
                let order = HubOrder::Enrol { code, hub };
                write!(out, "{}", carry_out(&load()?, Order::Hub(order))?.said)?;
            }
            Command::Hub { what } => {
                let order = Order::Hub(what.into());
                write!(out, "{}", carry_out(&load()?, order)?.said)?;
            }
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
                program::doctor::report(&doctor::examine(&load()?), json, &mut out)?;
            }
        }
        Ok(())
    }
}

/// Where the database is.
pub(crate) fn database(config: &Config) -> PathBuf {
    config.data.dir.join("farm.db")
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

fn staff_command(config: &Config, what: Staff, out: &mut impl Write) -> anyhow::Result<()> {
    match what {
        Staff::Add { name, role } => {
            let order = Order::AddStaff {
                name,
                role: role.into(),
                pin: first_line()?,
            };
            write!(out, "{}", carry_out(config, order)?.said)?;
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
            let scope = scope.into();
            let made = carry_out(config, Edit::AddToken { name, scope })?;
            write!(out, "{}", made.said)?;
        }
        Token::List => {
            for token in auth::tokens(&reader(config)?)? {
                writeln!(out, "{}  {:<8} {}", token.id, token.scope.key(), token.name)?;
            }
        }
        Token::Revoke { id } => {
            write!(out, "{}", carry_out(config, Edit::RevokeToken { id })?.said)?;
        }
    }
    Ok(())
}

/// The first line of standard input, trimmed.
fn first_line() -> anyhow::Result<String> {
    Ok(cli::typed_line()?.trim().to_owned())
}
