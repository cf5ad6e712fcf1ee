//! Spreads the chunks that nodes ask for over time, so that an update never crowds out readings.
//!
//! Of each node only its newest request is kept: a node that lost chunks asks again, and what it asked before is void. So requests
//! that come twice, late or in any order cost nothing but bytes, and what is held is bounded by the number of nodes.

use std::{collections::BTreeMap, time::Duration};

use farm_model::DeviceId;
use firmware_protocol::{ChunkRequest, ImageId, MAX_CHUNK};

/// Part of an image to send to a node now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// To whom.
    pub device: DeviceId,
    /// Of which image.
    pub image: ImageId,
    /// From which byte on.
    pub offset: u32,
    /// How many, 1 to [`MAX_CHUNK`].
    pub length: u16,
}

/// What nodes asked for and was not sent yet. Time is the time since some start, and only grows.
#[derive(Debug)]
pub struct Feeder {
    bytes_per_second: u32,
    most: usize,
    asked: BTreeMap<DeviceId, Asked>,
}

#[derive(Debug)]
struct Asked {
    image: ImageId,
    next: u32,
    end: u32,
    chunk: u16,
    due: Duration,
}

impl Feeder {
    /// A feeder that sends each node at most so many bytes a second, and knows at most `most` nodes.
    pub fn new(bytes_per_second: u32, most: usize) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            most,
            asked: BTreeMap::new(),
        }
    }

    /// Takes a node's request for an image of `size` bytes in the place of its last one.
    pub fn ask(&mut self, device: DeviceId, request: &ChunkRequest, size: u32, now: Duration) {
        self.asked
            .retain(|_, asked| asked.is_open() || asked.due > now);
        let end = request.offset.saturating_add(request.length).min(size);
        if request.offset >= end || request.chunk == 0 {
            return self.forget(device);
        }
        // Who has just been served waits, however small its requests are.
        let due = match self.asked.get(&device) {
            Some(before) => before.due.max(now),
            None if self.asked.len() >= self.most => return,
            None => now,
        };
        let chunk = request.chunk.min(MAX_CHUNK as u16);
        let asked = Asked {
            image: request.image,
            next: request.offset,
            end,
            chunk,
            due,
        };
        self.asked.insert(device, asked);
    }

    /// Forgets what a node asked for.
    pub fn forget(&mut self, device: DeviceId) {
        if let Some(asked) = self.asked.get_mut(&device) {
            asked.end = asked.next;
        }
    }

    /// The piece that is due at `now`, if one is: at most one for each node between two calls that find nothing.
    pub fn next(&mut self, now: Duration) -> Option<Piece> {
        let due = |asked: &Asked| asked.is_open() && asked.due <= now;
        let (&device, asked) = self.asked.iter_mut().find(|(_, a)| due(a))?;
        let length = (asked.end - asked.next).min(asked.chunk.into()) as u16;
        let piece = Piece {
            device,
            image: asked.image,
            offset: asked.next,
            length,
        };
        asked.next += u32::from(length);
        let nanos = u64::from(length) * 1_000_000_000 / u64::from(self.bytes_per_second);
        asked.due = now + Duration::from_nanos(nanos.max(1));
        Some(piece)
    }

    /// When the next piece is due, if any is asked for.
    pub fn due(&self) -> Option<Duration> {
        let open = self.asked.values().filter(|a| a.is_open());
        open.map(|a| a.due).min()
    }
}

impl Asked {
    fn is_open(&self) -> bool {
        self.next < self.end
    }
}
