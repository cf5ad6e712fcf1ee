//! The queue in a node's flash: batches that wait until the farm says that they are on its disk.
//!
//! A ring of sectors. Each begins with a head: the queue's number, whose turn it was, and the number of its first batch; then come
//! batches, each with a checksum. A sector is erased when all its batches are acknowledged, or, when none is free, with the oldest ones.
//! Invariant: a batch's number is never given to another batch that was sent, and what `push` has returned from survives any
//! loss of power until it is acknowledged or the ring is full.

use std::collections::BTreeMap;

use super::flash::{Flash, PowerLost, SECTOR, checksum};

/// Bytes of a sector's head: queue, turn, first number, checksum.
const HEAD: usize = 16;
/// Bytes before a batch: length, number, checksum.
const ENTRY: usize = 10;
/// Longest batch: with what else is in a frame it fits one.
pub const MAX_BATCH: usize = 800;

/// The queue as the node has it in memory; the batches themselves are read from flash.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    /// The boot in which it was formatted.
    pub(super) number: u32,
    first: usize,
    last: usize,
    /// Sector that is written to, and where.
    active: Option<(usize, usize)>,
    /// Sectors begun so far.
    turn: u32,
    next: u32,
    /// Batches that wait, and where their contents lie.
    waiting: BTreeMap<u32, Place>,
    dropped: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    sector: usize,
    at: usize,
    length: usize,
}

impl Queue {
    /// Finds the queue in the flash's sectors from `first` on; one that is not there begins in this `boot`.
    pub(super) fn find(flash: &Flash, first: usize, boot: u32) -> Self {
        let mut queue = Self {
            number: boot,
            first,
            last: flash.sectors(),
            active: None,
            turn: 0,
            next: 1,
            waiting: BTreeMap::new(),
            dropped: 0,
        };
        let heads = queue.heads(flash);
        let Some((newest, _)) = heads.last() else {
            return queue;
        };
        queue.number = newest.queue;
        queue.turn = newest.turn;
        let number = queue.number;
        for (head, sector) in heads.into_iter().filter(|(head, _)| head.queue == number) {
            // The last one is the newest.
            let end = queue.scan(flash, sector, head.first);
            let clean = flash.sector(sector)[end..].iter().all(|&byte| byte == 0xff);
            queue.active = clean.then_some((sector, end));
        }
        queue
    }

    /// Takes up the whole batches of a sector; where they end.
    fn scan(&mut self, flash: &Flash, sector: usize, first: u32) -> usize {
        let mut end = HEAD;
        self.next = self.next.max(first);
        while let Some((number, length)) = entry(&flash.sector(sector)[end..]) {
            let at = end + ENTRY;
            let place = Place { sector, at, length };
            self.waiting.insert(number, place);
            end = at + length;
            self.next = self.next.max(number + 1);
        }
        end
    }

    /// The number that the next batch will have.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Number of the oldest batch that waits; the next one's when none does.
    pub(super) fn oldest(&self) -> u32 {
        self.waiting.keys().next().copied().unwrap_or(self.next)
    }

    /// Batches that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Batches that were dropped because the ring was full, since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The batches that wait, oldest first.
    pub(super) fn waiting<'f>(&self, flash: &'f Flash) -> impl Iterator<Item = (u32, &'f [u8])> {
        self.waiting.iter().map(|(&number, place)| {
            let contents = &flash.sector(place.sector)[place.at..place.at + place.length];
            (number, contents)
        })
    }

    /// Writes the next batch.
    ///
    /// # Errors
    /// When the supply fails: the batch is then in flash or it is not.
    pub(super) fn push(&mut self, flash: &mut Flash, batch: &[u8]) -> Result<u32, PowerLost> {
        assert!(batch.len() <= MAX_BATCH, "a batch must fit a frame");
        let (sector, at) = match self.active {
            Some((sector, at)) if at + ENTRY + batch.len() <= SECTOR => (sector, at),
            _ => (self.open(flash)?, HEAD),
        };
        let number = self.next;
        let length = batch.len() as u16;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(number.to_be_bytes());
        bytes.extend(checksum(&[
            &length.to_be_bytes(),
            &number.to_be_bytes(),
            batch,
        ]));
        bytes.extend(batch);
        self.active = None;
        flash.program(sector, at, &bytes)?;
        self.active = Some((sector, at + bytes.len()));
        let place = Place {
            sector,
            at: at + ENTRY,
            length: batch.len(),
        };
        self.waiting.insert(number, place);
        self.next += 1;
        Ok(number)
    }

    /// Lets go of the batches that `covers`, and erases the sectors that hold nothing else.
    ///
    /// # Errors
    /// When the supply fails; what was not erased is sent again.
    pub(super) fn acknowledge(
        &mut self,
        flash: &mut Flash,
        covers: impl Fn(u32) -> bool,
    ) -> Result<(), PowerLost> {
        self.waiting.retain(|&number, _| !covers(number));
        let newest = self.newest_sector(flash);
        for sector in self.first..self.last {
            let needed = self.waiting.values().any(|place| place.sector == sector);
            // The newest one tells which number comes next.
            if !needed && Some(sector) != newest && !flash.is_erased(sector) {
                flash.erase(sector)?;
            }
        }
        Ok(())
    }

    /// Opens a sector for writing: a free one, or that of the oldest batches.
    fn open(&mut self, flash: &mut Flash) -> Result<usize, PowerLost> {
        let newest = self.newest_sector(flash);
        let used = |queue: &Self, sector| queue.waiting.values().any(|p| p.sector == sector);
        let sector = (self.first..self.last)
            .find(|&sector| Some(sector) != newest && !used(self, sector))
            .or_else(|| self.waiting.values().next().map(|oldest| oldest.sector))
            .expect("a ring has two sectors or more");
        let before = self.waiting.len();
        self.waiting.retain(|_, place| place.sector != sector);
        self.dropped += (before - self.waiting.len()) as u64;
        if !flash.is_erased(sector) {
            flash.erase(sector)?;
        }
        let head = Head {
            queue: self.number,
            turn: self.turn + 1,
            first: self.next,
        };
        flash.program(sector, 0, &head.to_bytes())?;
        self.turn += 1;
        Ok(sector)
    }

    fn newest_sector(&self, flash: &Flash) -> Option<usize> {
        self.heads(flash).last().map(|&(_, sector)| sector)
    }

    /// The heads of all sectors, in the order in which they were written.
    fn heads(&self, flash: &Flash) -> Vec<(Head, usize)> {
        let mut heads: Vec<_> = (self.first..self.last)
            .filter_map(|sector| Some((Head::read(flash.sector(sector))?, sector)))
            .collect();
        heads.sort_unstable();
        heads
    }
}

