//! What one poll of a device brought.

use farm_model::{device::ReadFunction, observation::Flaw};

use super::ReadRequest;

/// Words and bits by function and address, and the blocks that could not be read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Registers {
    blocks: Vec<Block>,
}

#[derive(Clone, PartialEq, Debug)]
struct Block {
    function: ReadFunction,
    begin: usize,
    end: usize,
    words: Result<Vec<u16>, Flaw>,
}

impl Registers {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what the answer to a request for `address` held.
    pub fn insert(&mut self, function: ReadFunction, address: u16, words: Vec<u16>) {
        self.blocks.push(Block {
            function,
            begin: address.into(),
            end: usize::from(address) + words.len(),
            words: Ok(words),
        });
    }

    /// Notes that `request` brought nothing, and why.
    pub fn fail(&mut self, request: ReadRequest, flaw: Flaw) {
        self.blocks.push(Block {
            function: request.function,
            begin: request.address.into(),
            end: usize::from(request.address) + usize::from(request.count),
            words: Err(flaw),
        });
    }

    /// The `count` words from `address` on, if one answer held them all.
    ///
    /// # Errors
    /// Why they are not there; [`Flaw::Timeout`] when nothing is known of them.
    pub fn get(&self, function: ReadFunction, address: u16, count: u16) -> Result<&[u16], Flaw> {
        let begin = usize::from(address);
        let end = begin + usize::from(count);
        let holding = |b: &&Block| b.function == function && b.begin <= begin && end <= b.end;
        let block = self
            .blocks
            .iter()
            .rev()
            .find(holding)
            .ok_or(Flaw::Timeout)?;
        match &block.words {
            Ok(words) => Ok(&words[begin - block.begin..end - block.begin]),
            Err(flaw) => Err(*flaw),
        }
    }
}
