//! What the owner of a bus knows of one slave, and which of its values are news.
//!
//! No I/O. A value is told when it changes and again when it has not been told for a while; a milk
//! meter's values are told together whenever one of them changed, because the milking engine reads them together. A
//! missing value is told once per change of its reason, not once per poll.

use std::{collections::HashMap, time::Duration};

use edge_decode::modbus::{Decoded, ReadRequest, Registers, decode, plan};
use farm_model::{
    Body, Device, DeviceId, DeviceKind, Flaw, Link, Observation, Quality, Quantity, Stamp,
    device::{RegisterMap, StatusField},
    observation::MAX_RAW,
};
use tokio::time::Instant;

use super::schedule::Turn;
use crate::{
    board::DriverState,
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
    pub(crate) silence: Silence,
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

    /// Tells what a poll brought.
    pub(crate) fn answered(&mut self, registers: &Registers, shared: &Shared) {
        let now = shared.now();
        self.turn.answered(Instant::now());
        shared.board.heard(self.device.id, now);
        let heard = self.silence.heard(now);
        let news = self.memory.news(decode(&self.map, registers), now);
        let heard = heard.map(|body| word(&self.device, now, body));
        shared.outbox.push(heard.into_iter().chain(news), []);
    }

    /// Tells that a poll brought no answer, and puts the slave into back-off.
    pub(crate) fn did_not_answer(&mut self, shared: &Shared) {
        let now = Instant::now();
        let who = self.device.id.0.as_u128() as u64;
        self.turn.silent(now, shared.settings.slave_backoff, who);
        let state = DriverState::BackingOff {
            until: shared.farm_time_in(self.turn.due - now),
            failures: self.turn.failures,
        };
        shared.board.state(self.device.id, state);
        self.all_missing(Flaw::Timeout, shared);
    }

    /// Tells that no value can be had, once per change of the reason.
    pub(crate) fn all_missing(&mut self, flaw: Flaw, shared: &Shared) {
        let mut registers = Registers::new();
        for request in &self.plan {
            registers.fail(*request, flaw);
        }
        let news = self
            .memory
            .news(decode(&self.map, &registers), shared.now());
        shared.outbox.push(news, []);
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

/// What was last told of a device.
#[derive(Debug)]
pub(crate) struct Memory {
    device: DeviceId,
    together: bool,
    repeat_ms: u64,
    told: HashMap<Quantity, (Body, u64)>,
}

impl Memory {
    /// For `device`, whose unchanged values are told again after `repeat_every` of farm time.
    pub(crate) fn new(device: &Device, repeat_every: Duration) -> Self {
        Self {
            device: device.id,
            together: device.kind == DeviceKind::MilkMeter,
            repeat_ms: u64::try_from(repeat_every.as_millis()).unwrap_or(u64::MAX),
            told: HashMap::new(),
        }
    }

    /// Those of `values` that are worth telling at `now`.
    pub(crate) fn news(&mut self, values: Vec<Decoded>, now: Stamp) -> Vec<Observation> {
        let all = self.together && values.iter().any(|v| self.changed(v));
        let mut news = Vec::new();
        for value in values {
            let again = !is_missing(&value.body) && (all || self.is_due(value.quantity, now));
            if again || self.changed(&value) {
                let told = (value.body.clone(), now.mono);
                self.told.insert(value.quantity, told);
                let mut raw = value.raw_bytes();
                raw.truncate(MAX_RAW);
                news.push(Observation {
                    device: self.device,
                    at: now,
                    body: value.body,
                    raw,
                    key: None,
                });
            }
        }
        news
    }

    fn changed(&self, value: &Decoded) -> bool {
        let told = self.told.get(&value.quantity);
        told.is_none_or(|(body, _)| *body != value.body)
    }

    fn is_due(&self, quantity: Quantity, now: Stamp) -> bool {
        let told = self.told.get(&quantity);
        told.is_none_or(|(_, at)| now.mono.saturating_sub(*at) >= self.repeat_ms)
    }
}

fn is_missing(body: &Body) -> bool {
    matches!(
        body,
        Body::Measured {
            quality: Quality::Missing,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use farm_model::{
        Milli,
        Quantity::{Conductivity, MilkFlow},
    };

    use super::*;

    fn device(kind: DeviceKind) -> Device {
        Device {
            id: DeviceId::new(),
            slug: "meter".into(),
            name: "meter".into(),
            kind,
            link: Link::Http,
            place: None,
            expect_every_s: None,
            enabled: true,
        }
    }

    fn told(memory: &mut Memory, mono: u64, bodies: &[Body]) -> usize {
        let values = bodies
            .iter()
            .map(|body| {
                let Body::Measured { quantity, .. } = body else {
                    panic!("only values are decoded");
                };
                Decoded {
                    quantity: *quantity,
                    body: body.clone(),
                    raw: Vec::new(),
                    count: None,
                }
            })
            .collect();
        let now = Stamp {
            mono,
            ..Stamp::default()
        };
        memory.news(values, now).len()
    }

    #[test]
    fn a_value_is_told_when_it_changes_and_when_it_is_due() {
        let mut memory = Memory::new(
            &device(DeviceKind::TemperatureProbe),
            Duration::from_secs(60),
        );
        let flow = Body::measured(MilkFlow, Milli(2500));
        let salt = |n| Body::measured(Conductivity, Milli(n));
        assert_eq!(told(&mut memory, 0, &[flow.clone(), salt(1)]), 2);
        assert_eq!(told(&mut memory, 1000, &[flow.clone(), salt(1)]), 0);
        assert_eq!(told(&mut memory, 2000, &[flow.clone(), salt(2)]), 1);
        assert_eq!(told(&mut memory, 60_000, &[flow.clone(), salt(2)]), 1);
        assert_eq!(told(&mut memory, 62_000, &[flow, salt(2)]), 1);
    }

    #[test]
    fn a_milk_meter_is_told_whole_and_a_missing_value_once() {
        let mut memory = Memory::new(&device(DeviceKind::MilkMeter), Duration::from_secs(60));
        let flow = |n| Body::measured(MilkFlow, Milli(n));
        let salt = Body::measured(Conductivity, Milli(5));
        let none = Body::missing(Conductivity, Flaw::Exception);
        assert_eq!(told(&mut memory, 0, &[flow(1), salt.clone()]), 2);
        assert_eq!(told(&mut memory, 1, &[flow(2), salt.clone()]), 2);
        assert_eq!(told(&mut memory, 2, &[flow(2), salt]), 0);
        assert_eq!(told(&mut memory, 3, std::slice::from_ref(&none)), 1);
        assert_eq!(told(&mut memory, 90_000, std::slice::from_ref(&none)), 0);
        assert_eq!(told(&mut memory, 90_001, &[flow(3), none]), 1);
    }
}
