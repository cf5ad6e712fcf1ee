//! What a poll's words mean by a device's map.

use farm_model::{
    device::{RegisterField, RegisterMap, StatusField},
    observation::{Body, Flaw},
    quantity::{Milli, Quantity},
};

use super::{
    registers::Registers,
    words::{Raw, read},
};

/// One field's value.
#[derive(Clone, PartialEq, Debug)]
pub struct Decoded {
    /// What it measures.
    pub quantity: Quantity,
    /// The value, or what is wrong with it.
    pub body: Body,
    /// The words it was read from, in the order of their addresses; empty when none came.
    pub raw: Vec<u16>,
}

impl Decoded {
    /// The words as they were on the wire, for an observation's evidence.
    pub fn raw_bytes(&self) -> Vec<u8> {
        self.raw.iter().flat_map(|w| w.to_be_bytes()).collect()
    }
}

/// The values of all of `map`'s fields, in its order.
///
/// A field that was not read is missing for the reason noted in `registers`; NaN, infinities and codes for "no value"
/// are missing as [`Flaw::NotANumber`]; with a status that is not normal, or was not read, a value is kept as bad.
pub fn decode(map: &RegisterMap, registers: &Registers) -> Vec<Decoded> {
    let gate = map.status.as_ref().and_then(|s| gate(s, registers));
    map.fields
        .iter()
        .map(|field| decode_field(field, registers, gate))
        .collect()
}

/// Why the device's status forbids to believe its values, if it does.
fn gate(status: &StatusField, registers: &Registers) -> Option<Flaw> {
    match registers.get(status.function, status.address, 1) {
        Ok(words) if status.normal.contains(&words[0]) => None,
        Ok(words) if status.not_ready.contains(&words[0]) => Some(Flaw::NotReady),
        Ok(_) => Some(Flaw::DeviceFault),
        Err(flaw) => Some(flaw),
    }
}

fn decode_field(field: &RegisterField, registers: &Registers, gate: Option<Flaw>) -> Decoded {
    let quantity = field.quantity;
    let absent = |flaw, raw| Decoded {
        quantity,
        body: Body::missing(quantity, flaw),
        raw,
    };
    let words = match registers.get(field.function, field.address, field.kind.width()) {
        Ok(words) => words,
        Err(flaw) => return absent(flaw, Vec::new()),
    };
    let Some(raw) = read(words, field.kind, field.order) else {
        return absent(Flaw::Malformed, words.to_vec());
    };
    let number = raw.number();
    let Some(number) = number.filter(|_| !field.missing.iter().any(|code| raw.is(*code))) else {
        return absent(gate.unwrap_or(Flaw::NotANumber), words.to_vec());
    };
    let Some(value) = Milli::from_f64(number * field.scale + field.offset) else {
        return absent(Flaw::OutOfPhysics, words.to_vec());
    };
    Decoded {
        quantity,
        body: match gate {
            None => Body::measured(quantity, value),
            Some(flaw) => Body::bad(quantity, value, flaw),
        },
        raw: words.to_vec(),
    }
}

/// What `field` reads in `words`, for proposals; `None` when it reads no number.
pub(super) fn number_of(field: &RegisterField, words: &[u16]) -> Option<f64> {
    let number = read(words, field.kind, field.order).and_then(Raw::number)?;
    Some(number * field.scale + field.offset)
}
