//! Which of a device's values are news.
//!
//! Pure: time is a value. A value is told when it changes and again when it has not been told for a while; a milk
//! meter's values are told together whenever one of them changed, because the milking engine reads them together. A
//! missing value is told once per change of its reason, not once per reading.

use std::{collections::HashMap, time::Duration};

use farm_model::{
    Body, Device, DeviceId, DeviceKind, Observation, Quality, Quantity, Stamp, observation::MAX_RAW,
};

/// A value as it was decoded, with the bytes it was decoded from.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Value {
    pub(crate) quantity: Quantity,
    pub(crate) body: Body,
    pub(crate) raw: Vec<u8>,
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
    /// For `device`, whose unchanged values are told again after `repeat_every` of farm time, and at least as often as it is
    /// expected: a steady value must not look like silence.
    pub(crate) fn new(device: &Device, repeat_every: Duration) -> Self {
        let expected = device.expected_s().map(|s| Duration::from_secs(s.into()));
        let repeat_every = expected.map_or(repeat_every, |expected| repeat_every.min(expected));
        Self {
            device: device.id,
            together: device.kind == DeviceKind::MilkMeter,
            repeat_ms: u64::try_from(repeat_every.as_millis()).unwrap_or(u64::MAX),
            told: HashMap::new(),
        }
    }

    /// Those of `values` that are worth telling at `now`.
    pub(crate) fn news(
        &mut self,
        values: impl IntoIterator<Item = Value>,
        now: Stamp,
    ) -> Vec<Observation> {
        let values: Vec<Value> = values.into_iter().collect();
        let all = self.together && values.iter().any(|v| self.changed(v));
        let mut news = Vec::new();
        for value in values {
            let again = !is_missing(&value.body) && (all || self.is_due(value.quantity, now));
            if again || self.changed(&value) {
                let told = (value.body.clone(), now.mono);
                self.told.insert(value.quantity, told);
                let mut raw = value.raw;
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

    fn changed(&self, value: &Value) -> bool {
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
        Flaw, Link, Milli,
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
        let values: Vec<_> = bodies
            .iter()
            .map(|body| {
                let Body::Measured { quantity, .. } = body else {
                    panic!("only values are decoded");
                };
                Value {
                    quantity: *quantity,
                    body: body.clone(),
                    raw: Vec::new(),
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
