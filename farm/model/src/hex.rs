//! Bytes as hexadecimal digits, as keys, hashes and serial numbers are written.

use std::fmt::Write as _;

/// Two lower-case digits a byte.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Exactly `N` bytes from two digits each, in either case; none when the text is anything else.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        let value = digit(2 * i)? << 4 | digit(2 * i + 1)?;
        *byte = u8::try_from(value).expect("two digits make a byte");
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode::<256>(&encode(&all)).unwrap().to_vec(), all);
        assert_eq!(encode(&[0, 0x0a, 0xff]), "000aff");
        assert_eq!(decode("0aF1"), Some([0x0a, 0xf1]));
        for text in ["", "0a", "0a0", "+a0a", "0a0g", "éé", "0a0a0a"] {
            assert_eq!(decode::<2>(text), None, "{text:?}");
        }
    }
}
