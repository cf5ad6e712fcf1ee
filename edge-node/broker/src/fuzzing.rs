//! The door's reading of bytes without its sockets: laws that must hold whatever a client sends. Fuzz targets call it.

use bytes::BytesMut;

use crate::{
    codec::{Version, decode, decode_connect},
    frame::{self, Frame, FrameError},
};

/// Largest packet, as the door's configuration would say.
const MAX: usize = 4 * 1024;

/// Reads a stream as the door would, before and after a log-in in each version.
///
/// # Panics
/// When a law is broken: the cut of the stream into pieces matters, more than a packet is held, a packet that only a server
/// sends is taken, or bytes that trail are passed over.
pub fn read(stream: &[u8]) {
    let whole = cut(std::iter::once(stream));
    let pieces = cut(stream.chunks(1));
    assert_eq!(
        whole, pieces,
        "the pieces in which bytes come must not matter"
    );
    for frame in &whole.0 {
        let connect = decode_connect(frame).is_ok();
        let old = decode(Version::V3, frame).is_ok();
        let new = decode(Version::V5, frame).is_ok();
        assert_eq!(connect, connect && frame.kind() == 1);
        if [0, 1, 2, 9, 11, 13].contains(&frame.kind()) {
            assert!(
                !old && !new,
                "no client that has connected sends this: {frame:02x?}"
            );
        }
        let Some(longer) = with_one_byte_more(frame) else {
            continue;
        };
        match frame.kind() {
            1 if connect => assert!(decode_connect(&longer).is_err(), "{longer:02x?}"),
            8 | 10 | 12 => {
                assert!(
                    !old || decode(Version::V3, &longer).is_err(),
                    "{longer:02x?}"
                );
                assert!(
                    !new || decode(Version::V5, &longer).is_err(),
                    "{longer:02x?}"
                );
            }
            _ => {}
        }
    }
}

/// The packets of a stream that comes in pieces, and why it ends if it does not go on.
fn cut<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FrameError>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match frame::next(&mut buffer, MAX) {
                Ok(Some(frame)) => {
                    assert!(frame.bytes.len() <= MAX);
                    frames.push(frame);
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// The same packet with a byte behind it that its length speaks of.
fn with_one_byte_more(frame: &Frame) -> Option<Frame> {
    let mut rest = frame.body().len() + 1;
    let mut bytes = BytesMut::from(&frame.bytes[..1]);
    loop {
        let low = u8::try_from(rest & 0x7f).ok()?;
        rest >>= 7;
        let more = if rest > 0 { 0x80 } else { 0 };
        bytes.extend_from_slice(&[low | more]);
        if rest == 0 {
            break;
        }
    }
    bytes.extend_from_slice(frame.body());
    bytes.extend_from_slice(&[0]);
    frame::next(&mut bytes, MAX).ok()?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::read;

    /// Frames whose length is true, of any type, and now and then a CONNECT that is one.
    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        let body = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            Just(b"\0\x04MQTT\x04\x02\0\x3c\0\x03abc".to_vec()),
            Just(b"\0\x04MQTT\x05\x02\0\x3c\0\0\x03abc".to_vec()),
            Just(b"\0\x0a\0\x06farm/#\x01".to_vec()),
            Just(b"\0\x0a\0\0\x06farm/#\x01".to_vec()),
        ];
        (any::<u8>(), body).prop_map(|(first, body)| {
            let mut frame = vec![first, body.len() as u8];
            frame.extend(body);
            frame
        })
    }

    proptest! {
        #[test]
        fn the_laws_hold_for_any_frames(frames in prop::collection::vec(any_frame(), 0..5)) {
            read(&frames.concat());
        }

        #[test]
        fn the_laws_hold_for_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            read(&bytes);
        }
    }
}
