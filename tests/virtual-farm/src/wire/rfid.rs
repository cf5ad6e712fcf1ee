//! Frames of three RFID readers.

/// Frame of a WL-134A for an ISO 11784 tag: 30 bytes, digits in hexadecimal with the least significant nibble first.
///
/// 02, ten digits of national code, four of country, data flag, animal flag, four reserved, six extra, XOR of the 26
/// bytes before it as one raw byte, its complement, 03.
pub fn wl134a(country: u16, national: u64) -> Vec<u8> {
    let mut frame = vec![0x02];
    frame.extend(nibbles(national, 10));
    frame.extend(nibbles(country.into(), 4));
    frame.extend(*b"010000000000");
    let sum = frame[1..].iter().fold(0, |x, b| x ^ b);
    frame.extend([sum, !sum, 0x03]);
    frame
}

/// `count` hexadecimal digits of `value`, least significant first.
fn nibbles(value: u64, count: u32) -> impl Iterator<Item = u8> {
    (0..count).map(move |i| b"0123456789ABCDEF"[(value >> (4 * i)) as usize & 0xF])
}

/// Line of an Allflex panel reader for an ISO 11784 tag.
pub fn allflex(country: u16, national: u64) -> Vec<u8> {
    format!("LA {country:03} {national:012}\r\n").into_bytes()
}

/// Frame of an RDM6300 for an EM4100 tag: 02, ten hexadecimal digits, two of their bytes' XOR, 03.
pub fn rdm6300(em4100: u64) -> Vec<u8> {
    let bytes = &em4100.to_be_bytes()[3..];
    let sum = bytes.iter().fold(0, |x, b| x ^ b);
    let hex: String = bytes
        .iter()
        .chain([&sum])
        .map(|b| format!("{b:02X}"))
        .collect();
    [&[0x02], hex.as_bytes(), &[0x03]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes
            .iter()
            .map(|b| format!("{b:02x} "))
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    #[test]
    fn wl134a_frames_are_the_published_ones() {
        assert_eq!(
            hex(&wl134a(50, 123_456_789_012)),
            "02 34 31 41 31 39 39 45 42 43 31 32 33 30 30 30 31 30 30 30 30 30 30 30 30 30 30 00 ff 03"
        );
        assert_eq!(
            hex(&wl134a(50, 1)),
            "02 31 30 30 30 30 30 30 30 30 30 32 33 30 30 30 31 30 30 30 30 30 30 30 30 30 30 01 fe 03"
        );
    }

    #[test]
    fn rdm6300_frame_is_the_published_one() {
        assert_eq!(
            hex(&rdm6300(0x01_005A_3B7C)),
            "02 30 31 30 30 35 41 33 42 37 43 31 43 03"
        );
    }

    #[test]
    fn allflex_line_is_the_published_one() {
        assert_eq!(allflex(982, 1_088_420), b"LA 982 000001088420\r\n");
    }
}
