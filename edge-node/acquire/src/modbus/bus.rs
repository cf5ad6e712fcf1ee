//! The owner of a bus: opens it, asks each slave when it is due, answers the Devices page in between.
//!
//! A slave that does not answer is told missing once and asked ever more rarely; a port or connection that is lost is
//! told once and opened again. A change of the devices is taken up without closing the port.
//! Invariant: one request at a time; between two polls at most one step of a search.

use std::{io, sync::Arc};

use edge_decode::modbus::{ReadRequest, Registers};
use farm_model::{Device, Flaw};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    Found, ProbeError, ProbeJob, exception_key,
    frame::{Reply, Request},
    search::Search,
    slave::Slave,
    wire::{Endpoint, Failure, Wire},
};
use crate::{board::DriverState, ports, shared::Shared, supervise::Reason};

/// Polls in a row without any answer after which a TCP connection is taken for dead and made anew.
const MUTE: u32 = 5;

/// What every life of an owner needs.
#[derive(Clone)]
pub(crate) struct Bus {
    pub(crate) endpoint: Endpoint,
    pub(crate) shared: Shared,
    pub(crate) devices: watch::Receiver<Vec<Device>>,
    pub(crate) probes: Arc<Mutex<mpsc::Receiver<ProbeJob>>>,
}

impl Bus {
    /// One life of the owner; ends only when nobody can change the devices any more.
    pub(crate) async fn live(mut self) -> Reason {
        let probes = Arc::clone(&self.probes).lock_owned().await;
        let devices = self.devices.borrow_and_update().clone();
        let mut owner = Owner {
            slaves: Vec::new(),
            failures: 0,
            mute: 0,
            search: None,
            probes,
            bus: self,
        };
        owner.take_up(devices);
        owner.run().await
    }
}

struct Owner {
    bus: Bus,
    slaves: Vec<Slave>,
    /// Times in a row that the port was opened without an answer after it.
    failures: u32,
    /// Polls in a row without an answer from anybody.
    mute: u32,
    search: Option<(Search, ProbeJob)>,
    probes: OwnedMutexGuard<mpsc::Receiver<ProbeJob>>,
}

/// Why serving an open port ended.
enum End {
    Lost(io::Error),
    Mute,
    Closed,
}

enum Outcome {
    Words(Vec<u16>),
    Refused(u8),
    Silent,
}

impl Owner {
    async fn run(mut self) -> Reason {
        loop {
            let end = match self.bus.endpoint.open().await {
                Ok(wire) => {
                    self.opened();
                    self.serve(wire).await
                }
                Err(error) => End::Lost(error),
            };
            match end {
                End::Closed => return "closed",
                End::Mute => {}
                // A port that served is opened again at once: many servers close idle connections.
                End::Lost(_) if self.failures == 0 => self.failures = 1,
                End::Lost(error) => {
                    self.lost(&error);
                    self.failures = self.failures.saturating_add(1);
                    if self.rest().await.is_err() {
                        return "closed";
                    }
                }
            }
        }
    }

    async fn serve(&mut self, mut wire: Wire) -> End {
        loop {
            self.bus.shared.outbox.room().await;
            self.tell_silence();
            let now = Instant::now();
            let due = self.next_due().filter(|i| self.slaves[*i].turn.due <= now);
            if let Some(slave) = due {
                if let Err(error) = self.poll(&mut wire, slave).await {
                    return End::Lost(error);
                }
                if self.mute >= MUTE && matches!(self.bus.endpoint, Endpoint::Tcp { .. }) {
                    self.mute = 0;
                    return End::Mute;
                }
            }
            if let Err(error) = self.search_step(&mut wire).await {
                return End::Lost(error);
            }
            if due.is_some() || self.search.is_some() {
                if self.bus.devices.has_changed().is_ok_and(|changed| changed) {
                    let devices = self.bus.devices.borrow_and_update().clone();
                    self.take_up(devices);
                }
            } else if self.wait(None).await.is_err() {
                return End::Closed;
            }
        }
    }

    /// Waits for whatever comes first: a slave is due, a silence is to be told, devices change, the Devices page asks,
    /// or `until` (before which no slave is asked).
    async fn wait(&mut self, until: Option<Instant>) -> Result<(), Closed> {
        let far = Instant::now() + std::time::Duration::from_secs(3600);
        let due = until.or_else(|| self.next_due().map(|i| self.slaves[i].turn.due));
        let clock = &*self.bus.shared.clock;
        let silence = self.slaves.iter().filter_map(|s| s.silent_in(clock)).min();
        let wake = due
            .unwrap_or(far)
            .min(silence.map_or(far, |wait| Instant::now() + wait));
        tokio::select! {
            () = sleep_until(wake) => {}
            changed = self.bus.devices.changed() => {
                changed.map_err(|_| Closed)?;
                let devices = self.bus.devices.borrow_and_update().clone();
                self.take_up(devices);
            }
            Some(job) = self.probes.recv() => {
                self.search = Some((Search::new(job.unit, &job.ranges), job));
            }
        }
        Ok(())
    }

