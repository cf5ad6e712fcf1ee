//! Claim codes: what a manager reads off the hub's page and a worker types into the appliance.
//!
//! 16 letters and digits that are not mistaken for each other (Crockford's base 32): 80 random bits, so guessing is hopeless before any
//! limit on tries. Small and capital letters are the same, `O` is 0, `I` and `L` are 1, and hyphens and spaces are only for the eye.

use std::{fmt, str::FromStr};

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::keys::NoRandomness;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LETTERS: usize = 16;

/// A code that enrols one appliance once.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClaimCode(String);

/// It is no claim code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a claim code has {LETTERS} letters and digits, as in 4GZ7-2MNC-K0QX-8TWB: type it as the hub shows it"
)]
pub struct NotACode;

impl ClaimCode {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0_u8; LETTERS];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| NoRandomness)?;
        let letters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Ok(Self(letters.iter().collect()))
    }

    /// The letters alone, as they are to be hashed and compared.
    pub fn letters(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClaimCode {
    type Err = NotACode;

    fn from_str(typed: &str) -> Result<Self, NotACode> {
        let letters: String = typed
            .chars()
            .filter(|c| *c != '-' && !c.is_whitespace())
            .map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            })
            .collect();
        let sound = letters.len() == LETTERS && letters.bytes().all(|c| ALPHABET.contains(&c));
        sound.then_some(Self(letters)).ok_or(NotACode)
    }
}

/// In groups of four.
impl fmt::Display for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, letter) in self.0.chars().enumerate() {
            if n > 0 && n % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{letter}")?;
        }
        Ok(())
    }
}

/// It is a secret until it is used.
impl fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimCode(…)")
    }
}
