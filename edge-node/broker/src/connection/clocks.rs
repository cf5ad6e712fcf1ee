//! What a client is given time for: to be heard of, to finish a packet, to take what it is sent.

use mqtt_proto::v5::DisconnectReasonCode as Code;
use tokio::time::{Duration, Instant};

use crate::{rules::Fault, stats::Reason};

/// When nothing is due: far enough.
const IDLE: Duration = Duration::from_secs(3_600);

/// The clocks of one connection.
#[derive(Debug)]
pub(crate) struct Clocks {
    keep_alive: Option<Duration>,
    packet_timeout: Duration,
    /// When the last whole packet came.
    heard: Instant,
    /// Since when a packet is incomplete.
    incomplete: Option<Instant>,
    /// Since when the client has taken no bytes though some wait.
    stuck: Option<Instant>,
}

impl Clocks {
    /// For a client that keeps alive for so many seconds, 0 for ever.
    pub(super) fn new(keep_alive: u16, packet_timeout: Duration) -> Self {
        let allowed = Duration::from_secs(keep_alive.into()) * 3 / 2;
        Self {
            keep_alive: (!allowed.is_zero()).then_some(allowed),
            packet_timeout,
            heard: Instant::now(),
            incomplete: None,
            stuck: None,
        }
    }

    /// Notes a sign of life.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Notes a whole packet.
    pub(super) fn packet(&mut self) {
        self.heard();
        self.incomplete = None;
    }

    /// Notes whether a packet has begun.
    pub(super) fn incomplete(&mut self, has_begun: bool) {
        self.incomplete = has_begun.then(|| self.incomplete.unwrap_or_else(Instant::now));
    }

    /// Notes that the client took bytes.
    pub(super) fn wrote(&mut self) {
        self.stuck = None;
    }

    /// When something is due next; its silence counts while the door `listens`.
    pub(super) fn deadline(&mut self, has_output: bool, listens: bool) -> Instant {
        let now = Instant::now();
        if has_output {
            self.stuck.get_or_insert(now);
        }
        let due = [
            self.keep_alive_due(listens),
            self.packet_due(),
            self.write_due(),
        ];
        due.into_iter().flatten().min().unwrap_or(now + IDLE)
    }

    /// What is overdue, if something is.
    pub(super) fn check(&self, listens: bool) -> Result<(), Fault> {
        let now = Instant::now();
        let overdue = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if overdue(self.keep_alive_due(listens)) {
            let text = "nothing was heard for one and a half times the keep-alive";
            return Err(Fault::new(Reason::KeepAlive, Code::KeepAliveTimeout, text));
        }
        if overdue(self.packet_due()) {
            let text = "a packet was begun and not finished in time";
            return Err(Fault::new(
                Reason::PacketTimeout,
                Code::KeepAliveTimeout,
                text,
            ));
        }
        if overdue(self.write_due()) {
            let text = "the client does not take what it is sent";
            return Err(Fault::new(
                Reason::SlowSubscriber,
                Code::QuotaExceeded,
                text,
            ));
        }
        Ok(())
    }

    fn keep_alive_due(&self, listens: bool) -> Option<Instant> {
        self.keep_alive
            .filter(|_| listens)
            .map(|allowed| self.heard + allowed)
    }

    fn packet_due(&self) -> Option<Instant> {
        self.incomplete.map(|since| since + self.packet_timeout)
    }

    fn write_due(&self) -> Option<Instant> {
        self.stuck.map(|since| since + self.packet_timeout)
    }
}
