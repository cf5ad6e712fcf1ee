//! Two slots for firmware, and how an update gets from one to the other whatever the supply does.
//!
//! The node runs the slot that is good for sure. A new image goes into the other one, whole sectors at a time; it is run on trial
//! once its hash is right, and kept once the node has found itself healthy. A start in the middle of a trial means that it went
//! badly: the old slot runs again. Invariants: an image is fetched only if the vendor signed it for this hardware; what runs
//! is whole.

use farm_firmware::TrustedKey;
use firmware_protocol::{
    Chunk, ChunkRequest, ImageId, MAX_CHUNK, Offer, Record, UpdateState, UpdateStatus, kind,
};
use sha2::{Digest as _, Sha256};

use super::{
    flash::{Flash, PowerLost, SECTOR},
    notes::{Key as Note, Notes},
};
use crate::rng::Rng;

/// Sectors that hold notes; the slots follow.
const NOTES: usize = 2;
/// Bytes that are asked for at once.
const ASKS: u32 = 4 * MAX_CHUNK as u32;

/// The slots of a node.
#[derive(Debug)]
pub struct Slots {
    /// What survives.
    pub flash: Flash,
    vendor: TrustedKey,
    hardware: String,
    sectors: usize,
    awake: Option<Awake>,
}

#[derive(Debug)]
struct Awake {
    notes: Notes,
    state: State,
    running: usize,
    has_news: bool,
    /// Up to where chunks were asked for.
    asked: u32,
}

/// How far an update is, as it stands in the notes.
#[derive(Clone, PartialEq, Eq, Debug)]
struct State {
    phase: UpdateState,
    /// The slot that is good for sure.
    active: usize,
    have: u32,
    image: Image,
}

/// An image: what a slot holds, or shall hold.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Image {
    size: u32,
    hash: [u8; 32],
    version: String,
}

impl Image {
    fn id(&self) -> ImageId {
        let [a, b, c, d, e, f, g, h, ..] = self.hash;
        ImageId([a, b, c, d, e, f, g, h])
    }

    fn write(&self) -> Vec<u8> {
        [
            &self.size.to_be_bytes()[..],
            &self.hash,
            self.version.as_bytes(),
        ]
        .concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk()?;
        let (hash, version) = rest.split_first_chunk()?;
        Some(Self {
            size: u32::from_be_bytes(*size),
            hash: *hash,
            version: String::from_utf8(version.to_vec()).ok()?,
        })
    }
}

impl State {
    fn write(&self) -> Vec<u8> {
        let head = [self.phase.code(), self.active as u8];
        [&head[..], &self.have.to_be_bytes(), &self.image.write()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[phase, active], rest) = bytes.split_first_chunk()?;
        let (have, image) = rest.split_first_chunk()?;
        Some(Self {
            phase: UpdateState::from_code(phase),
            active: active.into(),
            have: u32::from_be_bytes(*have),
            image: Image::read(image)?,
        })
    }
}

/// How a node finds itself on trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It measures, and reaches the farm.
    Good,
    /// It does not.
    Bad,
}

impl Slots {
    /// Slots of so many sectors each as they leave the bench, with `image` in the first.
    pub fn new(
        vendor: TrustedKey,
        hardware: &str,
        version: &str,
        image: &[u8],
        sectors: usize,
        rng: Rng,
    ) -> Self {
        let mut slots = Self {
            flash: Flash::blank(NOTES + 2 * sectors, rng),
            vendor,
            hardware: hardware.to_owned(),
            sectors,
            awake: None,
        };
        slots
            .make(version, image)
            .expect("the bench does not lose power");
        slots
    }

    fn make(&mut self, version: &str, image: &[u8]) -> Result<(), PowerLost> {
        let mut notes = Notes::format(&mut self.flash, 0)?;
        for (sector, part) in image.chunks(SECTOR).enumerate() {
            self.flash.program(NOTES + sector, 0, part)?;
        }
        let state = State {
            phase: UpdateState::Idle,
            active: 0,
            have: 0,
            image: Image {
                size: image.len() as u32,
                hash: Sha256::digest(image).into(),
                version: version.to_owned(),
            },
        };
        notes.put(&mut self.flash, Note::SlotA, &state.image.write())?;
        notes.put(&mut self.flash, Note::Update, &state.write())
    }

