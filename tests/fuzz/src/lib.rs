//! What the fuzz targets share: true inputs to begin from, the laws of a reader's stream, numbers out of bytes.
//!
//! The targets need no files: the mutator itself puts a true input in now and then.

#[cfg(not(fuzzing))]
compile_error!("fuzz targets need coverage and `--cfg fuzzing`: build and run them with `cargo xtask fuzz`");

use edge_decode::rfid::{Decoder, MAX_PENDING, Read, Reject};
use farm_model::{device::RfidDialect, observation::MAX_RAW};

/// Mutates `data`, or now and then puts one of `seeds` into it.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32, seeds: &[&[u8]]) -> usize {
    let chosen = seeds[seed as usize / 64 % seeds.len()];
    match seed % 64 {
        0 if chosen.len() <= max_size => {
            data[..chosen.len()].copy_from_slice(chosen);
            chosen.len()
        }
        // In the middle of what is there, so that true and untrue bytes meet.
        1 if size + chosen.len() <= max_size => {
            let at = seed as usize / 4096 % (size + 1);
            data.copy_within(at..size, at + chosen.len());
            data[at..at + chosen.len()].copy_from_slice(chosen);
            size + chosen.len()
        }
        _ => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
}

/// What a decoder of `dialect` says of a stream that comes in `pieces` and then goes quiet.
fn listen<'a>(
    decoder: &mut Decoder,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Vec<Result<Read, Reject>> {
    let mut said = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut |outcome| said.push(outcome));
        assert!(decoder.pending() <= MAX_PENDING);
    }
    decoder.idle(&mut |outcome| said.push(outcome));
    assert_eq!(decoder.pending(), 0);
    said
}

/// Whatever comes in: the cut of the pieces does not matter, evidence is bounded, no byte is told twice, and `frame`
/// is read afterwards.
pub fn reader(dialect: &RfidDialect, data: &[u8], frame: &[u8]) {
    let decoder = || Decoder::new(dialect).expect("the targets' dialects are sound");
    let mut whole = decoder();
    let said = listen(&mut whole, std::iter::once(data));
    assert_eq!(listen(&mut decoder(), data.chunks(1)), said);
    let raw = said.iter().map(|outcome| match outcome {
        Ok(read) => &read.raw,
        Err(reject) => &reject.raw,
    });
    assert!(raw.clone().all(|raw| (1..=MAX_RAW).contains(&raw.len())));
    assert!(raw.map(Vec::len).sum::<usize>() <= data.len());
    let after = listen(&mut whole, std::iter::once(frame));
    assert!(after.iter().any(Result::is_ok), "{after:?}");
}

/// Numbers taken from the front of the input, 0 when it is used up.
#[derive(Debug)]
pub struct Numbers<'a>(pub &'a [u8]);

impl Numbers<'_> {
    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let (front, rest) = self.0.split_at(self.0.len().min(N));
        bytes[..front.len()].copy_from_slice(front);
        self.0 = rest;
        bytes
    }

    /// The next byte.
    pub fn u8(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes())
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    /// One of `choices`.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.u8()) % choices.len()]
    }

    /// The words that are left, at most `most` of them.
    pub fn words(&self, most: usize) -> Vec<u16> {
        let (pairs, _) = self.0.as_chunks();
        let words = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
        words.take(most).collect()
    }
}
