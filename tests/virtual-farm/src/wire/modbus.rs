//! A Modbus slave's half of the protocol: protocol data units, RTU frames, TCP headers.
//!
//! Invariant: a frame that is cut, padded or corrupted is never answered; a request that is understood but cannot be
//! met is answered with the exception that the standard names.

use crate::sim::climate::Biogas;

/// The device that should answer is not there (a gateway says so).
pub const GATEWAY_TARGET_FAILED: u8 = 0x0B;

const ILLEGAL_FUNCTION: u8 = 0x01;
const ILLEGAL_ADDRESS: u8 = 0x02;
const ILLEGAL_VALUE: u8 = 0x03;

/// Most registers that one request may read.
const MAX_READ: u16 = 125;

/// The answer of a slave whose registers are `image`, to the request `pdu`: functions 03 and 04 read the same image.
pub fn answer(pdu: &[u8], image: &[u16]) -> Vec<u8> {
    let function = pdu.first().copied().unwrap_or(0);
    let &[0x03 | 0x04, a, b, c, d] = pdu else {
        let known = matches!(function, 0x03 | 0x04);
        return exception(
            function,
            if known {
                ILLEGAL_VALUE
            } else {
                ILLEGAL_FUNCTION
            },
        );
    };
    let (first, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if !(1..=MAX_READ).contains(&count) {
        return exception(function, ILLEGAL_VALUE);
    }
    let range = usize::from(first)..usize::from(first) + usize::from(count);
    let Some(registers) = image.get(range) else {
        return exception(function, ILLEGAL_ADDRESS);
    };
    let mut out = vec![function, (count * 2) as u8];
    out.extend(registers.iter().flat_map(|r| r.to_be_bytes()));
    out
}

/// An exception response.
pub fn exception(function: u8, code: u8) -> Vec<u8> {
    vec![function | 0x80, code]
}

/// CRC-16 of Modbus: polynomial A001 reflected, initial value FFFF; sent low byte first.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xA001
            } else {
                crc >> 1
            }
        })
    })
}

/// A request or an answer as an RTU frame.
pub fn rtu_frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend(pdu);
    frame.extend(crc16(&frame).to_le_bytes());
    frame
}

/// Takes the first whole RTU request out of `buffer`: unit and protocol data unit.
///
/// Bytes that cannot begin a request are thrown away one at a time, as a slave does that lost its place. `None` asks
/// for more bytes.
pub fn take_rtu_request(buffer: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    loop {
        let length = rtu_request_length(buffer)?;
        if length <= buffer.len() {
            let (body, sum) = buffer[..length].split_at(length - 2);
            if crc16(body).to_le_bytes() == sum {
                let request = (body[0], body[1..].to_vec());
                buffer.drain(..length);
                return Some(request);
            }
        } else if length <= MAX_FRAME {
            return None;
        }
        buffer.remove(0);
    }
}

/// Longest RTU frame.
const MAX_FRAME: usize = 256;

/// Length of the RTU request that `buffer` begins with; `None` when more bytes must come to tell.
fn rtu_request_length(buffer: &[u8]) -> Option<usize> {
    match *buffer.get(1)? {
        0x0F | 0x10 => Some(9 + usize::from(*buffer.get(6)?)),
        0x07 | 0x0B | 0x0C | 0x11 => Some(4),
        _ => Some(8),
    }
}

/// Length of a Modbus TCP header: transaction, protocol, length, unit.
pub const TCP_HEADER: usize = 7;

/// A Modbus TCP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpHeader {
    /// Chosen by the client, sent back by the server.
    pub transaction: u16,
    /// Unit behind the address.
    pub unit: u8,
    /// Bytes of protocol data unit that follow.
    pub pdu_length: usize,
}

impl TcpHeader {
    /// Reads a header; `None` when it is not one of Modbus TCP.
    pub fn parse(bytes: [u8; TCP_HEADER]) -> Option<Self> {
        let [t0, t1, 0, 0, l0, l1, unit] = bytes else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        (2..=254).contains(&length).then(|| Self {
            transaction: u16::from_be_bytes([t0, t1]),
            unit,
            pdu_length: length - 1,
        })
    }

    /// The frame that answers this header with `pdu`.
    pub fn reply(self, pdu: &[u8]) -> Vec<u8> {
        let mut frame = self.transaction.to_be_bytes().to_vec();
        frame.extend([0, 0]);
        frame.extend((pdu.len() as u16 + 1).to_be_bytes());
        frame.push(self.unit);
        frame.extend(pdu);
        frame
    }
}

