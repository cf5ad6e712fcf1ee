//! What a client is given time for: to be heard of, to finish a packet, to take what it is sent.

use mqtt_proto::v5::DisconnectReasonCode as Code;
use tokio::time::{Duration, Instant};

use crate::{rules::Fault, stats::Reason};

/// When nothing is due: far enough.
const IDLE: Duration = Duration::from_secs(3_600);

/// Whether the door reads what the client sends; while it does not, the client's silence is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ear {
    Open,
    Shut,
}

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

    /// Notes that a part of a packet is there.
    pub(super) fn begun(&mut self) {
        self.incomplete.get_or_insert_with(Instant::now);
    }

    /// Notes that nothing is there that the client has yet to finish.
    pub(super) fn between_packets(&mut self) {
        self.incomplete = None;
    }

    /// Notes that bytes wait for the client.
    pub(super) fn waits_to_write(&mut self) {
        self.stuck.get_or_insert_with(Instant::now);
    }

    /// Notes that the client took bytes.
    pub(super) fn wrote(&mut self) {
        self.stuck = None;
    }

    /// When something is due next.
    pub(super) fn deadline(&self, ear: Ear) -> Instant {
        let due = [
            self.keep_alive_due(ear),
            self.packet_due(),
            self.write_due(),
        ];
        let due = due.into_iter().flatten().min();
        due.unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// What is overdue, if something is.
    pub(super) fn check(&self, ear: Ear) -> Result<(), Fault> {
        let now = Instant::now();
        let overdue = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if overdue(self.keep_alive_due(ear)) {
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

    fn keep_alive_due(&self, ear: Ear) -> Option<Instant> {
        self.keep_alive
            .filter(|_| ear == Ear::Open)
            .map(|allowed| self.heard + allowed)
    }

    fn packet_due(&self) -> Option<Instant> {
        self.incomplete.map(|since| since + self.packet_timeout)
    }

    fn write_due(&self) -> Option<Instant> {
        self.stuck.map(|since| since + self.packet_timeout)
    }
}
