//! The border to the farm's hub: whether the farm is sent there, how that goes, and the two deeds, to join and to leave.

use std::time::Duration;

use farm::{Actor, StoreError};
use futures_util::future::BoxFuture;

/// The appliance's way to the hub.
pub trait HubLink: Send + Sync + 'static {
    /// How it stands.
    fn standing(&self) -> BoxFuture<'_, Result<HubStanding, StoreError>>;

    /// Joins the farm that gave out this claim code, as both were typed.
    fn join(
        &self,
        actor: Actor,
        address: String,
        code: String,
    ) -> BoxFuture<'_, Result<(), JoinError>>;

    /// Sends the farm there no more, and forgets the key.
    fn leave(&self, actor: Actor) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Tries again now.
    fn hurry(&self) -> BoxFuture<'_, ()>;
}

/// Whether the farm is sent to a hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HubStanding {
    /// The configuration says that it is not to be.
    Off,
    /// To none.
    Alone,
    /// To this one.
    Joined(JoinedHub),
}

/// A hub that the farm is sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinedHub {
    /// Its address.
    pub address: String,
    /// The farm's name there.
    pub farm: String,
    /// How long ago it last answered; `None` when it did not since the appliance started.
    pub heard_ago: Option<Duration>,
    /// Versions of records and facts that it does not hold yet.
    pub waiting: u64,
    /// Whether all that the hub had is here.
    pub current: bool,
    /// What stands in the way.
    pub trouble: Option<HubTrouble>,
    /// When it is tried again.
    pub again_in: Duration,
    /// Kinds of records and facts that one side cannot take at present.
    pub set_aside: usize,
    /// Demonstrations only: where the line can be cut.
    pub switch: Option<String>,
}

macro_rules! troubles {
    ($($(#[$doc:meta])* $name:ident = $key:literal;)*) => {
        /// What may stand between the farm and its hub.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum HubTrouble { $($(#[$doc])* $name,)* }

        impl HubTrouble {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in figures and logs.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }
        }
    };
}

troubles! {
    /// Nobody answers.
    Unreached = "unreached";
    /// Nobody answers in time.
    Slow = "slow";
    /// The certificate is not to be trusted.
    Untrusted = "untrusted";
    /// Somebody else answers, such as a log-in page.
    Foreign = "foreign";
    /// What comes is damaged on the way.
    Garbled = "garbled";
    /// The hub does not know the key.
    Unknown = "unknown";
    /// The hub has withdrawn the key.
    Revoked = "revoked";
    /// The key belongs to another file.
    NotOurs = "not_ours";
    /// One of the two is too old.
    Version = "version";
    /// This farm's file was restored or copied.
    Copied = "copied";
    /// The hub's file of the farm was.
    HubRestored = "hub_restored";
    /// The farm began anew at the hub.
    Anew = "anew";
    /// The farm was deleted at the hub.
    Gone = "gone";
    /// The farm has too many appliances.
    TooMany = "too_many";
    /// The hub is busy, or asks for another signature: it passes by itself.
    Busy = "busy";
    /// A change is too large to be sent.
    TooLarge = "too_large";
    /// Nothing moves.
    Stuck = "stuck";
    /// This farm's file cannot be read or written.
    Store = "store";
}

impl HubTrouble {
    /// Whether another claim code mends it.
    pub fn wants_a_code(self) -> bool {
        use HubTrouble::{Anew, Gone, NotOurs, Revoked, Unknown};
        matches!(self, Unknown | Revoked | NotOurs | Anew | Gone)
    }
}

/// Why the farm was not joined.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JoinError {
    /// The configuration switches the hub off.
    #[error("the hub is switched off: set `hub.enabled = true` in the configuration and restart")]
    Off,
    /// It is no address.
    #[error("this is no web address: write it as https://hub.example.org")]
    NotAnAddress,
    /// It would go over the line in the clear.
    #[error("the hub must be reached over https: only a hub on this very machine may be http")]
    InTheClear,
    /// The configuration does not allow it.
    #[error("this hub is not among those that `hub.allowed` names in the configuration")]
    NotAllowed,
    /// It is no claim code.
    #[error(
        "a claim code has 16 letters and digits, as in 4GZ7-2MNC-K0QX-8TWB: type it as the hub shows it"
    )]
    NotACode,
    /// The farm is sent to a hub already.
    #[error("the farm is connected to a hub already: leave that one first")]
    Joined,
    /// The code opens nothing.
    #[error("this claim code is wrong, used or out of date: ask for a new one at the hub")]
    Code,
    /// The farm began anew at the hub.
    #[error(
        "the farm was set up anew at the hub: start this appliance with an empty farm file, then connect it with a new code"
    )]
    NotEmpty,
    /// Something stands in the way.
    #[error("the hub did not take the claim ({}): look at its address and the line, then try again", .0.key())]
    Trouble(HubTrouble),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
