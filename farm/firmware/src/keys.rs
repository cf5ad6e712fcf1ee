//! The vendor's keys: the public half that a farm trusts, the private half that signs.
//!
//! Both are what OpenSSL makes (`openssl genpkey -algorithm ed25519`), so that a vendor can keep the private one wherever such
//! keys are kept. Invariant: a private key is never printed.

use std::{fmt, str::FromStr};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI: &[u8; 12] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// A text that is no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAKey {
    /// Not a public key of Ed25519.
    #[error(
        "this is no Ed25519 public key: write the line between BEGIN and END that `openssl pkey -in vendor.pem -pubout` prints"
    )]
    Public,
    /// Not a private key of Ed25519.
    #[error(
        "this is no Ed25519 private key in PEM: make one with `openssl genpkey -algorithm ed25519 -out vendor.pem`"
    )]
    Private,
}

/// A vendor's public key, whose images are believed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrustedKey([u8; 32]);

impl TrustedKey {
    /// Whether `signature` (64 bytes) over `message` was made with its private half.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, signature)
            .is_ok()
    }

    /// The key's 32 bytes, as a node's firmware holds them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for TrustedKey {
    type Err = NotAKey;

    /// Reads a PEM file's text, or only its line between `BEGIN` and `END`.
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        let whole = if text.starts_with("-----") {
            text.to_owned()
        } else {
            format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
        };
        let der = SubjectPublicKeyInfoDer::from_pem_slice(whole.as_bytes())
            .map_err(|_| NotAKey::Public)?;
        der.strip_prefix(SPKI)
            .and_then(|key| key.try_into().ok())
            .map(Self)
            .ok_or(NotAKey::Public)
    }
}

impl fmt::Display for TrustedKey {
    /// The line that stands between `BEGIN` and `END`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut der = [0; 45];
        der[..SPKI.len()].copy_from_slice(SPKI);
        der[SPKI.len()..44].copy_from_slice(&self.0);
        let mut line = String::with_capacity(60);
        for group in der.as_chunks::<3>().0 {
            let [a, b, c] = group.map(u32::from);
            let bits = a << 16 | b << 8 | c;
            line.extend([18, 12, 6, 0].map(|s| char::from(DIGITS[(bits >> s & 63) as usize])));
        }
        // 44 bytes: the last group holds two, so one digit more than they fill is a sign of padding.
        line.pop();
        line.push('=');
        f.write_str(&line)
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedKey({self})")
    }
}

/// A vendor's private key.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads a private key in PEM (PKCS #8).
    ///
    /// # Errors
    /// When the text is no Ed25519 key.
    pub fn from_pem(text: &str) -> Result<Self, NotAKey> {
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| NotAKey::Private)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map(Self)
            .map_err(|_| NotAKey::Private)
    }

    /// The key of 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are a seed"))
    }

    /// Its public half.
    pub fn public(&self) -> TrustedKey {
        let key = self.0.public_key().as_ref();
        TrustedKey(key.try_into().expect("an Ed25519 public key has 32 bytes"))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.0.sign(message);
        let bytes = signature.as_ref().try_into();
        bytes.expect("an Ed25519 signature has 64 bytes")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by OpenSSL 3.0: `openssl genpkey -algorithm ed25519`, then `openssl pkey -pubout`.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFeb4x2eR+UT8x6pwu8ssMj7yPwy9mOCDoLmHYgNIBSB\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "MCowBQYDK2VwAyEA7xvUs5VEBCC0CF2Xq1VI+Y8kSsjJPAz14v4MxWNVQIs=";

    #[test]
    fn openssls_keys_are_read_and_written() {
        let key = SigningKey::from_pem(PRIVATE).unwrap();
        let line = key.public().to_string();
        assert_eq!(line, PUBLIC);
        assert_eq!(line.parse::<TrustedKey>().unwrap(), key.public());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{line}\n-----END PUBLIC KEY-----");
        assert_eq!(pem.parse::<TrustedKey>().unwrap(), key.public());
    }

    #[test]
    fn what_is_no_key_is_refused_and_a_private_key_is_not_printed() {
        for text in ["", "MCowBQYDK2VwAyEA", "abc", PRIVATE] {
            assert_eq!(text.parse::<TrustedKey>(), Err(NotAKey::Public), "{text}");
        }
        for text in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert_eq!(SigningKey::from_pem(text).unwrap_err(), NotAKey::Private);
        }
        let key = SigningKey::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }
}
