//! Records: what a frame holds, each with its kind and length.
//!
//! On the wire: one byte of kind, two bytes of length (little-endian), then that many bytes of contents, which are postcard's.
//! Invariant: contents only grow at their end. Whoever knows fewer fields does not look at the rest.

use serde::{Deserialize, Serialize};

use crate::{
    control::{
        Ack, Command, CommandResult, Config, ConfigReport, Held, Hello, TimeAnswer, TimeRequest,
    },
    readings::Readings,
    seal::Full,
    update::{Chunk, ChunkRequest, Offer, UpdateStatus, Withdraw},
};

/// Numbers of the kinds: below 64 from a node, from 64 on to a node.
pub mod kind {
    /// [`crate::Held`]
    pub const HELD: u8 = 1;
    /// [`crate::Readings`]
    pub const READINGS: u8 = 2;
    /// [`crate::Hello`]
    pub const HELLO: u8 = 3;
    /// [`crate::TimeRequest`]
    pub const TIME_REQUEST: u8 = 4;
    /// [`crate::ConfigReport`]
    pub const CONFIG_REPORT: u8 = 5;
    /// [`crate::CommandResult`]
    pub const COMMAND_RESULT: u8 = 6;
    /// [`crate::ChunkRequest`]
    pub const CHUNK_REQUEST: u8 = 7;
    /// [`crate::UpdateStatus`]
    pub const UPDATE_STATUS: u8 = 8;
    /// [`crate::Ack`]
    pub const ACK: u8 = 64;
    /// [`crate::TimeAnswer`]
    pub const TIME_ANSWER: u8 = 65;
    /// [`crate::Config`]
    pub const CONFIG: u8 = 66;
    /// [`crate::Command`]
    pub const COMMAND: u8 = 67;
    /// [`crate::Offer`]
    pub const OFFER: u8 = 68;
    /// [`crate::Chunk`]
    pub const CHUNK: u8 = 69;
    /// [`crate::Withdraw`]
    pub const WITHDRAW: u8 = 70;
}

/// Contents that are not what their kind says, or a frame that ends within a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a record of kind {kind} that cannot be read")]
pub struct Malformed {
    /// The kind that it claims.
    pub kind: u8,
}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $kind:path;)*) => {
        /// One thing said in a frame.
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub enum Record<'a> {
            $($(#[$doc])* $name($type),)*
            /// A kind that this version does not know, or contents encoded before.
            Unknown {
                /// The kind.
                kind: u8,
                /// The contents.
                contents: &'a [u8],
            },
        }

        impl<'a> Record<'a> {
            /// Its kind: see [`kind`].
            pub fn kind(&self) -> u8 {
                match self {
                    $(Self::$name(_) => $kind,)*
                    Self::Unknown { kind, .. } => *kind,
                }
            }

            /// The record of `kind` with `contents`.
            ///
            /// # Errors
            /// When they are not what a record of this kind begins with.
            pub fn read(kind: u8, contents: &'a [u8]) -> Result<Self, Malformed> {
                let read = match kind {
                    $($kind => <$type>::read(contents).map(Self::$name),)*
                    _ => Some(Self::Unknown { kind, contents }),
                };
                read.ok_or(Malformed { kind })
            }

            /// Writes the contents alone to the front of `to`; how many bytes.
            ///
            /// # Errors
            /// When they have no room.
            pub fn contents(&self, to: &mut [u8]) -> Result<usize, Full> {
                match self {
                    $(Self::$name(record) => record.write(to),)*
                    Self::Unknown { contents, .. } => {
                        to.get_mut(..contents.len()).ok_or(Full)?.copy_from_slice(contents);
                        Ok(contents.len())
                    }
                }
            }
        }
    };
}

records! {
    /// Up: what the node's queue holds, and its clock.
    Held(Held) = kind::HELD;
    /// Up: a batch of readings.
    Readings(Readings<'a>) = kind::READINGS;
    /// Up: a greeting after a start, and now and then.
    Hello(Hello<'a>) = kind::HELLO;
    /// Up: what time is it?
    TimeRequest(TimeRequest) = kind::TIME_REQUEST;
    /// Up: which configuration is in force.
    ConfigReport(ConfigReport) = kind::CONFIG_REPORT;
    /// Up: what became of a command.
    CommandResult(CommandResult) = kind::COMMAND_RESULT;
    /// Up: a part of a firmware image, please.
    ChunkRequest(ChunkRequest) = kind::CHUNK_REQUEST;
    /// Up: how far an update is.
    UpdateStatus(UpdateStatus) = kind::UPDATE_STATUS;
    /// Down: which batches are on the edge's disk.
    Ack(Ack) = kind::ACK;
    /// Down: the time.
    TimeAnswer(TimeAnswer) = kind::TIME_ANSWER;
    /// Down: the settings that shall be in force.
    Config(Config<'a>) = kind::CONFIG;
    /// Down: do this.
    Command(Command) = kind::COMMAND;
    /// Down: there is a firmware for this node.
    Offer(Offer<'a>) = kind::OFFER;
    /// Down: a part of a firmware image.
    Chunk(Chunk<'a>) = kind::CHUNK;
    /// Down: a firmware is not offered any more.
    Withdraw(Withdraw) = kind::WITHDRAW;
}

impl Record<'_> {
    /// Bytes in front of the contents.
    pub const OVERHEAD: usize = 3;

    /// Writes kind, length and contents to the front of `to`; how many bytes.
    pub(crate) fn write(&self, to: &mut [u8]) -> Result<usize, Full> {
        let (head, rest) = to.split_first_chunk_mut::<3>().ok_or(Full)?;
        let length = self.contents(rest)?;
        let [low, high] = u16::try_from(length).map_err(|_| Full)?.to_le_bytes();
        *head = [self.kind(), low, high];
        Ok(Self::OVERHEAD + length)
    }
}

/// The records of a frame. After one that is malformed the next is read; after a frame that ends within a record, none.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(plain: &'a [u8]) -> Self {
        Self { rest: plain }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = *self.rest.first()?;
        let rest = core::mem::take(&mut self.rest);
        let Some((&[_, low, high], rest)) = rest.split_first_chunk() else {
            return Some(Err(Malformed { kind }));
        };
        let Some((contents, rest)) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())
        else {
            return Some(Err(Malformed { kind }));
        };
        self.rest = rest;
        Some(Record::read(kind, contents))
    }
}

/// Contents that are one struct of postcard, with whatever was added after its end.
pub(crate) fn read<'a, T: Deserialize<'a>>(contents: &'a [u8]) -> Option<T> {
    postcard::take_from_bytes(contents)
        .ok()
        .map(|(value, _)| value)
}

pub(crate) fn write<T: Serialize>(value: &T, to: &mut [u8]) -> Result<usize, Full> {
    postcard::to_slice(value, to)
        .map(|used| used.len())
        .map_err(|_| Full)
}

/// Gives a struct of postcard its reading and writing.
macro_rules! plain {
    ($($name:ident $(<$life:lifetime>)?),*) => {$(
        impl<'a> $name $(<$life>)? {
            pub(crate) fn read(contents: &'a [u8]) -> Option<Self> {
                crate::record::read(contents)
            }

            pub(crate) fn write(&self, to: &mut [u8]) -> Result<usize, crate::seal::Full> {
                crate::record::write(self, to)
            }
        }
    )*};
}
pub(crate) use plain;
