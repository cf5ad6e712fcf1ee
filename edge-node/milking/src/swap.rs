//! Tags swapped between neighbouring stalls: each cow's milk looks like the other's usual, not like her own.
//!
//! Readers of neighbouring stalls hear each other's cows, and cables get crossed. The later of the two visits gets the
//! finding, because only then both are known. Invariant: without what both animals usually give, nothing is claimed.

use farm_model::{AnimalId, SessionKey, Stamp, Visit};
use serde::{Deserialize, Serialize};

use crate::{
    config::{Config, ms},
    herd::{Herd, Usual},
    span::ms_between,
};

/// What a finished milking was like.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Likeness {
    animal: AnimalId,
    session: SessionKey,
    end: Stamp,
    yield_ml: i64,
    avg_flow_ml_min: Option<i64>,
}

impl Likeness {
    /// The likeness of a visit whose animal is known and that was seen whole.
    pub(crate) fn of(visit: &Visit) -> Option<Self> {
        Some(Self {
            animal: visit.identity.animal()?,
            session: visit.session,
            end: visit.end,
            yield_ml: visit.yield_ml,
            avg_flow_ml_min: visit.avg_flow_ml_min,
        })
    }

    /// Whether this visit and its neighbour's seem to have each other's tags.
    pub(crate) fn is_swapped_with(
        &self,
        neighbour: &Self,
        herd: &dyn Herd,
        config: &Config,
    ) -> bool {
        if self.session != neighbour.session
            || self.animal == neighbour.animal
            || ms_between(neighbour.end, self.end).abs() > ms(config.swap_within_s)
        {
            return false;
        }
        let (Some(mine), Some(theirs)) = (herd.usual(self.animal), herd.usual(neighbour.animal))
        else {
            return false;
        };
        self.misses(&mine, config)
            && neighbour.misses(&theirs, config)
            && self.matches(&theirs, config)
            && neighbour.matches(&mine, config)
    }

    fn misses(&self, usual: &Usual, config: &Config) -> bool {
        (self.yield_ml - usual.yield_ml).abs() > config.swap_own_spreads * spread(usual)
    }

    fn matches(&self, usual: &Usual, config: &Config) -> bool {
        let by_yield =
            (self.yield_ml - usual.yield_ml).abs() <= config.swap_other_spreads * spread(usual);
        let by_flow = match (self.avg_flow_ml_min, usual.avg_flow_ml_min) {
            (Some(flow), Some(usual)) => (flow - usual).abs() * 2 <= usual,
            _ => true,
        };
        by_yield && by_flow
    }
}

/// No cow is steadier than a twentieth of her yield, whatever a short history says.
fn spread(usual: &Usual) -> i64 {
    usual.spread_ml.max(usual.yield_ml / 20).max(1)
}
