//! DS18B20 probes as the Linux kernel shows them: the text of `w1_slave`, and its lies.
//!
//! | the kernel says | what it means |
//! | --- | --- |
//! | `NO` | the checksum failed, and line 2 repeats an old value: not to be used |
//! | 85.00 or 127.94 with byte 6 = `0c` | the probe had just been powered and measured nothing |
//! | all bytes `00`, `YES`, t=0 | the bus is held low: no probe, and not melting ice |
//! | all bytes `ff` | nobody answered |
//! | nothing at all | the conversion is still running |
//!
//! Byte 6 = `0c` alone proves nothing: 25.25 °C has it too. Invariant: milk is never cold because a wire is broken.

use farm_model::{
    observation::{Body, Flaw},
    quantity::{Milli, Quantity},
};

/// Longest text looked at; the kernel writes about 75 bytes.
const MAX_TEXT: usize = 512;

/// One reading of a probe.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// The temperature, or what is wrong with it.
    pub body: Body,
    /// The nine bytes of the probe's memory, empty when they could not be read.
    pub raw: Vec<u8>,
}

/// What the files of a probe say: `w1_slave`, and `temperature` if that was read too.
///
/// An empty `temperature` means that the kernel has not finished; its number is not used, because it carries no
/// checksum. Temperatures are in thousandths of a degree Celsius.
pub fn parse(w1_slave: &[u8], temperature: Option<&[u8]>) -> Reading {
    let empty = |text: &[u8]| text.iter().all(u8::is_ascii_whitespace);
    if empty(w1_slave) || temperature.is_some_and(empty) {
        return missing(Flaw::Converting, None);
    }
    let text = &w1_slave[..w1_slave.len().min(MAX_TEXT)];
    let Ok(text) = str::from_utf8(text) else {
        return missing(Flaw::Malformed, None);
    };
    let mut lines = text.lines();
    let Some((memory, verdict)) = lines.next().and_then(first_line) else {
        return missing(Flaw::Malformed, None);
    };
    if memory == [0xFF; 9] {
        return missing(Flaw::BusHigh, Some(memory));
    }
    if memory == [0; 9] {
        return missing(Flaw::BusLow, Some(memory));
    }
    if verdict == Verdict::No || crc8(&memory[..8]) != memory[8] {
        return missing(Flaw::Checksum, Some(memory));
    }
    let Some(value) = lines.next().and_then(|line| second_line(line, memory)) else {
        return missing(Flaw::Malformed, Some(memory));
    };
    let body = if memory[6] == 0x0C && matches!(value.0, 85_000 | 127_937 | 127_940) {
        Body::bad(Quantity::Temperature, value, Flaw::PowerOnReset)
    } else {
        Body::measured(Quantity::Temperature, value)
    };
    Reading {
        body,
        raw: memory.to_vec(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Yes,
    No,
}

fn missing(flaw: Flaw, memory: Option<[u8; 9]>) -> Reading {
    Reading {
        body: Body::missing(Quantity::Temperature, flaw),
        raw: memory.map(Vec::from).unwrap_or_default(),
    }
}

/// `72 01 4b 46 7f ff 0e 10 57 : crc=57 YES`
fn first_line(line: &str) -> Option<([u8; 9], Verdict)> {
    let (memory, rest) = line.split_once(':')?;
    let verdict = match rest.split_ascii_whitespace().last()? {
        "YES" => Verdict::Yes,
        "NO" => Verdict::No,
        _ => return None,
    };
    Some((nine_bytes(memory)?, verdict))
}

/// `72 01 4b 46 7f ff 0e 10 57 t=23125`, of the same memory as line 1.
fn second_line(line: &str, memory: [u8; 9]) -> Option<Milli> {
    let (again, value) = line.split_once("t=")?;
    let value: i32 = value.trim().parse().ok()?;
    (nine_bytes(again)? == memory).then_some(Milli(value.into()))
}

fn nine_bytes(text: &str) -> Option<[u8; 9]> {
    let mut memory = [0; 9];
    let mut words = text.split_ascii_whitespace();
    for byte in &mut memory {
        let word = words.next()?;
        if word.len() != 2 || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(word, 16).ok()?;
    }
    words.next().is_none().then_some(memory)
}

/// The 1-wire checksum: CRC-8, polynomial 0x31 reflected, initial value 0.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x8C } else { 0 }
        })
    })
}
