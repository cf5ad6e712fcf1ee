//! Bodies of requests, as they come in: how much of them is held at once, and for whom.
//!
//! A short one is anybody's. Past that the key that it names must be known, and it counts against what all of them may hold together; what is
//! not held is read to its end and dropped, because whoever still sends hears no answer. Whether the seal is whole is judged in a thread of its own.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use futures_util::StreamExt as _;
use sync::{
    Farms,
    keys::{self, Opened, PublicKey, Purpose},
    peer,
    wire::Refusal,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{BUSY_S, places::Places};

/// A slow line may take so long to bring a request.
const BODY_TIME: Duration = Duration::from_secs(180);
/// Bytes of a body that are held for anybody.
const FREE: usize = 16 * 1024;
/// Kibibytes of all bodies beyond that.
const HELD_KIB: usize = 128 * 1024;
/// Long bodies of one key at once: an edge sends one, and broken lines leave some behind.
const OF_ONE_KEY: usize = 4;

/// What is held of bodies.
pub(super) struct Bodies {
    room: Arc<Semaphore>,
    arriving: Places,
}

/// A whole body, and its share of what may be held.
#[derive(Default)]
pub(super) struct Arrived {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self {
            room: Arc::new(Semaphore::new(HELD_KIB)),
            arriving: Places::new(OF_ONE_KEY),
        }
    }

    /// Reads a body of at most so many bytes.
    pub(super) async fn read<F: Farms>(
        &self,
        farms: &F,
        body: Body,
        most: usize,
    ) -> Result<Arrived, Refusal> {
        let whole = tokio::time::timeout(BODY_TIME, self.collect(farms, body, most));
        whole.await.map_err(|_| Refusal::Unreadable)?
    }

    async fn collect<F: Farms>(
        &self,
        farms: &F,
        body: Body,
        most: usize,
    ) -> Result<Arrived, Refusal> {
        let mut pieces = body.into_data_stream();
        let (mut arrived, mut length) = (Arrived::default(), 0);
        let (mut place, mut refused) = (None, None);
        loop {
            let piece = tokio::select! {
                piece = pieces.next() => piece,
                () = super::lost(&mut place) => return Err(Refusal::Busy { again_s: BUSY_S }),
            };
            let Some(piece) = piece else { break };
            // Torn off on the way: nobody is left to read the answer.
            let piece = piece.map_err(|_| Refusal::TooLarge)?;
            length += piece.len();
            if length > most {
                return Err(Refusal::TooLarge);
            }
            if refused.is_some() {
                continue;
            }
            arrived.bytes.extend_from_slice(&piece);
            let held = async {
                if arrived.bytes.len() > FREE && place.is_none() {
                    let key = claimed(&arrived.bytes)?;
                    farms.knows(key).await?;
                    place = Some(self.arriving.take(key));
                }
                self.make_room(&mut arrived)
            };
            if let Err(refusal) = held.await {
                refused = Some(refusal);
                arrived = Arrived::default();
            }
        }
        refused.map_or(Ok(arrived), Err)
    }

    /// Accounts for what a body holds by now.
    fn make_room(&self, arrived: &mut Arrived) -> Result<(), Refusal> {
        let wanted = arrived.bytes.len().saturating_sub(FREE).div_ceil(1024);
        let held = arrived.room.as_ref().map_or(0, |room| room.num_permits());
        let more = u32::try_from(wanted.saturating_sub(held)).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.room).try_acquire_many_owned(more);
        let more = more.map_err(|_| Refusal::Busy { again_s: BUSY_S })?;
        match &mut arrived.room {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

fn claimed(beginning: &[u8]) -> Result<PublicKey, Refusal> {
    let key = keys::claimed(beginning).map_err(|error| peer::refuse(error.into()))?;
    key.ok_or(Refusal::Unreadable)
}

/// A request whose seal is whole.
pub(super) struct Proved {
    arrived: Arrived,
    pub(super) key: PublicKey,
    at_ms: i64,
    message_at: usize,
}

impl Proved {
    /// Judges the seal. Blocks: it reads all of the body.
    pub(super) fn of(purpose: Purpose, arrived: Arrived) -> Result<Self, Refusal> {
        let opened = keys::open(purpose, &arrived.bytes).map_err(peer::refuse)?;
        let Opened {
            key,
            at_ms,
            message,
        } = opened;
        let message_at = arrived.bytes.len() - message.len();
        Ok(Self {
            arrived,
            key,
            at_ms,
            message_at,
        })
    }

    pub(super) fn opened(&self) -> Opened<'_> {
        Opened {
            key: self.key,
            at_ms: self.at_ms,
            message: &self.arrived.bytes[self.message_at..],
        }
    }
}
