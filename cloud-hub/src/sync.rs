//! What replication asks of the hub: whose key it is, where that farm's file is, who may join.
//!
//! Invariant: which farm a machine may exchange follows from the key that signed, never from what a body says.

use std::sync::Arc;

use farm::Farm;
use hub_accounts::{
    FarmId, Secret, SiteId,
    claims::{self, ClaimError, Newcomer},
};
use hub_store::{Store, StoreError};
use sync::{
    Site,
    farms::{Holder, Visit},
    keys::PublicKey,
    store::{Fault, Turn, Turned},
    wire::{Claim, Refusal, Welcome},
};

use crate::farms::{FarmFileError, Farms, Slot};

/// When to come again after the hub's own trouble.
const AGAIN_S: u32 = 30;

/// All farms, as replication sees them.
#[derive(Clone)]
pub(crate) struct Replicas {
    store: Store,
    farms: Farms,
}

impl Replicas {
    pub(crate) fn new(store: Store, farms: Farms) -> Self {
        Self { store, farms }
    }
}

/// A farm's file, opened when an exchange has something to do with it.
#[derive(Clone)]
pub(crate) struct Replica {
    farms: Farms,
    id: FarmId,
    slot: Arc<Slot>,
}

impl sync::Store for Replica {
    async fn turn(&self, turn: Turn) -> Result<Turned, Fault> {
        if let Some(turned) = self.slot.quiet(&turn) {
            return Ok(turned);
        }
        let commits = self.slot.commits();
        let open = self.farms.open(self.id).await.map_err(|error| {
            tracing::error!(error = %ErrorChain(&error), "a farm's file cannot be opened");
            Fault::Failed(Box::new(error))
        })?;
        let turned = sync::Store::turn(&open.farm, turn.clone()).await?;
        self.slot.keep(commits, &turn, &turned);
        Ok(turned)
    }

    fn committed(&self) -> u64 {
        self.slot.commits()
    }

    async fn news(&self, seen: u64) {
        self.slot.news(seen).await;
    }
}

impl sync::Farms for Replicas {
    type Farm = FarmId;
    type Store = Replica;

    async fn knows(&self, key: PublicKey) -> Result<(), Refusal> {
        let found = self.store.read(move |tx| claims::holder(tx, &key.0)).await;
        match found.map_err(|error| busy(&error))? {
            None => Err(Refusal::UnknownKey),
            Some(holder) if holder.revoked => Err(Refusal::Revoked),
            Some(_) => Ok(()),
        }
    }

    async fn holder(&self, key: PublicKey) -> Result<Option<Holder<FarmId>>, Refusal> {
        let found = self
            .store
            .read(move |tx| claims::holder(tx, &key.0))
            .await
            .map_err(|error| busy(&error))?;
        let Some(holder) = found else {
            return Ok(None);
        };
        if holder.ends_another && !holder.revoked {
            self.store
                .write(move |tx| claims::arrive(tx, &key.0))
                .await
                .map_err(|error| busy(&error))?;
        }
        Ok(Some(Holder {
            farm: holder.farm,
            site: Site(holder.site.0.into_bytes()),
            revoked: holder.revoked,
            rotate: holder.is_old,
        }))
    }

    async fn open(&self, farm: &FarmId) -> Result<Replica, Refusal> {
        let id = *farm;
        let there = self
            .store
            .read(move |tx| Ok::<_, StoreError>(hub_accounts::farms::get(tx, id)?.is_some()))
            .await;
        if !there.map_err(|error| busy(&error))? {
            return Err(Refusal::Gone);
        }
        Ok(Replica {
            farms: self.farms.clone(),
            id: *farm,
            slot: self.farms.slot(*farm),
        })
    }

    async fn closing(&self) {
        self.farms.ending().await;
    }

    async fn enrol(&self, key: PublicKey, claim: Claim) -> Result<Welcome, Refusal> {
        let code = Secret::typed(&claim.code);
        let newcomer = Newcomer {
            site: SiteId(uuid::Uuid::from_bytes(claim.site.0)),
            key: key.0,
            name: claim.name,
        };
        let joined = self
            .store
            .write(move |tx| {
                let farm = claims::claim(tx, &code, &newcomer)?;
                let found = hub_accounts::farms::get(tx, farm)?;
                Ok((farm, found.map(|f| f.name).unwrap_or_default()))
            })
            .await;
        let (farm, name) = joined.map_err(|error| match error {
            ClaimError::Store(error) => busy(&error),
            ClaimError::NotValid | ClaimError::KeyKnown | ClaimError::UnknownSite => Refusal::Code,
        })?;
        let open = self.farms.open(farm).await.map_err(no_file)?;
        let epoch = epoch(&open.farm).await?;
        Ok(Welcome {
            farm: name,
            epoch,
            now_ms: self.store.now().millis(),
        })
    }

    async fn rotate(&self, key: PublicKey, next: PublicKey) -> Result<(), Refusal> {
        let rotated = self
            .store
            .write(move |tx| claims::rotate(tx, &key.0, &next.0))
            .await;
        rotated.map_err(|error| match error {
            ClaimError::Store(error) => busy(&error),
            ClaimError::NotValid | ClaimError::KeyKnown | ClaimError::UnknownSite => {
                Refusal::Revoked
            }
        })
    }

    async fn heard(&self, farm: &FarmId, visit: Visit) {
        let (replicas, farm, site) = (self.clone(), *farm, visit.site);
        let waiting = i64::try_from(visit.waiting).unwrap_or(i64::MAX);
        // The reply waits for neither: a file may be opening, and a moment that is lost is told again by the next exchange.
        tokio::spawn(async move {
            let site = SiteId(uuid::Uuid::from_bytes(site.0));
            let noted = replicas
                .store
                .write(move |tx| claims::heard(tx, site, waiting))
                .await;
            if let Err(error) = noted {
                tracing::warn!(%error, "that a farm was heard was not written down");
            }
            if let Some(open) = replicas.farms.opened(farm).await {
                open.was_heard(replicas.store.now());
            }
        });
    }
}

/// How often the whole farm was seeded anew, as the hub's file knows.
async fn epoch(farm: &Farm) -> Result<u32, Refusal> {
    let epoch = farm
        .read(|conn| sync::site::epoch(conn).map_err(farm::StoreError::from))
        .await;
    epoch.map_err(|error| {
        tracing::error!(%error, "a farm's epoch cannot be read");
        Refusal::Busy { again_s: AGAIN_S }
    })
}

fn busy(error: &StoreError) -> Refusal {
    tracing::error!(%error, "an exchange met the hub's own trouble");
    Refusal::Busy { again_s: AGAIN_S }
}

fn no_file(error: FarmFileError) -> Refusal {
    match error {
        FarmFileError::Gone => Refusal::Gone,
        FarmFileError::Busy => Refusal::Busy { again_s: AGAIN_S },
        error => {
            tracing::error!(error = %ErrorChain(&error), "a farm's file cannot be opened");
            Refusal::Busy { again_s: AGAIN_S }
        }
    }
}

/// An error with its causes, for the log.
struct ErrorChain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}
