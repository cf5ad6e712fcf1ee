//! What a phone wrote down while it was away, told when it is back: each record once, however often it is told.
//!
//! A record bears a name that its phone gave it. Invariant: a name stands for one content. The same again is known; something
//! else under a name that was used is refused, because one of the two would be lost in silence.

use farm_model::UnixMillis;
use sha2::{Digest as _, Sha256};

use crate::{
    events::{self, EventError, NewEvent},
    milkings::{self, MilkError, RecordMilk, Told},
    once,
    store::{Actor, StoreError, Tx, store_error},
};

/// A record of a phone.
#[derive(Clone, PartialEq, Debug)]
pub struct Pushed {
    /// What its phone calls it.
    pub name: String,
    /// All that it says, as it was told: what the same name is compared by.
    pub content: String,
    /// What it says.
    pub what: What,
}

/// What a record says.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// Milk was weighed; the key is set here.
    Milk {
        /// The milk.
        milk: RecordMilk,
        /// When it was noted down, by the phone's clock.
        written: UnixMillis,
    },
    /// Something happened to an animal.
    Event(NewEvent),
}

/// What became of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It was written down, as the milking or event of this identity.
    New(String),
    /// It was written down before.
    Known,
}

/// Why a record was not written down.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The name was used.
    #[error(
        "another record was pushed under this name: give each record a name of its own, such as a UUID, and push it again"
    )]
    NameTaken,
    /// As milk it cannot be.
    #[error(transparent)]
    Milk(#[from] MilkError),
    /// As an event it cannot be.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(PushError);

/// Writes a record down, unless the same person pushed it before.
///
/// # Errors
/// [`PushError`]; what was written down before stays.
pub fn keep(tx: &mut Tx<'_>, pushed: &Pushed) -> Result<Kept, PushError> {
    let sender = sender(tx.actor());
    let name = once::key(&sender, &format!("pushed {}", pushed.name));
    let whole = once::key(&name, &pushed.content);
    if !once::first(tx, name)? {
        return match once::is_known(tx.conn(), whole)? {
            true => Ok(Kept::Known),
            false => Err(PushError::NameTaken),
        };
    }
    once::first(tx, whole)?;
    match &pushed.what {
        What::Milk { milk, written } => {
            let key = format!("pushed {} {}", uuid::Uuid::from_bytes(sender), pushed.name);
            let milk = RecordMilk {
                key,
                ..milk.clone()
            };
            Ok(match milkings::record_written(tx, &milk, *written)? {
                Told::Recorded(id) => Kept::New(id.to_string()),
                Told::Known(_) => Kept::Known,
            })
        }
        What::Event(event) => Ok(Kept::New(events::record(tx, event)?.to_string())),
    }
}

/// Who pushes, whatever they are called by now: two phones of two people may use the same names.
fn sender(actor: &Actor) -> [u8; 16] {
    let who = match actor {
        Actor::Account { id, .. } => format!("hub:{id}"),
        other => other.to_string(),
    };
    let hash = Sha256::digest(who.as_bytes());
    *hash.first_chunk().expect("SHA-256 has 32 bytes")
}
