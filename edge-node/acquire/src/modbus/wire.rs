//! One request and its answer on a serial bus or a TCP connection.
//!
//! A bus carries one request at a time and its answers name no request, so order is kept by silence: before a request
//! everything that still arrives is taken off the line, until it has been quiet for three and a half characters. On TCP
//! the transaction says to what an answer belongs. Bytes that are no answer are kept as strays for the quarantine.
//! Invariant: an answer that comes too late is never taken for the answer of another slave or transaction.

use std::{fmt, io, time::Duration};

use farm_model::device::SerialLine;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_serial::SerialStream;

use super::frame::{self, MAX_RTU, Reply, Request, Scan, Segment};
use crate::ports;

/// Longest wait for a TCP connection.
const CONNECT: Duration = Duration::from_secs(3);
/// A line that was quiet for this long in the middle of an answer will not go on: USB adapters deliver in lumps.
const LUMP: Duration = Duration::from_millis(30);
/// Most unread bytes that are kept while an answer is looked for.
const MAX_HELD: usize = 4 * MAX_RTU;

/// Where a bus or server is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Endpoint {
    Rtu { port: String, line: SerialLine },
    Tcp { host: String, port: u16 },
}

impl Endpoint {
    pub(crate) async fn open(&self) -> io::Result<Wire> {
        match self {
            Self::Rtu { port, line } => Ok(Wire::rtu(ports::open(port, *line)?, *line)),
            Self::Tcp { host, port } => {
                let connected = timeout(CONNECT, TcpStream::connect((host.as_str(), *port)));
                let stream = connected.await.map_err(io::Error::from)??;
                stream.set_nodelay(true)?;
                Ok(Wire::new(Io::Tcp(stream), Duration::ZERO, Duration::ZERO))
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtu { port, .. } => f.write_str(port),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing in time that is an answer; what came instead, if anything, is among the strays.
    Timeout,
    /// The port or connection is lost.
    Gone(io::Error),
}

/// Bytes that were no answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Stray {
    pub(crate) reason: &'static str,
    pub(crate) raw: Vec<u8>,
}

/// An open bus or connection.
#[derive(Debug)]
pub(crate) struct Wire {
    io: Io,
    /// How long the line is silent between frames.
    silence: Duration,
    /// How long a character takes.
    character: Duration,
    /// When the last byte passed.
    last_byte: Instant,
    transaction: u16,
    held: Vec<u8>,
    strays: Vec<Stray>,
}

#[derive(Debug)]
enum Io {
    Rtu(SerialStream),
    Tcp(TcpStream),
}

impl Wire {
    fn rtu(port: SerialStream, line: SerialLine) -> Self {
        let (character, silence) = timing(line);
        Self::new(Io::Rtu(port), character, silence)
    }

    fn new(io: Io, character: Duration, silence: Duration) -> Self {
        Self {
            io,
            silence,
            character,
            last_byte: Instant::now(),
            transaction: 0,
            held: Vec::new(),
            strays: Vec::new(),
        }
    }

    /// Bytes that were no answer since the last call.
    pub(crate) fn take_strays(&mut self) -> Vec<Stray> {
        std::mem::take(&mut self.strays)
    }

    /// Sends `request` and waits up to `patience`, and as long as the bytes take, for its answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Request,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        match self.io {
            Io::Rtu(_) => self.exchange_rtu(request, patience).await,
            Io::Tcp(_) => self.exchange_tcp(request, patience).await,
        }
    }