/// What stands at the front of a sector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Head {
    /// Which queue.
    queue: u32,
    /// Counts the sectors that were begun. A number of a batch would not do: a sector may end before its first one is whole.
    turn: u32,
    /// The number of its first batch.
    first: u32,
}

impl Head {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = [self.queue, self.turn, self.first]
            .map(u32::to_be_bytes)
            .concat();
        bytes.extend(checksum(&[&bytes]));
        bytes
    }

    fn read(sector: &[u8]) -> Option<Self> {
        let (fields, rest) = sector.split_first_chunk::<12>()?;
        let (words, _) = fields.as_chunks::<4>();
        let [queue, turn, first] = [words[0], words[1], words[2]].map(u32::from_be_bytes);
        (rest[..4] == checksum(&[fields])).then_some(Self { queue, turn, first })
    }
}

fn entry(bytes: &[u8]) -> Option<(u32, usize)> {
    let (head, rest) = bytes.split_first_chunk::<ENTRY>()?;
    let length = u16::from_be_bytes([head[0], head[1]]).into();
    let contents = rest.get(..length)?;
    let whole = head[6..] == checksum(&[&head[..6], contents]);
    whole.then(|| {
        (
            u32::from_be_bytes([head[2], head[3], head[4], head[5]]),
            length,
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    proptest! {
        #[test]
        fn a_batch_that_was_written_stays_until_it_is_acknowledged(seed: u64, rounds in 1..30usize) {
            let mut rng = Rng::keyed(seed, &[1]);
            let mut flash = Flash::blank(6, Rng::keyed(seed, &[2]));
            let (mut kept, mut acknowledged) = (BTreeMap::<u32, Vec<u8>>::new(), 0);
            for boot in 1..=rounds as u32 {
                let mut queue = Queue::find(&flash, 0, boot);
                for (number, contents) in &kept {
                    let found = queue.waiting(&flash).find(|(n, _)| n == number);
                    prop_assert_eq!(found.map(|(_, c)| c), Some(&**contents), "batch {}", number);
                }
                flash.fail_after(rng.whole(0, 3_000) as u64);
                loop {
                    let batch = vec![rng.bits() as u8; rng.whole(1, 300) as usize];
                    let number = queue.next();
                    prop_assert!(number > acknowledged, "a number is not given twice");
                    let pushed = queue.push(&mut flash, &batch);
                    // A ring that is full drops the oldest; nothing else goes.
                    kept.retain(|n, _| queue.dropped() == 0 || *n >= queue.oldest());
                    if pushed.is_err() {
                        break;
                    }
                    kept.insert(number, batch);
                    if rng.chance(0.5) {
                        let upto = number - rng.whole(0, 3).min(i64::from(number) - 1) as u32;
                        let done = queue.acknowledge(&mut flash, |n| n <= upto);
                        acknowledged = acknowledged.max(upto);
                        kept.retain(|n, _| *n > acknowledged);
                        if done.is_err() {
                            break;
                        }
                    }
                }
                flash.power_up();
            }
        }
    }

    #[test]
    fn a_full_ring_drops_the_oldest_and_says_so() {
        let mut flash = Flash::blank(3, Rng::stream(1, "flash"));
        let mut queue = Queue::find(&flash, 0, 1);
        for number in 1..=40 {
            assert_eq!(queue.push(&mut flash, &[7; 500]), Ok(number));
        }
        assert!(queue.dropped() > 0 && queue.oldest() > 1);
        assert_eq!(queue.oldest() as u64, queue.dropped() + 1);
        let again = Queue::find(&flash, 0, 2);
        assert_eq!(
            (again.number, again.oldest(), again.next()),
            (1, queue.oldest(), 41)
        );
    }
}
