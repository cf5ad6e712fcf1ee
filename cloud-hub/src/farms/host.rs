//! What a farm's pages ask of the hub: whether who looks may go on, and when the farm was last heard.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use farm_model::{Clock, UnixMillis};
use farm_web::{Host, Part, Visitor};
use futures_util::future::BoxFuture;
use hub_accounts::{
    AccountId, FarmId, Role, farms,
    ids::SessionId,
    sessions::{self, Lifetimes},
};
use hub_store::{Micros, Store, StoreError};

/// The hub, as one farm's pages see it.
pub(crate) struct AtTheHub {
    store: Store,
    lives: Lifetimes,
    farm: FarmId,
    /// Microseconds since 1970; 0 when it never was.
    heard: AtomicI64,
    /// The farm's time, when it is not the hub's.
    simulated: Option<Arc<dyn Clock>>,
}

impl AtTheHub {
    pub(crate) fn new(
        store: Store,
        lives: Lifetimes,
        farm: FarmId,
        heard: Option<Micros>,
        simulated: Option<Arc<dyn Clock>>,
    ) -> Self {
        Self {
            store,
            lives,
            farm,
            heard: AtomicI64::new(heard.map_or(0, |at| at.0)),
            simulated,
        }
    }

    pub(crate) fn was_heard(&self, now: Micros) {
        self.heard.fetch_max(now.0, Ordering::Relaxed);
    }

    async fn still_stands(&self, visitor: &Visitor) -> Option<bool> {
        let account: AccountId = visitor.account.parse().ok()?;
        let session: SessionId = visitor.session.parse().ok()?;
        let (farm, lives, part) = (self.farm, self.lives, visitor.part);
        let stands = self
            .store
            .read(move |tx| {
                let open = sessions::is_open(tx, account, session, lives)?;
                let role = farms::role_of(tx, account, farm)?;
                Ok::<_, StoreError>(open && role.map(part_of) == Some(part))
            })
            .await;
        stands.ok()
    }
}

impl Host for AtTheHub {
    fn stands<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, bool> {
        Box::pin(async { self.still_stands(visitor).await.unwrap_or(false) })
    }

    fn heard(&self) -> Option<UnixMillis> {
        let heard = match self.heard.load(Ordering::Relaxed) {
            0 => return None,
            at => Micros(at).millis(),
        };
        Some(match &self.simulated {
            None => UnixMillis(heard),
            // The line lives in real time, however fast the farm does.
            Some(clock) => clock.now().wall.plus(heard - self.store.now().millis()),
        })
    }
}

/// The part that a member has on the farm's pages.
pub(crate) fn part_of(role: Role) -> Part {
    match role {
        Role::ReadOnly => Part::Reader,
        Role::Worker => Part::Worker,
        Role::Vet => Part::Vet,
        Role::Manager => Part::Manager,
        Role::Owner => Part::Owner,
    }
}
