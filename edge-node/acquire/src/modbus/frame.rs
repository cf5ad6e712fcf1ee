//! Modbus read requests and answers as bytes, for RTU and TCP (Modbus Application Protocol V1.1b3; Serial Line V1.02;
//! Messaging on TCP/IP V1.0b).
//!
//! Pure. An answer is taken only when unit, function, length and checksum (RTU) or transaction (TCP) are those of the
//! request; anything else is named, so that it can be counted and kept.
//! Invariant: no bytes can make these functions panic or read past what has arrived.

use farm_model::device::ReadFunction;

/// Most registers that one request may read.
pub const MAX_REGISTERS: u16 = 125;
/// Most coils or discrete inputs that one request may read.
pub const MAX_BITS: u16 = 2000;
/// Longest RTU frame.
pub const MAX_RTU: usize = 256;

/// A request to read `count` registers or bits of `unit` from address `start` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Slave address or unit identifier.
    pub unit: u8,
    /// Which table.
    pub function: ReadFunction,
    /// First address, from 0.
    pub start: u16,
    /// How many.
    pub count: u16,
}

/// What a slave said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The registers; coils and discrete inputs as 0 and 1.
    Words(Vec<u16>),
    /// An exception code.
    Exception(u8),
}

/// What was found among the bytes of a serial line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scan {
    /// The answer, at `at..at + len`.
    Found {
        /// What it says.
        reply: Reply,
        /// Bytes before it.
        at: usize,
        /// Its own bytes.
        len: usize,
    },
    /// Not there yet.
    Incomplete,
}

/// What stands at the beginning of a TCP stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Segment {
    /// The answer, in the first `len` bytes.
    Found {
        /// What it says.
        reply: Reply,
        /// Its bytes.
        len: usize,
    },
    /// A whole frame of `len` bytes that is not the answer.
    Other {
        /// Why not.
        reason: &'static str,
        /// Its bytes.
        len: usize,
    },
    /// Not there yet.
    Incomplete,
    /// Not Modbus TCP: where the next frame begins cannot be known.
    Broken,
}

impl Request {
    /// The request's protocol data unit.
    pub fn pdu(self) -> [u8; 5] {
        let [start_hi, start_lo] = self.start.to_be_bytes();
        let [count_hi, count_lo] = self.count.to_be_bytes();
        [self.function.code(), start_hi, start_lo, count_hi, count_lo]
    }

    /// The request as a serial frame.
    pub fn rtu(self) -> [u8; 8] {
        let mut frame = [0; 8];
        frame[0] = self.unit;
        frame[1..6].copy_from_slice(&self.pdu());
        let crc = crc(&frame[..6]);
        frame[6..].copy_from_slice(&crc.to_le_bytes());
        frame
    }

    /// The request as a TCP frame of transaction `tid`.
    pub fn tcp(self, tid: u16) -> [u8; 12] {
        let mut frame = [0; 12];
        frame[..2].copy_from_slice(&tid.to_be_bytes());
        frame[5] = 6;
        frame[6] = self.unit;
        frame[7..].copy_from_slice(&self.pdu());
        frame
    }

    /// Length of the serial frame that answers in full.
    pub fn rtu_answer_len(self) -> usize {
        5 + usize::from(self.data_len())
    }

    /// Bytes of registers or bits that the answer carries.
    fn data_len(self) -> u8 {
        let len = match self.function {
            ReadFunction::Coils | ReadFunction::DiscreteInputs => self.count.div_ceil(8),
            ReadFunction::HoldingRegisters | ReadFunction::InputRegisters => {
                self.count.saturating_mul(2)
            }
        };
        u8::try_from(len).unwrap_or(u8::MAX)
    }