/// The two registers of an unsigned 32-bit number, high word first.
pub fn u32_words(value: u32) -> [u16; 2] {
    [(value >> 16) as u16, value as u16]
}

/// The two registers of an IEEE 754 single, low word first, as Vaisala's instruments send it.
pub fn f32_words_low_first(value: f32) -> [u16; 2] {
    let [high, low] = u32_words(value.to_bits());
    [low, high]
}

/// Registers of the digester's instrument.
///
/// Gas concentrations lie as in Vaisala's MGP260 family: IEEE 754 singles, low word first, in ppm by volume, methane at
/// 0, carbon dioxide at 4, water vapour at 8, gas temperature in °C at 16, quiet NaN where there is no value (dry-basis
/// values at 2, 6 and 10 are not measured here). Beside them, of this instrument's own: gas pressure in kPa over ambient at 12, gas flow in m³/h at 14.
pub fn biogas_registers(gas: &Biogas) -> Vec<u16> {
    const PPM: f64 = 10_000.0;
    [
        gas.methane * PPM,
        f64::NAN,
        gas.carbon_dioxide * PPM,
        f64::NAN,
        gas.water * PPM,
        f64::NAN,
        gas.pressure_kpa,
        gas.flow_m3_h,
        gas.celsius,
    ]
    .into_iter()
    .flat_map(|value| f32_words_low_first(value as f32))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_the_published_ones() {
        assert_eq!(
            rtu_frame(1, &[4, 0, 0, 0, 2]),
            [0x01, 0x04, 0, 0, 0, 2, 0x71, 0xcb]
        );
        assert_eq!(
            rtu_frame(1, &answer(&[4, 0, 0, 0, 2], &u32_words(230.2f32.to_bits()))),
            [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x33, 0x5a, 0xfa]
        );
    }

    #[test]
    fn what_cannot_be_met_is_an_exception() {
        let image = [1, 2, 3];
        assert_eq!(answer(&[3, 0, 2, 0, 1], &image), [3, 2, 0, 3]);
        assert_eq!(answer(&[3, 0, 2, 0, 2], &image), [0x83, 2]);
        assert_eq!(answer(&[3, 0, 0, 0, 0], &image), [0x83, 3]);
        assert_eq!(answer(&[4, 0, 0, 0, 126], &image), [0x84, 3]);
        assert_eq!(answer(&[6, 0, 0, 0, 1], &image), [0x86, 1]);
        assert_eq!(answer(&[3], &image), [0x83, 3]);
    }

    #[test]
    fn a_slave_finds_its_place_again_after_noise() {
        let request = rtu_frame(2, &[3, 0, 0, 0, 11]);
        for cut in 0..request.len() {
            let mut buffer = vec![0x55, 0xFF, 0x03];
            buffer.extend(&request[..cut]);
            let early = take_rtu_request(&mut buffer);
            assert_eq!(early, None, "cut at {cut}");
            buffer.extend(&request[cut..]);
            assert_eq!(
                take_rtu_request(&mut buffer),
                Some((2, vec![3, 0, 0, 0, 11]))
            );
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_corrupted_request_is_not_answered() {
        let mut buffer = rtu_frame(2, &[3, 0, 0, 0, 11]);
        buffer[5] ^= 1;
        assert_eq!(take_rtu_request(&mut buffer), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_a_slave(mut bytes in proptest::collection::vec(0u8.., 0..600)) {
            while let Some((unit, pdu)) = take_rtu_request(&mut bytes) {
                proptest::prop_assert!(rtu_frame(unit, &answer(&pdu, &[7; 11])).len() <= 256);
            }
            proptest::prop_assert!(bytes.len() <= MAX_FRAME);
        }

        #[test]
        fn every_readable_range_is_answered_in_full(first in 0u16..120, count in 1u16..=125) {
            let image: Vec<u16> = (0..245).collect();
            let pdu = answer(&[&[3], &first.to_be_bytes()[..], &count.to_be_bytes()].concat(), &image);
            proptest::prop_assert_eq!(pdu.len(), 2 + 2 * usize::from(count));
            proptest::prop_assert_eq!(&pdu[2..4], &first.to_be_bytes());
        }
    }
}
