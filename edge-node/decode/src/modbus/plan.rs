//! Which read requests bring all of a map's fields.

use farm_model::device::{ReadFunction, RegisterMap};

use super::is_bits;

/// Most registers in one request.
pub const MAX_REGISTERS: u16 = 125;

/// Most bits in one request.
pub const MAX_BITS: u16 = 2000;

/// One read request on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReadRequest {
    /// Which function.
    pub function: ReadFunction,
    /// First address.
    pub address: u16,
    /// How many registers or bits.
    pub count: u16,
}

/// The requests that bring every field of `map` and its status, in the order of functions and addresses.
///
/// Fields that touch or overlap share a request as far as the protocol's limits allow; a gap is never bridged, because
/// many devices answer an unlisted address with an exception, and no field is split between two requests. Fields that
/// end beyond the last address are left out.
pub fn plan(map: &RegisterMap) -> Vec<ReadRequest> {
    let fields = map
        .fields
        .iter()
        .map(|f| (f.function, f.address, f.kind.width()));
    let status = map.status.iter().map(|s| (s.function, s.address, 1));
    let mut spans: Vec<(ReadFunction, u32, u32)> = fields
        .chain(status)
        .map(|(function, address, width)| {
            let begin = u32::from(address);
            (function, begin, begin + u32::from(width))
        })
        .filter(|(_, _, end)| *end <= 0x1_0000)
        .collect();
    spans.sort_unstable();

    let mut merged: Vec<(ReadFunction, u32, u32)> = Vec::new();
    for (function, begin, end) in spans {
        match merged.last_mut() {
            Some(last)
                if last.0 == function
                    && begin <= last.2
                    && end.max(last.2) - last.1 <= limit(function) =>
            {
                last.2 = last.2.max(end);
            }
            _ => merged.push((function, begin, end)),
        }
    }
    merged
        .into_iter()
        .map(|(function, begin, end)| ReadRequest {
            function,
            address: begin as u16,
            count: (end - begin) as u16,
        })
        .collect()
}

fn limit(function: ReadFunction) -> u32 {
    let limit = if is_bits(function) {
        MAX_BITS
    } else {
        MAX_REGISTERS
    };
    limit.into()
}
