//! The auto-decoder: from what a meter's display shows to the register, type, order and scale that read it.
//!
//! [`propose`] tries every address, type, order and decimal scale on words read from the device and keeps what agrees
//! with the display within the digits shown; [`narrow`] looks again when the display shows something else. Several
//! readings usually agree; each gets its share of 100 by how common it is in the field. Invariants: all work is bounded
//! by [`MAX_WORDS`]; an equal reading in the same words is proposed once.

use std::{collections::BTreeMap, str::FromStr};

use farm_model::{
    device::{DecodeProposal, ReadFunction, RegisterField, RegisterType, WordOrder},
    quantity::{Milli, Quantity},
};

use super::{Registers, decode::number_of, is_bits};

/// Most words looked at in one search.
pub const MAX_WORDS: usize = 2048;

/// Most proposals told.
pub const MAX_PROPOSALS: usize = 40;

/// What a display shows: a decimal number and how many digits stand behind its point.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shown {
    value: f64,
    /// The worth of the last digit.
    unit: f64,
}

/// Why the text is not what a display can teach from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShownError {
    /// Not a decimal number.
    #[error("type the number as the display shows it, such as 12.5")]
    NotANumber,
    /// More digits than a display has.
    #[error("the number has more than 12 digits")]
    TooLong,
    /// Zero agrees with every empty register.
    #[error("a display that shows zero teaches nothing; wait until it shows a value and try again")]
    Zero,
}

impl FromStr for Shown {
    type Err = ShownError;

    /// Reads Latin and Bengali digits with a point; commas only group, and are passed over.
    fn from_str(text: &str) -> Result<Self, ShownError> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix(['-', '−']) {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mut mantissa, mut digits, mut decimals) = (0i64, 0, None);
        for c in text.chars() {
            match c {
                '.' if decimals.is_none() => decimals = Some(0),
                ',' if decimals.is_none() && digits > 0 => {}
                _ => {
                    let digit = digit(c).ok_or(ShownError::NotANumber)?;
                    if digits == 12 {
                        return Err(ShownError::TooLong);
                    }
                    mantissa = mantissa * 10 + i64::from(digit);
                    digits += 1;
                    decimals = decimals.map(|d| d + 1);
                }
            }
        }
        if digits == 0 {
            return Err(ShownError::NotANumber);
        }
        if mantissa == 0 {
            return Err(ShownError::Zero);
        }
        let parts = 10f64.powi(decimals.unwrap_or(0));
        let signed = if negative { -mantissa } else { mantissa };
        Ok(Self {
            value: signed as f64 / parts,
            unit: 1.0 / parts,
        })
    }
}

fn digit(c: char) -> Option<u32> {
    c.to_digit(10).or_else(|| {
        ('০'..='৯')
            .contains(&c)
            .then(|| u32::from(c) - u32::from('০'))
    })
}

/// How well a number agrees with a display.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fit {
    /// The display shows all of it.
    Exact,
    /// The display shows it rounded or cut off.
    Rounded,
}

impl Shown {
    fn fit(self, number: f64) -> Option<Fit> {
        let slack = self.unit * 1e-6 + self.value.abs() * 1e-12;
        let off = number - self.value;
        let cut_off = if self.value < 0.0 { -off } else { off };
        if off.abs() <= slack {
            Some(Fit::Exact)
        } else if off.abs() <= self.unit / 2.0 + slack
            || (0.0..self.unit - slack).contains(&cut_off)
        {
            Some(Fit::Rounded)
        } else {
            None
        }
    }
}

/// Types tried, with how common each is.
const TYPES: [(RegisterType, f64); 9] = [
    (RegisterType::U16, 1.0),
    (RegisterType::I16, 0.9),
    (RegisterType::F32, 1.0),
    (RegisterType::U32, 0.8),
    (RegisterType::I32, 0.7),
    (RegisterType::F64, 0.3),
    (RegisterType::Bcd32, 0.2),
    (RegisterType::U64, 0.2),
    (RegisterType::I64, 0.15),
];

/// Orders tried, with how common each is.
const ORDERS: [(WordOrder, f64); 4] = [
    (WordOrder::Abcd, 1.0),
    (WordOrder::Cdab, 0.5),
    (WordOrder::Badc, 0.1),
    (WordOrder::Dcba, 0.15),
];

/// Scales tried, with how common each is for integers and for floating-point numbers.
const SCALES: [(f64, f64, f64); 8] = [
    (1.0, 1.0, 1.0),
    (0.1, 1.0, 0.02),
    (0.01, 1.0, 0.02),
    (0.001, 0.7, 0.1),
    (0.0001, 0.2, 0.02),
    (10.0, 0.2, 0.02),
    (100.0, 0.1, 0.02),
    (1000.0, 0.1, 0.1),
];

/// All ways to read `shown` in `blocks` (function, first address, words) as `quantity`, the likeliest first.
///
/// # Errors
/// When the text is no number or teaches nothing.
pub fn propose(
    shown: &str,
    blocks: &[(ReadFunction, u16, Vec<u16>)],
    quantity: Quantity,
) -> Result<Vec<DecodeProposal>, ShownError> {
    let shown: Shown = shown.parse()?;
    let mut search = Search {
        shown,
        quantity,
        found: BTreeMap::new(),
    };
    let mut left = MAX_WORDS;
    for (function, address, words) in blocks.iter().filter(|(f, _, _)| !is_bits(*f)) {
        let words = &words[..words.len().min(left)];
        left -= words.len();
        search.block(*function, *address, words);
    }
    Ok(ranked(search.found.into_values().collect()))
}

