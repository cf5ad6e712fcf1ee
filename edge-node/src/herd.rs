//! The herd as the milking engine must know it: a copy in memory of what the store says, loaded anew when it changes.
//!
//! Asked many times a second, so it never touches the disk. Invariant: a hold that stood when the copy was made stands until
//! a trusted clock has passed its end.

use std::collections::HashMap;

use edge_milking::{Herd, Usual};
use farm::{StoreError, holds, holds::Hold, holds::Product, milkings};
use farm_model::{AnimalId, SessionKey, Stamp, Tag, UnixMillis, Visit, VisitId};
use rusqlite::Connection;

/// The herd at one moment.
#[derive(Debug, Default)]
pub(crate) struct HerdView {
    tags: HashMap<Tag, AnimalId>,
    holds: HashMap<AnimalId, Vec<Hold>>,
    certain: UnixMillis,
    milked: HashMap<(AnimalId, SessionKey), VisitId>,
    usual: HashMap<AnimalId, Usual>,
}

impl HerdView {
    /// Reads the herd; `session` is the one under way.
    pub(crate) fn load(
        conn: &Connection,
        now: &Stamp,
        session: SessionKey,
    ) -> Result<Self, StoreError> {
        let milked = milkings::in_session(conn, session)?
            .into_iter()
            .map(|(animal, visit)| ((animal, session), visit))
            .collect();
        let usual = milkings::usual(conn, session.date, Some(session.number))?
            .into_iter()
            .map(|(animal, u)| {
                let usual = Usual {
                    yield_ml: u.yield_ml,
                    spread_ml: u.spread_ml,
                    avg_flow_ml_min: u.avg_flow_ml_min,
                    conductivity: u.conductivity,
                };
                (animal, usual)
            })
            .collect();
        Ok(Self {
            tags: farm::animals::known_tags(conn)?.into_iter().collect(),
            holds: holds::standing(conn, now)?,
            certain: holds::certain(conn, now)?,
            milked,
            usual,
        })
    }

    /// Takes note of a visit that is on its way to the store.
    pub(crate) fn note(&mut self, visit: &Visit) {
        if let Some(animal) = visit.identity.animal()
            && visit.yield_ml > 0
        {
            self.milked.insert((animal, visit.session), visit.id);
        }
    }
}

impl Herd for HerdView {
    fn animal_of(&self, tag: &Tag) -> Option<AnimalId> {
        self.tags.get(tag).copied()
    }

    fn is_withheld(&self, animal: AnimalId, at: Stamp) -> bool {
        let certain = if at.clock.is_trusted() {
            at.wall
        } else {
            self.certain
        };
        self.holds.get(&animal).is_some_and(|holds| {
            holds
                .iter()
                .any(|h| h.product == Product::Milk && h.stands(certain))
        })
    }

    fn milked_in(&self, animal: AnimalId, session: SessionKey) -> Option<VisitId> {
        self.milked.get(&(animal, session)).copied()
    }

    fn usual(&self, animal: AnimalId) -> Option<Usual> {
        self.usual.get(&animal).copied()
    }
}