    /// Reads an answer's protocol data unit; `Err` says why it is no answer to this request.
    fn read_pdu(self, pdu: &[u8]) -> Result<Reply, &'static str> {
        let code = self.function.code();
        match pdu {
            [function, exception] if *function == code | 0x80 => Ok(Reply::Exception(*exception)),
            [function, len, data @ ..] if *function == code => {
                if *len == self.data_len() && data.len() == usize::from(*len) {
                    Ok(Reply::Words(self.words(data)))
                } else {
                    Err("wrong_length")
                }
            }
            _ => Err("wrong_function"),
        }
    }

    fn words(self, data: &[u8]) -> Vec<u16> {
        match self.function {
            ReadFunction::Coils | ReadFunction::DiscreteInputs => (0..usize::from(self.count))
                .take(data.len() * 8)
                .map(|bit| u16::from(data[bit / 8] >> (bit % 8) & 1))
                .collect(),
            ReadFunction::HoldingRegisters | ReadFunction::InputRegisters => data
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect(),
        }
    }

    /// Looks for the answer anywhere in `bytes`: noise and echoes may come before it.
    pub fn scan_rtu(self, bytes: &[u8]) -> Scan {
        for at in 0..bytes.len() {
            if let Some((reply, len)) = self.rtu_at(&bytes[at..]) {
                return Scan::Found { reply, at, len };
            }
        }
        Scan::Incomplete
    }

    fn rtu_at(self, bytes: &[u8]) -> Option<(Reply, usize)> {
        let code = self.function.code();
        let len = match bytes {
            [unit, function, len, ..]
                if *unit == self.unit && *function == code && *len == self.data_len() =>
            {
                self.rtu_answer_len()
            }
            [unit, function, ..] if *unit == self.unit && *function == code | 0x80 => 5,
            _ => return None,
        };
        let frame = bytes.get(..len)?;
        if !crc_holds(frame) {
            return None;
        }
        let reply = self.read_pdu(&frame[1..len - 2]).ok()?;
        Some((reply, len))
    }

    /// Why `bytes`, all that came in time, hold no answer. `None` when nothing came.
    pub fn blame_rtu(self, bytes: &[u8]) -> Option<&'static str> {
        let (unit, function) = match bytes {
            [] => return None,
            [unit, function, ..] => (*unit, *function),
            [_] => return Some("noise"),
        };
        let code = self.function.code();
        Some(if crc_holds(bytes) {
            if unit != self.unit {
                "wrong_unit"
            } else if function & 0x7f == code {
                "wrong_length"
            } else {
                "wrong_function"
            }
        } else if unit == self.unit && function == code {
            if bytes.len() < self.rtu_answer_len() {
                "truncated"
            } else {
                "checksum"
            }
        } else if unit == self.unit && function == code | 0x80 {
            if bytes.len() < 5 {
                "truncated"
            } else {
                "checksum"
            }
        } else {
            "noise"
        })
    }

    /// Reads the beginning of a TCP stream, in which transaction `tid` is awaited.
    pub fn scan_tcp(self, tid: u16, bytes: &[u8]) -> Segment {
        let Some(header) = bytes.first_chunk::<7>() else {
            return Segment::Incomplete;
        };
        let protocol = u16::from_be_bytes([header[2], header[3]]);
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if protocol != 0 || !(3..=254).contains(&length) {
            return Segment::Broken;
        }
        let len = 6 + length;
        let Some(frame) = bytes.get(..len) else {
            return Segment::Incomplete;
        };
        if u16::from_be_bytes([header[0], header[1]]) != tid {
            return Segment::Other {
                reason: "late_answer",
                len,
            };
        }
        if header[6] != self.unit {
            return Segment::Other {
                reason: "wrong_unit",
                len,
            };
        }
        match self.read_pdu(&frame[7..]) {
            Ok(reply) => Segment::Found { reply, len },
            Err(reason) => Segment::Other { reason, len },
        }
    }
}

/// CRC-16/MODBUS: polynomial 0x8005 reflected, initial value 0xFFFF; sent low byte first.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xA001
            } else {
                crc >> 1
            }
        })
    })
}

/// Whether `bytes` are one whole serial frame: long enough, short enough, checksum right.
pub fn crc_holds(bytes: &[u8]) -> bool {
    (4..=MAX_RTU).contains(&bytes.len()) && {
        let (body, sum) = bytes.split_at(bytes.len() - 2);
        crc(body).to_le_bytes() == sum
    }
}

#[cfg(test)]
mod tests {
    use farm_model::device::ReadFunction::{Coils, HoldingRegisters, InputRegisters};

    use super::*;

    /// Eastron SDM630, voltage of phase 1: 230.2 V.
    const VOLTAGE: Request = Request {
        unit: 1,
        function: InputRegisters,
        start: 0,
        count: 2,
    };
    const ANSWER: [u8; 9] = [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x33, 0x5a, 0xfa];

    fn found(at: usize) -> Scan {
        Scan::Found {
            reply: Reply::Words(vec![0x4366, 0x3333]),
            at,
            len: 9,
        }
    }

    #[test]
    fn published_request_and_answer() {
        assert_eq!(VOLTAGE.rtu(), [0x01, 0x04, 0, 0, 0, 2, 0x71, 0xcb]);
        assert_eq!(VOLTAGE.scan_rtu(&ANSWER), found(0));
        assert_eq!(crc(b"123456789"), 0x4B37);
    }

