//! Secrets that browsers and people hold. The store has their hashes; they carry enough chance that a plain hash is enough.

use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

/// Crockford's base 32: no I, L, O or U, so that none looks like another.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A secret that is shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// One for browsers and links: 256 bits as 64 hexadecimal digits.
    pub fn fresh() -> Self {
        let bytes: [u8; 32] = rand::rng().random();
        Self(data_encoding::HEXLOWER.encode(&bytes))
    }

    /// One that a person types: `N` letters and digits of five bits each.
    pub fn to_type<const N: usize>() -> Self {
        let bytes: [u8; N] = rand::rng().random();
        let letters = bytes
            .iter()
            .map(|b| char::from(LETTERS[usize::from(b % 32)]));
        Self(letters.collect())
    }

    /// One that somebody typed, with what looks alike put right and without what only groups.
    pub fn typed(text: &str) -> Self {
        let letters = text.chars().filter(|c| c.is_alphanumeric()).take(64);
        let letters = letters.map(|c| match c.to_ascii_uppercase() {
            'I' | 'L' => '1',
            'O' => '0',
            c => c,
        });
        Self(letters.collect())
    }

    /// One as a browser shows it.
    pub fn shown(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The secret in groups of four, for reading aloud.
    pub fn grouped(&self) -> String {
        let letters: Vec<char> = self.0.chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(|g| g.iter().collect()).collect();
        groups.join("-")
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 as hexadecimal digits.
pub(crate) fn hash(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_meets_what_was_shown() {
        let code = Secret::to_type::<16>();
        assert_eq!(code.grouped().len(), 19);
        assert_eq!(Secret::typed(&code.grouped().to_lowercase()), code);
        assert_eq!(Secret::typed(" o1l0-i "), Secret::typed("01101"));
        assert_eq!(format!("{code:?}"), "Secret(…)");
    }
}
