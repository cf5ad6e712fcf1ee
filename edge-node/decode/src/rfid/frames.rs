//! Binary frame families: where a frame ends, whether it is sound, which tag it carries.
//!
//! Pure functions of the bytes held, called after each byte. A frame is cut by its length, never by its end byte,
//! because a raw checksum may equal any control byte.

use farm_model::tag::{Epc, Rfid, Tag};

use super::RejectReason;

/// A family of framed readers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    Wl134a,
    Rdm6300,
    UhfBb,
}

/// What the held bytes are so far.
#[derive(Debug)]
pub(super) enum Scan {
    /// The beginning of a frame.
    Wait,
    /// A sound frame with a tag.
    Tag { len: usize, tag: Tag },
    /// A sound frame that speaks of something else.
    Other { len: usize },
    /// No frame.
    Bad { len: usize, reason: RejectReason },
}

/// What a whole frame says: a tag, or soundly something else.
type Judge = fn(&[u8]) -> Result<Option<Tag>, RejectReason>;

impl Family {
    /// The byte that begins every frame.
    pub(super) fn start(self) -> u8 {
        match self {
            Self::Wl134a | Self::Rdm6300 => 0x02,
            Self::UhfBb => 0xBB,
        }
    }

    /// Judges `held`, which begins with the start byte.
    pub(super) fn scan(self, held: &[u8]) -> Scan {
        let (len, judge): (usize, Judge) = match self {
            Self::Wl134a => (30, wl134a),
            Self::Rdm6300 => (14, rdm6300),
            Self::UhfBb => match uhf_len(held) {
                Ok(Some(len)) => (len, uhf),
                Ok(None) => return Scan::Wait,
                Err(reason) => {
                    let len = held.len();
                    return Scan::Bad { len, reason };
                }
            },
        };
        let Some(frame) = held.get(..len) else {
            return Scan::Wait;
        };
        match judge(frame) {
            Ok(Some(tag)) => Scan::Tag { len, tag },
            Ok(None) => Scan::Other { len },
            Err(reason) => Scan::Bad { len, reason },
        }
    }
}

/// `02`, ten hexadecimal digits of the national code and four of the country (least significant first), data flag,
/// animal flag, ten more digits, XOR of all those as a raw byte, its complement, `03` (or `07`).
fn wl134a(frame: &[u8]) -> Result<Option<Tag>, RejectReason> {
    if !matches!(frame[29], 0x03 | 0x07) {
        return Err(RejectReason::BadFrame);
    }
    let sum = frame[1..27].iter().fold(0, |sum, b| sum ^ b);
    if frame[27] != sum || frame[28] != !sum {
        return Err(RejectReason::Checksum);
    }
    let national = hex(frame[1..11].iter().rev())?;
    let country = hex(frame[11..15].iter().rev())?;
    hex(frame[15..27].iter())?;
    if frame[16] == b'0' {
        return Err(RejectReason::AnimalZero);
    }
    identity(country, national).map(Some)
}

/// `02`, ten hexadecimal digits (version byte and 32-bit number), two of the XOR of those five bytes, `03`.
fn rdm6300(frame: &[u8]) -> Result<Option<Tag>, RejectReason> {
    if frame[13] != 0x03 {
        return Err(RejectReason::BadFrame);
    }
    let number = hex(frame[1..11].iter())?;
    let sum = number.to_be_bytes().iter().fold(0, |sum, b| sum ^ b);
    if hex(frame[11..13].iter())? != u64::from(sum) {
        return Err(RejectReason::Checksum);
    }
    if number == 0 {
        return Err(RejectReason::AnimalZero);
    }
    Ok(Some(Tag::Em4100(number)))
}

/// Longest payload of a `BB` frame that a farm's reader sends; an inventory notice has at most 67 bytes.
const UHF_MAX_PAYLOAD: usize = 128;

/// The length of a `BB` frame, once its header is there: `BB`, type, command, payload length (two bytes), payload,
/// sum, `7E`.
fn uhf_len(held: &[u8]) -> Result<Option<usize>, RejectReason> {
    if held.get(1).is_some_and(|kind| *kind > 2) {
        return Err(RejectReason::BadFrame);
    }
    let Some(length) = held.get(3..5) else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([length[0], length[1]])) {
        payload if payload > UHF_MAX_PAYLOAD => Err(RejectReason::TooLong),
        payload => Ok(Some(payload + 7)),
    }
}

/// A notice (type 02) of an inventory (command 22) carries RSSI, protocol control word, EPC and the EPC's CRC, which
/// the reader has already checked over the air. Answers and other notices carry no tag.
fn uhf(frame: &[u8]) -> Result<Option<Tag>, RejectReason> {
    let (body, end) = frame.split_at(frame.len() - 2);
    if end[1] != 0x7E {
        return Err(RejectReason::BadFrame);
    }
    let sum = body[1..].iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
    if sum != end[0] {
        return Err(RejectReason::Checksum);
    }
    if body[1..3] != [0x02, 0x22] {
        return Ok(None);
    }
    let [_rssi, control, _, rest @ ..] = &body[5..] else {
        return Err(RejectReason::BadFrame);
    };
    // The control word's upper five bits count the EPC's 16-bit words.
    let bytes = usize::from(control >> 3) * 2;
    if rest.len() != bytes + 2 {
        return Err(RejectReason::BadFrame);
    }
    let epc = &rest[..bytes];
    if epc.iter().all(|b| *b == 0) {
        return Err(RejectReason::AnimalZero);
    }
    Epc::new(epc)
        .map(|epc| Some(Tag::Epc(epc)))
        .map_err(|_| RejectReason::OutOfRange)
}

/// The number that hexadecimal digits spell, most significant first; at most sixteen of them.
pub(super) fn hex<'a>(digits: impl Iterator<Item = &'a u8>) -> Result<u64, RejectReason> {
    digits.take(16).try_fold(0, |number, digit| {
        let digit = char::from(*digit).to_digit(16);
        digit
            .map(|d| number << 4 | u64::from(d))
            .ok_or(RejectReason::NotHex)
    })
}

/// An identity from numbers of any size.
pub(super) fn identity(country: u64, national: u64) -> Result<Tag, RejectReason> {
    if national == 0 {
        return Err(RejectReason::AnimalZero);
    }
    u16::try_from(country)
        .ok()
        .and_then(|country| Rfid::new(country, national).ok())
        .map(Tag::Rfid)
        .ok_or(RejectReason::OutOfRange)
}
