//! Taking in what drivers and clients observed.

use std::collections::HashMap;

use farm_model::{
    Body, DeviceId, Flaw, Milli, Observation, PlaceId, Quality, Quantity, Stamp, Tag,
    observation::MAX_RAW,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    heat::{self, Half},
    series,
};
use crate::{
    animals,
    hearing::Word,
    live::{LiveValue, Origin},
    once,
    store::{After, Change, StoreError, Tx},
};

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct IngestReport {
    /// Stored.
    pub stored: usize,
    /// Not stored: the same device sent the same key before.
    pub duplicates: usize,
    /// Stored and flagged: not to be believed.
    pub flagged: usize,
}

/// What became of one observation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Stored.
    Stored,
    /// Stored and flagged: not to be believed.
    Flagged,
    /// Not stored: the same device sent the same key before.
    Duplicate,
}

impl FromIterator<Fate> for IngestReport {
    fn from_iter<I: IntoIterator<Item = Fate>>(fates: I) -> Self {
        let mut report = Self::default();
        for fate in fates {
            report.stored += usize::from(fate != Fate::Duplicate);
            report.flagged += usize::from(fate == Fate::Flagged);
            report.duplicates += usize::from(fate == Fate::Duplicate);
        }
        report
    }
}

/// Stores a batch of observations, and sums up what became of them: see [`ingest_each`].
///
/// # Errors
/// When the database fails; then nothing of the batch is stored.
pub fn ingest(tx: &mut Tx<'_>, observations: &[Observation]) -> Result<IngestReport, StoreError> {
    Ok(ingest_each(tx, observations)?.into_iter().collect())
}

/// Stores a batch of observations, and says what became of each.
///
/// Values outside physics are kept, flagged [`Flaw::OutOfPhysics`]. [`Body::Milked`] is not for this function but for
/// the milkings' own; it is counted as stored when its key is new. Newest values and events follow the commit.
///
/// # Errors
/// When the database fails; then nothing of the batch is stored.
pub fn ingest_each(tx: &mut Tx<'_>, observations: &[Observation]) -> Result<Vec<Fate>, StoreError> {
    let mut fates = Vec::with_capacity(observations.len());
    let mut taken = Taken::default();
    for observation in observations {
        if let Some(key) = &observation.key
            && !is_new(tx, observation.device, key)?
        {
            fates.push(Fate::Duplicate);
            continue;
        }
        let fate = match &observation.body {
            Body::Measured {
                quantity,
                value,
                quality,
                flaw,
            } => {
                let reading = Reading::checked(*quantity, *value, *quality, *flaw);
                taken.measured(tx, observation, *quantity, &reading)?
            }
            Body::Identified { tag } => {
                taken.identified(tx, observation, tag)?;
                Fate::Stored
            }
            Body::Milked { .. } | Body::Heard | Body::Silent { .. } => Fate::Stored,
        };
        fates.push(fate);
    }
    taken.derive(tx)?;
    taken.tell(tx);
    Ok(fates)
}

/// What a batch brings beside its rows.
#[derive(Default)]
struct Taken {
    newest: HashMap<(DeviceId, Quantity), LiveValue>,
    words: HashMap<(DeviceId, Option<Quantity>), Word>,
    places: HashMap<DeviceId, Option<PlaceId>>,
    halves: Vec<Half>,
}

impl Taken {
    fn measured(
        &mut self,
        tx: &mut Tx<'_>,
        observation: &Observation,
        quantity: Quantity,
        reading: &Reading,
    ) -> Result<Fate, StoreError> {
        let value = self.store(tx, observation, quantity, reading)?;
        if reading.quality != Quality::Missing {
            let who = (observation.device, Some(quantity));
            let word = self.words.entry(who).or_default();
            let is_good = reading.quality == Quality::Good;
            word.add(is_good, heard_at(tx, observation.at));
        }
        if matches!(quantity, Quantity::Temperature | Quantity::Humidity) {
            let at = observation.at;
            self.halves.push(Half { value, at });
        }
        Ok(match reading.quality {
            Quality::Bad => Fate::Flagged,
            _ => Fate::Stored,
        })
    }

    fn store(
        &mut self,
        tx: &mut Tx<'_>,
        observation: &Observation,
        quantity: Quantity,
        reading: &Reading,
    ) -> Result<LiveValue, StoreError> {
        let device = observation.device;
        append(tx, observation, quantity, reading)?;
        let value = LiveValue {
            device,
            quantity,
            place: place_of(tx, &mut self.places, device)?,
            value: reading.value,
            quality: reading.quality,
            flaw: reading.flaw,
            at: observation.at.wall,
            origin: Origin::Here,
        };
        let slot = self.newest.entry((device, quantity)).or_insert(value);
        if value.at >= slot.at {
            *slot = value;
        }
        Ok(value)
    }

    fn identified(
        &mut self,
        tx: &mut Tx<'_>,
        observation: &Observation,
        tag: &Tag,
    ) -> Result<(), StoreError> {
        let device = observation.device;
        keep_tag(tx, device, observation.at, &tag.to_string())?;
        let word = self.words.entry((device, None)).or_default();
        word.add(true, heard_at(tx, observation.at));
        let animal = animals::by_tag(tx.conn(), tag)?.map(|a| a.id);
        tx.tell(Change::Identified {
            device,
            tag: tag.clone(),
            animal,
        });
        Ok(())
    }

    /// Stores what follows from what was measured; nobody is heard by it.
    fn derive(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let halves = std::mem::take(&mut self.halves);
        for index in heat::indices(tx, &halves)? {
            if let Body::Measured {
                quantity,
                value,
                quality,
                flaw,
            } = index.body
            {
                let reading = Reading::checked(quantity, value, quality, flaw);
                self.store(tx, &index, quantity, &reading)?;
            }
        }
        Ok(())
    }