    /// Starts, and chooses the slot to run.
    ///
    /// # Errors
    /// When the supply fails.
    pub fn start(&mut self) -> Result<(), PowerLost> {
        self.awake = None;
        let mut notes = Notes::find(&self.flash, 0).expect("notes survive any loss of power");
        let stored = notes.get(Note::Update).and_then(State::read);
        let mut state = stored.expect("made on the bench");
        let mut running = state.active;
        match state.phase {
            UpdateState::Verified if self.is_whole(&notes, 1 - state.active) => {
                state.phase = UpdateState::Trying;
                running = 1 - state.active;
            }
            UpdateState::Verified => state.phase = UpdateState::Refused,
            UpdateState::Trying => state.phase = UpdateState::RolledBack,
            _ => {}
        }
        notes.put(&mut self.flash, Note::Update, &state.write())?;
        let has_news = state.phase != UpdateState::Idle;
        self.awake = Some(Awake {
            notes,
            state,
            running,
            has_news,
            asked: 0,
        });
        Ok(())
    }

    /// Takes all memory but flash away.
    pub fn reset(&mut self) {
        self.awake = None;
        self.flash.power_up();
    }

    /// The version and the bytes of what runs.
    pub fn runs(&self) -> Option<(String, Vec<u8>)> {
        let awake = self.awake.as_ref()?;
        let image = image_of(&awake.notes, awake.running)?;
        let bytes = self.bytes(awake.running, image.size);
        Some((image.version, bytes))
    }

    /// How far an update is.
    pub fn phase(&self) -> Option<UpdateState> {
        self.awake.as_ref().map(|awake| awake.state.phase)
    }

    /// The node has looked at itself: a good one keeps what it tries; a bad one must start again.
    ///
    /// # Errors
    /// When the supply fails.
    pub fn judge(&mut self, health: Health) -> Result<(), PowerLost> {
        let Some(awake) = self.awake.as_mut() else {
            return Ok(());
        };
        if awake.state.phase == UpdateState::Trying && health == Health::Good {
            let mut state = awake.state.clone();
            state.phase = UpdateState::Confirmed;
            state.active = awake.running;
            awake.put(&mut self.flash, state)?;
        }
        Ok(())
    }

    /// Whether it has something to say at once: how far it is, or that all that it asked for is there.
    pub fn has_news(&self) -> bool {
        let is_short = |awake: &Awake| awake.state.have >= awake.asked;
        self.awake.as_ref().is_some_and(|awake| {
            awake.has_news || (awake.state.phase == UpdateState::Fetching && is_short(awake))
        })
    }

    /// Whether it waits for chunks.
    pub fn is_fetching(&self) -> bool {
        self.phase() == Some(UpdateState::Fetching)
    }

    /// What it has to say: how far it is, if that is new, and what it needs next.
    pub fn say(&mut self) -> Vec<(u8, Vec<u8>)> {
        let Some(awake) = self.awake.as_mut() else {
            return Vec::new();
        };
        let state = &awake.state;
        awake.asked = state.have.saturating_add(ASKS).min(state.image.size);
        let image = state.image.id();
        let mut said = Vec::new();
        if std::mem::take(&mut awake.has_news) {
            let status = UpdateStatus {
                image,
                state: state.phase,
                have: state.have,
            };
            said.push(contents(&Record::UpdateStatus(status)));
        }
        if state.phase == UpdateState::Fetching {
            let request = ChunkRequest {
                image,
                offset: state.have,
                length: ASKS,
                chunk: MAX_CHUNK as u16,
            };
            said.push(contents(&Record::ChunkRequest(request)));
        }
        said
    }

