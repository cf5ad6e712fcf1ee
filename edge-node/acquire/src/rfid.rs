//! A reader alone on a serial port: bytes in, identities out.
//!
//! Opens its port, opens it again when it vanished, decodes by the reader's dialect, tells a tag when it comes into the
//! field and again every few seconds while it stays. While the rest of the edge is slow the reader waits: the kernel
//! keeps what the reader writes (at least 4 KB, some 130 readings), the outbox merges repeats but no distinct tag, and each
//! wait is counted as `stalled`.
//! Invariant: bytes that are read are decoded, and what is decoded is pushed, without an await between.

use std::{io, time::Duration};

use edge_decode::rfid::{Decoder, Dedup};
use farm_model::{Body, Device, Link, Observation, device::SerialLine};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep, timeout},
};
use tokio_serial::SerialStream;

use crate::{
    board::DriverState,
    ports,
    shared::Shared,
    silence::{Silence, word},
    supervise::Reason,
};

/// A reader pauses for less than this within a frame.
const PAUSE: Duration = Duration::from_millis(100);

/// What every life of a reader's driver needs.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) device: Device,
    pub(crate) shared: Shared,
}

/// What is known while the driver lives.
struct Ear<'a> {
    reader: &'a Reader,
    port: &'a str,
    decoder: Decoder,
    dedup: Dedup,
    silence: Silence,
    failures: u32,
}

impl Reader {
    /// One life of the driver; ends only when the dialect cannot be understood.
    pub(crate) async fn live(self) -> Reason {
        let Link::Serial {
            port,
            line,
            dialect,
        } = &self.device.link
        else {
            return "not_serial";
        };
        let Ok(decoder) = Decoder::new(dialect) else {
            return "bad_template";
        };
        let presence = self.shared.settings.presence_every.as_millis();
        let mut ear = Ear {
            reader: &self,
            port,
            decoder,
            dedup: Dedup::new(u32::try_from(presence).unwrap_or(u32::MAX)),
            silence: Silence::new(&self.device, self.shared.now()),
            failures: 0,
        };
        loop {
            let error = match ports::open(port, *line) {
                Ok(open) => ear.listen(open).await,
                Err(error) => error,
            };
            ear.lost(&error, *line).await;
        }
    }
}

impl Ear<'_> {
    /// Reads until the port is lost.
    async fn listen(&mut self, mut port: SerialStream) -> io::Error {
        let shared = &self.reader.shared;
        let device = self.reader.device.id;
        shared.board.state(device, DriverState::Waiting);
        let mut bytes = [0; 512];
        loop {
            if !shared.outbox.room().await.is_zero() {
                // Should a stall outlast the kernel's buffer, this tells why tags are missing.
                shared.board.error(device, "stalled");
            }
            let patience = if self.decoder.pending() > 0 {
                PAUSE
            } else {
                let wait = self.silence.wait(&*shared.clock);
                wait.unwrap_or(Duration::from_secs(3600))
            };
            match timeout(patience, port.read(&mut bytes)).await {
                Ok(Ok(0)) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(Ok(len)) => {
                    self.failures = 0;
                    self.take(Some(&bytes[..len]));
                }
                Ok(Err(error)) => return error,
                Err(_) if self.decoder.pending() > 0 => self.take(None),
                Err(_) => self.tell_silence(),
            }
        }
    }

    /// Decodes `bytes`, or what is held when the line went quiet, and pushes what that gives.
    fn take(&mut self, bytes: Option<&[u8]>) {
        let Self {
            reader,
            port,
            decoder,
            dedup,
            silence,
            ..
        } = self;
        let shared = &reader.shared;
        let now = shared.now();
        let mut observations = Vec::new();
        let mut sink = |heard: Result<_, edge_decode::rfid::Reject>| match heard {
            Ok(edge_decode::rfid::Read { tag, raw }) => {
                shared.board.heard(reader.device.id, now);
                let heard = silence.heard(now);
                observations.extend(heard.map(|body| word(&reader.device, now, body)));
                if dedup.admit(&tag, now.wall) {
                    observations.push(Observation {
                        device: reader.device.id,
                        at: now,
                        body: Body::Identified { tag },
                        raw,
                        key: None,
                    });
                }
            }
            Err(reject) => {
                shared.reject(reader.device.id, port, reject.reason.key(), &reject.raw);
            }
        };
        match bytes {
            Some(bytes) => decoder.feed(bytes, &mut sink),
            None => decoder.idle(&mut sink),
        }
        shared.outbox.push(observations, []);
    }

    fn tell_silence(&mut self) {
        let shared = &self.reader.shared;
        let now = shared.now();
        if let Some(body) = self.silence.check(now) {
            let silent = word(&self.reader.device, now, body);
            shared.outbox.push([silent], []);
        }
    }

    /// The port is not there: says so and waits before it is opened again.
    async fn lost(&mut self, error: &io::Error, line: SerialLine) {
        let shared = &self.reader.shared;
        let device = self.reader.device.id;
        let reason = ports::reason(error);
        tracing::warn!(port = self.port, baud = line.baud, %error, reason, "reader's port lost");
        if self.decoder.pending() > 0 {
            self.take(None);
        }
        shared.board.error(device, reason);
        shared.board.state(device, DriverState::PortMissing);
        self.failures = self.failures.saturating_add(1);
        let who = device.0.as_u128() as u64;
        let until = Instant::now() + shared.settings.reopen.after(self.failures, who);
        while Instant::now() < until {
            self.tell_silence();
            let silence = self.silence.wait(&*shared.clock);
            let rest = until - Instant::now();
            sleep(silence.map_or(rest, |wait| wait.min(rest))).await;
        }
    }
}
