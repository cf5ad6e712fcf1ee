//! Text that people type: trimmed, normalised to NFC, without control characters, of bounded length.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// A non-empty line of text of at most `MAX` characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Line<const MAX: usize>(String);

/// A name: up to 80 characters.
pub type Name = Line<80>;
/// A note: up to 2,000 characters.
pub type Note = Line<2000>;

impl<const MAX: usize> Line<MAX> {
    /// The text as it is kept.
    ///
    /// # Errors
    /// When nothing is left after trimming, when it is too long, or when it has control characters.
    pub fn new(text: &str) -> Result<Self, TextError> {
        let text: String = text.trim().nfc().collect();
        let long = text.chars().count();
        if text.chars().all(is_joiner) {
            Err(TextError::Empty)
        } else if long > MAX {
            Err(TextError::TooLong { long, max: MAX })
        } else if text.chars().any(is_hidden) {
            Err(TextError::Control)
        } else {
            Ok(Self(text))
        }
    }

    /// The text, or `None` when there is none.
    ///
    /// # Errors
    /// As [`Line::new`], but for emptiness.
    pub fn optional(text: &str) -> Result<Option<Self>, TextError> {
        match Self::new(text) {
            Ok(line) => Ok(Some(line)),
            Err(TextError::Empty) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character only joins or parts its neighbours, and alone shows nothing.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// Whether a character shows nothing or turns the text around it: two names could then look alike. The joiners that
/// Bengali needs (U+200C, U+200D) are letters' business and stay.
fn is_hidden(c: char) -> bool {
    let format = [
        '\u{200b}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{feff}', '\u{ad}',
    ];
    (c.is_control() && c != '\n')
        || format.contains(&c)
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> fmt::Display for Line<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> std::str::FromStr for Line<MAX> {
    type Err = TextError;

    fn from_str(s: &str) -> Result<Self, TextError> {
        Self::new(s)
    }
}

/// An ASCII name for topics, addresses and files: lower-case letters, digits, `-`, `_` and `.`, up to 64. A letter or digit stands
/// first, so that it is neither an option on a command line nor a folder above.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// A slug.
    ///
    /// # Errors
    /// When it is empty, longer than 64, has other characters, or begins with another than a letter or digit.
    pub fn new(text: &str) -> Result<Self, TextError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if text.is_empty() {
            Err(TextError::Empty)
        } else if text.len() > 64 {
            Err(TextError::TooLong {
                long: text.len(),
                max: 64,
            })
        } else if !text.bytes().all(fits) || b"-_.".contains(&text.as_bytes()[0]) {
            Err(TextError::NotASlug)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The nearest slug to a text that someone else chose, such as a topic's segment; `None` when nothing is left.
    pub fn nearest(text: &str) -> Option<Self> {
        let slug: String = text
            .trim()
            .chars()
            .map(|c| match c.to_ascii_lowercase() {
                c if c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c) => c,
                _ => '-',
            })
            .skip_while(|c| "-_.".contains(*c))
            .take(64)
            .collect();
        Self::new(&slug).ok()
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing was written.
    #[error("write something here")]
    Empty,
    /// More characters than there is room for.
    #[error("at most {max} characters, not {long}")]
    TooLong {
        /// Characters written.
        long: usize,
        /// Characters allowed.
        max: usize,
    },
    /// Characters that cannot be shown.
    #[error("leave out characters that cannot be seen")]
    Control,
    /// Not lower-case ASCII.
    #[error(
        "use lower-case letters a to z, digits, dash, underscore or dot, and begin with a letter or digit"
    )]
    NotASlug,
}

/// The form in which texts are compared and searched: NFC, lower case, Bengali digits as ASCII.
pub fn fold(text: &str) -> String {
    text.trim()
        .nfc()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            '০'..='৯' => char::from(b'0' + (c as u32 - '০' as u32) as u8),
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_trimmed_and_bounded() {
        assert_eq!(Name::new("  লাল গাভী ").unwrap().as_str(), "লাল গাভী");
        assert_eq!(Name::new(" \t"), Err(TextError::Empty));
        assert_eq!(
            Line::<3>::new("four"),
            Err(TextError::TooLong { long: 4, max: 3 })
        );
        assert_eq!(Name::new("a\0b"), Err(TextError::Control));
        assert_eq!(Name::new("\u{200b}"), Err(TextError::Control));
        assert_eq!(Name::new("\u{200d}\u{fe0f}"), Err(TextError::Empty));
        assert_eq!(Name::new("\u{202e}gnp"), Err(TextError::Control));
        assert!(
            Name::new("র\u{200d}্যাব").is_ok(),
            "a joiner is part of how Bengali is written"
        );
    }

    #[test]
    fn slugs_are_ascii() {
        assert_eq!(Slug::new("tank-1").unwrap().as_str(), "tank-1");
        assert_eq!(Slug::new("Tank 1"), Err(TextError::NotASlug));
        for text in ["..", "-x", "_", ".hidden"] {
            assert_eq!(Slug::new(text), Err(TextError::NotASlug), "{text}");
        }
        assert_eq!(Slug::nearest("Tank 1").unwrap().as_str(), "tank-1");
        assert_eq!(Slug::nearest("../Tank").unwrap().as_str(), "tank");
        assert_eq!(Slug::nearest(".."), None);
        assert_eq!(Slug::nearest("ট্যাংক"), None);
    }

    #[test]
    fn folding_makes_scripts_meet() {
        assert_eq!(fold(" গাভী ১০৫ "), "গাভী 105");
        assert_eq!(fold("BD-7"), "bd-7");
    }
}
