//! The cryptography of joining: both sides know the code on the sticker, and say so without telling it.
//!
//! Each side has an X25519 key; what they agree on is mixed with the code (HKDF-SHA-256) into a key for the device's proof
//! (HMAC-SHA-256) and one for the answer (ChaCha20-Poly1305). Who only listens cannot even try codes, because the agreed secret
//! is missing; who stands in between must find 60 bits while the device waits. `docs/devices.md` describes it for other
//! languages, with a test vector. Invariants: a nonce is random and never chosen by the device; all comparisons are
//! constant-time.

use std::fmt;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Nonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use rand::RngExt as _;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

/// What binds the keys to this protocol and version.
const SALT: &[u8] = b"khamar join 1";
/// Bytes of a nonce, which stand before the sealed answer.
const NONCE: usize = 12;

/// A code from a device's sticker: 12 letters and digits of Crockford's base 32, 60 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinCode(String);

/// The text is no sticker code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a sticker's code has 12 letters and digits, such as 7K3M-9QXT-2FHB: look at the device and type it again"
)]
pub struct NotACode;

impl JoinCode {
    /// The code as it was typed or scanned: dashes, spaces and case do not matter, `O` is 0, `I` and `L` are 1, Bengali
    /// digits are digits. The sticker's QR code says `khamar:join:{serial}:{code}`, and is taken whole.
    ///
    /// # Errors
    /// When it is no such code.
    pub fn new(text: &str) -> Result<Self, NotACode> {
        let folded = crate::text::fold(text);
        let code = match folded.strip_prefix("khamar:join:") {
            Some(scanned) => scanned.rsplit(':').next().unwrap_or_default(),
            None => &folded,
        };
        let code = code
            .chars()
            .filter(|c| !matches!(c, '-' | ' ' | '\u{2013}'))
            .map(|c| match c {
                'o' => Some('0'),
                'i' | 'l' => Some('1'),
                '0'..='9' | 'a'..='h' | 'j'..='k' | 'm'..='n' | 'p'..='t' | 'v'..='z' => {
                    Some(c.to_ascii_uppercase())
                }
                _ => None,
            })
            .collect::<Option<String>>()
            .ok_or(NotACode)?;
        if code.len() == 12 {
            Ok(Self(code))
        } else {
            Err(NotACode)
        }
    }
}

impl fmt::Debug for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinCode(…)")
    }
}

/// One side's half of a joining key.
#[derive(Clone)]
pub struct HalfKey(StaticSecret);

impl fmt::Debug for HalfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HalfKey(…)")
    }
}

impl HalfKey {
    /// A fresh one.
    pub fn fresh() -> Self {
        Self::from_bytes(rand::rng().random())
    }

    /// The one whose 32 secret bytes these are.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// The secret bytes, to be kept.
    pub(super) fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// What the other side is told.
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }
}

/// Which end of the joining a side is: the public keys enter in the order device, edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The device, which asks.
    Device,
    /// The appliance, which answers.
    Edge,
}

/// What both sides know once they know each other's public key, the serial number and the code.
pub struct JoinKeys {
    proof: [u8; 32],
    answer: ChaCha20Poly1305,
}

impl fmt::Debug for JoinKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinKeys(…)")
    }
}

impl JoinKeys {
    /// The keys, seen from `side`; none if the other public key is one that makes every agreement the same.
    pub fn agree(
        side: Side,
        own: &HalfKey,
        other: &[u8; 32],
        serial: &str,
        code: &JoinCode,
    ) -> Option<Self> {
        let shared = own.0.diffie_hellman(&PublicKey::from(*other));
        if !shared.was_contributory() {
            return None;
        }
        let own = own.public();
        let (device, edge) = match side {
            Side::Device => (&own, other),
            Side::Edge => (other, &own),
        };
        let secret = [shared.as_bytes(), code.0.as_bytes()].concat();
        let mut keys = [0; 64];
        Hkdf::<Sha256>::new(Some(SALT), &secret)
            .expand_multi_info(&[device, edge, serial.as_bytes()], &mut keys)
            .expect("64 bytes are within what HKDF-SHA-256 gives");
        let (proof, answer) = keys.split_at(32);
        Some(Self {
            proof: proof.try_into().expect("half of 64"),
            answer: ChaCha20Poly1305::new_from_slice(answer).expect("half of 64"),
        })
    }

    /// The device's proof over what it says of itself.
    pub fn prove(&self, said: &str) -> [u8; 32] {
        self.mac(said).finalize().into_bytes().into()
    }

    /// Whether `proof` is the device's.
    pub fn is_proof(&self, said: &str, proof: &[u8; 32]) -> bool {
        self.mac(said).verify_slice(proof).is_ok()
    }

