//! The file of an image: what a vendor hands out and a farm takes in.
//!
//! ```text
//! bytes        what
//! 8            "KHMRFW01"
//! 2            length of the header, little-endian
//! that many    header: the contents of an Offer record, byte for byte as they go to a node
//! the rest     the image, exactly as long as the header says
//! ```
//!
//! The signature (Ed25519) covers `firmware_protocol::SIGNED_CONTEXT` and everything in the header before it, the image's SHA-256
//! among them. Invariant: what [`Header::verify`] has accepted is the vendor's, bit for bit.

use std::fmt;

use firmware_protocol::{MAX_TEXT, Offer, Record, kind};
use sha2::{Digest as _, Sha256};

use crate::keys::{SigningKey, TrustedKey};

/// Most bytes of an image: more than the flash of any node that is sold.
pub const MAX_IMAGE: usize = 16 * 1024 * 1024;
/// Most bytes of a file.
pub const MAX_FILE: usize = MAX_IMAGE + MAX_HEADER + PREFIX;

const MAGIC: &[u8; 8] = b"KHMRFW01";
const PREFIX: usize = MAGIC.len() + 2;
/// Room for the header of today and for fields that a later one may add at its end.
const MAX_HEADER: usize = 1024;

/// Why a file is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum ImageError {
    /// It does not begin as an image does.
    #[error(
        "this is no firmware image: choose the file that the vendor gave you, it ends in .khfw"
    )]
    NotAnImage,
    /// It ends early, or something follows it.
    #[error("the file is not whole: copy or download it again")]
    NotWhole,
    /// The header makes no sense.
    #[error("the file's header cannot be read: ask the vendor for the image again")]
    BadHeader,
    /// Larger than any node.
    #[error("the image is larger than 16 MB: ask the vendor whether it is the right file")]
    TooLarge,
    /// The bytes are not those that the header tells of.
    #[error("the image was changed or damaged: copy or download it again")]
    WrongHash,
    /// There is no key to check it with.
    #[error(
        "this farm trusts no vendor yet: add the vendor's key to `firmware.trusted_keys` in the configuration and restart"
    )]
    NoKeys,
    /// No trusted key made the signature.
    #[error(
        "the signature is of nobody this farm trusts: compare the vendor's key with `firmware.trusted_keys` in the configuration, and do not use the file if you do not know where it is from"
    )]
    NotTrusted,
}

impl ImageError {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::NotAnImage,
        Self::NotWhole,
        Self::BadHeader,
        Self::TooLarge,
        Self::WrongHash,
        Self::NoKeys,
        Self::NotTrusted,
    ];

    /// The name used in the store, JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::NotAnImage => "not_an_image",
            Self::NotWhole => "not_whole",
            Self::BadHeader => "bad_header",
            Self::TooLarge => "too_large",
            Self::WrongHash => "wrong_hash",
            Self::NoKeys => "no_keys",
            Self::NotTrusted => "not_trusted",
        }
    }

    /// The reason called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|e| e.key() == key)
    }
}

/// A version, a hardware or a channel: 1 to 32 visible ASCII characters without spaces.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Label(String);

/// The text is no [`Label`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("write 1 to 32 letters, digits and signs, without spaces")]
pub struct NotALabel;

impl Label {
    /// `text` as a label.
    ///
    /// # Errors
    /// When it is empty, too long, or holds anything but visible ASCII.
    pub fn new(text: &str) -> Result<Self, NotALabel> {
        let fits = !text.is_empty()
            && text.len() <= MAX_TEXT
            && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned())).ok_or(NotALabel)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an image's file says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// SHA-256 of the image.
    pub hash: [u8; 32],
    /// Its bytes, at most [`MAX_IMAGE`].
    pub size: u32,
    /// Its version.
    pub version: Label,
    /// The hardware that it is for.
    pub hardware: Label,
    /// The channel that it is offered on.
    pub channel: Label,
    /// The vendor's signature: R, then S.
    pub signature: [[u8; 32]; 2],
}

