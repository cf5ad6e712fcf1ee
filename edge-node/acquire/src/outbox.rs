//! Between drivers and the channel: a bounded buffer that makes drivers wait when the rest of the edge is slow.
//!
//! A driver asks for [`Outbox::room`] before it reads its port and then pushes everything it decoded, so that a driver
//! killed at any await loses nothing that was decoded. While the buffer is full, readings of a tag between its first and
//! its last in the buffer are merged (and counted); distinct tags and values are never dropped: the driver waits, the
//! kernel's own buffer fills behind it, and a Modbus slave is simply asked later.
//! Invariant: what was pushed reaches the channel in order, or the channel is closed.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use farm_model::{Body, DeviceId, Observation, Tag};
use tokio::sync::{Notify, mpsc};

use crate::{Inbound, NodeFrame, RejectRecord, board::Board};

/// Most observations in one batch: as many as the writer likes to take in one command.
const BATCH: usize = 512;

/// Cheap to clone; all clones are one buffer.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    capacity: usize,
    board: Board,
    filled: Notify,
    drained: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    observations: VecDeque<Observation>,
    rejects: VecDeque<RejectRecord>,
    frames: VecDeque<NodeFrame>,
    closed: bool,
}

impl Outbox {
    pub(crate) fn new(capacity: usize, board: Board) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            capacity: capacity.max(1),
            board,
            filled: Notify::new(),
            drained: Notify::new(),
        }))
    }

    /// Hands on what was decoded. Never waits; ask for [`Self::room`] before reading more.
    pub(crate) fn push(
        &self,
        observations: impl IntoIterator<Item = Observation>,
        rejects: impl IntoIterator<Item = RejectRecord>,
    ) {
        let mut queue = self.lock();
        queue.observations.extend(observations);
        queue.rejects.extend(rejects);
        drop(queue);
        self.0.filled.notify_one();
    }

    /// Hands on frames. Never waits; ask for [`Self::room`] before reading more.
    pub(crate) fn push_frames(&self, frames: impl IntoIterator<Item = NodeFrame>) {
        self.lock().frames.extend(frames);
        self.0.filled.notify_one();
    }

    /// Waits until there is room for more, and says for how long that took: zero when there was room.
    pub(crate) async fn room(&self) -> Duration {
        if self.has_room() {
            return Duration::ZERO;
        }
        let begun = Instant::now();
        loop {
            let drained = self.0.drained.notified();
            if self.has_room() {
                return begun.elapsed();
            }
            drained.await;
        }
    }

    /// Lets [`Self::pump`] end when all is handed over.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.0.filled.notify_one();
    }

    /// Hands batches to `sink` until the box is closed and empty, or nobody listens any more.
    pub(crate) async fn pump(self, sink: mpsc::Sender<Inbound>) {
        loop {
            // The place in the channel comes first: until there is one, the batch stays here and can be merged.
            let Ok(place) = sink.reserve().await else {
                return;
            };
            let batch = loop {
                let filled = self.0.filled.notified();
                if let Some(batch) = self.take() {
                    break batch;
                }
                if self.lock().closed {
                    return;
                }
                tokio::select! {
                    () = filled => {}
                    () = sink.closed() => return,
                }
            };
            place.send(batch);
            self.0.drained.notify_waiters();
        }
    }

    fn has_room(&self) -> bool {
        let mut queue = self.lock();
        if queue.observations.len() >= self.0.capacity {
            for device in merge_repeats(&mut queue.observations) {
                self.0.board.error(device, "merged_repeat");
            }
        }
        let fullest = queue.observations.len().max(queue.rejects.len());
        fullest.max(queue.frames.len()) < self.0.capacity
    }

    fn take(&self) -> Option<Inbound> {
        let mut queue = self.lock();
        let observations = queue.observations.len().min(BATCH);
        let rejects = queue.rejects.len().min(BATCH);
        let frames = queue.frames.len().min(BATCH);
        let inbound = Inbound {
            observations: queue.observations.drain(..observations).collect(),
            rejects: queue.rejects.drain(..rejects).collect(),
            frames: queue.frames.drain(..frames).collect(),
        };
        (!inbound.is_empty()).then_some(inbound)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out each identification that is neither the first nor the last of its tag at its reader: when a cow came and
/// until when she was seen stay known. Returns the reader of each that was taken out.
fn merge_repeats(queue: &mut VecDeque<Observation>) -> Vec<DeviceId> {
    let mut seen: HashMap<(DeviceId, Tag), (usize, usize)> = HashMap::new();
    for (i, observation) in queue.iter().enumerate() {
        if let Body::Identified { tag } = &observation.body {
            seen.entry((observation.device, tag.clone()))
                .and_modify(|(_, last)| *last = i)
                .or_insert((i, i));
        }
    }
    let mut index = 0;
    let mut merged = Vec::new();
    queue.retain(|observation| {
        let here = index;
        index += 1;
        let Body::Identified { tag } = &observation.body else {
            return true;
        };
        let (first, last) = seen[&(observation.device, tag.clone())];
        let keep = here == first || here == last;
        if !keep {
            merged.push(observation.device);
        }
        keep
    });
    merged
}

#[cfg(test)]
mod tests {
    use farm_model::{Rfid, Stamp};

    use super::*;

    fn seen(device: DeviceId, national: u64, mono: u64) -> Observation {
        Observation {
            device,
            at: Stamp {
                mono,
                ..Stamp::default()
            },
            body: Body::Identified {
                tag: Tag::Rfid(Rfid::new(50, national).unwrap()),
            },
            raw: Vec::new(),
            key: None,
        }
    }

    #[test]
    fn only_repeats_between_the_first_and_the_last_are_merged() {
        let (a, b) = (DeviceId::new(), DeviceId::new());
        let mut queue: VecDeque<_> = [
            seen(a, 1, 0),
            seen(a, 1, 1),
            seen(b, 1, 2),
            seen(a, 2, 3),
            seen(a, 1, 4),
            seen(a, 1, 5),
        ]
        .into();
        assert_eq!(merge_repeats(&mut queue), [a, a]);
        let kept: Vec<_> = queue.iter().map(|o| o.at.mono).collect();
        assert_eq!(kept, [0, 2, 3, 5]);
    }

    #[tokio::test]
    async fn a_full_channel_makes_drivers_wait_and_loses_nothing() {
        let reader = DeviceId::new();
        let board = Board::new();
        board.keep(&[reader]);
        let outbox = Outbox::new(4, board.clone());
        let (sink, mut inbox) = mpsc::channel(1);
        let pump = tokio::spawn(outbox.clone().pump(sink));

        // The first batch fills the channel, the next ones the buffer.
        outbox.push([seen(reader, 100, 0)], []);
        while inbox.is_empty() {
            tokio::task::yield_now().await;
        }
        outbox.push((0..4).map(|n| seen(reader, n, n)), []);
        let mut waiting = tokio_util::task::AbortOnDropHandle::new(tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.room().await }
        }));
        tokio::task::yield_now().await;
        assert!(
            !waiting.is_finished(),
            "four distinct tags fill a buffer of four"
        );

        let first = inbox.recv().await.unwrap();
        assert_eq!(first.observations.len(), 1);
        let second = inbox.recv().await.unwrap();
        assert_eq!(second.observations.len(), 4);
        (&mut waiting).await.unwrap();
        assert!(board.list()[0].errors.is_empty());

        outbox.push((0..9).map(|n| seen(reader, 7, n)), []);
        outbox.close();
        let rest = inbox.recv().await.unwrap();
        assert_eq!(
            rest.observations.len(),
            9,
            "an empty channel merges nothing"
        );
        assert_eq!(inbox.recv().await, None);
        pump.await.unwrap();
    }
}
