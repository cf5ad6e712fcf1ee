//! Farms at the command line: for whoever runs a hub for farms that cannot help themselves.
//!
//! What is done here is done in the name of the farm's owner, by the same commands as on the pages.

use std::io::Write;

use ::farm::backup;
use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use hub_accounts::{AccountId, Email, Farm, Name, Role, SiteId, accounts, claims, farms, members};
use hub_store::{Store, StoreError, Tx, args};
use program::DataLock;

use crate::config::DataConfig;

#[derive(Subcommand, Debug)]
pub(super) enum Farms {
    /// Add a farm; prints its short name. The owner needs a second factor: `accounts second-factor`.
    Add {
        /// The owner's e-mail address.
        #[arg(long)]
        owner: String,
        /// The farm's name.
        #[arg(long)]
        name: String,
    },
    /// Let somebody who has an account onto a farm.
    Admit {
        /// The farm's short name.
        farm: String,
        /// Their e-mail address.
        #[arg(long)]
        email: String,
        /// What they may do: read_only, worker, vet, manager or owner.
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Make a claim code, with which an appliance joins the farm. It works once, within a day.
    Claim {
        /// The farm's short name.
        farm: String,
    },
    /// List the farm's appliances.
    Sites {
        /// The farm's short name.
        farm: String,
    },
    /// Give the hub's file of a farm a new identity, after it was put back from a copy; its appliances go on with it by themselves.
    ///
    /// The hub must be stopped.
    PutBack {
        /// The farm's short name.
        farm: String,
    },
    /// Make an appliance's key worthless.
    Revoke {
        /// The farm's short name.
        farm: String,
        /// The appliance, as `sites` shows it.
        site: SiteId,
    },
}

fn role(text: &str) -> Result<Role, String> {
    let keys = || {
        Role::ALL
            .iter()
            .map(|role| role.key())
            .collect::<Vec<_>>()
            .join(", ")
    };
    Role::from_key(text).ok_or_else(|| format!("there is no such role: write one of {}", keys()))
}

pub(super) fn run(
    config: &DataConfig,
    store: &Store,
    what: Farms,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match what {
        Farms::Add { owner, name } => {
            let (email, name) = (Email::new(&owner)?, Name::new(&name)?);
            let made = store.write_blocking(move |tx| {
                let Some(owner) = accounts::by_email(tx, &email)? else {
                    return Ok(None);
                };
                farms::create(tx, &owner, &name).map(Some)
            })?;
            let farm = made.with_context(|| {
                format!("{owner} has no account: see `cloud-hub accounts list`")
            })?;
            writeln!(out, "{}", farm.slug)?;
        }
        Farms::Admit { farm, email, role } => {
            let (farm, owner) = find(store, &farm)?;
            let email = Email::new(&email)?;
            store.write_blocking(move |tx| {
                let who = accounts::by_email(tx, &email)?;
                let secret = members::invite(tx, owner, farm.id, &email, role)?;
                let who = who.ok_or(members::MemberError::Unknown)?;
                members::accept(tx, &secret, &who)
            })?;
        }
        Farms::Claim { farm } => {
            let (farm, owner) = find(store, &farm)?;
            let code = store.write_blocking(move |tx| claims::make(tx, owner, farm.id, None))?;
            writeln!(out, "{}", code.grouped())?;
        }
        Farms::Sites { farm } => {
            let (farm, _) = find(store, &farm)?;
            for site in store.read_blocking(|tx| claims::sites(tx, farm.id))? {
                let state = if site.revoked.is_some() {
                    " (revoked)"
                } else {
                    ""
                };
                writeln!(
                    out,
                    "{}  {} waiting  {}{state}",
                    site.id, site.waiting, site.name
                )?;
            }
        }
        Farms::PutBack { farm } => {
            // A running hub may have the file open.
            let _lock = DataLock::take(&config.dir, "cloud-hub")?;
            let (farm, _) = find(store, &farm)?;
            let path = config.dir.join(format!("farms/{}.db", farm.id));
            backup::check(&path)
                .and_then(|_| Ok(backup::mark_copy(&path).map_err(::farm::StoreError::from)?))
                .with_context(|| format!("put the copy back as {}", path.display()))?;
            writeln!(out, "{} takes a new identity when it is opened", farm.slug)?;
        }
        Farms::Revoke { farm, site } => {
            let (farm, owner) = find(store, &farm)?;
            store.write_blocking(move |tx| claims::revoke(tx, owner, farm.id, site))?;
            writeln!(out, "the key is worth nothing any more")?;
        }
    }
    Ok(())
}

/// A farm and its owner, in whose name the operator acts.
fn find(store: &Store, slug: &str) -> anyhow::Result<(Farm, AccountId)> {
    let owner = |tx: &mut Tx<'_>| {
        tx.first(
            "SELECT m.account FROM member m JOIN farm f ON f.id = m.farm
             WHERE f.slug = $1 AND m.role = $2 AND f.gone_at IS NULL",
            args![slug, Role::Owner],
            |row| row.get::<AccountId>(0),
        )
    };
    let found = store.read_blocking(|tx| {
        let Some(owner) = owner(tx)? else {
            return Ok(None);
        };
        let membership = farms::membership_of(tx, owner, slug)?;
        Ok::<_, StoreError>(membership.map(|m| (m.farm, owner)))
    })?;
    found.ok_or_else(|| anyhow!("there is no farm called {slug}: look at its address at the hub"))
}
