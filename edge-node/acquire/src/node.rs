//! A node on a serial port: frames up, frames down.
//!
//! The driver takes the line's stuffing off and on, and knows neither keys nor contents. Frames that go down are few and
//! bounded; one that finds no room is dropped, because the node asks again. Invariant: what was heard is pushed without an
//! await between.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use farm_model::{Device, Link, device::SerialLine};
use firmware_protocol::{Deframer, MAX_SERIAL, to_serial};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_serial::SerialStream;

use crate::{NodeFrame, board::DriverState, ports, shared::Shared, supervise::Reason};

/// Frames that may wait to go down a line.
const WAITING: usize = 16;
/// The longest that a frame may take to go down, at 9,600 bits per second and twice that long.
const WRITTEN_WITHIN: Duration = Duration::from_secs(3);

/// Lines with a node on them, to send frames down; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<HashMap<String, mpsc::Sender<Vec<u8>>>>>);

impl Lines {
    /// Whether the frame will be sent.
    pub(crate) fn send(&self, port: &str, frame: &[u8]) -> bool {
        let mut buffer = [0; MAX_SERIAL];
        let Ok(line) = to_serial(frame, &mut buffer) else {
            return false;
        };
        // A zero in front too: noise that came before is none of it.
        let line = [&[0], line].concat();
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get(port).is_some_and(|to| to.try_send(line).is_ok())
    }

    fn open(&self, port: &str) -> mpsc::Receiver<Vec<u8>> {
        let (sender, down) = mpsc::channel(WAITING);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| !line.is_closed());
        lines.insert(port.to_owned(), sender);
        down
    }
}

/// What every life of a node's driver needs.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) device: Device,
    pub(crate) shared: Shared,
}

impl Node {
    /// One life of the driver.
    pub(crate) async fn live(self) -> Reason {
        let Link::Node { port, line } = &self.device.link else {
            return "not_node";
        };
        let mut failures = 0_u32;
        loop {
            let error = match ports::open(port, *line) {
                Ok(open) => {
                    failures = 0;
                    self.listen(open, port).await
                }
                Err(error) => error,
            };
            failures = failures.saturating_add(1);
            self.lost(&error, port, *line, failures).await;
        }
    }

    /// Hears and speaks until the port is lost.
    async fn listen(&self, mut port: SerialStream, name: &str) -> io::Error {
        let Self { device, shared } = self;
        shared.board.state(device.id, DriverState::Waiting);
        let mut down = shared.lines.open(name);
        let mut deframer = Deframer::new();
        let mut bytes = [0; 512];
        loop {
            if !shared.outbox.room().await.is_zero() {
                shared.board.error(device.id, "stalled");
            }
            tokio::select! {
                read = port.read(&mut bytes) => match read {
                    Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                    Ok(length) => self.take(&mut deframer, &bytes[..length], name),
                    Err(error) => return error,
                },
                Some(line) = down.recv() => {
                    match timeout(WRITTEN_WITHIN, port.write_all(&line)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return error,
                        Err(_) => shared.board.error(device.id, "write_timeout"),
                    }
                }
            }
        }
    }

    fn take(&self, deframer: &mut Deframer, bytes: &[u8], port: &str) {
        let Self { device, shared } = self;
        let now = shared.now();
        let mut frames = Vec::new();
        deframer.feed(bytes, &mut |found| match found {
            Ok(frame) => {
                shared.board.heard(device.id, now);
                frames.push(NodeFrame {
                    port: port.to_owned(),
                    bytes: frame.to_vec(),
                    received: now,
                });
            }
            Err(raw) => shared.reject(device.id, port, "frame_broken", raw),
        });
        if !frames.is_empty() {
            shared.outbox.push_frames(frames);
        }
    }

    /// The port is not there: says so and waits before it is opened again.
    async fn lost(&self, error: &io::Error, port: &str, line: SerialLine, failures: u32) {
        let Self { device, shared } = self;
        let reason = ports::reason(error);
        tracing::warn!(port, baud = line.baud, %error, reason, "node's port lost");
        shared.board.error(device.id, reason);
        shared.board.state(device.id, DriverState::PortMissing);
        let who = device.id.0.as_u128() as u64;
        sleep(shared.settings.reopen.after(failures, who)).await;
    }
}
