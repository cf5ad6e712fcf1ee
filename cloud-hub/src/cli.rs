//! The command line: `run`, and what an operator does without a browser.

mod farms;

use std::{io::Write, path::PathBuf};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use hub_accounts::{Actor, Email, Name, Password, accounts, audit, reset, seal, second_factor};
use hub_store::{Store, system_clock};
use program::{DataLock, cli};

use crate::{app, config, config::Config, doctor};

/// The hub.
#[derive(Parser, Debug)]
#[command(
    name = "cloud-hub",
    version,
    about = "The hub: shows farms to those who manage them from afar"
)]
pub struct Cli {
    /// The configuration file; without it every setting has its default.
    #[arg(long, short, env = "KHAMAR_HUB_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the hub, until SIGTERM or Ctrl-C.
    Run(cli::Run),
    /// Check the configuration file and name every mistake with its line.
    CheckConfig(cli::CheckConfig),
    /// People who log in: add, list, help those who lost something.
    ///
    /// Works whether or not the hub runs.
    Accounts {
        #[command(subcommand)]
        what: Accounts,
    },
    /// Farms: add, let people on, connect appliances and cut them off.
    ///
    /// Works whether or not the hub runs.
    Farms {
        #[command(subcommand)]
        what: farms::Farms,
    },
    /// Look at everything that commonly goes wrong, and say what to do; fails when something is bad.
    ///
    /// Works whether or not the hub runs.
    Doctor {
        /// Print one JSON object a line, for programs.
        #[arg(long)]
        json: bool,
    },
    /// The record of who did what.
    Audit {
        #[command(subcommand)]
        what: Audit,
    },
}

#[derive(Subcommand, Debug)]
enum Accounts {
    /// Add somebody; their password is read from standard input.
    Add {
        /// Their e-mail address.
        #[arg(long)]
        email: String,
        /// Their name.
        #[arg(long)]
        name: String,
    },
    /// List everybody.
    List,
    /// Give somebody another password, read from standard input; it ends their log-ins.
    Password {
        /// Their e-mail address.
        #[arg(long)]
        email: String,
    },
    /// Make a link with which somebody chooses a new password: it works once, within an hour.
    ResetLink {
        /// Their e-mail address.
        #[arg(long)]
        email: String,
    },
    /// Set up a second factor for somebody; prints the key for their app and their backup codes, once.
    SecondFactor {
        /// Their e-mail address.
        #[arg(long)]
        email: String,
    },
    /// Make another key of the database's own secrets when its file, hub.key, is lost: everybody sets up their second factor again.
    ///
    /// The hub must be stopped.
    NewKey,
    /// Take the second factor from somebody who lost phone and backup codes; they set up another at the next log-in.
    RemoveSecondFactor {
        /// Their e-mail address.
        #[arg(long)]
        email: String,
    },
}

#[derive(Subcommand, Debug)]
enum Audit {
    /// Walk the whole record and say whether it is as it was written. Prints its end: keep that elsewhere.
    Verify {
        /// An end that was printed before, NUMBER:HASH; finds out whether the record was cut off since.
        #[arg(long)]
        since: Option<audit::Head>,
    },
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
            Command::Accounts { what } => accounts_command(&load()?, what, &mut out)?,
            Command::Doctor { json } => {
                program::doctor::report(&doctor::examine(&load()?), json, &mut out)?;
            }
            Command::Farms { what } => {
                let config = load()?;
                farms::run(&config.data, &open(&config)?, what, &mut out)?;
            }
            Command::Audit {
                what: Audit::Verify { since },
            } => {
                let store = open(&load()?)?;
                let head = store.read_blocking(|tx| audit::verify(tx, since.as_ref()))?;
                writeln!(out, "the record is as it was written, up to {head}")?;
            }
        }
        Ok(())
    }
}

/// SQLite lets a second process write between the commits of the first.
fn open(config: &Config) -> anyhow::Result<Store> {
    let dir = &config.data.dir;
    ensure!(
        dir.is_dir(),
        "{} does not exist: name the hub's configuration with --config, or make the folder",
        dir.display()
    );
    app::open_store(&config.data, system_clock())
}

fn accounts_command(config: &Config, what: Accounts, out: &mut impl Write) -> anyhow::Result<()> {
    let (store, by) = (&open(config)?, Actor::CommandLine);
    match what {
        Accounts::Add { email, name } => {
            let (email, name) = (Email::new(&email)?, Name::new(&name)?);
            let hash = typed_password(&email)?.hash_now();
            let id = store.write_blocking(move |tx| accounts::add(tx, by, &email, &name, &hash))?;
            writeln!(out, "{id}")?;
        }
        Accounts::List => {
            for account in store.read_blocking(accounts::list)? {
                let factor = if account.second_factor {
                    "2 factors"
                } else {
                    "1 factor"
                };
                writeln!(
                    out,
                    "{}  {factor}  {}  {}",
                    account.id, account.email, account.name
                )?;
            }
        }
        Accounts::Password { email } => {
            let email = Email::new(&email)?;
            let id = find(store, &email)?;
            let hash = typed_password(&email)?.hash_now();
            store.write_blocking(move |tx| accounts::set_password(tx, by, id, &hash, None))?;
            writeln!(
                out,
                "the password is changed and every log-in of {email} is ended"
            )?;
        }
        Accounts::ResetLink { email } => {
            let email = Email::new(&email)?;
            let secret = store.write_blocking(move |tx| reset::make(tx, by, &email))?;
            let url = config.web.url.trim_end_matches('/');
            writeln!(out, "{url}/reset/{}", secret.as_str())?;
        }
        Accounts::SecondFactor { email } => {
            let id = find(store, &Email::new(&email)?)?;
            let seal = app::open_key(&config.data, store)?;
            let (key, codes) = store.write_blocking(move |tx| {
                let key = second_factor::begin(tx, &seal, id)?;
                let step = tx.now().millis() / 30_000;
                let none = hub_accounts::ids::SessionId::new();
                let codes = second_factor::finish(tx, &seal, id, &key.code(step), none)?;
                Ok::<_, second_factor::SecondFactorError>((key, codes))
            })?;
            writeln!(out, "{}", key.base32())?;
            for code in codes {
                writeln!(out, "{}", code.grouped())?;
            }
        }
        Accounts::NewKey => {
            // A running hub has the old key.
            let _lock = DataLock::take(&config.data.dir, "cloud-hub")?;
            let path = app::key_file(&config.data);
            seal::replace(&path, store, by)?;
            writeln!(
                out,
                "{} is made anew; every second factor has to be set up again",
                path.display()
            )?;
        }
        Accounts::RemoveSecondFactor { email } => {
            let email = Email::new(&email)?;
            let id = find(store, &email)?;
            store.write_blocking(move |tx| second_factor::remove(tx, by, id))?;
            writeln!(
                out,
                "the second factor of {email} is removed and every log-in ended"
            )?;
        }
    }
    Ok(())
}

fn find(store: &Store, email: &Email) -> anyhow::Result<hub_accounts::AccountId> {
    let found = store.read_blocking(|tx| accounts::by_email(tx, email))?;
    let found =
        found.with_context(|| format!("{email} has no account: see `cloud-hub accounts list`"))?;
    Ok(found.id)
}

fn typed_password(email: &Email) -> anyhow::Result<Password> {
    let text = cli::typed_line()?;
    ensure!(
        !text.is_empty(),
        "no password came; give it on standard input: echo 'THE PASSWORD' | cloud-hub accounts …"
    );
    Ok(Password::chosen(&text, email)?)
}