    fn mac(&self, said: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.proof).expect("any length is a key");
        mac.update(said.as_bytes());
        mac
    }

    /// Seals the answer: nonce, then what ChaCha20-Poly1305 makes of it with the serial number beside it.
    pub fn seal(&self, serial: &str, plain: &[u8]) -> Vec<u8> {
        self.seal_with(rand::rng().random(), serial, plain)
    }

    pub(super) fn seal_with(&self, nonce: [u8; NONCE], serial: &str, plain: &[u8]) -> Vec<u8> {
        let payload = Payload {
            msg: plain,
            aad: serial.as_bytes(),
        };
        let sealed = self
            .answer
            .encrypt(&Nonce::from(nonce), payload)
            .expect("an answer is far shorter than the cipher's limit");
        [&nonce[..], &sealed].concat()
    }

    /// Opens an answer; none if it was not sealed for this device by somebody who knows the code.
    pub fn open(&self, serial: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg,
            aad: serial.as_bytes(),
        };
        self.answer.decrypt(&Nonce::from(*nonce), payload).ok()
    }
}

#[cfg(test)]
mod tests {
    use farm_model::hex;

    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code = JoinCode::new("7K3M-9QXT-2FHB").unwrap();
        for text in [
            "7k3m9qxt2fhb",
            " 7K3M 9QXT 2FHB ",
            "৭K৩M-৯QXT-২FHB",
            "khamar:join:KM-0042:7K3M-9QXT-2FHB",
        ] {
            assert_eq!(JoinCode::new(text).unwrap(), code, "{text}");
        }
        assert_eq!(
            JoinCode::new("OIL0-0000-0000").unwrap(),
            JoinCode::new("0110-0000-0000").unwrap()
        );
        for text in [
            "",
            "7K3M-9QXT-2FH",
            "7K3M-9QXT-2FHBB",
            "7K3M-9QXT-2FHU",
            "🐄🐄🐄",
        ] {
            assert_eq!(JoinCode::new(text), Err(NotACode), "{text}");
        }
        assert_eq!(format!("{code:?}"), "JoinCode(…)");
    }

    #[test]
    fn both_sides_agree_and_nobody_else() {
        let code = JoinCode::new("7K3M-9QXT-2FHB").unwrap();
        let (device, edge) = (HalfKey::fresh(), HalfKey::fresh());
        let here = JoinKeys::agree(Side::Device, &device, &edge.public(), "KM-1", &code).unwrap();
        let there = JoinKeys::agree(Side::Edge, &edge, &device.public(), "KM-1", &code).unwrap();
        let proof = here.prove("milk_meter\nKM\n1.0");
        assert!(there.is_proof("milk_meter\nKM\n1.0", &proof));
        assert!(!there.is_proof("rfid_reader\nKM\n1.0", &proof));
        let sealed = there.seal("KM-1", b"welcome");
        assert_eq!(here.open("KM-1", &sealed).unwrap(), b"welcome");
        assert!(here.open("KM-2", &sealed).is_none());
        assert!(here.open("KM-1", &sealed[1..]).is_none());
        assert!(here.open("KM-1", b"short").is_none());
        assert_ne!(sealed, there.seal("KM-1", b"welcome"), "nonces are fresh");

        let wrong = JoinCode::new("7K3M-9QXT-2FHC").unwrap();
        let keys = JoinKeys::agree(Side::Edge, &edge, &device.public(), "KM-1", &wrong).unwrap();
        assert!(!keys.is_proof("milk_meter\nKM\n1.0", &proof));
        assert!(here.open("KM-1", &keys.seal("KM-1", b"welcome")).is_none());
    }

    /// The example of `docs/devices.md`; never changed, or devices in the field could not join.
    #[test]
    fn the_published_example_holds() {
        let code = JoinCode::new("7K3M-9QXT-2FHB").unwrap();
        let (device, edge) = (HalfKey::from_bytes([1; 32]), HalfKey::from_bytes([2; 32]));
        assert_eq!(
            hex::encode(&device.public()),
            "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209"
        );
        assert_eq!(
            hex::encode(&edge.public()),
            "ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59"
        );
        let keys =
            JoinKeys::agree(Side::Device, &device, &edge.public(), "KM-0042", &code).unwrap();
        assert_eq!(
            hex::encode(&keys.prove("milk_meter\nKM 1\n1.0.2")),
            "c1d38cf5bfc9845eb088915ab8557513f8abf25520be488979d22345e48bf969"
        );
        assert_eq!(
            hex::encode(&keys.seal_with([3; 12], "KM-0042", b"{}")),
            "030303030303030303030303b2b95917e5a888ba5313ae5ea5a3772666ed"
        );
    }

    #[test]
    fn a_key_that_agrees_with_everybody_is_refused() {
        let code = JoinCode::new("7K3M-9QXT-2FHB").unwrap();
        let edge = HalfKey::fresh();
        assert!(JoinKeys::agree(Side::Edge, &edge, &[0; 32], "KM-1", &code).is_none());
    }
}
