//! Temperatures beside their neighbours: a jump that the next reading does not confirm was never true.

use farm_model::{
    observation::{Body, Flaw, Quality},
    quantity::{Milli, Quantity},
    time::UnixMillis,
};
use serde::{Deserialize, Serialize};

/// How much two readings may differ however close in time: resolution and noise of a probe.
const NOISE: i64 = 500;

/// Judges the temperatures of one probe. Small and serialisable.
///
/// A reading that is farther from the last true one than the slope allows is a [`Flaw::Jump`]; when the next reading
/// agrees with it, the probe was moved or the tank was filled, and that reading is true.
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
        if self.last.is_none() || near(self.last) || near(self.doubted) {
            self.last = Some((value, at));
            self.doubted = None;
            return body;
        }
        self.doubted = Some((value, at));
        Body::bad(Quantity::Temperature, value, Flaw::Jump)
    }

    fn allows(&self, was: Milli, then: UnixMillis, value: Milli, at: UnixMillis) -> bool {
        // A clock that went back says nothing about the time between.
        let minutes_ms = at.since(then).max(0);
        let change = i128::from(value.0) - i128::from(was.0);
        let slope = i128::from(self.slope) * i128::from(minutes_ms) / 60_000;
        change.abs() <= slope + i128::from(NOISE)
    }
}
