//! Line templates: a reader's line written down as it looks, with `{…}` where the identity stands.
//!
//! | field | stands for |
//! | --- | --- |
//! | `{c3}` and `{n12}` | three digits of country, twelve of national code |
//! | `{id15}` | all fifteen digits |
//! | `{hex16}` | sixteen hexadecimal digits of the 64-bit code, most significant first |
//! | `{skip}` | anything, or nothing |
//!
//! `{skip}{c3} {n12}{skip}` reads `TAG: 050 123456789012 OK`. Everything but `{skip}` has a fixed width, so that a line
//! is matched without backtracking: a number beside `{skip}` never begins or ends in the middle of a longer number.

use std::str::FromStr;

use farm_model::tag::Tag;

use super::{
    RejectReason,
    frames::{hex, identity},
    iso11784::Code,
};

/// Longest template, in bytes.
const MAX_TEMPLATE: usize = 128;

/// A parsed line template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// What stands between the skips.
    segments: Vec<Vec<Piece>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Literal(Vec<u8>),
    Country,
    National,
    Identity,
    Hex,
}

/// Why a template cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without `}`.
    #[error("a {{ is not closed; write fields as {{id15}}")]
    Unclosed,
    /// No such field.
    #[error("no field is called {{{0}}}; use {{c3}} {{n12}} {{id15}} {{hex16}} or {{skip}}")]
    UnknownField(String),
    /// The identity must be said exactly once.
    #[error("the identity must stand once: {{id15}}, or {{hex16}}, or {{c3}} and {{n12}}")]
    Identity,
    /// Lines end by themselves, and are text.
    #[error("a template is printable ASCII text on one line")]
    NotPrintable,
    /// Too long.
    #[error("a template has at most 128 characters")]
    TooLong,
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(pattern: &str) -> Result<Self, TemplateError> {
        if pattern.len() > MAX_TEMPLATE {
            return Err(TemplateError::TooLong);
        }
        if !pattern.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(TemplateError::NotPrintable);
        }
        let mut segments = vec![Vec::new()];
        let mut rest = pattern.trim();
        while !rest.is_empty() {
            let (piece, after) = next_piece(rest)?;
            match (piece, segments.last_mut()) {
                (Some(piece), Some(segment)) => segment.push(piece),
                _ => segments.push(Vec::new()),
            }
            rest = after;
        }
        let count = |kind: &Piece| segments.iter().flatten().filter(|p| *p == kind).count();
        let said = [
            &Piece::Country,
            &Piece::National,
            &Piece::Identity,
            &Piece::Hex,
        ]
        .map(count);
        match said {
            [1, 1, 0, 0] | [0, 0, 1, 0] | [0, 0, 0, 1] => Ok(Self { segments }),
            _ => Err(TemplateError::Identity),
        }
    }
}

/// The next piece of a template (`None` for `{skip}`) and what follows it.
fn next_piece(rest: &str) -> Result<(Option<Piece>, &str), TemplateError> {
    let Some(field) = rest.strip_prefix('{') else {
        let end = rest.find('{').unwrap_or(rest.len());
        let literal = Piece::Literal(rest.as_bytes()[..end].to_vec());
        return Ok((Some(literal), &rest[end..]));
    };
    let (name, after) = field.split_once('}').ok_or(TemplateError::Unclosed)?;
    let piece = match name {
        "c3" => Some(Piece::Country),
        "n12" => Some(Piece::National),
        "id15" => Some(Piece::Identity),
        "hex16" => Some(Piece::Hex),
        "skip" => None,
        _ => return Err(TemplateError::UnknownField(name.to_owned())),
    };
    Ok((piece, after))
}

impl Template {
    /// The tag that `line` (without its end) tells.
    ///
    /// # Errors
    /// [`RejectReason::NoMatch`] when the line is not of this form; else what is wrong with the identity.
    pub fn read(&self, line: &[u8]) -> Result<Tag, RejectReason> {
        let mut found = Found::default();
        let mut at = 0;
        let last = self.segments.len() - 1;
        for (i, segment) in self.segments.iter().enumerate() {
            let width: usize = segment.iter().map(Piece::width).sum();
            let latest = line.len().checked_sub(width).ok_or(RejectReason::NoMatch)?;
            let places = match (i == 0, i == last) {
                (true, true) if latest > 0 => return Err(RejectReason::NoMatch),
                (true, _) => 0..=0,
                (false, true) => latest.max(at)..=latest,
                (false, false) => at..=latest,
            };
            let place = places
                .into_iter()
                .find(|place| fits(segment, line, *place, i > 0, i < last))
                .ok_or(RejectReason::NoMatch)?;
            found.take(segment, &line[place..place + width]);
            at = place + width;
        }
        found.tag()
    }
}

/// Whether `segment` stands at `place`, and its numbers do not run on into a `{skip}` beside it.
fn fits(segment: &[Piece], line: &[u8], place: usize, skip_before: bool, skip_after: bool) -> bool {
    let mut at = place;
    let pieces_fit = segment.iter().all(|piece| {
        let text = line.get(at..at + piece.width());
        at += piece.width();
        text.is_some_and(|text| piece.fits(text))
    });
    let runs_on = |piece: Option<&Piece>, neighbour: Option<&u8>| {
        piece.is_some_and(|piece| neighbour.is_some_and(|b| piece.continues(*b)))
    };
    let before = place.checked_sub(1).and_then(|i| line.get(i));
    pieces_fit
        && !(skip_before && runs_on(segment.first(), before))
        && !(skip_after && runs_on(segment.last(), line.get(at)))
}

impl Piece {
    fn width(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Country => 3,
            Self::National => 12,
            Self::Identity => 15,
            Self::Hex => 16,
        }
    }

    fn fits(&self, text: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            _ => text.iter().all(|b| self.continues(*b)),
        }
    }

    /// Whether `byte` would make this number longer.
    fn continues(&self, byte: u8) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Country | Self::National | Self::Identity => byte.is_ascii_digit(),
        }
    }
}

/// Numbers found so far.
#[derive(Default)]
struct Found {
    country: u64,
    national: u64,
    code: Option<Code>,
}

impl Found {
    fn take(&mut self, segment: &[Piece], mut text: &[u8]) {
        for piece in segment {
            let (own, rest) = text.split_at(piece.width());
            let number = || decimal(own).unwrap_or_default();
            match piece {
                Piece::Literal(_) => {}
                Piece::Country => self.country = number(),
                Piece::National => self.national = number(),
                Piece::Identity => {
                    (self.country, self.national) =
                        (number() / 1_000_000_000_000, number() % 1_000_000_000_000);
                }
                Piece::Hex => self.code = hex(own.iter()).ok().map(Code),
            }
            text = rest;
        }
    }

    fn tag(self) -> Result<Tag, RejectReason> {
        match self.code {
            Some(code) => code.identity().map(Tag::Rfid),
            None => identity(self.country, self.national),
        }
    }
}

/// The number that decimal digits spell; at most eighteen of them.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0')))
}
