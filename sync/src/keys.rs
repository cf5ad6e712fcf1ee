//! Keys of sites, and the seal on each request.
//!
//! A sealed request is four letters, its purpose, the public key, the time by the hub's clock, an Ed25519 signature over all of that and the
//! message, and the message. The signature is judged before anything is unpacked, so a stranger cannot make the hub unpack.
//! It stands in the body, not in headers: proxies alter headers, and a body that is whole can be judged anywhere.

use std::fmt;

use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use serde::{Deserialize, Serialize};

use crate::wire::{MESSAGE_BYTES, WireError};

const LETTERS: [u8; 4] = *b"KHR1";
/// What is signed begins with it, so that no signature made for anything else fits here.
const CONTEXT: &[u8] = b"khamar sync request 1\0";
const ROTATION: &[u8] = b"khamar sync rotation 1\0";
const SIGNATURE: usize = 64;
const HEAD: usize = LETTERS.len() + 1 + 32 + 8;
/// Bytes of a sealed request at most.
pub const SEALED_BYTES: usize = HEAD + SIGNATURE + MESSAGE_BYTES;

/// A site's public key, which is also how the hub knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A site's secret key.
pub struct SecretKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes: try again when it has started up")]
pub struct NoRandomness;

impl SecretKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| NoRandomness)?;
        Ok(Self::from_seed(seed))
    }

    /// The key of 32 secret bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("every 32 bytes are a seed");
        Self { seed, pair }
    }

    /// The secret bytes, to be kept where only the appliance can read them.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        let key = self.pair.public_key().as_ref();
        PublicKey(key.try_into().expect("an Ed25519 public key has 32 bytes"))
    }

    /// Seals a message. `at_ms` is the time by the hub's clock, in milliseconds since 1970, and must grow with each request of a key.
    pub fn seal(&self, purpose: Purpose, at_ms: i64, message: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(HEAD + SIGNATURE + message.len());
        sealed.extend(LETTERS);
        sealed.push(purpose.byte());
        sealed.extend(self.public().0);
        sealed.extend(at_ms.to_be_bytes());
        let signature = self.pair.sign(&signed(&sealed, message));
        sealed.extend(signature.as_ref());
        sealed.extend(message);
        sealed
    }

    /// Proves that this key may follow `old`: to be sent under the seal of `old`.
    pub fn follow(&self, old: PublicKey) -> Rotation {
        let next = self.public();
        let proof = self.pair.sign(&[ROTATION, &old.0, &next.0].concat());
        Rotation {
            next,
            proof: proof.as_ref().to_vec(),
        }
    }
}

/// What a request is for. A seal for one purpose is none for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To exchange.
    Exchange,
    /// To join a farm.
    Enrol,
    /// To change the key.
    Rotate,
}

impl Purpose {
    fn byte(self) -> u8 {
        match self {
            Self::Exchange => 1,
            Self::Enrol => 2,
            Self::Rotate => 3,
        }
    }
}

/// A key that is to follow another, with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The key to come.
    pub next: PublicKey,
    proof: Vec<u8>,
}

impl Rotation {
    /// Whether the holder of the next key meant it to follow this one.
    pub fn proves(&self, old: PublicKey) -> bool {
        let said = [ROTATION, &old.0, &self.next.0].concat();
        UnparsedPublicKey::new(&ED25519, self.next.0)
            .verify(&said, &self.proof)
            .is_ok()
    }
}

/// A request whose seal is whole: the holder of `key` sent `message` for this purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Who signed.
    pub key: PublicKey,
    /// The time by the hub's clock, as the signer knows it.
    pub at_ms: i64,
    /// Still packed.
    pub message: &'a [u8],
}

/// Why a request cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is no request of ours.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The signature does not fit.
    #[error("the signature does not fit the request")]
    Forged,
}

/// Whose request this says that it is, from its beginning alone; nothing proves it yet. `None` when too little of it is there.
///
/// # Errors
/// When it is none of ours.
pub fn claimed(beginning: &[u8]) -> Result<Option<PublicKey>, WireError> {
    let Some((head, _)) = beginning.split_at_checked(HEAD) else {
        return Ok(None);
    };
    if !head.starts_with(&LETTERS) {
        return Err(WireError::Foreign);
    }
    let key = &head[LETTERS.len() + 1..][..32];
    Ok(Some(PublicKey(key.try_into().expect("split at 32"))))
}

/// Opens a request, from anyone.
///
/// # Errors
/// When it is too large, none of ours, for another purpose or not signed by the key that it names.
pub fn open(purpose: Purpose, sealed: &[u8]) -> Result<Opened<'_>, SealError> {
    if sealed.len() > SEALED_BYTES {
        return Err(WireError::TooLarge.into());
    }
    if !sealed.starts_with(&LETTERS) {
        return Err(WireError::Foreign.into());
    }
    let (head, rest) = sealed.split_at_checked(HEAD).ok_or(WireError::Torn)?;
    let (signature, message) = rest.split_at_checked(SIGNATURE).ok_or(WireError::Torn)?;
    let (key, at) = head[LETTERS.len() + 1..].split_at(32);
    let key = PublicKey(key.try_into().expect("split at 32"));
    let at_ms = i64::from_be_bytes(at.try_into().expect("the head ends with 8 bytes"));
    let genuine = head[LETTERS.len()] == purpose.byte()
        && UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&signed(head, message), signature)
            .is_ok();
    if !genuine {
        return Err(SealError::Forged);
    }
    Ok(Opened {
        key,
        at_ms,
        message,
    })
}

fn signed(head: &[u8], message: &[u8]) -> Vec<u8> {
    [CONTEXT, head, message].concat()
}
