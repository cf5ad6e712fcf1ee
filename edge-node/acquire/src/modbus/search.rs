//! Looking through a slave whose map is not known.
//!
//! Pure. Ranges are asked as large as the protocol allows; a range that holds an address the slave does not know is
//! halved until the good parts remain, wide parts first, so that the budget goes to what is likely. Halves stay even as
//! long as they can, for devices that refuse half a float.

use std::collections::VecDeque;

use edge_decode::modbus::ReadRequest;
use farm_model::device::ReadFunction;

use super::{
    Found, ProbeError,
    frame::{MAX_BITS, MAX_REGISTERS, Reply},
};

/// Most requests that one search may cost.
const BUDGET: u32 = 400;

/// A search under way.
#[derive(Debug)]
pub(crate) struct Search {
    unit: u8,
    todo: VecDeque<ReadRequest>,
    found: Found,
    budget: u32,
}

impl Search {
    pub(crate) fn new(unit: u8, ranges: &[ReadRequest]) -> Self {
        Self {
            unit,
            todo: ranges.iter().flat_map(|r| pieces(*r)).collect(),
            found: Vec::new(),
            budget: BUDGET,
        }
    }

    /// What to ask next; `None` when all is known or the budget is spent.
    pub(crate) fn next(&mut self) -> Option<ReadRequest> {
        self.budget = self.budget.checked_sub(1)?;
        self.todo.pop_front()
    }

    /// Takes the answer to `range`.
    ///
    /// # Errors
    /// When the slave refuses for a reason that a smaller range does not heal.
    pub(crate) fn answered(&mut self, range: ReadRequest, reply: Reply) -> Result<(), ProbeError> {
        match reply {
            Reply::Words(words) => self.found.push((range.function, range.address, words)),
            Reply::Exception(1) => self.todo.retain(|r| r.function != range.function),
            Reply::Exception(2 | 3) => self.halve(range),
            Reply::Exception(code) => {
                return Err(ProbeError::Refused {
                    unit: self.unit,
                    code,
                });
            }
        }
        Ok(())
    }

    fn halve(&mut self, range: ReadRequest) {
        if range.count <= 1 {
            return;
        }
        let half = range.count / 2;
        let first = if half > 1 { half & !1 } else { half };
        let second = ReadRequest {
            address: range.address + first,
            count: range.count - first,
            ..range
        };
        self.todo.push_back(ReadRequest {
            count: first,
            ..range
        });
        self.todo.push_back(second);
    }

    /// What was found, in order, neighbours joined.
    pub(crate) fn finish(mut self) -> Found {
        self.found.sort();
        let mut joined: Found = Vec::new();
        for (function, start, words) in self.found {
            match joined.last_mut() {
                Some((f, s, w))
                    if *f == function && usize::from(*s) + w.len() == usize::from(start) =>
                {
                    w.extend(words);
                }
                _ => joined.push((function, start, words)),
            }
        }
        joined
    }
}

/// `range` in pieces that one request can read, within the address space.
fn pieces(range: ReadRequest) -> Vec<ReadRequest> {
    let longest = match range.function {
        ReadFunction::Coils | ReadFunction::DiscreteInputs => MAX_BITS,
        // An even number, so that no float is cut in two.
        ReadFunction::HoldingRegisters | ReadFunction::InputRegisters => MAX_REGISTERS - 1,
    };
    let end = (u32::from(range.address) + u32::from(range.count)).min(0x1_0000);
    (u32::from(range.address)..end)
        .step_by(usize::from(longest))
        .map(|start| ReadRequest {
            function: range.function,
            address: start as u16,
            count: (end - start).min(u32::from(longest)) as u16,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use farm_model::device::ReadFunction::{Coils, HoldingRegisters};

    use super::*;

    /// Searches a slave that knows the addresses for which `known` is true.
    fn search(ranges: &[ReadRequest], known: impl Fn(u16) -> bool) -> (Found, u32) {
        let mut search = Search::new(1, ranges);
        let mut asked = 0;
        while let Some(range) = search.next() {
            asked += 1;
            let addresses = range.address..=range.address + (range.count - 1);
            let reply = if range.function == Coils {
                Reply::Exception(1)
            } else if addresses.clone().all(&known) {
                Reply::Words(addresses.collect())
            } else {
                Reply::Exception(2)
            };
            search.answered(range, reply).unwrap();
        }
        (search.finish(), asked)
    }

    fn holding(start: u16, count: u16) -> ReadRequest {
        ReadRequest {
            function: HoldingRegisters,
            address: start,
            count,
        }
    }

    #[test]
    fn holes_are_left_out_and_neighbours_joined() {
        let (found, asked) = search(&[holding(0, 300)], |a| a != 77 && a < 210);
        let spans: Vec<_> = found
            .iter()
            .map(|(_, start, words)| (*start, words.len()))
            .collect();
        assert_eq!(spans, [(0, 77), (78, 132)]);
        assert!(asked < 250, "{asked}");
    }

    #[test]
    fn a_table_that_is_refused_is_given_up_and_the_end_of_the_space_is_no_trap() {
        let coils = ReadRequest {
            function: Coils,
            address: 0,
            count: u16::MAX,
        };
        let (found, asked) = search(&[coils, holding(65_500, 300)], |_| true);
        assert_eq!((found.len(), found[0].2.len(), asked), (1, 36, 2));
    }

    #[test]
    fn a_slave_that_knows_nothing_ends_the_search() {
        let (found, asked) = search(&[holding(0, u16::MAX)], |_| false);
        assert_eq!((found.len(), asked), (0, BUDGET));
    }
}