    /// Newest values and who was heard, once this is committed.
    fn tell(self, tx: &mut Tx<'_>) {
        let words = self
            .words
            .into_iter()
            .map(|((device, quantity), word)| After::Heard(device, quantity, word));
        tx.after
            .extend(self.newest.into_values().map(After::Newest));
        tx.after.extend(words);
    }
}

/// Says that a device sent bytes that made no sense: it is there, and yet not heard.
pub fn noise(tx: &mut Tx<'_>, device: DeviceId) {
    let mut word = Word::default();
    word.add(false, tx.now);
    tx.after.push(After::Heard(device, None, word));
}

/// Says that a frame of a node came at `at` and authenticated: the node is there, whatever the frame holds.
pub fn attended(tx: &mut Tx<'_>, device: DeviceId, at: Stamp) {
    let at = heard_at(tx, at);
    tx.after.push(After::Attended(device, at));
}

/// Says that a device was heard that told neither a value nor a tag, but a whole milking.
///
/// # Errors
/// When the database fails.
pub fn heard(tx: &mut Tx<'_>, device: DeviceId, at: Stamp) -> Result<(), StoreError> {
    let mut word = Word::default();
    word.add(true, heard_at(tx, at));
    tx.after.push(After::Heard(device, None, word));
    tx.conn()
        .prepare_cached(
            "INSERT INTO device_state (device, heard_at, heard_boot, heard_mono) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device) DO UPDATE SET heard_at = excluded.heard_at, heard_boot = excluded.heard_boot,
                heard_mono = excluded.heard_mono",
        )?
        .execute(params![device.as_bytes(), at.wall.0, at.boot, at.mono as i64])?;
    Ok(())
}

/// When it came by this run's clock, whatever the sender's says.
fn heard_at(tx: &Tx<'_>, at: Stamp) -> Stamp {
    let mono = if at.boot == tx.now.boot {
        at.mono.min(tx.now.mono)
    } else {
        tx.now.mono
    };
    Stamp { mono, ..tx.now }
}

/// A value with what is known of its quality.
struct Reading {
    value: Option<Milli>,
    quality: Quality,
    flaw: Option<Flaw>,
}

impl Reading {
    /// Whoever sends it, a good value is one that physics allows, and a missing one has no value.
    fn checked(
        quantity: Quantity,
        value: Option<Milli>,
        quality: Quality,
        flaw: Option<Flaw>,
    ) -> Self {
        match value {
            None => Self {
                value: None,
                quality: Quality::Missing,
                flaw,
            },
            Some(v) if quality == Quality::Good && !quantity.allows(v) => Self {
                value,
                quality: Quality::Bad,
                flaw: Some(Flaw::OutOfPhysics),
            },
            Some(_) if quality == Quality::Missing => Self {
                value,
                quality: Quality::Bad,
                flaw,
            },
            Some(_) => Self {
                value,
                quality,
                flaw,
            },
        }
    }
}

fn append(
    tx: &mut Tx<'_>,
    observation: &Observation,
    quantity: Quantity,
    reading: &Reading,
) -> Result<(), StoreError> {
    let series = series(tx, observation.device, quantity)?;
    let seq = tx.memory.next.reading;
    tx.memory.next.reading += 1;
    let raw = &observation.raw[..observation.raw.len().min(MAX_RAW)];
    tx.conn()
        .prepare_cached(
            "INSERT INTO reading_log (seq, series, at, value, quality, flaw, clock, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            seq,
            series,
            observation.at.wall.0,
            reading.value.map(|v| v.0),
            reading.quality as u8,
            reading.flaw.map(|f| f as u8),
            observation.at.clock as u8,
            (!raw.is_empty()).then_some(raw),
        ])?;
    Ok(())
}

fn place_of(
    tx: &Tx<'_>,
    known: &mut HashMap<DeviceId, Option<PlaceId>>,
    device: DeviceId,
) -> Result<Option<PlaceId>, StoreError> {
    if let Some(place) = known.get(&device) {
        return Ok(*place);
    }
    let place = place(tx.conn(), device)?;
    known.insert(device, place);
    Ok(place)
}

/// Where a device stands.
pub(crate) fn place(conn: &Connection, device: DeviceId) -> Result<Option<PlaceId>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT place FROM device WHERE id = ?1")?
        .query_row([device.as_bytes()], |row| row.get::<_, Option<[u8; 16]>>(0))
        .optional()?
        .flatten()
        .map(PlaceId::from_bytes))
}

fn keep_tag(tx: &Tx<'_>, device: DeviceId, at: Stamp, tag: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "INSERT INTO device_state (device, heard_at, heard_boot, heard_mono, last_tag, last_tag_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?2)
             ON CONFLICT (device) DO UPDATE SET heard_at = excluded.heard_at, heard_boot = excluded.heard_boot,
                heard_mono = excluded.heard_mono, last_tag = excluded.last_tag, last_tag_at = excluded.last_tag_at",
        )?
        .execute(params![device.as_bytes(), at.wall.0, at.boot, at.mono as i64, tag])?;
    Ok(())
}

/// Whether this key of this device is seen for the first time; remembers it if so.
fn is_new(tx: &Tx<'_>, device: DeviceId, key: &str) -> Result<bool, StoreError> {
    once::first(tx, once::key(device.as_bytes(), key))
}

/// Whether an observation of `device` with this key is stored already.
///
/// # Errors
/// When the database fails.
pub fn is_known(conn: &Connection, device: DeviceId, key: &str) -> Result<bool, StoreError> {
    once::is_known(conn, once::key(device.as_bytes(), key))
}
