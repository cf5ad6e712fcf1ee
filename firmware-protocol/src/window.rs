//! What was seen already: of frames, so that a replay changes nothing; of batches, so that each is stored once.
//!
//! Both are small values that whoever keeps them writes to disk in the same commit as what the frame brought.

use crate::{
    control::{Ack, Held},
    header::Header,
};

/// How many numbers a window covers.
pub const WINDOW: u32 = 64;

/// Frames of one device and direction that were seen: the newest boot, its highest sequence number, and the 64 up to that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplayWindow {
    /// The newest boot that authenticated; earlier ones are over.
    pub boot: u32,
    /// The highest sequence number of that boot.
    pub newest: u64,
    /// Bit `i`: `newest - i` was seen.
    pub seen: u64,
}

/// What a [`ReplayWindow`] says of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replay {
    /// Not seen before.
    New,
    /// Seen before, or too old to tell: a redelivery, which is answered again but changes nothing.
    Seen,
    /// From a boot that is over.
    OldBoot,
}

impl ReplayWindow {
    /// Looks at the header of a frame that authenticated, and remembers it.
    pub fn take(&mut self, header: &Header) -> Replay {
        if header.boot < self.boot {
            return Replay::OldBoot;
        }
        if header.boot > self.boot || self.seen == 0 {
            *self = Self {
                boot: header.boot,
                newest: header.seq,
                seen: 1,
            };
            return Replay::New;
        }
        if header.seq > self.newest {
            let ahead = u32::try_from(header.seq - self.newest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = header.seq;
            return Replay::New;
        }
        let behind = u32::try_from(self.newest - header.seq).unwrap_or(u32::MAX);
        match 1_u64.checked_shl(behind) {
            Some(bit) if self.seen & bit == 0 => {
                self.seen |= bit;
                Replay::New
            }
            _ => Replay::Seen,
        }
    }
}

/// Batches of one device that are on disk, and what to acknowledge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AckWindow {
    /// The newest queue.
    pub queue: u32,
    /// This number and all below it are on disk, or lost for good.
    pub through: u32,
    /// Bit `i`: number `through + 1 + i` is on disk.
    pub also: u64,
}

/// What an [`AckWindow`] says of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// Not stored before: store it.
    New,
    /// Stored before: acknowledge it again.
    Known,
    /// More than [`WINDOW`] above the oldest that is missing: it will come again.
    TooFar,
    /// Of a queue that is no more.
    OldQueue,
}

impl AckWindow {
    /// Takes up what the node says it holds; how many batches are lost with that.
    pub fn held(&mut self, held: &Held) -> u32 {
        let floor = held.oldest.saturating_sub(1);
        if held.queue > self.queue {
            *self = Self {
                queue: held.queue,
                through: floor,
                also: 0,
            };
            return 0;
        }
        if held.queue < self.queue || floor <= self.through {
            return 0;
        }
        let passed = floor - self.through;
        let kept = self.also & 1_u64.checked_shl(passed).map_or(u64::MAX, |bit| bit - 1);
        self.through = floor;
        self.also = self.also.checked_shr(passed).unwrap_or(0);
        self.close_up();
        passed - kept.count_ones()
    }

    /// Looks at a batch's queue and number, and remembers it if it is to be stored.
    pub fn take(&mut self, queue: u32, number: u32) -> Arrival {
        if queue < self.queue {
            return Arrival::OldQueue;
        }
        if queue > self.queue {
            *self = Self {
                queue,
                ..Self::default()
            };
        }
        let Some(over) = number
            .checked_sub(self.through)
            .and_then(|n| n.checked_sub(1))
        else {
            return Arrival::Known;
        };
        let Some(bit) = 1_u64.checked_shl(over) else {
            return Arrival::TooFar;
        };
        if self.also & bit != 0 {
            return Arrival::Known;
        }
        self.also |= bit;
        self.close_up();
        Arrival::New
    }

    /// What may be told to the node once it is on disk.
    pub fn ack(&self) -> Ack {
        Ack {
            queue: self.queue,
            through: self.through,
            also: self.also,
        }
    }

    /// Moves what is without a gap from the bits to the number.
    fn close_up(&mut self) {
        let run = self.also.trailing_ones();
        self.through = self.through.saturating_add(run);
        self.also = self.also.checked_shr(run).unwrap_or(0);
    }
}
