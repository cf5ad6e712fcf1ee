//! Modbus devices described in data: which registers to ask for, and what the words that come back mean.
//!
//! [`plan`] turns a [`RegisterMap`] into read requests, [`Registers`] holds what they brought, [`decode`] makes values of
//! it, [`range_of`] says when a counter rolls over, [`auto`] proposes a map from what a display shows, [`presets`] holds published
//! maps. Invariants: a request never touches an address that no field names; what could not be read is missing with a
//! reason and never zero.

pub mod auto;
mod counter;
mod decode;
mod plan;
pub mod presets;
mod registers;
mod words;

use farm_model::device::{ReadFunction, RegisterMap, RegisterType};

pub use counter::range_of;
pub use decode::{Decoded, decode};
pub use plan::{MAX_BITS, MAX_REGISTERS, ReadRequest, plan};
pub use registers::Registers;

/// Most fields in a map: more than any device has that a farm reads.
pub const MAX_FIELDS: usize = 512;

/// What is wrong with a register map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// Nothing to read.
    #[error("the map has no fields; add at least one register to read")]
    Empty,
    /// Too many fields.
    #[error("the map has {0} fields, more than {MAX_FIELDS}; split the device in two")]
    TooManyFields(usize),
    /// A value would end beyond the last address.
    #[error("field {0}: address {1} and the type's width end beyond 65535")]
    Address(usize, u16),
    /// Coils and discrete inputs hold bits, nothing wider.
    #[error("field {0}: coils and discrete inputs hold bits; use type bit")]
    BitsOnly(usize),
    /// A scale must be a finite number other than 0, an offset a finite number.
    #[error("field {0}: the scale must be a number other than 0, the offset a number")]
    Scale(usize),
    /// The status register must be a register.
    #[error("the status must be a holding or input register")]
    Status,
}

/// Checks what the types of a map cannot: addresses, widths and scales. Fields are counted from 1.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(map: &RegisterMap) -> Result<(), MapError> {
    match map.fields.len() {
        0 => return Err(MapError::Empty),
        n if n > MAX_FIELDS => return Err(MapError::TooManyFields(n)),
        _ => {}
    }
    for (number, field) in (1..).zip(&map.fields) {
        if u32::from(field.address) + u32::from(field.kind.width()) > 0x1_0000 {
            return Err(MapError::Address(number, field.address));
        }
        if is_bits(field.function) && field.kind != RegisterType::Bit {
            return Err(MapError::BitsOnly(number));
        }
        if !field.scale.is_normal() || !field.offset.is_finite() {
            return Err(MapError::Scale(number));
        }
    }
    match &map.status {
        Some(status) if is_bits(status.function) => Err(MapError::Status),
        _ => Ok(()),
    }
}

fn is_bits(function: ReadFunction) -> bool {
    matches!(function, ReadFunction::Coils | ReadFunction::DiscreteInputs)
}
