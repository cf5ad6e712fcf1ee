//! What a microcontroller node and the edge say to each other: frames that are sealed per device, and the records in them.
//!
//! `no_std`, no allocation: a frame is written into and read from a buffer of the caller, [`MAX_FRAME`] bytes at most. The layout
//! is told byte by byte in `docs/firmware-protocol.md`, for whoever writes a node in another language; `vectors/` holds
//! frames to test against.
//!
//! A frame is a [`Header`] in the clear, then [`Record`]s under ChaCha20-Poly1305. Each record tells its length, so that one of
//! an unknown kind is skipped; fields may be added at a record's end, and are not seen by whoever does not know them.
//!
//! Three numbers, and what each is for:
//! - `boot` counts the starts of a node. It must be on flash, one higher, *before* the first frame of that start is sealed.
//! - `seq` counts the frames of a boot in one direction. With `boot` and the direction it is the nonce, so no two frames
//!   may ever share it: see [`Sequence`]. A receiver refuses what it has seen: see [`ReplayWindow`].
//! - `number` counts the batches of readings in a node's flash queue, over all boots. A batch keeps its number however often
//!   it is sent, in frames with fresh `seq`; by it the edge stores each batch once and acknowledges it: see
//!   [`Held`], [`Ack`], [`AckWindow`].
//!
//! Invariant: no bytes make anything here panic, or read more than [`MAX_FRAME`].
//!
//! ```
//! use firmware_protocol::*;
//!
//! // A node that started for the seventh time, with one batch in its flash.
//! let key = Key::new([7; 32]);
//! let node = DeviceId([1, 2, 3, 4, 5, 6, 7, 8]);
//! let mut sequence = Sequence::start(Direction::Up, node, 7);
//! let mut flash = [0; 256];
//! let mut batch = ReadingsWriter::new(&mut flash, &Batch { queue: 1, number: 1, boot: 7, ticks: 90_000, unix_ms: 0, clock: ClockQuality::Unknown })?;
//! batch.add(&Reading::good(0, 0, Measure::TemperatureMilliCelsius, 4_125))?;
//! let stored = batch.finish();
//!
//! let mut buffer = [0; MAX_FRAME];
//! let mut frame = FrameWriter::new(&mut buffer, &mut sequence)?;
//! frame.add(&Record::Held(Held { ticks: 93_000, queue: 1, oldest: 1, newest: 1 }))?;
//! frame.add_stored(kind::READINGS, stored)?;
//! let sent = frame.seal(&key);
//!
//! // The edge looks at the header to find the key, then opens the frame in place.
//! assert_eq!(Header::read(sent)?.device, node);
//! let opened = open(sent, &key)?;
//! for record in opened.records() {
//!     if let Record::Readings(readings) = record? {
//!         let reading = readings.iter().next().expect("one was added");
//!         assert_eq!(reading.what, What::Measured(Measure::TemperatureMilliCelsius, 4_125));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]

mod codes;
mod control;
mod header;
mod readings;
mod record;
mod seal;
mod serial;
mod update;
mod window;

pub use self::{
    codes::{
        Action, ClockQuality, Flaw, Measure, Outcome, Quality, ResetReason, Setting, UpdateState,
    },
    control::{
        Ack, Command, CommandResult, Config, ConfigReport, ConfigWriter, Held, Hello, MAX_SETTINGS,
        MAX_TEXT, TimeAnswer, TimeRequest,
    },
    header::{DeviceId, Direction, GENERATION, Header, HeaderError, MAX_SEQ, Sequence, VERSION},
    readings::{Batch, MAX_READINGS, Reading, Readings, ReadingsWriter, State, Tag, What},
    record::{Malformed, Record, Records, kind},
    seal::{FrameWriter, Full, Key, MAX_FRAME, OpenError, Opened, TAG_LEN, open},
    serial::{Deframer, MAX_SERIAL, TooLong, to_serial},
    update::{
        Chunk, ChunkRequest, ImageId, MAX_CHUNK, Offer, SIGNED_CONTEXT, UpdateStatus, Withdraw,
    },
    window::{AckWindow, Arrival, Replay, ReplayWindow, WINDOW},
};
