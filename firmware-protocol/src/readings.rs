//! Batches of readings, as a node keeps them in flash and sends them.
//!
//! A batch is written once, numbered by its place in the node's queue, and sent unchanged until it is acknowledged. On the
//! wire it is a [`Batch`] of postcard, one byte with the count of readings, then each reading: one byte of length, and that many
//! bytes of its own, so that a reading of a kind that is not known is skipped alone.

use serde::{Deserialize, Serialize};

use crate::{
    codes::{ClockQuality, Flaw, Measure, Quality},
    seal::Full,
};

/// Most readings in one batch.
pub const MAX_READINGS: usize = 100;

/// Kinds of readings that are no numbers.
mod tag_kind {
    pub(super) const ISO: u8 = 100;
    pub(super) const EPC: u8 = 101;
    pub(super) const EM4100: u8 = 102;
}

/// What holds for all readings of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// Which queue numbered it: see [`crate::Held::queue`].
    pub queue: u32,
    /// Its number in that queue, from 1, without gaps, never twice.
    pub number: u32,
    /// The boot that `ticks` counts from: an earlier one than the header's when the batch outlived a reset.
    pub boot: u32,
    /// Milliseconds from that boot to the earliest of the readings.
    pub ticks: u64,
    /// The same moment as the node's wall clock had it, in milliseconds since 1970; 0 when it was never told the time.
    pub unix_ms: u64,
    /// How well the clock was known that the node had been told.
    pub clock: ClockQuality,
}

/// A batch and its readings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Readings<'a> {
    /// What holds for all of them.
    pub batch: Batch,
    count: u8,
    items: &'a [u8],
}

impl<'a> Readings<'a> {
    /// The batch that these contents of a record are, such as a node finds in its flash.
    pub fn from_stored(contents: &'a [u8]) -> Option<Self> {
        Self::read(contents)
    }

    /// How many readings there are.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The readings in their order; one of a kind that is not known is a [`What::Unknown`].
    pub fn iter(&self) -> impl Iterator<Item = Reading<'a>> + use<'a> {
        self.items().filter_map(Reading::read)
    }

    /// The bytes of each reading.
    fn items(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.items;
        (0..self.count).map_while(move |_| {
            let (&length, after) = rest.split_first()?;
            let (item, after) = after.split_at_checked(length.into())?;
            rest = after;
            Some(item)
        })
    }

    pub(crate) fn read(contents: &'a [u8]) -> Option<Self> {
        let ((batch, count), items) = postcard::take_from_bytes::<(Batch, u8)>(contents).ok()?;
        let readings = Self {
            batch,
            count,
            items,
        };
        // Each has its head, so that what `iter` gives is all there is.
        let whole = readings.len() <= MAX_READINGS && readings.iter().count() == readings.len();
        whole.then_some(readings)
    }

    pub(crate) fn write(&self, to: &mut [u8]) -> Result<usize, Full> {
        let mut writer = ReadingsWriter::new(to, &self.batch)?;
        for item in self.items() {
            writer.add_bytes(|to| {
                to.get_mut(..item.len()).ok_or(Full)?.copy_from_slice(item);
                Ok(item.len())
            })?;
        }
        Ok(writer.used)
    }
}

/// Writes a batch into a buffer.
#[derive(Debug)]
pub struct ReadingsWriter<'b> {
    buffer: &'b mut [u8],
    count_at: usize,
    used: usize,
}

impl<'b> ReadingsWriter<'b> {
    /// A batch without readings.
    ///
    /// # Errors
    /// When `buffer` is too short.
    pub fn new(buffer: &'b mut [u8], batch: &Batch) -> Result<Self, Full> {
        let used = crate::record::write(&(batch, 0_u8), buffer)?;
        Ok(Self {
            buffer,
            count_at: used - 1,
            used,
        })
    }

    /// Adds a reading.
    ///
    /// # Errors
    /// When there is no room for it, or there are [`MAX_READINGS`]; the batch is as it was.
    pub fn add(&mut self, reading: &Reading<'_>) -> Result<(), Full> {
        self.add_bytes(|to| reading.write(to))
    }

    fn add_bytes(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Result<usize, Full>,
    ) -> Result<(), Full> {
        if usize::from(self.buffer[self.count_at]) == MAX_READINGS {
            return Err(Full);
        }
        let (length, to) = self.buffer[self.used..].split_first_mut().ok_or(Full)?;
        let written = write(to)?;
        *length = u8::try_from(written).map_err(|_| Full)?;
        self.used += 1 + written;
        self.buffer[self.count_at] += 1;
        Ok(())
    }

    /// The contents of the record, for flash and [`crate::FrameWriter::add_stored`].
    pub fn finish(self) -> &'b [u8] {
        &self.buffer[..self.used]
    }
}

/// How far a reading can be trusted, and what is wrong with it: quality in the lower two bits, flaw in the upper six.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// How far it can be trusted.
    pub quality: Quality,
    /// What is wrong with it.
    pub flaw: Flaw,
}

