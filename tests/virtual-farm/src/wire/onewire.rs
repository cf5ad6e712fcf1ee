//! What the kernel shows of a DS18B20: the nine bytes of its scratchpad and its verdict on their checksum.

/// The scratchpad of a probe at `celsius`, 12 bits, checksum included.
pub fn scratchpad(celsius: f64) -> [u8; 9] {
    let raw = (celsius * 16.0).round() as i16;
    let [low, high] = raw.to_le_bytes();
    with_checksum([low, high, 0x4b, 0x46, 0x7f, 0xff, 0x10 - (low & 0x0F), 0x10])
}

/// What an original chip holds between power-on and its first conversion: 85 °C, byte 6 = 0C.
pub fn power_on() -> [u8; 9] {
    with_checksum([0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10])
}

fn with_checksum(bytes: [u8; 8]) -> [u8; 9] {
    let mut pad = [0; 9];
    pad[..8].copy_from_slice(&bytes);
    pad[8] = crc8(&bytes);
    pad
}

/// The text of `w1_slave`. The second line shows `millidegrees`, which after a bad checksum is the value before.
pub fn w1_slave(pad: &[u8; 9], millidegrees: i32) -> String {
    let hex: String = pad.iter().map(|b| format!("{b:02x} ")).collect();
    let crc = crc8(&pad[..8]);
    let verdict = if crc == pad[8] { "YES" } else { "NO" };
    format!("{hex}: crc={crc:02x} {verdict}\n{hex}t={millidegrees}\n")
}

/// Thousandths of a degree that the scratchpad stands for.
pub fn millidegrees(pad: &[u8; 9]) -> i32 {
    i32::from(i16::from_le_bytes([pad[0], pad[1]])) * 1000 / 16
}

/// Dallas/Maxim CRC-8: x^8 + x^5 + x^4 + 1, reflected, initial value 0.
pub fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0x8C
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratchpads_are_the_published_ones() {
        assert_eq!(
            scratchpad(23.125),
            [0x72, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0e, 0x10, 0x57]
        );
        assert_eq!(
            scratchpad(-10.125),
            [0x5e, 0xff, 0x4b, 0x46, 0x7f, 0xff, 0x02, 0x10, 0xb6]
        );
        assert_eq!(
            scratchpad(25.25),
            [0x94, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10, 0x26]
        );
        assert_eq!(scratchpad(85.0)[6..], [0x10, 0x10, 0xbd]);
        assert_eq!(
            power_on(),
            [0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10, 0x1c]
        );
        assert_eq!(millidegrees(&scratchpad(-10.125)), -10_125);
    }

    #[test]
    fn the_kernel_says_what_it_thinks_of_the_checksum() {
        assert_eq!(
            w1_slave(&scratchpad(23.125), 23_125),
            "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"
        );
        assert!(w1_slave(&[0; 9], 0).starts_with("00 00 00 00 00 00 00 00 00 : crc=00 YES"));
        assert!(w1_slave(&[0xff; 9], 4000).contains("crc=c9 NO"));
    }
}