    #[test]
    fn an_answer_is_found_behind_noise_and_its_own_echo() {
        let noisy = [&[0xff, 0x00, 0x01, 0x04], &ANSWER[..]].concat();
        assert_eq!(VOLTAGE.scan_rtu(&noisy), found(4));
        let echoed = [&VOLTAGE.rtu()[..], &ANSWER].concat();
        assert_eq!(VOLTAGE.scan_rtu(&echoed), found(8));
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let mut flipped = ANSWER;
        flipped[4] ^= 1;
        let other_unit = {
            let mut frame = ANSWER;
            frame[0] = 2;
            let sum = crc(&frame[..7]).to_le_bytes();
            frame[7..].copy_from_slice(&sum);
            frame
        };
        for (bytes, why) in [
            (&[][..], None),
            (&ANSWER[..8], Some("truncated")),
            (&flipped[..], Some("checksum")),
            (&other_unit[..], Some("wrong_unit")),
            (&[0x55, 0xaa, 0x55], Some("noise")),
        ] {
            assert_eq!(VOLTAGE.scan_rtu(bytes), Scan::Incomplete);
            assert_eq!(VOLTAGE.blame_rtu(bytes), why, "{bytes:02x?}");
        }
        let longer = Request {
            count: 4,
            ..VOLTAGE
        };
        assert_eq!(longer.scan_rtu(&ANSWER), Scan::Incomplete);
        assert_eq!(longer.blame_rtu(&ANSWER), Some("wrong_length"));
        let other_table = Request {
            function: HoldingRegisters,
            ..VOLTAGE
        };
        assert_eq!(other_table.blame_rtu(&ANSWER), Some("wrong_function"));
    }

    #[test]
    fn exceptions_and_bits() {
        let frame = [0x01, 0x84, 0x02, 0xc2, 0xc1];
        assert_eq!(
            VOLTAGE.scan_rtu(&frame),
            Scan::Found {
                reply: Reply::Exception(2),
                at: 0,
                len: 5
            }
        );
        // The specification's own example of function 01: coils 20 to 38.
        let coils = Request {
            unit: 1,
            function: Coils,
            start: 19,
            count: 19,
        };
        assert_eq!(coils.pdu(), [0x01, 0x00, 0x13, 0x00, 0x13]);
        let Ok(Reply::Words(bits)) = coils.read_pdu(&[0x01, 0x03, 0xcd, 0x6b, 0x05]) else {
            panic!("the answer is right");
        };
        assert_eq!(
            bits,
            [1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1]
        );
    }

    #[test]
    fn more_bits_than_an_answer_can_hold_are_not_invented() {
        let coils = Request {
            unit: 1,
            function: Coils,
            start: 0,
            count: u16::MAX,
        };
        let answer = [&[0x01, 0xff][..], &[0xff; 255]].concat();
        let Ok(Reply::Words(bits)) = coils.read_pdu(&answer) else {
            panic!("as long as it says");
        };
        assert_eq!(bits.len(), 255 * 8);
    }

    #[test]
    fn tcp_answers_belong_to_their_transaction() {
        assert_eq!(VOLTAGE.tcp(0x1501), [0x15, 1, 0, 0, 0, 6, 1, 4, 0, 0, 0, 2]);
        let answer = [0x15, 1, 0, 0, 0, 7, 1, 4, 4, 0x43, 0x66, 0x33, 0x33];
        let Segment::Found { len: 13, .. } = VOLTAGE.scan_tcp(0x1501, &answer) else {
            panic!("the answer is right");
        };
        for (tid, bytes, expected) in [
            (0x1501, &answer[..12], Segment::Incomplete),
            (
                0x1502,
                &answer[..],
                Segment::Other {
                    reason: "late_answer",
                    len: 13,
                },
            ),
            (0x1501, b"HTTP/1.1 400", Segment::Broken),
            (0x1501, &[0x15, 1, 0, 0, 0, 0, 1], Segment::Broken),
        ] {
            assert_eq!(VOLTAGE.scan_tcp(tid, bytes), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_scanned_without_panic(bytes in proptest::collection::vec(0u8.., 0..300), unit in 0u8.., start in 0u16.., count in 0u16..) {
            for function in [Coils, HoldingRegisters] {
                let request = Request { unit, function, start, count };
                let _ = (request.scan_rtu(&bytes), request.blame_rtu(&bytes), request.scan_tcp(7, &bytes));
                let framed = [&[0, 7, 0, 0, 0, 200, unit][..], &bytes].concat();
                let _ = request.scan_tcp(7, &framed);
            }
        }
    }
}
