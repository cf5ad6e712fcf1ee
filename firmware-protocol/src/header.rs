//! The header of a frame: version, direction, device, boot and sequence number, in the clear and authenticated.

use serde::{Deserialize, Serialize};

/// First byte of the frames that this version writes.
pub const VERSION: u8 = 0x10;
/// The upper half of [`VERSION`]. Frames of one generation can all be read; the lower half counts additions to it.
pub const GENERATION: u8 = VERSION >> 4;
/// The largest sequence number: 56 bits, as many as the nonce has room for.
pub const MAX_SEQ: u64 = (1 << 56) - 1;

/// A node: the last eight bytes of its device's identity in the farm, where all but two bits are random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct DeviceId(pub [u8; 8]);

/// Which way a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// From a node to the edge.
    Up,
    /// From the edge to a node.
    Down,
}

/// What stands at the front of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// First byte; its upper half is [`GENERATION`].
    pub version: u8,
    /// Which way it goes.
    pub direction: Direction,
    /// The node that sends or receives it.
    pub device: DeviceId,
    /// The node's boot: its own, or the one that the edge answers.
    pub boot: u32,
    /// Counts the frames of this direction and boot; never the same twice.
    pub seq: u64,
}

/// The header as postcard has it.
#[derive(Serialize, Deserialize)]
struct Wire {
    version: u8,
    direction: u8,
    device: [u8; 8],
    boot: u32,
    seq: u64,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    /// The bytes end within the header, or are no numbers.
    #[error("no header of a frame")]
    Malformed,
    /// Its version is of another generation.
    #[error("a frame of version {0:#04x}, which is not understood")]
    Version(u8),
    /// Neither up nor down.
    #[error("a frame that goes neither up nor down")]
    Direction,
    /// Above [`MAX_SEQ`].
    #[error("a sequence number beyond 56 bits")]
    Sequence,
}

impl Header {
    /// Most bytes that a header takes.
    pub const MAX_LEN: usize = 1 + 1 + 8 + 5 + 9;

    /// The header of `frame`, not authenticated yet: it says which key to try, and nothing more may be made of it.
    ///
    /// # Errors
    /// When the bytes are no frame of this generation.
    pub fn read(frame: &[u8]) -> Result<Self, HeaderError> {
        Self::split(frame).map(|(header, _)| header)
    }

    /// The header and how many bytes it takes.
    pub(crate) fn split(frame: &[u8]) -> Result<(Self, usize), HeaderError> {
        let version = *frame.first().ok_or(HeaderError::Malformed)?;
        if version >> 4 != GENERATION {
            return Err(HeaderError::Version(version));
        }
        let (wire, rest) =
            postcard::take_from_bytes::<Wire>(frame).map_err(|_| HeaderError::Malformed)?;
        let header = Self {
            version,
            direction: match wire.direction {
                0 => Direction::Up,
                1 => Direction::Down,
                _ => return Err(HeaderError::Direction),
            },
            device: DeviceId(wire.device),
            boot: wire.boot,
            seq: wire.seq,
        };
        if header.seq > MAX_SEQ {
            return Err(HeaderError::Sequence);
        }
        Ok((header, frame.len() - rest.len()))
    }

    /// Writes it at the front of `buffer`; how many bytes, or `None` when there is no room.
    pub(crate) fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let wire = Wire {
            version: self.version,
            direction: self.direction as u8,
            device: self.device.0,
            boot: self.boot,
            seq: self.seq,
        };
        postcard::to_slice(&wire, buffer)
            .ok()
            .map(|used| used.len())
    }

    /// Twelve bytes: direction, boot (big-endian), the lower 56 bits of the sequence number (big-endian).
    pub(crate) fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.seq.to_be_bytes());
        nonce[1..5].copy_from_slice(&self.boot.to_be_bytes());
        nonce[0] = self.direction as u8;
        nonce
    }
}

/// Hands out headers, each once: the one source of nonces for a device, direction and boot.
///
/// A node makes it with [`Sequence::start`] after it has written the boot number to flash, and may take it through deep sleep
/// in memory that keeps its contents, with [`Sequence::resume`]. Memory whose contents are in doubt (a brown-out, a
/// checksum that does not match) is not to be resumed from: count one boot more instead. A boot number that can't be
/// read back ends the life of the key, for a nonce might come twice; the node then asks to join again.
///
/// The edge has one for each node's present boot, durable before use, or with a jump of random size after each start.
#[derive(PartialEq, Eq, Debug)]
pub struct Sequence {
    direction: Direction,
    device: DeviceId,
    boot: u32,
    next: u64,
}

impl Sequence {
    /// From 1, for a boot number that no frame of this device, direction and key was sealed with.
    pub fn start(direction: Direction, device: DeviceId, boot: u32) -> Self {
        Self::resume(direction, device, boot, 1)
    }

    /// Where an earlier one stopped: `next` is what its [`Sequence::next_seq`] said.
    pub fn resume(direction: Direction, device: DeviceId, boot: u32, next: u64) -> Self {
        Self {
            direction,
            device,
            boot,
            next,
        }
    }

    /// The boot whose frames it counts.
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// The number that the next frame will have.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// A header that nobody had before, until all are used up.
    pub(crate) fn take(&mut self) -> Option<Header> {
        if self.next > MAX_SEQ {
            return None;
        }
        let seq = self.next;
        self.next += 1;
        Some(Header {
            version: VERSION,
            direction: self.direction,
            device: self.device,
            boot: self.boot,
            seq,
        })
    }
}
