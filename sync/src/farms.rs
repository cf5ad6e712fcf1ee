//! The border to the hub: whose key it is, where that farm's file is, who may join.
//!
//! The hub implements [`Farms`]; the endpoint asks it on each request. A public key is its own name: whoever signs with it is
//! its holder, and the farm and the site follow from what the hub knows of the holder, never from what a body says.

use crate::{
    Site,
    keys::PublicKey,
    store::Store,
    wire::{Claim, Head, Refusal, Welcome},
};

/// All farms of a hub. Cheap to clone.
pub trait Farms: Clone + Send + Sync + 'static {
    /// How the hub names a farm.
    type Farm: Clone + Send + Sync + 'static;
    /// A farm's file.
    type Store: Store;

    /// Whether the holder of this key may come in, as far as can be said before anything is proved: nothing may change by it. No long body is
    /// held for anybody else. [`Refusal::UnknownKey`] or [`Refusal::Revoked`] when not.
    fn knows(&self, key: PublicKey) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Who holds this key, revoked ones included; `None` when nobody ever did. [`Refusal::Busy`] when the hub cannot tell now.
    fn holder(
        &self,
        key: PublicKey,
    ) -> impl Future<Output = Result<Option<Holder<Self::Farm>>, Refusal>> + Send;

    /// The file of a farm. [`Refusal::Busy`] when it cannot be opened now, [`Refusal::Gone`] when the farm was deleted.
    fn open(&self, farm: &Self::Farm) -> impl Future<Output = Result<Self::Store, Refusal>> + Send;

    /// Makes `key`, whose holder has proved that it holds it, the key of the claim's site in the farm that gave out the code. A code works once;
    /// but the same claim by the same key is answered the same again, because the first answer may have been lost.
    /// [`Refusal::Code`] when the code is wrong, spent or expired: do not tell which.
    fn enrol(
        &self,
        key: PublicKey,
        claim: Claim,
    ) -> impl Future<Output = Result<Welcome, Refusal>> + Send;

    /// Lets the holder of `key` use `next` as well, which has proved itself; `key` ends when `next` is first used, so that a lost answer
    /// locks nobody out. Doing it again changes nothing.
    fn rotate(
        &self,
        key: PublicKey,
        next: PublicKey,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Resolves when the hub is about to end: requests that wait for news are answered at once then. Never, if it does not say.
    fn closing(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// An exchange came through: how fresh the farm is, and what waits at the edge. Must not fail, and should not wait for a disk.
    fn heard(&self, farm: &Self::Farm, visit: Visit) -> impl Future<Output = ()> + Send;
}

/// Who holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder<F> {
    /// The farm that it may exchange.
    pub farm: F,
    /// The one site that it speaks for.
    pub site: Site,
    /// Whether the key was revoked or replaced.
    pub revoked: bool,
    /// Whether the hub would like another key in its place.
    pub rotate: bool,
}

/// What the hub learnt of an edge in one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The edge's site.
    pub site: Site,
    /// The key that signed.
    pub key: PublicKey,
    /// The version of its schema.
    pub schema: u32,
    /// How far its own streams go.
    pub heads: Vec<Head>,
    /// How many versions and facts of those are still to come.
    pub waiting: u64,
}
