//! The few values that a node keeps for good: its boot number, the newest command it did, its configuration.
//!
//! Two sectors take turns: values are appended to one; when it is full, or ends in a torn write, the newest of each key go to
//! the other, whose head is written last. Invariant: a value that `put` has returned from is found again after any loss of power.

use std::collections::BTreeMap;

use super::flash::{Flash, PowerLost, SECTOR, checksum};

/// Bytes of a sector's head: generation and its checksum.
const HEAD: usize = 8;
/// Bytes before a value: key, length, checksum.
const ENTRY: usize = 6;

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(super) enum Key {
    /// How often the node has started: u32.
    Boot = 1,
    /// The newest command that was done: u32.
    Command = 2,
    /// The configuration in force, as its record had it.
    Config = 3,
    /// How far an update of the firmware is.
    Update = 4,
    /// What the first slot holds.
    SlotA = 5,
    /// What the second slot holds.
    SlotB = 6,
}

/// The values, and where the next one goes.
#[derive(Clone, Debug)]
pub(super) struct Notes {
    first: usize,
    active: usize,
    generation: u32,
    end: usize,
    values: BTreeMap<u8, Vec<u8>>,
}

impl Notes {
    /// Makes sectors `first` and the one after it ready, when the node is made.
    ///
    /// # Errors
    /// When the supply fails; it is to be done again.
    pub(super) fn format(flash: &mut Flash, first: usize) -> Result<Self, PowerLost> {
        let mut notes = Self {
            first,
            active: 1,
            generation: 0,
            end: SECTOR,
            values: BTreeMap::new(),
        };
        flash.erase(first + 1)?;
        notes.turn_over(flash)?;
        Ok(notes)
    }

    /// Finds the values; `None` when neither sector has any.
    pub(super) fn find(flash: &Flash, first: usize) -> Option<Self> {
        let (generation, active) = [0, 1]
            .into_iter()
            .filter_map(|side| Some((head(flash.sector(first + side))?, side)))
            .max()?;
        let mut notes = Self {
            first,
            active,
            generation,
            end: HEAD,
            values: BTreeMap::new(),
        };
        let sector = flash.sector(first + active);
        while let Some((key, value)) = entry(&sector[notes.end..]) {
            notes.end += ENTRY + value.len();
            notes.values.insert(key, value.to_vec());
        }
        if sector[notes.end..].iter().any(|&byte| byte != 0xff) {
            notes.end = SECTOR;
        }
        Some(notes)
    }

    /// A value.
    pub(super) fn get(&self, key: Key) -> Option<&[u8]> {
        self.values.get(&(key as u8)).map(Vec::as_slice)
    }

    /// A value that is a number; 0 when there is none.
    pub(super) fn number(&self, key: Key) -> u32 {
        let bytes = self.get(key).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    }

    /// Keeps a value of at most 255 bytes in place of the one before.
    ///
    /// # Errors
    /// When the supply fails; either value may be found then.
    pub(super) fn put(
        &mut self,
        flash: &mut Flash,
        key: Key,
        value: &[u8],
    ) -> Result<(), PowerLost> {
        let length = u8::try_from(value.len()).expect("notes are short");
        self.values.insert(key as u8, value.to_vec());
        if self.end + ENTRY + value.len() > SECTOR {
            return self.turn_over(flash);
        }
        let bytes = to_bytes(key as u8, length, value);
        flash.program(self.first + self.active, self.end, &bytes)?;
        self.end += bytes.len();
        Ok(())
    }

    fn turn_over(&mut self, flash: &mut Flash) -> Result<(), PowerLost> {
        let other = 1 - self.active;
        let sector = self.first + other;
        flash.erase(sector)?;
        let mut end = HEAD;
        for (&key, value) in &self.values {
            let bytes = to_bytes(key, value.len() as u8, value);
            flash.program(sector, end, &bytes)?;
            end += bytes.len();
        }
        let generation = (self.generation + 1).to_be_bytes();
        let mut bytes = generation.to_vec();
        bytes.extend(checksum(&[&generation]));
        flash.program(sector, 0, &bytes)?;
        self.generation += 1;
        self.active = other;
        self.end = end;
        Ok(())
    }
}

fn to_bytes(key: u8, length: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![key, length];
    bytes.extend(checksum(&[&[key, length], value]));
    bytes.extend(value);
    bytes
}

fn head(sector: &[u8]) -> Option<u32> {
    let (generation, crc) = sector[..HEAD].split_first_chunk::<4>()?;
    (crc == checksum(&[generation])).then(|| u32::from_be_bytes(*generation))
}

fn entry(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (head, rest) = bytes.split_at_checked(ENTRY)?;
    let value = rest.get(..head[1].into())?;
    (head[2..] == checksum(&[&head[..2], value])).then_some((head[0], value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Rng;

    proptest! {
        #[test]
        fn what_was_put_is_found_after_any_loss_of_power(seed: u64, writes in prop::collection::vec(0..6_000u64, 1..12)) {
            let mut flash = Flash::blank(2, Rng::keyed(seed, &[]));
            Notes::format(&mut flash, 0).unwrap();
            let mut boot = 0;
            for energy in writes {
                let mut notes = Notes::find(&flash, 0).unwrap();
                let found = notes.number(Key::Boot);
                prop_assert!(found >= boot, "{found} after {boot}");
                boot = found;
                flash.fail_after(energy);
                while notes.put(&mut flash, Key::Boot, &(boot + 1).to_be_bytes()).is_ok() {
                    boot += 1;
                }
                flash.power_up();
            }
        }
    }
}
