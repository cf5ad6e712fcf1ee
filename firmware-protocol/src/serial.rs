//! Frames on a serial line: COBS (consistent overhead byte stuffing), each ended by a zero byte.
//!
//! Invariant: whatever noise is on the line, the frame after the next zero is read.

use crate::seal::MAX_FRAME;

/// Bytes of the longest frame on a line: one more for each 254 begun, and the zero.
pub const MAX_SERIAL: usize = MAX_FRAME + MAX_FRAME / 254 + 1 + 1;

/// A frame longer than [`MAX_FRAME`], or a buffer shorter than it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the frame is too long for the line's buffer")]
pub struct TooLong;

/// Writes `frame` for a serial line into `line`, its zero included; the bytes to send.
///
/// # Errors
/// When it is longer than [`MAX_FRAME`], or `line` too short; [`MAX_SERIAL`] bytes are always enough.
pub fn to_serial<'b>(frame: &[u8], line: &'b mut [u8]) -> Result<&'b [u8], TooLong> {
    let needed = cobs::max_encoding_length(frame.len()) + 1;
    if frame.len() > MAX_FRAME || line.len() < needed {
        return Err(TooLong);
    }
    let used = cobs::encode(frame, line);
    line[used] = 0;
    Ok(&line[..=used])
}

/// Finds frames in what a serial line brings.
#[derive(Debug)]
pub struct Deframer {
    buffer: [u8; MAX_SERIAL],
    used: usize,
    /// More came since the last zero than a frame has.
    overrun: bool,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// Nothing heard yet.
    pub const fn new() -> Self {
        Self {
            buffer: [0; MAX_SERIAL],
            used: 0,
            overrun: false,
        }
    }

    /// Takes in `bytes`, and gives `each` frame that they complete: decoded, or what stood between two zeros and is no frame.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Result<&mut [u8], &[u8]>)) {
        for &byte in bytes {
            if byte != 0 {
                match self.buffer.get_mut(self.used) {
                    Some(free) => {
                        *free = byte;
                        self.used += 1;
                    }
                    None => self.overrun = true,
                }
                continue;
            }
            let used = core::mem::take(&mut self.used);
            let overrun = core::mem::take(&mut self.overrun);
            // Two zeros in a row are the pause that a sender may begin with.
            if used == 0 {
                continue;
            }
            let mut raw = [0; MAX_SERIAL];
            raw[..used].copy_from_slice(&self.buffer[..used]);
            each(match cobs::decode_in_place(&mut self.buffer[..used]) {
                Ok(length) if !overrun && length <= MAX_FRAME => Ok(&mut self.buffer[..length]),
                _ => Err(&raw[..used]),
            });
        }
    }
}
