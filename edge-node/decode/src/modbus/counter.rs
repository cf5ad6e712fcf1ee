//! How far a counter's register counts before it starts again at 0.
//!
//! Whoever adds up what it counted (the milking engine) tells a roll-over from a restart by it.

use farm_model::device::{RegisterField, RegisterType};

/// The largest raw value of a field that is a counter: as its map says, or as its type allows.
pub fn range_of(field: &RegisterField) -> Option<u64> {
    let of_type = match field.kind {
        RegisterType::U16 => Some(u16::MAX.into()),
        RegisterType::I16 => Some(i16::MAX as u64),
        RegisterType::U32 => Some(u32::MAX.into()),
        RegisterType::I32 => Some(i32::MAX as u64),
        RegisterType::U64 => Some(u64::MAX),
        RegisterType::I64 => Some(i64::MAX as u64),
        RegisterType::Bcd32 => Some(99_999_999),
        RegisterType::Bit | RegisterType::F32 | RegisterType::F64 => None,
    };
    of_type.map(|range| field.wraps_after.unwrap_or(range))
}