    /// After an answer to a repeated request: the answer to the first one may still be on its way, and nothing in it
    /// says which registers it holds. Waits for it, at most `patience`.
    pub(crate) async fn settle(&mut self, patience: Duration) -> Result<(), Failure> {
        if matches!(self.io, Io::Tcp(_)) {
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        while !frame::crc_holds(&self.held) && self.read_until(deadline).await? {}
        self.discard();
        Ok(())
    }

    async fn exchange_rtu(
        &mut self,
        request: Request,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        self.fall_silent(patience).await?;
        self.write(&request.rtu(), patience).await?;
        let answer_len = request.rtu_answer_len();
        let on_the_line = self.character * u32::try_from(8 + answer_len).unwrap_or(u32::MAX);
        let deadline = Instant::now() + patience + on_the_line;
        loop {
            if let Scan::Found { reply, at, len } = request.scan_rtu(&self.held) {
                let before: Vec<u8> = self.held.drain(..at + len).take(at).collect();
                // Some adapters hear what they say.
                if before != request.rtu() {
                    self.set_aside(before);
                }
                return Ok(reply);
            }
            let broken = request.blame_rtu(&self.held) == Some("checksum");
            let until = if broken {
                deadline.min(Instant::now() + LUMP)
            } else {
                deadline
            };
            if !self.read_until(until).await? {
                if let Some(reason) = request.blame_rtu(&self.held) {
                    let raw = std::mem::take(&mut self.held);
                    self.stray(reason, raw);
                }
                return Err(Failure::Timeout);
            }
        }
    }

    async fn exchange_tcp(
        &mut self,
        request: Request,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        self.transaction = self.transaction.wrapping_add(1);
        self.write(&request.tcp(self.transaction), patience).await?;
        let deadline = Instant::now() + patience;
        loop {
            match request.scan_tcp(self.transaction, &self.held) {
                Segment::Found { reply, len } => {
                    self.held.drain(..len);
                    return Ok(reply);
                }
                Segment::Other { reason, len } => {
                    let raw = self.held.drain(..len).collect();
                    self.stray(reason, raw);
                }
                Segment::Broken => {
                    self.discard();
                    return Err(Failure::Gone(io::ErrorKind::InvalidData.into()));
                }
                Segment::Incomplete => {
                    if !self.read_until(deadline).await? {
                        return Err(Failure::Timeout);
                    }
                }
            }
        }
    }

    /// Takes everything off the line until it was silent between two frames; a line that never falls silent is used
    /// as it is after `patience`.
    async fn fall_silent(&mut self, patience: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        // What the kernel holds already is read even when the line has long been silent.
        while self
            .read_until((self.last_byte + self.silence).max(Instant::now()))
            .await?
        {
            if Instant::now() > deadline {
                break;
            }
        }
        self.discard();
        Ok(())
    }

    fn discard(&mut self) {
        let raw = std::mem::take(&mut self.held);
        self.set_aside(raw);
    }

    /// Keeps bytes that came when nothing was asked, or before the answer.
    fn set_aside(&mut self, raw: Vec<u8>) {
        if !raw.is_empty() {
            let whole = frame::crc_holds(&raw);
            self.stray(if whole { "late_answer" } else { "noise" }, raw);
        }
    }

    fn stray(&mut self, reason: &'static str, raw: Vec<u8>) {
        self.strays.push(Stray { reason, raw });
    }

    async fn write(&mut self, frame: &[u8], patience: Duration) -> Result<(), Failure> {
        let written = match &mut self.io {
            Io::Rtu(port) => write_all(port, frame, patience).await,
            Io::Tcp(stream) => write_all(stream, frame, patience).await,
        };
        let sending = self.character * u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.last_byte = Instant::now() + sending;
        written.map_err(Failure::Gone)
    }

    /// Reads what there is, waiting for it until `deadline`; `false` when nothing came.
    async fn read_until(&mut self, deadline: Instant) -> Result<bool, Failure> {
        let mut bytes = [0; 512];
        let read = match &mut self.io {
            Io::Rtu(port) => read_some(port, &mut bytes, deadline).await,
            Io::Tcp(stream) => read_some(stream, &mut bytes, deadline).await,
        };
        let Some(len) = read.map_err(Failure::Gone)? else {
            return Ok(false);
        };
        self.last_byte = Instant::now();
        self.held.extend_from_slice(&bytes[..len]);
        if self.held.len() > MAX_HELD {
            let raw = self.held.drain(..MAX_HELD - MAX_RTU).collect();
            self.stray("noise", raw);
        }
        Ok(true)
    }
}

async fn write_all(
    io: &mut (impl AsyncWrite + Unpin),
    frame: &[u8],
    patience: Duration,
) -> io::Result<()> {
    timeout(patience, io.write_all(frame)).await?
}

/// `None` when nothing came in time.
async fn read_some(
    io: &mut (impl AsyncRead + Unpin),
    bytes: &mut [u8],
    deadline: Instant,
) -> io::Result<Option<usize>> {
    match timeout_at(deadline, io.read(bytes)).await {
        Err(_) => Ok(None),
        Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Ok(len)) => Ok(Some(len)),
        Ok(Err(error)) => Err(error),
    }
}

/// How long a character takes, and the silence between frames: three and a half characters of eleven bits, 1.75 ms
/// above 19,200 bits per second (Modbus over Serial Line V1.02, 2.5.1.1).
fn timing(line: SerialLine) -> (Duration, Duration) {
    let character = Duration::from_secs(11) / line.baud.max(1);
    let silence = if line.baud > 19_200 {
        Duration::from_micros(1750)
    } else {
        character.mul_f64(3.5)
    };
    (character, silence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_follows_the_specification() {
        for (baud, micros) in [
            (9600, 4010),
            (19_200, 2005),
            (38_400, 1750),
            (115_200, 1750),
        ] {
            let line = SerialLine {
                baud,
                ..SerialLine::default()
            };
            assert_eq!(timing(line).1.as_micros(), micros);
        }
    }
}
