//! Frames: written into a buffer, sealed in place; opened in place.
//!
//! ChaCha20-Poly1305 (RFC 8439) with the device's key, the nonce from the header, and the header's bytes as associated data.
//! Invariant: a frame that does not authenticate is left as it came, and nothing of it is looked at.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{AeadInOut as _, inout::InOutBuf},
};

use crate::{
    header::{Header, HeaderError, Sequence},
    record::{Record, Records},
};

/// Largest frame, tag and header included. With COBS and its delimiter it fits a buffer of 1,024 bytes.
pub const MAX_FRAME: usize = 1_000;
/// Bytes of the authentication tag at a frame's end.
pub const TAG_LEN: usize = 16;

/// The secret that a node shares with the farm.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// A key of 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&self.0.into())
    }
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// There is no room for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no room for it in the buffer")]
pub struct Full;

/// Gathers records behind a header, then seals them.
#[derive(Debug)]
pub struct FrameWriter<'b> {
    buffer: &'b mut [u8],
    nonce: [u8; 12],
    header: usize,
    used: usize,
    limit: usize,
}

impl<'b> FrameWriter<'b> {
    /// An empty frame in `buffer`, whose length bounds it together with [`MAX_FRAME`]: a LoRa node brings 222 bytes.
    ///
    /// # Errors
    /// When not even an empty frame has room, or all sequence numbers are used up: a node then restarts.
    pub fn new(buffer: &'b mut [u8], sequence: &mut Sequence) -> Result<Self, Full> {
        let limit = buffer
            .len()
            .min(MAX_FRAME)
            .checked_sub(TAG_LEN)
            .ok_or(Full)?;
        let header = sequence.take().ok_or(Full)?;
        let used = header.write(&mut buffer[..limit]).ok_or(Full)?;
        Ok(Self {
            buffer,
            nonce: header.nonce(),
            header: used,
            used,
            limit,
        })
    }

    /// Bytes left for records, each of which takes [`Record::OVERHEAD`] more than its contents.
    pub fn room(&self) -> usize {
        self.limit - self.used
    }

    /// Whether no record was added.
    pub fn is_empty(&self) -> bool {
        self.used == self.header
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When it has no room; the frame is as it was.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), Full> {
        self.used += record.write(&mut self.buffer[self.used..self.limit])?;
        Ok(())
    }

    /// Adds a record whose contents were encoded before: a batch as it lies in flash.
    ///
    /// # Errors
    /// When it has no room; the frame is as it was.
    pub fn add_stored(&mut self, kind: u8, contents: &[u8]) -> Result<(), Full> {
        self.add(&Record::Unknown { kind, contents })
    }

    /// Encrypts and authenticates; the whole frame.
    pub fn seal(self, key: &Key) -> &'b mut [u8] {
        let Self {
            buffer,
            nonce,
            header,
            used,
            ..
        } = self;
        let (frame, _) = buffer.split_at_mut(used + TAG_LEN);
        let (head, rest) = frame.split_at_mut(header);
        let (text, end) = rest.split_at_mut(used - header);
        let tag = key
            .cipher()
            .encrypt_inout_detached(&nonce.into(), head, InOutBuf::from(text))
            .expect("ChaCha20 seals 256 GB, and a frame has 1,000 bytes");
        end.copy_from_slice(&tag);
        frame
    }
}

/// Why a frame was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// The header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Longer than [`MAX_FRAME`].
    #[error("{0} bytes, more than a frame has")]
    TooLong(usize),
    /// Too short for a tag.
    #[error("the frame is cut off")]
    CutOff,
    /// Sealed with another key, or changed on its way.
    #[error("the frame does not authenticate")]
    NotAuthentic,
}

/// A frame that authenticated.
#[derive(Debug)]
pub struct Opened<'b> {
    /// Its header.
    pub header: Header,
    plain: &'b [u8],
}

impl<'b> Opened<'b> {
    /// The records in it, in their order.
    pub fn records(&self) -> Records<'b> {
        Records::new(self.plain)
    }
}

/// Authenticates `frame` and decrypts it in place. Whether it was seen before is for a [`crate::ReplayWindow`] to say.
///
/// # Errors
/// When it is no frame, or not one that `key` sealed; it is then unchanged.
pub fn open<'b>(frame: &'b mut [u8], key: &Key) -> Result<Opened<'b>, OpenError> {
    if frame.len() > MAX_FRAME {
        return Err(OpenError::TooLong(frame.len()));
    }
    let (header, head) = Header::split(frame)?;
    let (head, rest) = frame.split_at_mut(head);
    let text = rest.len().checked_sub(TAG_LEN).ok_or(OpenError::CutOff)?;
    let (text, tag) = rest.split_at_mut(text);
    let tag: [u8; TAG_LEN] = (&*tag).try_into().map_err(|_| OpenError::CutOff)?;
    key.cipher()
        .decrypt_inout_detached(
            &header.nonce().into(),
            head,
            InOutBuf::from(&mut *text),
            &tag.into(),
        )
        .map_err(|_| OpenError::NotAuthentic)?;
    Ok(Opened {
        header,
        plain: text,
    })
}
