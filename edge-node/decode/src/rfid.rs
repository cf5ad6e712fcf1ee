//! RFID readers: bytes of a serial port in, tags out, one decoder per dialect behind one type.
//!
//! A [`Decoder`] is fed whatever the port gave, in pieces of any size, and calls back with each tag and each reject.
//! Invariants: the cut of the pieces never changes what comes out; every byte belongs to at most one read or reject;
//! at most [`MAX_PENDING`] bytes are held; a frame that fails is searched again for the start of a true one.

mod dedup;
mod frames;
pub mod iso11784;
mod lines;
pub mod template;

use farm_model::{device::RfidDialect, observation::MAX_RAW, tag::Tag};

pub use dedup::Dedup;
pub use template::{Template, TemplateError};

use frames::{Family, Scan};
use lines::Lines;

/// Most bytes that a decoder holds while it waits for more.
pub const MAX_PENDING: usize = 256;

/// A tag that a reader read, and the bytes that said so (at most [`MAX_RAW`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    /// The tag.
    pub tag: Tag,
    /// The frame or line it came in.
    pub raw: Vec<u8>,
}

/// Bytes that were no tag, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reject {
    /// Why.
    pub reason: RejectReason,
    /// The bytes, at most the first [`MAX_RAW`].
    pub raw: Vec<u8>,
}

/// Why bytes were rejected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum RejectReason {
    /// Bytes between frames that belong to none.
    #[error("bytes outside any frame")]
    Noise,
    /// The checksum does not match.
    #[error("the checksum does not match")]
    Checksum,
    /// The shape is not that of a frame: end byte, length or layout.
    #[error("not the shape of a frame")]
    BadFrame,
    /// Hexadecimal digits were expected.
    #[error("expected hexadecimal digits")]
    NotHex,
    /// The line is not of the form that this reader writes.
    #[error("the line is not of the expected form")]
    NoMatch,
    /// A number exceeds what an identity can hold.
    #[error("a number exceeds what an identity can hold")]
    OutOfRange,
    /// The transponder says that it is not an animal's, or its number is zero.
    #[error("not an animal's transponder, or number zero")]
    AnimalZero,
    /// Longer than any true frame or line.
    #[error("longer than any true frame or line")]
    TooLong,
    /// The line went quiet in the middle of a frame.
    #[error("the line went quiet in the middle of a frame")]
    Partial,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::Noise,
        Self::Checksum,
        Self::BadFrame,
        Self::NotHex,
        Self::NoMatch,
        Self::OutOfRange,
        Self::AnimalZero,
        Self::TooLong,
        Self::Partial,
    ];

    /// The name used in metrics, the quarantine and as a translation key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Checksum => "checksum",
            Self::BadFrame => "bad_frame",
            Self::NotHex => "not_hex",
            Self::NoMatch => "no_match",
            Self::OutOfRange => "out_of_range",
            Self::AnimalZero => "animal_zero",
            Self::TooLong => "too_long",
            Self::Partial => "partial",
        }
    }
}

/// A streaming decoder for one reader.
#[derive(Debug)]
pub struct Decoder(Kind);

#[derive(Debug)]
enum Kind {
    Frames(Frames),
    Lines(Lines),
}

impl Decoder {
    /// A decoder for `dialect`, holding no bytes.
    ///
    /// # Errors
    /// When the dialect is a line template that cannot be understood.
    pub fn new(dialect: &RfidDialect) -> Result<Self, TemplateError> {
        Ok(Self(match dialect {
            RfidDialect::Wl134a => Kind::Frames(Frames::new(Family::Wl134a)),
            RfidDialect::Rdm6300 => Kind::Frames(Frames::new(Family::Rdm6300)),
            RfidDialect::UhfBb => Kind::Frames(Frames::new(Family::UhfBb)),
            RfidDialect::Allflex => Kind::Lines(Lines::allflex()),
            RfidDialect::Template { pattern } => Kind::Lines(Lines::template(pattern.parse()?)),
        }))
    }