    /// Waits before the port is opened again.
    async fn rest(&mut self) -> Result<(), Closed> {
        let until = Instant::now() + self.bus.shared.settings.reopen.after(self.failures, 1);
        while Instant::now() < until {
            self.tell_silence();
            self.wait(Some(until)).await?;
            if let Some((_, job)) = self.search.take() {
                let _ = job.reply.send(Err(ProbeError::NotThere {
                    at: self.bus.endpoint.to_string(),
                    why: "the driver has lost it and will try again".into(),
                }));
            }
        }
        Ok(())
    }

    /// Makes the slaves match `devices`; those that did not change keep what is known of them.
    fn take_up(&mut self, devices: Vec<Device>) {
        let mut known = std::mem::take(&mut self.slaves);
        self.slaves = devices
            .into_iter()
            .filter_map(|device| {
                let same = known.iter().position(|s| s.device == device);
                match same {
                    Some(i) => Some(known.swap_remove(i)),
                    None => Slave::new(device, &self.bus.shared),
                }
            })
            .collect();
    }

    fn next_due(&self) -> Option<usize> {
        (0..self.slaves.len()).min_by_key(|i| self.slaves[*i].turn.due)
    }

    fn tell_silence(&mut self) {
        let now = self.bus.shared.now();
        let words: Vec<_> = self
            .slaves
            .iter_mut()
            .filter_map(|s| s.silent_word(now))
            .collect();
        if !words.is_empty() {
            self.bus.shared.outbox.push(words, []);
        }
    }

    fn opened(&mut self) {
        self.mute = 0;
        let now = Instant::now();
        for slave in &mut self.slaves {
            if self.failures > 1 {
                slave.turn.again(now);
                let board = &self.bus.shared.board;
                board.state(slave.device.id, DriverState::Waiting);
            }
        }
    }

    fn lost(&mut self, error: &io::Error) {
        let reason = ports::reason(error);
        tracing::warn!(endpoint = %self.bus.endpoint, %error, reason, "Modbus port or connection lost");
        for slave in &mut self.slaves {
            self.bus.shared.board.error(slave.device.id, reason);
            let board = &self.bus.shared.board;
            board.state(slave.device.id, DriverState::PortMissing);
            slave.turn.lost();
            slave.all_missing(Flaw::Disconnected, &self.bus.shared);
        }
    }

    /// Asks slave number `i` for all its values.
    async fn poll(&mut self, wire: &mut Wire, i: usize) -> io::Result<()> {
        let attempts = match self.slaves[i].turn.failures {
            0 => 1 + self.bus.shared.settings.retries,
            _ => 1,
        };
        let mut registers = Registers::new();
        let mut todo: Vec<ReadRequest> = self.slaves[i].plan.iter().rev().copied().collect();
        while let Some(range) = todo.pop() {
            match self.ask(wire, i, range, attempts).await? {
                Outcome::Words(words) => registers.insert(range.function, range.address, words),
                Outcome::Refused(2 | 3) => match self.slaves[i].split(range) {
                    Some(parts) => todo.extend(parts.into_iter().rev()),
                    None => registers.fail(range, Flaw::Exception),
                },
                Outcome::Refused(_) => registers.fail(range, Flaw::Exception),
                Outcome::Silent => {
                    // What was not asked is missing for the same reason: see `Registers::get`.
                    self.mute += 1;
                    self.slaves[i].fell_silent(&registers, &self.bus.shared);
                    return Ok(());
                }
            }
        }
        self.mute = 0;
        self.failures = 0;
        self.slaves[i].answered(&registers, &self.bus.shared);
        Ok(())
    }

