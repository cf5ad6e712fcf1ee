//! A node whose radio carries datagrams (Thread, NB-IoT): its frames go up as CoAP requests, and an answer brings the frame that
//! goes down.
//!
//! Written from `docs/devices.md` and RFC 7252; the node itself sends again what was not answered, so no message is repeated here
//! but where the line doubles one.

use std::{io, net::SocketAddr, time::Instant};

use tokio::{net::UdpSocket, time::sleep_until};
use tracing::debug;

use crate::{
    device::node::{Ticks, Trouble},
    node::{Node, PowerLost},
    rng::Rng,
};

/// A datagram radio.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    next: u16,
    trouble: Trouble,
    rng: Rng,
}

impl Datagrams {
    /// A radio that reaches the appliance at `edge`.
    ///
    /// # Errors
    /// When there is no socket.
    pub async fn open(edge: SocketAddr, trouble: Trouble, mut rng: Rng) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(edge).await?;
        // A node that starts again must not repeat the identifiers of its last requests.
        let next = rng.whole(0, 65_535) as u16;
        Ok(Self {
            socket,
            next,
            trouble,
            rng,
        })
    }

    /// Sends what the node wants to send and gives it what comes down, until `end`.
    ///
    /// # Errors
    /// When its supply fails.
    pub async fn serve(
        &mut self,
        node: &mut Node,
        ticks: Ticks,
        end: Instant,
    ) -> Result<(), PowerLost> {
        let mut buffer = [0; 1_500];
        loop {
            let due = node.wakes_at().map_or(end, |at| ticks.at(at).min(end));
            tokio::select! {
                heard = self.socket.recv(&mut buffer) => match heard {
                    Ok(_) if self.rng.chance(self.trouble.deaf) => {}
                    Ok(length) => if let Some(frame) = frame_of(&buffer[..length]) {
                        node.hear(ticks.now(), frame)?;
                    },
                    Err(error) => debug!(%error, "the appliance is away"),
                },
                () = sleep_until(due.into()) => self.send(node, ticks).await,
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, node: &mut Node, ticks: Ticks) {
        let Some(frame) = node.send(ticks.now()) else {
            return;
        };
        self.next = self.next.wrapping_add(1);
        let request = request(self.next, &frame);
        let copies = if self.rng.chance(self.trouble.mute) {
            0
        } else if self.rng.chance(self.trouble.echo) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            if let Err(error) = self.socket.send(&request).await {
                debug!(%error, "a frame is not sent; it stays in flash");
            }
        }
    }
}

/// `POST node`, confirmable, with a token of one byte.
fn request(id: u16, frame: &[u8]) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    [&[0x41, 2, high, low, low, 0xb4], &b"node\xff"[..], frame].concat()
}

/// The frame in an answer 2.04, on an acknowledgement or by itself.
fn frame_of(answer: &[u8]) -> Option<Vec<u8>> {
    let [first, 0x44, _, _, rest @ ..] = answer else {
        return None;
    };
    let mut rest = rest.get(usize::from(first & 15)..)?;
    loop {
        match *rest {
            [0xff, ref frame @ ..] => return Some(frame.to_vec()),
            // The edge has no option longer than twelve bytes.
            [option, ref after @ ..] => rest = after.get(usize::from(option & 15)..)?,
            [] => return None,
        }
    }
}