    /// Takes what came down. Whether what was asked for is there, so that it is time to ask on.
    ///
    /// # Errors
    /// When the supply fails.
    pub fn hear(&mut self, record: &Record<'_>) -> Result<(), PowerLost> {
        match record {
            Record::Offer(offer) => self.offered(offer),
            Record::Chunk(chunk) => self.received(chunk),
            Record::Withdraw(withdraw) => {
                let Some(awake) = self.awake.as_mut() else {
                    return Ok(());
                };
                let open = matches!(
                    awake.state.phase,
                    UpdateState::Fetching | UpdateState::Verified
                );
                if open && awake.state.image.id() == withdraw.image {
                    let mut state = awake.state.clone();
                    state.phase = UpdateState::Idle;
                    awake.put(&mut self.flash, state)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn offered(&mut self, offer: &Offer<'_>) -> Result<(), PowerLost> {
        let is_good = self.is_signed(offer)
            && offer.hardware == self.hardware
            && offer.size as usize <= self.sectors * SECTOR;
        let Some(awake) = self.awake.as_mut() else {
            return Ok(());
        };
        let mut state = awake.state.clone();
        let same = state.image.hash == offer.hash;
        let at_it = matches!(
            state.phase,
            UpdateState::Fetching | UpdateState::Verified | UpdateState::Trying
        );
        if at_it && (same || state.phase == UpdateState::Trying) {
            awake.has_news = true;
            return Ok(());
        }
        let image = Image {
            size: offer.size,
            hash: offer.hash,
            version: offer.version.to_owned(),
        };
        if is_good {
            let note = slot_note(1 - state.active);
            awake.notes.put(&mut self.flash, note, &image.write())?;
        }
        state.phase = if is_good {
            UpdateState::Fetching
        } else {
            UpdateState::Refused
        };
        (state.have, state.image) = (0, image);
        awake.put(&mut self.flash, state)
    }

    fn is_signed(&self, offer: &Offer<'_>) -> bool {
        let mut room = [0; Offer::MAX_SIGNED];
        let signed = offer.signed(&mut room);
        signed.is_ok_and(|text| self.vendor.verifies(text, offer.signature.as_flattened()))
    }

    fn received(&mut self, chunk: &Chunk<'_>) -> Result<(), PowerLost> {
        let sectors = self.sectors;
        let Some(awake) = self.awake.as_mut() else {
            return Ok(());
        };
        let state = awake.state.clone();
        let expected = state.phase == UpdateState::Fetching
            && state.image.id() == chunk.image
            && state.have == chunk.offset
            && chunk.offset as usize + chunk.data.len() <= state.image.size as usize;
        if !expected {
            return Ok(());
        }
        let first = NOTES + (1 - state.active) * sectors;
        let mut at = chunk.offset as usize;
        for byte_run in runs_within_sectors(at, chunk.data) {
            if at.is_multiple_of(SECTOR) {
                // Whole sectors count after a loss of power; this one is begun anew then.
                let mut reached = state.clone();
                reached.have = at as u32;
                awake
                    .notes
                    .put(&mut self.flash, Note::Update, &reached.write())?;
                self.flash.erase(first + at / SECTOR)?;
            }
            self.flash
                .program(first + at / SECTOR, at % SECTOR, byte_run)?;
            at += byte_run.len();
        }
        awake.state.have = at as u32;
        if at == state.image.size as usize {
            self.complete()?;
        }
        Ok(())
    }

    /// All chunks are there: it is right, or worth nothing.
    fn complete(&mut self) -> Result<(), PowerLost> {
        let Some(mut awake) = self.awake.take() else {
            return Ok(());
        };
        let mut state = awake.state.clone();
        state.phase = if self.is_whole(&awake.notes, 1 - state.active) {
            UpdateState::Verified
        } else {
            UpdateState::Refused
        };
        awake.put(&mut self.flash, state)?;
        self.awake = Some(awake);
        Ok(())
    }

    fn is_whole(&self, notes: &Notes, slot: usize) -> bool {
        image_of(notes, slot).is_some_and(|image| {
            <[u8; 32]>::from(Sha256::digest(self.bytes(slot, image.size))) == image.hash
        })
    }

    fn bytes(&self, slot: usize, size: u32) -> Vec<u8> {
        let first = NOTES + slot * self.sectors;
        let sectors = (first..first + self.sectors).flat_map(|s| self.flash.sector(s));
        sectors.copied().take(size as usize).collect()
    }
}

impl Awake {
    fn put(&mut self, flash: &mut Flash, state: State) -> Result<(), PowerLost> {
        self.notes.put(flash, Note::Update, &state.write())?;
        self.state = state;
        self.has_news = true;
        Ok(())
    }
}

fn slot_note(slot: usize) -> Note {
    if slot == 0 { Note::SlotA } else { Note::SlotB }
}

fn image_of(notes: &Notes, slot: usize) -> Option<Image> {
    notes.get(slot_note(slot)).and_then(Image::read)
}

/// `data` that begins at `at`, cut where sectors end.
fn runs_within_sectors(at: usize, data: &[u8]) -> Vec<&[u8]> {
    let (first, rest) = data.split_at(data.len().min(SECTOR - at % SECTOR));
    let mut runs = vec![first];
    runs.extend(rest.chunks(SECTOR));
    runs
}

fn contents(record: &Record<'_>) -> (u8, Vec<u8>) {
    let mut room = [0; 128];
    let length = record.contents(&mut room).expect("what goes up is short");
    debug_assert!(matches!(
        record.kind(),
        kind::UPDATE_STATUS | kind::CHUNK_REQUEST
    ));
    (record.kind(), room[..length].to_vec())
}
