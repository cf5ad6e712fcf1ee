//! What the owner of a bus knows of one slave, and what it tells of it. No I/O.

use std::time::Duration;

use edge_decode::modbus::{ReadRequest, Registers, decode, plan};
use farm_model::{
    Clock, Device, Flaw, Link, Observation, Stamp,
    device::{RegisterMap, StatusField},
};
use tokio::time::Instant;

use super::schedule::Turn;
use crate::{
    board::DriverState,
    news::{Memory, Value},
    shared::Shared,
    silence::{Silence, real, word},
};

/// Milliseconds between polls when the map does not say.
const POLL_MS: u32 = 1000;

/// One slave of a bus.
#[derive(Debug)]
pub(crate) struct Slave {
    pub(crate) device: Device,
    pub(crate) unit: u8,
    pub(crate) turn: Turn,
    silence: Silence,
    pub(crate) plan: Vec<ReadRequest>,
    map: RegisterMap,
    memory: Memory,
}

impl Slave {
    /// The slave that `device` is; `None` when its link is not Modbus.
    pub(crate) fn new(device: Device, shared: &Shared) -> Option<Self> {
        let (Link::ModbusRtu { unit, map, .. } | Link::ModbusTcp { unit, map, .. }) = &device.link
        else {
            return None;
        };
        let (unit, map) = (*unit, map.clone());
        let poll_ms = if map.poll_ms == 0 {
            POLL_MS
        } else {
            map.poll_ms
        };
        let settings = &shared.settings;
        // A poll is farm time, because the cow's milk flows in farm time.
        let period = real(poll_ms.into(), &*shared.clock).max(settings.min_poll);
        shared.board.state(device.id, DriverState::Waiting);
        Some(Self {
            unit,
            turn: Turn::new(Instant::now(), period),
            silence: Silence::new(&device, shared.now()),
            plan: plan(&map),
            memory: Memory::new(&device, settings.repeat_every),
            map,
            device,
        })
    }

    /// What is to be told of the slave's silence. A slave that was not asked, because the rest of the edge was slow or
    /// its period is long, is not silent.
    pub(crate) fn silent_word(&mut self, now: Stamp) -> Option<Observation> {
        let body = (self.turn.failures > 0).then(|| self.silence.check(now))??;
        Some(word(&self.device, now, body))
    }

    /// Real time until [`Self::silent_word`] has something to tell, should the slave go on not to answer.
    pub(crate) fn silent_in(&self, clock: &dyn Clock) -> Option<Duration> {
        (self.turn.failures > 0).then(|| self.silence.wait(clock))?
    }

    /// Tells what a poll brought.
    pub(crate) fn answered(&mut self, registers: &Registers, shared: &Shared) {
        let now = shared.now();
        self.turn.answered(Instant::now());
        shared.board.heard(self.device.id, now);
        let heard = self.silence.heard(now);
        let news = self.news(registers, now);
        let heard = heard.map(|body| word(&self.device, now, body));
        shared.outbox.push(heard.into_iter().chain(news), []);
    }

    /// Tells what a poll brought before the slave fell silent, if anything, and puts it into back-off.
    pub(crate) fn fell_silent(&mut self, registers: &Registers, shared: &Shared) {
        let now = Instant::now();
        let who = self.device.id.0.as_u128() as u64;
        self.turn.silent(now, shared.settings.slave_backoff, who);
        let state = DriverState::BackingOff {
            until: shared.farm_time_in(self.turn.due - now),
            failures: self.turn.failures,
        };
        shared.board.state(self.device.id, state);
        let news = self.news(registers, shared.now());
        shared.outbox.push(news, []);
    }

    /// Tells that no value can be had, once per change of the reason.
    pub(crate) fn all_missing(&mut self, flaw: Flaw, shared: &Shared) {
        let mut registers = Registers::new();
        for request in &self.plan {
            registers.fail(*request, flaw);
        }
        let news = self.news(&registers, shared.now());
        shared.outbox.push(news, []);
    }

    fn news(&mut self, registers: &Registers, now: Stamp) -> Vec<Observation> {
        let values = decode(&self.map, registers).into_iter().map(|d| Value {
            quantity: d.quantity,
            raw: d.raw_bytes(),
            body: d.body,
        });
        self.memory.news(values, now)
    }

    /// The slave refused `range`, which may hold an address that it does not know: from now on each field in it is
    /// asked for alone. `None` when there is nothing to split.
    pub(crate) fn split(&mut self, range: ReadRequest) -> Option<Vec<ReadRequest>> {
        let alone = |fields: Vec<_>, status: Option<StatusField>| {
            plan(&RegisterMap {
                fields,
                status,
                ..RegisterMap::default()
            })
        };
        let mut parts: Vec<ReadRequest> = self
            .map
            .fields
            .iter()
            .flat_map(|field| alone(vec![field.clone()], None))
            .chain(alone(Vec::new(), self.map.status.clone()))
            .filter(|part| within(*part, range))
            .collect();
        parts.sort_by_key(|part| (part.address, part.count));
        parts.dedup();
        if parts.len() < 2 {
            return None;
        }
        let at = self.plan.iter().position(|r| *r == range)?;
        self.plan.splice(at..=at, parts.iter().copied());
        Some(parts)
    }
}

fn within(part: ReadRequest, range: ReadRequest) -> bool {
    let end = |r: ReadRequest| u32::from(r.address) + u32::from(r.count);
    part.function == range.function && part.address >= range.address && end(part) <= end(range)
}
