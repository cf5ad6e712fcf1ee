//! When a silent device is worth a word.
//!
//! Pure, in farm time. A device that is expected every minute is reported silent after one, two and three minutes, then
//! each time its silence has doubled; when it is heard again, that is told once.

use farm_model::{Body, Clock, Device, Observation, Stamp};

/// Watches one device.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    expect_ms: Option<u64>,
    heard: u64,
    /// Silence at which it is told next, counted from `heard`.
    next_ms: u64,
    known: bool,
}

impl Silence {
    /// Begins to wait for `device` at `now`.
    pub(crate) fn new(device: &Device, now: Stamp) -> Self {
        let expect_ms = device
            .expected_s()
            .map(|s| u64::from(s).saturating_mul(1000));
        Self {
            expect_ms,
            heard: now.mono,
            next_ms: expect_ms.unwrap_or(u64::MAX),
            known: false,
        }
    }

    /// The device spoke at `now`; says whether that ends a silence, or is the first word.
    pub(crate) fn heard(&mut self, now: Stamp) -> Option<Body> {
        let silent = self.expect_ms.is_some_and(|expect| self.next_ms > expect);
        let news = silent || !self.known;
        self.known = true;
        self.heard = now.mono;
        self.next_ms = self.expect_ms.unwrap_or(u64::MAX);
        news.then_some(Body::Heard)
    }

    /// What is to be told of the silence so far.
    pub(crate) fn check(&mut self, now: Stamp) -> Option<Body> {
        let expect = self.expect_ms?;
        let silent = now.mono.saturating_sub(self.heard);
        if silent < self.next_ms {
            return None;
        }
        self.next_ms = if silent < expect.saturating_mul(3) {
            (silent / expect + 1) * expect
        } else {
            silent.saturating_mul(2)
        };
        Some(Body::Silent {
            for_ms: i64::try_from(silent).unwrap_or(i64::MAX),
        })
    }

    /// Real time until [`Self::check`] is worth calling.
    pub(crate) fn wait(&self, clock: &dyn Clock) -> Option<std::time::Duration> {
        self.expect_ms?;
        let due = self.heard.saturating_add(self.next_ms);
        let farm_ms = due.saturating_sub(clock.now().mono);
        Some(real(farm_ms, clock) + std::time::Duration::from_millis(1))
    }
}

/// Real time that `farm_ms` milliseconds of farm time take.
pub(crate) fn real(farm_ms: u64, clock: &dyn Clock) -> std::time::Duration {
    let seconds = farm_ms as f64 / 1000.0 / clock.rate();
    std::time::Duration::try_from_secs_f64(seconds)
        .unwrap_or(std::time::Duration::from_secs(86_400))
}

/// An observation of `device` without raw bytes.
pub(crate) fn word(device: &Device, at: Stamp, body: Body) -> Observation {
    Observation {
        device: device.id,
        at,
        body,
        raw: Vec::new(),
        key: None,
    }
}

#[cfg(test)]
mod tests {
    use farm_model::{DeviceId, DeviceKind, Link};

    use super::*;

    #[test]
    fn silence_is_told_at_one_two_three_times_and_then_as_it_doubles() {
        let device = Device {
            id: DeviceId::new(),
            slug: "probe".into(),
            name: "probe".into(),
            kind: DeviceKind::Sensor,
            link: Link::Http,
            place: None,
            expect_every_s: Some(10),
            enabled: true,
        };
        let at = |seconds: u64| Stamp {
            mono: seconds * 1000,
            ..Stamp::default()
        };
        let mut silence = Silence::new(&device, at(0));
        assert_eq!(silence.heard(at(1)), Some(Body::Heard), "first word");
        assert_eq!(silence.heard(at(2)), None);
        let told: Vec<u64> = (3..200)
            .filter(|s| silence.check(at(*s)).is_some())
            .map(|s| s - 2)
            .collect();
        assert_eq!(told, [10, 20, 30, 60, 120]);
        assert_eq!(silence.heard(at(200)), Some(Body::Heard));
        assert_eq!(silence.check(at(209)), None);
        assert_eq!(
            silence.check(at(210)),
            Some(Body::Silent { for_ms: 10_000 })
        );
    }
}