    /// One request, repeated up to `attempts` times.
    async fn ask(
        &mut self,
        wire: &mut Wire,
        i: usize,
        range: ReadRequest,
        attempts: u32,
    ) -> io::Result<Outcome> {
        let request = request(self.slaves[i].unit, range);
        let patience = self.bus.shared.settings.response_timeout;
        let mut outcome = Outcome::Silent;
        for attempt in 0..attempts {
            let answer = wire.exchange(request, patience).await;
            let strays = self.quarantine(wire, i);
            match answer {
                Ok(Reply::Words(words)) => {
                    if attempt > 0 {
                        wire.settle(patience).await.or_else(ignore_timeout)?;
                        self.quarantine(wire, i);
                    }
                    return Ok(Outcome::Words(words));
                }
                Ok(Reply::Exception(code)) => {
                    let device = self.slaves[i].device.id;
                    self.bus.shared.board.error(device, exception_key(code));
                    match code {
                        5 | 6 => outcome = Outcome::Refused(code),
                        // The gateway is there, the slave behind it is not.
                        0x0A | 0x0B => return Ok(Outcome::Silent),
                        _ => return Ok(Outcome::Refused(code)),
                    }
                }
                Err(Failure::Timeout) if strays == 0 => {
                    let device = self.slaves[i].device.id;
                    self.bus.shared.board.error(device, "timeout");
                }
                Err(Failure::Timeout) => {}
                Err(Failure::Gone(error)) => return Err(error),
            }
        }
        Ok(outcome)
    }

    /// Counts and keeps bytes that were no answer; those of a late answer belong to the slave that sent it.
    fn quarantine(&self, wire: &mut Wire, asked: usize) -> usize {
        let strays = wire.take_strays();
        let unit_at = match self.bus.endpoint {
            Endpoint::Rtu { .. } => 0,
            Endpoint::Tcp { .. } => 6,
        };
        let source = self.bus.endpoint.to_string();
        for stray in &strays {
            let sender = self
                .slaves
                .iter()
                .find(|s| stray.reason == "late_answer" && stray.raw.get(unit_at) == Some(&s.unit));
            let device = sender.unwrap_or(&self.slaves[asked]).device.id;
            self.bus
                .shared
                .reject(device, &source, stray.reason, &stray.raw);
        }
        strays.iter().filter(|s| s.reason != "late_answer").count()
    }

    async fn search_step(&mut self, wire: &mut Wire) -> io::Result<()> {
        if self.search.is_none() {
            let Ok(job) = self.probes.try_recv() else {
                return Ok(());
            };
            self.search = Some((Search::new(job.unit, &job.ranges), job));
        }
        let Some((mut search, job)) = self.search.take() else {
            return Ok(());
        };
        if job.reply.is_closed() {
            return Ok(());
        }
        let settings = &self.bus.shared.settings;
        let result = match search.next() {
            None => Some(Ok(search.finish())),
            Some(range) => match look(wire, &mut search, job.unit, range, settings).await {
                Ok(()) => {
                    self.search = Some((search, job));
                    return Ok(());
                }
                Err(Look::Lost(error)) => return Err(error),
                Err(Look::Failed(error)) => Some(Err(error)),
            },
        };
        if let Some(result) = result {
            let _ = job.reply.send(result);
        }
        Ok(())
    }
}

/// Nobody can change the devices any more.
struct Closed;

enum Look {
    Lost(io::Error),
    Failed(ProbeError),
}

/// One request of a search, repeated when it is not answered.
async fn look(
    wire: &mut Wire,
    search: &mut Search,
    unit: u8,
    range: ReadRequest,
    settings: &crate::Settings,
) -> Result<(), Look> {
    let patience = settings.response_timeout;
    for attempt in 0..=settings.retries {
        match wire.exchange(request(unit, range), patience).await {
            Ok(reply) => {
                if attempt > 0 {
                    wire.settle(patience)
                        .await
                        .or_else(ignore_timeout)
                        .map_err(Look::Lost)?;
                }
                wire.take_strays();
                return search.answered(range, reply).map_err(Look::Failed);
            }
            Err(Failure::Timeout) => {}
            Err(Failure::Gone(error)) => return Err(Look::Lost(error)),
        }
        wire.take_strays();
    }
    Err(Look::Failed(ProbeError::NoAnswer(unit)))
}

/// Looks through a slave of a bus that nobody owns at present.
pub(crate) async fn probe_unowned(
    endpoint: &Endpoint,
    unit: u8,
    ranges: &[ReadRequest],
    settings: &crate::Settings,
) -> Result<Found, ProbeError> {
    let lost = |error: io::Error| ProbeError::NotThere {
        at: endpoint.to_string(),
        why: error.to_string(),
    };
    let mut wire = endpoint.open().await.map_err(lost)?;
    let mut search = Search::new(unit, ranges);
    while let Some(range) = search.next() {
        look(&mut wire, &mut search, unit, range, settings)
            .await
            .map_err(|e| match e {
                Look::Lost(error) => lost(error),
                Look::Failed(error) => error,
            })?;
    }
    Ok(search.finish())
}

fn request(unit: u8, range: ReadRequest) -> Request {
    Request {
        unit,
        function: range.function,
        start: range.address,
        count: range.count,
    }
}

fn ignore_timeout(failure: Failure) -> io::Result<()> {
    match failure {
        Failure::Timeout => Ok(()),
        Failure::Gone(error) => Err(error),
    }
}
