//! Follows the farm and has the topics that a change touches drawn anew.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use farm::{Change, Resume};

use super::Topic;
use crate::{app::Web, auth::Who};

/// Changes that come while this long has not passed since the last drawing are drawn together.
const TOGETHER: Duration = Duration::from_millis(10);
/// How often what shows its own age is drawn without a change.
const AGEING: Duration = Duration::from_secs(5);
/// Topics that show ages or change by time alone.
const AGE: [Topic; 7] = [
    Topic::Parlour,
    Topic::Sensors,
    Topic::Tanks,
    Topic::Devices,
    Topic::Today,
    Topic::Heard,
    Topic::Hub,
];

/// Pages of which devices are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those that a change names.
    These,
    /// All that are on boards.
    All,
}

/// Starts following, and has the open streams of whom a change of staff concerns look at once whether they still stand; ends by itself when the last clone of `web` is gone.
pub(crate) fn follow(web: &Web) {
    let hub = Arc::downgrade(web.hub());
    let revoked = web.revoker();
    let mut changes = web.farm.events().subscribe();
    let mut parlour = web.farm.live().watch_parlour();
    let mut presence = web.farm.live().watch_presence();
    tokio::spawn(async move {
        let mut age = tokio::time::interval(AGEING);
        loop {
            let mut dirty = BTreeSet::new();
            let mut devices = Which::These;
            tokio::select! {
                resume = changes.next() => match resume {
                    Resume::Events(events) => {
                        for event in &events {
                            dirty.extend(Topic::touched_by(&event.change).iter().copied());
                            dirty.extend(Topic::of_device(&event.change));
                            if let Change::Staff { staff } = event.change {
                                // Fails only when no stream is open.
                                let _ = revoked.send(Who::Staff(staff));
                            }
                        }
                    }
                    Resume::Gap(_) => {
                        dirty.extend(Topic::ALL);
                        devices = Which::All;
                    }
                },
                changed = parlour.changed() => match changed {
                    Ok(()) => {
                        dirty.insert(Topic::Parlour);
                    }
                    Err(_) => return,
                },
                changed = presence.changed() => match changed {
                    Ok(()) => devices = Which::All,
                    Err(_) => return,
                },
                _ = age.tick() => {
                    dirty.extend(AGE);
                    devices = Which::All;
                }
            }
            let Some(hub) = hub.upgrade() else { return };
            if devices == Which::All {
                dirty.extend(hub.devices());
            }
            for topic in dirty {
                hub.refresh(topic).await;
            }
            drop(hub);
            tokio::time::sleep(TOGETHER).await;
        }
    });
}
