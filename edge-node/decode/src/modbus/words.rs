//! The number that a few registers spell.

use farm_model::device::{RegisterType, WordOrder};

/// A number as the device holds it, before scale and offset.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Raw {
    /// An integer: its value, and the value of the same bits without sign.
    Integer { value: i128, bits: u64 },
    /// A floating-point number, which may be no number at all.
    Float(f64),
}

impl Raw {
    /// The number, `None` for NaN and infinities.
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Integer { value, .. } => Some(value as f64),
            Self::Float(value) => value.is_finite().then_some(value),
        }
    }

    /// Whether this is the code that a manual gives for "no value": of the value itself, or of its bits without sign.
    pub(super) fn is(self, code: i64) -> bool {
        match self {
            Self::Integer { value, bits } => {
                value == i128::from(code) || i128::from(bits) == i128::from(code)
            }
            Self::Float(value) => value == code as f64,
        }
    }
}

/// Reads `words` as `kind` in `order`; `None` when their number does not fit or a digit is no decimal one.
///
/// A bit is set when its word is not zero. Orders that swap bytes do so in single registers too.
pub(super) fn read(words: &[u16], kind: RegisterType, order: WordOrder) -> Option<Raw> {
    if words.len() != usize::from(kind.width()) {
        return None;
    }
    let swap_words = matches!(order, WordOrder::Cdab | WordOrder::Dcba);
    let swap_bytes = matches!(order, WordOrder::Badc | WordOrder::Dcba);
    let push = |bits: u64, word: &u16| {
        let word = if swap_bytes { word.swap_bytes() } else { *word };
        bits << 16 | u64::from(word)
    };
    let bits = if swap_words {
        words.iter().rev().fold(0, push)
    } else {
        words.iter().fold(0, push)
    };
    let integer = |value: i128| Raw::Integer { value, bits };
    Some(match kind {
        RegisterType::Bit => integer(i128::from(bits != 0)),
        RegisterType::U16 | RegisterType::U32 | RegisterType::U64 => integer(bits.into()),
        RegisterType::I16 => integer((bits as i16).into()),
        RegisterType::I32 => integer((bits as i32).into()),
        RegisterType::I64 => integer((bits as i64).into()),
        RegisterType::F32 => Raw::Float(f32::from_bits(bits as u32).into()),
        RegisterType::F64 => Raw::Float(f64::from_bits(bits)),
        RegisterType::Bcd32 => integer(bcd(bits as u32)?.into()),
    })
}

/// Eight decimal digits, four bits each.
fn bcd(bits: u32) -> Option<u32> {
    (0..8).rev().try_fold(0, |number, digit| {
        let digit = bits >> (4 * digit) & 0xF;
        (digit < 10).then_some(number * 10 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_orders_of_twelve_and_a_half() {
        for (words, order) in [
            ([0x4148, 0x0000], WordOrder::Abcd),
            ([0x0000, 0x4148], WordOrder::Cdab),
            ([0x4841, 0x0000], WordOrder::Badc),
            ([0x0000, 0x4841], WordOrder::Dcba),
        ] {
            assert_eq!(
                read(&words, RegisterType::F32, order),
                Some(Raw::Float(12.5))
            );
        }
        assert_eq!(
            read(&[0x0000, 0x4841], RegisterType::U32, WordOrder::Abcd).and_then(Raw::number),
            Some(18497.0)
        );
    }

    #[test]
    fn every_type_in_every_width() {
        let check = |words: &[u16], kind, number: Option<f64>| {
            let raw = read(words, kind, WordOrder::Abcd);
            assert_eq!(
                raw.and_then(Raw::number),
                number,
                "{kind:?} of {words:04x?}"
            );
        };
        check(&[0], RegisterType::Bit, Some(0.0));
        check(&[0xFF00], RegisterType::Bit, Some(1.0));
        check(&[0xFFFE], RegisterType::U16, Some(65534.0));
        check(&[0xFFFE], RegisterType::I16, Some(-2.0));
        check(&[0xFFFF, 0xFFFE], RegisterType::U32, Some(4_294_967_294.0));
        check(&[0xFFFF, 0xFFFE], RegisterType::I32, Some(-2.0));
        check(&[0, 0, 1, 0], RegisterType::U64, Some(65536.0));
        check(
            &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE],
            RegisterType::I64,
            Some(-2.0),
        );
        check(&[0x4029, 0, 0, 0], RegisterType::F64, Some(12.5));
        check(&[0x7FC0, 0], RegisterType::F32, None);
        check(&[0xFF80, 0], RegisterType::F32, None);
        check(&[0x1234, 0x5678], RegisterType::Bcd32, Some(12_345_678.0));
        check(&[0x1234, 0x567A], RegisterType::Bcd32, None);
        check(&[1, 2], RegisterType::U16, None);
        check(&[1], RegisterType::U32, None);
    }

    #[test]
    fn a_single_register_swaps_its_bytes() {
        for (order, number) in [
            (WordOrder::Abcd, 0x1234),
            (WordOrder::Cdab, 0x1234),
            (WordOrder::Badc, 0x3412),
            (WordOrder::Dcba, 0x3412),
        ] {
            let raw = read(&[0x1234], RegisterType::U16, order);
            assert!(raw.is_some_and(|raw| raw.is(number)));
        }
    }

    #[test]
    fn four_words_swap_as_a_whole() {
        let words = [4, 3, 2, 1];
        let raw = read(&words, RegisterType::U64, WordOrder::Cdab);
        assert!(raw.is_some_and(|raw| raw.is(0x0001_0002_0003_0004)));
    }
}
