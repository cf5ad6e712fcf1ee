//! Firmware updates: offered, fetched in chunks that can be asked for again, reported.
//!
//! An image is known by the SHA-256 of its bytes, and believed by an Ed25519 signature over [`Offer::signed`], whose key is
//! in the firmware that runs now: neither the edge nor the key of a frame can make one.

use serde::{Deserialize, Serialize};

use crate::{codes::UpdateState, control::MAX_TEXT, record::plain, seal::Full};

/// Most bytes of an image in one frame.
pub const MAX_CHUNK: usize = 512;
/// What the signed bytes begin with, so that the signature is good for nothing else.
pub const SIGNED_CONTEXT: &[u8] = b"khamar firmware 1";

/// The first eight bytes of an image's SHA-256: enough to tell one that is being fetched from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ImageId(pub [u8; 8]);

/// Down: there is a firmware for this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer<'a> {
    /// SHA-256 of the image.
    pub hash: [u8; 32],
    /// Bytes of the image.
    pub size: u32,
    /// Its version, at most [`MAX_TEXT`] bytes.
    pub version: &'a str,
    /// The hardware it is for, at most [`MAX_TEXT`] bytes.
    pub hardware: &'a str,
    /// The channel it is offered on, such as `stable`, at most [`MAX_TEXT`] bytes.
    pub channel: &'a str,
    /// Ed25519 over [`Offer::signed`]: R, then S.
    pub signature: [[u8; 32]; 2],
}

impl<'a> Offer<'a> {
    /// Most bytes of [`Offer::signed`].
    pub const MAX_SIGNED: usize = SIGNED_CONTEXT.len() + 32 + 5 + 3 * (1 + MAX_TEXT);

    /// How the image is called in other records.
    pub fn image(&self) -> ImageId {
        let [a, b, c, d, e, f, g, h, ..] = self.hash;
        ImageId([a, b, c, d, e, f, g, h])
    }

    /// What is signed, in `buffer`: [`SIGNED_CONTEXT`], then the fields in front of the signature as they are on the wire.
    ///
    /// # Errors
    /// When `buffer` is shorter than [`Offer::MAX_SIGNED`] and they have no room.
    pub fn signed<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let (context, rest) = buffer
            .split_at_mut_checked(SIGNED_CONTEXT.len())
            .ok_or(Full)?;
        context.copy_from_slice(SIGNED_CONTEXT);
        let fields = (
            self.hash,
            self.size,
            self.version,
            self.hardware,
            self.channel,
        );
        let used = SIGNED_CONTEXT.len() + crate::record::write(&fields, rest)?;
        Ok(&buffer[..used])
    }

    pub(crate) fn read(contents: &'a [u8]) -> Option<Self> {
        crate::record::read(contents).filter(Self::is_bounded)
    }

    pub(crate) fn write(&self, to: &mut [u8]) -> Result<usize, Full> {
        if !self.is_bounded() {
            return Err(Full);
        }
        crate::record::write(self, to)
    }

    fn is_bounded(&self) -> bool {
        [self.version, self.hardware, self.channel]
            .iter()
            .all(|text| text.len() <= MAX_TEXT)
    }
}

/// Up: these bytes of an image, please; the edge answers with as many chunks as it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChunkRequest {
    /// Which image.
    pub image: ImageId,
    /// From which byte on.
    pub offset: u32,
    /// How many bytes.
    pub length: u32,
    /// Most bytes in one chunk, as the node has room for; never more than [`MAX_CHUNK`] are sent.
    pub chunk: u16,
}

/// Down: a part of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Chunk<'a> {
    /// Which image.
    pub image: ImageId,
    /// Where it begins.
    pub offset: u32,
    /// At most [`MAX_CHUNK`] bytes.
    pub data: &'a [u8],
}

impl<'a> Chunk<'a> {
    pub(crate) fn read(contents: &'a [u8]) -> Option<Self> {
        crate::record::read(contents).filter(|chunk: &Self| chunk.data.len() <= MAX_CHUNK)
    }

    pub(crate) fn write(&self, to: &mut [u8]) -> Result<usize, Full> {
        if self.data.len() > MAX_CHUNK {
            return Err(Full);
        }
        crate::record::write(self, to)
    }
}

/// Up: how far an update is; told at each change, and with each greeting while it is not [`UpdateState::Idle`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// Which image.
    pub image: ImageId,
    /// How far.
    pub state: UpdateState,
    /// Bytes from the start that are on flash.
    pub have: u32,
}

/// Down: an image is not offered any more; a node that is fetching it stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Withdraw {
    /// Which image.
    pub image: ImageId,
}

plain! { ChunkRequest, UpdateStatus, Withdraw }
