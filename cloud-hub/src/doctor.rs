//! `cloud-hub doctor`: looks at everything that commonly goes wrong around a hub, and says what to do.
//!
//! It may run beside the hub, and makes nothing. Every page of every farm's file is read, which takes its time.

use std::{collections::BTreeSet, path::Path};

use farm::OpenError;
use hub_accounts::{FarmId, audit, farms, seal};
use hub_store::{Store, StoreError};
use program::{
    Runs,
    doctor::{Check, Installed, disk, listener},
};

use crate::{
    app,
    config::{Address, Config},
    farms::files_in,
};

/// For advice.
const INSTALLED: Installed = Installed {
    user: "khamar-hub",
    unit: "cloud-hub",
    keep_less: "delete farms that nobody needs at the hub, or use a larger disk",
};

/// Looks at everything.
pub(crate) fn examine(config: &Config) -> Vec<Check> {
    let dir = &config.data.dir;
    let runs = Runs::on(dir, "cloud-hub");
    let mut checks = disk(dir, INSTALLED);
    checks.extend(database(config));
    for address in &config.web.listen {
        checks.push(listener("web", *address, runs, INSTALLED));
    }
    checks.push(address(config));
    checks
}

/// The hub's own database, its key, the record and the farms that it knows.
fn database(config: &Config) -> Vec<Check> {
    let path = config.data.dir.join("hub.db");
    if !path.exists() {
        let seen = "none yet: it is made at the first start";
        return vec![Check::good("database", seen)];
    }
    let damaged = |error: &dyn std::fmt::Display| {
        Check::bad(
            "database",
            error.to_string(),
            "stop the hub, keep the file, and put its newest copy back with the hub.key of that time",
        )
    };
    let store = match hub_store::check(&path)
        .and_then(|()| Store::open(&path, &[hub_accounts::SCHEMA], hub_store::system_clock()))
    {
        Ok(store) => store,
        Err(error) => return vec![damaged(&error)],
    };
    let mut checks = vec![Check::good("database", "sound")];
    checks.push(key(config, &store));
    checks.push(match store.read_blocking(|tx| audit::verify(tx, None)) {
        Ok(head) => Check::good("record", format!("as it was written, up to {head}")),
        Err(error) => Check::bad(
            "record",
            error.to_string(),
            "somebody changed the database: keep it, and find out who had access to this machine",
        ),
    });
    match store.read_blocking(farms::every) {
        Ok(known) => checks.extend(replicas(&config.data.dir.join("farms"), &known)),
        Err(error) => checks.push(damaged(&error)),
    }
    checks
}

fn key(config: &Config, store: &Store) -> Check {
    let path = app::key_file(&config.data);
    let bound = store.read_blocking(|tx| tx.exists("SELECT 1 FROM seal_check", &[]));
    if !path.exists() && matches!(bound, Ok::<_, StoreError>(false)) {
        return Check::good("key", "none yet: it is made at the first start");
    }
    match seal::open(&path, store) {
        Ok(_) => Check::good("key", format!("{} fits the database", path.display())),
        Err(error) => Check::bad(
            "key",
            error.to_string(),
            "put hub.key back from the copy that was made with the database",
        ),
    }
}

/// The farms' files: each is read whole; one that no farm has is named.
fn replicas(dir: &Path, known: &[FarmId]) -> Vec<Check> {
    let there: BTreeSet<FarmId> = files_in(dir).into_iter().collect();
    let mut checks = Vec::new();
    let (mut sound, mut bytes) = (0_usize, 0_u64);
    for id in known.iter().filter(|id| there.contains(id)) {
        let path = dir.join(format!("{id}.db"));
        match farm::backup::check(&path) {
            Ok(found) => {
                sound += 1;
                bytes += found.bytes;
            }
            Err(error) => checks.push(Check::bad("farm", error.to_string(), advice(&error))),
        }
    }
    let orphans = there.iter().filter(|id| !known.contains(id));
    checks.extend(orphans.map(|id| {
        Check::warning(
            "farm",
            format!("{id}.db belongs to no farm that the database knows"),
            "if hub.db was put back from an older copy, the farm was added later: keep the file; else move it away",
        )
    }));
    let mb = bytes / 1_000_000;
    let seen = format!("{} known, {sound} files sound, {mb} MB", known.len());
    checks.insert(0, Check::good("farms", seen));
    checks
}

fn advice(error: &OpenError) -> &'static str {
    match error {
        OpenError::Newer { .. } => "install that version: this one is older than the file",
        _ => {
            "stop the hub, keep the file, and put its newest copy back; with none, move it away: the farm's machine sends all again"
        }
    }
}

fn address(config: &Config) -> Check {
    let url = &config.web.url;
    match Address::of(url) {
        Ok(address) if address.is_https && !config.web.behind_proxy => Check::warning(
            "address",
            format!("{url}, and nobody says who calls"),
            "behind the proxy set web.behind_proxy = true: without it every visitor has the proxy's address, and few tries to log in",
        ),
        Ok(address) if address.is_https => Check::good("address", url.as_str()),
        Ok(_) => Check::warning(
            "address",
            format!("{url}: only this machine can reach it"),
            "set web.url to the https address under which people reach the proxy",
        ),
        Err(why) => Check::bad("address", format!("{url} {why}"), "correct web.url"),
    }
}
