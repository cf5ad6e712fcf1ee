//! Temperatures beside their neighbours: a jump that the next reading does not confirm was never true.

use farm_model::{
    observation::{Body, Flaw, Quality},
    quantity::{Milli, Quantity},
    time::UnixMillis,
};
use serde::{Deserialize, Serialize};

/// How much two readings may differ however close in time: resolution and noise of a probe.
const NOISE: i64 = 500;

/// What a DS18B20 says that has just been powered. Copies of the chip say so without the mark by which `w1` knows it.
const POWER_ON: Milli = Milli(85_000);

/// Judges the temperatures of one probe. Small and serialisable.
///
/// A reading that is farther from the last true one than the slope allows is a [`Flaw::Jump`]; when the next reading
/// agrees with it, the probe was moved or the tank was filled, and that reading is true. Exactly 85 °C is believed only
/// beside a true neighbour, however often it is said: milk is never that warm because a plug is loose.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlausibleTemperature {
    /// Thousandths of a degree per minute.
    slope: i64,
    last: Option<(Milli, UnixMillis)>,
    doubted: Option<(Milli, UnixMillis)>,
}

impl PlausibleTemperature {
    /// A judge that believes changes of up to `slope` (thousandths of a degree Celsius) per minute.
    pub fn new(slope: Milli) -> Self {
        Self {
            slope: slope.0.saturating_abs(),
            last: None,
            doubted: None,
        }
    }

    /// `body` as it is to be believed beside its neighbours; whatever is no good temperature passes unchanged.
    pub fn judge(&mut self, body: Body, at: UnixMillis) -> Body {
        let Body::Measured {
            quantity: Quantity::Temperature,
            value: Some(value),
            quality: Quality::Good,
            ..
        } = body
        else {
            return body;
        };
        let near = |neighbour: Option<(Milli, UnixMillis)>| {
            neighbour.is_some_and(|(was, then)| self.allows(was, then, value, at))
        };
        let confirmed = self.last.is_none() || near(self.doubted);
        if near(self.last) || (confirmed && value != POWER_ON) {
            self.last = Some((value, at));
            self.doubted = None;
            return body;
        }
        self.doubted = Some((value, at));
        let flaw = if value == POWER_ON {
            Flaw::PowerOnReset
        } else {
            Flaw::Jump
        };
        Body::bad(Quantity::Temperature, value, flaw)
    }

    fn allows(&self, was: Milli, then: UnixMillis, value: Milli, at: UnixMillis) -> bool {
        // A clock that went back says nothing about the time between.
        let minutes_ms = at.since(then).max(0);
        let change = i128::from(value.0) - i128::from(was.0);
        let slope = i128::from(self.slope) * i128::from(minutes_ms) / 60_000;
        change.abs() <= slope + i128::from(NOISE)
    }
}