    /// Takes the next bytes of the stream and tells `sink` what they complete, in their order.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Result<Read, Reject>)) {
        for byte in bytes {
            match &mut self.0 {
                Kind::Frames(frames) => frames.push(*byte, sink),
                Kind::Lines(lines) => lines.push(*byte, sink),
            }
        }
    }

    /// Says that the line has been quiet for longer than a reader pauses within a frame (100 ms is ample), so that
    /// what is half received will never be completed: a true frame behind a false start is found, the rest rejected.
    pub fn idle(&mut self, sink: &mut impl FnMut(Result<Read, Reject>)) {
        match &mut self.0 {
            Kind::Frames(frames) => frames.idle(sink),
            Kind::Lines(lines) => lines.idle(sink),
        }
    }

    /// How many bytes are held, waiting for more.
    pub fn pending(&self) -> usize {
        match &self.0 {
            Kind::Frames(frames) => frames.held.len() + frames.noise.len(),
            Kind::Lines(lines) => lines.pending(),
        }
    }
}

/// Finds frames that begin with a start byte in a stream with noise.
#[derive(Debug)]
struct Frames {
    family: Family,
    /// Empty, or begins with the family's start byte.
    held: Vec<u8>,
    /// Bytes outside frames, not yet reported.
    noise: Vec<u8>,
}

impl Frames {
    fn new(family: Family) -> Self {
        Self {
            family,
            held: Vec::new(),
            noise: Vec::new(),
        }
    }

    fn push(&mut self, byte: u8, sink: &mut impl FnMut(Result<Read, Reject>)) {
        self.held.push(byte);
        self.advance(sink);
    }

    fn idle(&mut self, sink: &mut impl FnMut(Result<Read, Reject>)) {
        while !self.held.is_empty() {
            self.fail(RejectReason::Partial, self.held.len(), sink);
            self.advance(sink);
        }
        self.flush_noise(sink);
    }

    /// Judges what is held until more bytes are needed.
    fn advance(&mut self, sink: &mut impl FnMut(Result<Read, Reject>)) {
        loop {
            self.skip_to_start(sink);
            if self.held.is_empty() {
                return;
            }
            match self.family.scan(&self.held) {
                Scan::Wait => return,
                Scan::Tag { len, tag } => {
                    self.flush_noise(sink);
                    let frame: Vec<u8> = self.held.drain(..len).collect();
                    let raw = bounded(&frame);
                    sink(Ok(Read { tag, raw }));
                }
                Scan::Other { len } => {
                    self.flush_noise(sink);
                    self.held.drain(..len);
                }
                Scan::Bad { len, reason } => self.fail(reason, len, sink),
            }
        }
    }

    /// Rejects the first `len` bytes, or those before the next start byte among them, where a true frame may begin.
    fn fail(
        &mut self,
        reason: RejectReason,
        len: usize,
        sink: &mut impl FnMut(Result<Read, Reject>),
    ) {
        self.flush_noise(sink);
        let start = self.family.start();
        let next = self.held[1..len].iter().position(|b| *b == start);
        let failed: Vec<u8> = self.held.drain(..next.map_or(len, |i| i + 1)).collect();
        let raw = bounded(&failed);
        sink(Err(Reject { reason, raw }));
    }

    /// Sets aside what stands before the next start byte.
    fn skip_to_start(&mut self, sink: &mut impl FnMut(Result<Read, Reject>)) {
        let start = self.family.start();
        let begin = self.held.iter().position(|b| *b == start);
        let noise: Vec<u8> = self
            .held
            .drain(..begin.unwrap_or(self.held.len()))
            .collect();
        for byte in noise {
            // Some readers end their frames with a line end, which is no noise.
            if !b"\r\n".contains(&byte) {
                self.noise.push(byte);
            }
            if self.noise.len() == MAX_RAW {
                self.flush_noise(sink);
            }
        }
    }

    fn flush_noise(&mut self, sink: &mut impl FnMut(Result<Read, Reject>)) {
        if !self.noise.is_empty() {
            let raw = std::mem::take(&mut self.noise);
            let reason = RejectReason::Noise;
            sink(Err(Reject { reason, raw }));
        }
    }
}

/// The first [`MAX_RAW`] bytes, as evidence.
fn bounded(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(MAX_RAW)].to_vec()
}
