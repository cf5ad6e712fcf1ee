//! Cuts a byte stream into MQTT packets: one type byte, one to four bytes of length, the body.
//!
//! Invariant: the length is judged before the body is waited for, so that no client makes the door hold more than the limit.

use bytes::{Buf, Bytes, BytesMut};

/// One whole packet, header included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// All its bytes.
    pub(crate) bytes: Bytes,
    /// Where the body begins.
    pub(crate) header: usize,
}

impl Frame {
    /// Packet type by the standard's number.
    pub(crate) fn kind(&self) -> u8 {
        self.bytes[0] >> 4
    }

    /// What follows the header.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.header..]
    }
}

/// Why the stream cannot be cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the length takes more than four bytes, or more than it needs")]
    Length,
    #[error("a packet of {0} bytes is larger than allowed")]
    TooLarge(usize),
}

/// Takes the next whole packet of at most `max` bytes off `buffer`, if it is there.
pub(crate) fn next(buffer: &mut BytesMut, max: usize) -> Result<Option<Frame>, FrameError> {
    let mut body = 0_usize;
    let mut header = 1;
    loop {
        let Some(&byte) = buffer.get(header) else {
            return Ok(None);
        };
        body |= usize::from(byte & 0x7f) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            if byte == 0 && header > 2 {
                return Err(FrameError::Length);
            }
            break;
        }
        if header > 4 {
            return Err(FrameError::Length);
        }
    }
    let total = header + body;
    if total > max {
        return Err(FrameError::TooLarge(total));
    }
    if buffer.remaining() < total {
        return Ok(None);
    }
    let bytes = buffer.split_to(total).freeze();
    Ok(Some(Frame { bytes, header }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: Result<Option<usize>, FrameError>) {
        let mut buffer = BytesMut::from(input);
        let got = next(&mut buffer, 1_000).map(|frame| frame.map(|f| f.bytes.len()));
        assert_eq!(got, expected, "{input:02x?}");
    }

    #[test]
    fn cuts_at_the_length() {
        check(&[], Ok(None));
        check(&[0xc0], Ok(None));
        check(&[0xc0, 0], Ok(Some(2)));
        check(&[0xc0, 0, 0xc0], Ok(Some(2)));
        check(&[0x30, 3, 0, 1], Ok(None));
        check(&[0x30, 3, 0, 1, b'a'], Ok(Some(5)));
        check(&[0x30, 0x80], Ok(None));
    }

    #[test]
    fn judges_the_length_before_the_body() {
        check(&[0x30, 0xff, 0x7f], Err(FrameError::TooLarge(16_386)));
        check(&[0x30, 0xff, 0xff, 0xff, 0xff], Err(FrameError::Length));
        check(&[0x30, 0x80, 0x00], Err(FrameError::Length));
    }
}