impl Header {
    /// Splits a file into its header and the image. Neither hash nor signature is looked at.
    ///
    /// # Errors
    /// When the file does not have the form of one.
    pub fn parse(file: &[u8]) -> Result<(Self, &[u8]), ImageError> {
        let rest = file.strip_prefix(MAGIC).ok_or(ImageError::NotAnImage)?;
        let (length, rest) = rest.split_first_chunk().ok_or(ImageError::NotWhole)?;
        let length = usize::from(u16::from_le_bytes(*length));
        if length > MAX_HEADER {
            return Err(ImageError::BadHeader);
        }
        let (header, image) = rest.split_at_checked(length).ok_or(ImageError::NotWhole)?;
        let header = Self::read(header)?;
        if image.len() != header.size as usize {
            return Err(ImageError::NotWhole);
        }
        Ok((header, image))
    }

    /// Reads a header alone.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn read(bytes: &[u8]) -> Result<Self, ImageError> {
        let Ok(Record::Offer(offer)) = Record::read(kind::OFFER, bytes) else {
            return Err(ImageError::BadHeader);
        };
        if offer.size as usize > MAX_IMAGE {
            return Err(ImageError::TooLarge);
        }
        let label = |text| Label::new(text).map_err(|_| ImageError::BadHeader);
        if offer.size == 0 {
            return Err(ImageError::BadHeader);
        }
        Ok(Self {
            hash: offer.hash,
            size: offer.size,
            version: label(offer.version)?,
            hardware: label(offer.hardware)?,
            channel: label(offer.channel)?,
            signature: offer.signature,
        })
    }

    /// The header's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut room = [0; MAX_HEADER];
        postcard::to_slice(&self.offer(), &mut room)
            .expect("an offer takes less than half of this")
            .to_vec()
    }

    /// What a node is offered.
    pub fn offer(&self) -> Offer<'_> {
        Offer {
            hash: self.hash,
            size: self.size,
            version: self.version.as_str(),
            hardware: self.hardware.as_str(),
            channel: self.channel.as_str(),
            signature: self.signature,
        }
    }

    /// Checks that `image` is the one that the header tells of, and that one of `keys` signed it; which.
    ///
    /// # Errors
    /// When it is another image, or signed by nobody among them.
    pub fn verify(&self, image: &[u8], keys: &[TrustedKey]) -> Result<TrustedKey, ImageError> {
        if image.len() != self.size as usize {
            return Err(ImageError::NotWhole);
        }
        if <[u8; 32]>::from(Sha256::digest(image)) != self.hash {
            return Err(ImageError::WrongHash);
        }
        if keys.is_empty() {
            return Err(ImageError::NoKeys);
        }
        let mut room = [0; Offer::MAX_SIGNED];
        let signed = self.signed(&mut room);
        let signature = self.signature.as_flattened();
        let signer = keys.iter().find(|key| key.verifies(signed, signature));
        signer.copied().ok_or(ImageError::NotTrusted)
    }

    fn signed<'b>(&self, room: &'b mut [u8; Offer::MAX_SIGNED]) -> &'b [u8] {
        let signed = self.offer().signed(room);
        signed.expect("labels are no longer than an offer's texts may be")
    }
}

/// Makes the file of `image`, signed with `key`.
///
/// # Errors
/// When the image is empty or larger than [`MAX_IMAGE`].
pub fn sign(
    key: &SigningKey,
    image: &[u8],
    version: Label,
    hardware: Label,
    channel: Label,
) -> Result<Vec<u8>, ImageError> {
    if image.len() > MAX_IMAGE {
        return Err(ImageError::TooLarge);
    }
    if image.is_empty() {
        return Err(ImageError::NotWhole);
    }
    let mut header = Header {
        hash: Sha256::digest(image).into(),
        size: image.len() as u32,
        version,
        hardware,
        channel,
        signature: [[0; 32]; 2],
    };
    let signature = key.sign(header.signed(&mut [0; Offer::MAX_SIGNED]));
    header
        .signature
        .as_flattened_mut()
        .copy_from_slice(&signature);
    let bytes = header.to_bytes();
    let length = u16::try_from(bytes.len()).expect("at most MAX_HEADER");
    let mut file = Vec::with_capacity(PREFIX + bytes.len() + image.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&bytes);
    file.extend_from_slice(image);
    Ok(file)
}
