//! Names as people type them: trimmed, in NFC, without characters that cannot be seen.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Longest name, in characters.
pub const LONGEST: usize = 80;

/// The name of a person or a farm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name(String);

impl Name {
    /// A name.
    ///
    /// # Errors
    /// When nothing is left of it, when it is too long, or when it has characters that cannot be seen.
    pub fn new(text: &str) -> Result<Self, NotAName> {
        let text: String = text.trim().nfc().collect();
        if text.is_empty() {
            return Err(NotAName::Empty);
        }
        if text.chars().count() > LONGEST {
            return Err(NotAName::TooLong);
        }
        let hidden = |c: char| {
            c.is_control()
                || matches!(
                    c,
                    '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}' | '\u{feff}'
                )
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let joiner = |c: char| matches!(c, '\u{200c}' | '\u{200d}');
        if text.chars().any(hidden) || text.chars().all(joiner) {
            return Err(NotAName::Hidden);
        }
        Ok(Self(text))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    /// Nothing was written.
    #[error("write a name")]
    Empty,
    /// More characters than there is room for.
    #[error("a name has at most {LONGEST} characters: shorten it")]
    TooLong,
    /// Characters that cannot be seen.
    #[error("the name has characters that cannot be seen: type it again")]
    Hidden,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_seen_and_told_apart() {
        assert_eq!(Name::new("  সবুজ খামার ").unwrap().as_str(), "সবুজ খামার");
        assert!(Name::new("র\u{200d}্যাব").is_ok());
        for (text, why) in [
            (" ", NotAName::Empty),
            ("a\u{202e}b", NotAName::Hidden),
            ("\u{200d}", NotAName::Hidden),
            ("a\nb", NotAName::Hidden),
            (&"x".repeat(81), NotAName::TooLong),
        ] {
            assert_eq!(Name::new(text), Err(why), "{text:?}");
        }
    }
}
