//! An MQTT 3.1.1 client made of bytes, for tests that must know what is sent and when.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Connects and logs in without a name, with a clean session.
pub(crate) fn connect(door: SocketAddr, client: &str) -> TcpStream {
    try_connect(door, client).expect("the door lets it in")
}

/// The same to a door that may be closed, or closes meanwhile.
pub(crate) fn try_connect(door: SocketAddr, client: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(door)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut body = [&text("MQTT")[..], &[4, 2, 0, 60], &text(client)].concat();
    let mut hello = vec![0x10, body.len() as u8];
    hello.append(&mut body);
    stream.write_all(&hello)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, [0x20, 2, 0, 0]);
    Ok(stream)
}

/// A PUBLISH at QoS 1 or 2, as `first` says; short.
pub(crate) fn publish(first: u8, topic: &str, packet: u16, payload: &str) -> Vec<u8> {
    let body = [&text(topic)[..], &packet.to_be_bytes(), payload.as_bytes()].concat();
    assert!(body.len() < 128, "one byte of length");
    [&[first, body.len() as u8][..], &body].concat()
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("short").to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}