/// The proposals that still agree when the display shows `shown` and the device holds `blocks`, the likeliest first.
///
/// # Errors
/// When the text is no number or teaches nothing.
pub fn narrow(
    proposals: &[DecodeProposal],
    shown: &str,
    blocks: &[(ReadFunction, u16, Vec<u16>)],
) -> Result<Vec<DecodeProposal>, ShownError> {
    let shown: Shown = shown.parse()?;
    let mut registers = Registers::new();
    for (function, address, words) in blocks {
        registers.insert(*function, *address, words.clone());
    }
    let again = |proposal: &DecodeProposal| {
        let field = &proposal.field;
        let words = registers.get(field.function, field.address, field.kind.width());
        let (weight, reads) = weigh(field, words.ok()?, shown)?;
        // What was likely before stays likelier; nothing that agrees is given up for a low share.
        let weight = weight * f64::from(proposal.score.max(1));
        let raw = words.ok()?.to_vec();
        Some((weight, proposal_of(field.clone(), reads, raw)))
    };
    Ok(ranked(proposals.iter().filter_map(again).collect()))
}

struct Search {
    shown: Shown,
    quantity: Quantity,
    /// The best proposal for each reading, with its weight.
    found: BTreeMap<Reading, (f64, DecodeProposal)>,
}

/// Place, width, number read and scale: what makes two proposals the same.
type Reading = (ReadFunction, u16, u16, u64, u64);

impl Search {
    fn block(&mut self, function: ReadFunction, address: u16, words: &[u16]) {
        for at in 0..words.len() {
            let Some(address) = u16::try_from(at)
                .ok()
                .and_then(|at| address.checked_add(at))
            else {
                return;
            };
            for (kind, _) in TYPES {
                let Some(words) = words.get(at..at + usize::from(kind.width())) else {
                    continue;
                };
                for (order, _) in ORDERS {
                    self.try_scales(function, address, kind, order, words);
                }
            }
        }
    }

    fn try_scales(
        &mut self,
        function: ReadFunction,
        address: u16,
        kind: RegisterType,
        order: WordOrder,
        words: &[u16],
    ) {
        let mut field = RegisterField {
            quantity: self.quantity,
            function,
            address,
            kind,
            order,
            scale: 1.0,
            offset: 0.0,
            missing: Vec::new(),
            wraps_after: None,
        };
        let Some(number) = number_of(&field, words) else {
            return;
        };
        for (scale, _, _) in SCALES {
            field.scale = scale;
            let Some((weight, reads)) = weigh(&field, words, self.shown) else {
                continue;
            };
            let key = (
                function,
                address,
                kind.width(),
                number.to_bits(),
                scale.to_bits(),
            );
            let known = self
                .found
                .get(&key)
                .is_some_and(|(best, _)| *best >= weight);
            if !known {
                let proposal = proposal_of(field.clone(), reads, words.to_vec());
                self.found.insert(key, (weight, proposal));
            }
        }
    }
}

/// How likely it is that `field` is what the display shows, `None` when they disagree, and what it reads.
fn weigh(field: &RegisterField, words: &[u16], shown: Shown) -> Option<(f64, Milli)> {
    let number = number_of(field, words)?;
    let fit = shown.fit(number)?;
    let reads = Milli::from_f64(number)?;
    let float = matches!(field.kind, RegisterType::F32 | RegisterType::F64);
    let known = |weights: &[(f64, f64)]| {
        let of_scale = weights.iter().find(|(scale, _)| *scale == field.scale);
        of_scale.map_or(0.05, |(_, weight)| *weight)
    };
    let kind = TYPES.iter().find(|(kind, _)| *kind == field.kind);
    let order = ORDERS.iter().find(|(order, _)| *order == field.order);
    let scale = known(
        &SCALES.map(|(scale, integer, floating)| (scale, if float { floating } else { integer })),
    );
    // A floating-point register holds more than a display shows; an integer one holds just what is shown.
    let fit = if fit == Fit::Exact || float { 1.0 } else { 0.3 };
    let physics = if field.quantity.allows(reads) {
        1.0
    } else {
        0.05
    };
    let counter = match (field.quantity.is_counter(), field.kind.width()) {
        (true, 1) => 0.5,
        (false, 2) if !float => 0.7,
        _ => 1.0,
    };
    let weight = kind.map_or(0.0, |k| k.1) * order.map_or(0.0, |o| o.1);
    Some((weight * scale * fit * physics * counter, reads))
}

fn proposal_of(field: RegisterField, reads: Milli, raw: Vec<u16>) -> DecodeProposal {
    DecodeProposal {
        field,
        reads,
        raw,
        score: 0,
    }
}

/// The heaviest first, each with its share of 100.
fn ranked(mut found: Vec<(f64, DecodeProposal)>) -> Vec<DecodeProposal> {
    let place = |p: &DecodeProposal| (p.field.function, p.field.address, p.field.kind.width());
    found.sort_by(|(a, p), (b, q)| b.total_cmp(a).then_with(|| place(p).cmp(&place(q))));
    let sum: f64 = found.iter().map(|(weight, _)| weight).sum();
    found.truncate(MAX_PROPOSALS);
    found
        .into_iter()
        .map(|(weight, proposal)| DecodeProposal {
            score: (100.0 * weight / sum).round() as u8,
            ..proposal
        })
        .collect()
}
