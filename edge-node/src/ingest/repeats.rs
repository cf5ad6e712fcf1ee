//! Redelivered observations that the milking engine must not hear twice.
//!
//! The store knows a redelivery when it is written; the engine would have heard it by then, and a meter's old total sent
//! again after a newer one looks like a restart. So the keys of stall devices are looked up before: here those that may not be
//! on disk yet, then the store's.

use std::collections::HashSet;

use farm::{Farm, StoreError, readings};
use farm_model::{DeviceId, Observation};

use crate::feed::Feed;

/// Keys in one generation; more than batches can hold that are not on disk.
const GENERATION: usize = 8_192;

/// Keys that were heard lately, in two generations.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    young: HashSet<(DeviceId, String)>,
    old: HashSet<(DeviceId, String)>,
}

impl Repeats {
    /// Leaves out what the engine has heard; says how many those were.
    ///
    /// # Errors
    /// When the store can't be read; then nothing was remembered.
    pub(super) async fn leave_out(
        &mut self,
        observations: &mut Vec<Observation>,
        farm: &Farm,
        feed: &Feed,
    ) -> Result<usize, StoreError> {
        let mut known = HashSet::new();
        let mut fresh = HashSet::new();
        for observation in observations.iter() {
            let Some(named) = named(observation, feed) else {
                continue;
            };
            if self.young.contains(&named) || self.old.contains(&named) {
                known.insert(named);
            } else if !fresh.contains(&named) {
                let (device, key) = named.clone();
                let stored = farm
                    .read(move |conn| readings::is_known(conn, device, &key))
                    .await?;
                if stored { &mut known } else { &mut fresh }.insert(named);
            }
        }
        let before = observations.len();
        let mut first = fresh.clone();
        observations
            .retain(|o| named(o, feed).is_none_or(|n| !known.contains(&n) && first.remove(&n)));
        self.remember(fresh);
        Ok(before - observations.len())
    }

    fn remember(&mut self, fresh: HashSet<(DeviceId, String)>) {
        self.young.extend(fresh);
        if self.young.len() > GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

/// What the engine would know it by; nothing, if the engine does not listen to it.
fn named(observation: &Observation, feed: &Feed) -> Option<(DeviceId, String)> {
    let key = observation.key.as_ref()?;
    feed.listens_to(observation.device)
        .then(|| (observation.device, key.clone()))
}
