//! Follows the farm and has the topics that a change touches drawn anew.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use farm::Resume;

use super::Topic;
use crate::app::Web;

/// Changes that come while this long has not passed since the last drawing are drawn together.
const TOGETHER: Duration = Duration::from_millis(10);
/// How often what shows its own age is drawn without a change.
const AGEING: Duration = Duration::from_secs(5);
/// Topics that show ages or change by time alone.
const AGE: [Topic; 5] = [
    Topic::Parlour,
    Topic::Sensors,
    Topic::Tanks,
    Topic::Devices,
    Topic::Today,
];

/// Starts following; ends by itself when the last clone of `web` is gone.
pub(crate) fn follow(web: &Web) {
    let hub = Arc::downgrade(web.hub());
    let mut changes = web.farm.events().subscribe();
    let mut parlour = web.farm.live().watch_parlour();
    tokio::spawn(async move {
        let mut age = tokio::time::interval(AGEING);
        loop {
            let mut dirty = BTreeSet::new();
            tokio::select! {
                resume = changes.next() => match resume {
                    Resume::Events(events) => {
                        dirty.extend(events.iter().flat_map(|e| Topic::touched_by(&e.change)));
                    }
                    Resume::Gap(_) => dirty.extend(Topic::ALL),
                },
                changed = parlour.changed() => match changed {
                    Ok(()) => {
                        dirty.insert(&Topic::Parlour);
                    }
                    Err(_) => return,
                },
                _ = age.tick() => dirty.extend(&AGE),
            }
            let Some(hub) = hub.upgrade() else { return };
            for topic in dirty {
                hub.refresh(*topic).await;
            }
            drop(hub);
            tokio::time::sleep(TOGETHER).await;
        }
    });
}