impl State {
    /// As measured.
    pub const GOOD: Self = Self {
        quality: Quality::Good,
        flaw: Flaw::None,
    };

    fn to_byte(self) -> u8 {
        (self.quality.code() & 3) | self.flaw.code() << 2
    }

    fn from_byte(byte: u8) -> Self {
        Self {
            quality: Quality::from_code(byte & 3),
            flaw: Flaw::from_code(byte >> 2),
        }
    }
}

/// One thing that a node measured or read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading<'a> {
    /// Milliseconds after the batch's `ticks`.
    pub after_ms: u32,
    /// Which of the node's inputs: 0 for the first or only one.
    pub channel: u8,
    /// How far it can be trusted.
    pub state: State,
    /// What it is.
    pub what: What<'a>,
}

/// What was measured or read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum What<'a> {
    /// A number in the measure's unit; when the quality is [`Quality::Missing`] it says nothing.
    Measured(Measure, i64),
    /// A tag in a reader's field.
    Tag(Tag<'a>),
    /// A kind that this version does not know.
    Unknown {
        /// The kind.
        kind: u8,
        /// What follows it.
        contents: &'a [u8],
    },
}

/// What a tag says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tag<'a> {
    /// ISO 11784: country or manufacturer up to 999, national code of 38 bits.
    Iso {
        /// Country or manufacturer.
        country: u16,
        /// National code.
        national: u64,
    },
    /// UHF product code, 4 to 62 bytes.
    Epc(&'a [u8]),
    /// EM4100 number, 40 bits.
    Em4100(u64),
}

/// What each reading begins with.
#[derive(Serialize, Deserialize)]
struct Head {
    after_ms: u32,
    channel: u8,
    state: u8,
    kind: u8,
}

impl<'a> Reading<'a> {
    /// A number as measured.
    pub fn good(after_ms: u32, channel: u8, measure: Measure, value: i64) -> Self {
        Self {
            after_ms,
            channel,
            state: State::GOOD,
            what: What::Measured(measure, value),
        }
    }

    /// A tag that was read.
    pub fn tag(after_ms: u32, channel: u8, tag: Tag<'a>) -> Self {
        Self {
            after_ms,
            channel,
            state: State::GOOD,
            what: What::Tag(tag),
        }
    }

    /// A number that should be there and is not.
    pub fn missing(after_ms: u32, channel: u8, measure: Measure, flaw: Flaw) -> Self {
        Self {
            after_ms,
            channel,
            state: State {
                quality: Quality::Missing,
                flaw,
            },
            what: What::Measured(measure, 0),
        }
    }

    fn read(item: &'a [u8]) -> Option<Self> {
        let (head, contents) = postcard::take_from_bytes::<Head>(item).ok()?;
        Some(Self {
            after_ms: head.after_ms,
            channel: head.channel,
            state: State::from_byte(head.state),
            what: What::read(head.kind, contents).unwrap_or(What::Unknown {
                kind: head.kind,
                contents,
            }),
        })
    }

    fn write(&self, to: &mut [u8]) -> Result<usize, Full> {
        let head = Head {
            after_ms: self.after_ms,
            channel: self.channel,
            state: self.state.to_byte(),
            kind: self.what.kind(),
        };
        let used = crate::record::write(&head, to)?;
        Ok(used + self.what.write(&mut to[used..])?)
    }
}

impl<'a> What<'a> {
    fn kind(&self) -> u8 {
        match self {
            Self::Measured(measure, _) => measure.code(),
            Self::Tag(Tag::Iso { .. }) => tag_kind::ISO,
            Self::Tag(Tag::Epc(_)) => tag_kind::EPC,
            Self::Tag(Tag::Em4100(_)) => tag_kind::EM4100,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    fn read(kind: u8, contents: &'a [u8]) -> Option<Self> {
        let tag = match kind {
            1..=99 => {
                let measure = Measure::from_code(kind);
                return crate::record::read(contents).map(|value| Self::Measured(measure, value));
            }
            tag_kind::ISO => {
                let (country, national) = crate::record::read(contents)?;
                Tag::Iso { country, national }
            }
            tag_kind::EPC => Tag::Epc(crate::record::read(contents)?),
            tag_kind::EM4100 => Tag::Em4100(crate::record::read(contents)?),
            _ => return None,
        };
        Some(Self::Tag(tag))
    }

    fn write(&self, to: &mut [u8]) -> Result<usize, Full> {
        match self {
            Self::Measured(_, value) => crate::record::write(value, to),
            Self::Tag(Tag::Iso { country, national }) => {
                crate::record::write(&(country, national), to)
            }
            Self::Tag(Tag::Epc(bytes)) => crate::record::write(bytes, to),
            Self::Tag(Tag::Em4100(number)) => crate::record::write(number, to),
            Self::Unknown { contents, .. } => {
                to.get_mut(..contents.len())
                    .ok_or(Full)?
                    .copy_from_slice(contents);
                Ok(contents.len())
            }
        }
    }
}
