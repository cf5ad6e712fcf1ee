//! What waits for a person: open alerts with what is needed to settle each, and conflicts that a merge has made.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet, hash_map::Entry},
};

use farm_model::{AnimalId, AnimalStatus};
use rusqlite::Connection;
use serde::Serialize;

use crate::{
    alerts::{self, Alert, Subject},
    animals::{self, Animal, Conflict},
    milkings::{self, Usual, VisitRow},
    store::StoreError,
};

/// Candidates that are offered for one visit.
const CANDIDATES: usize = 6;

/// Something that waits for a person.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Item {
    /// The alert.
    pub alert: Alert,
    /// The visit it is about.
    pub visit: Option<VisitRow>,
    /// The animal it is about.
    pub animal: Option<Animal>,
    /// Who it may have been, most likely first, where that is the question.
    pub candidates: Vec<Candidate>,
}

/// An animal whose milk it may have been.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Candidate {
    /// The animal.
    pub animal: AnimalId,
    /// What she usually gives in this session, in millilitres.
    pub usual_ml: Option<i64>,
    /// Whether her tag was read in the visit.
    pub tag_read: bool,
}

/// Everything that waits.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Inbox {
    /// Alerts, most urgent first.
    pub items: Vec<Item>,
    /// Tags and numbers that several animals have.
    pub conflicts: Vec<Conflict>,
}

/// What waits for a person.
///
/// # Errors
/// When the database fails.
pub fn inbox(conn: &Connection) -> Result<Inbox, StoreError> {
    let mut candidates = Candidates::default();
    let mut items = Vec::new();
    for alert in alerts::open(conn)? {
        let visit = match alert.subject {
            Subject::Visit(id) => milkings::get(conn, id)?,
            _ => None,
        };
        let animal = match (alert.subject, &visit) {
            (Subject::Animal(id), _) => animals::get(conn, id)?,
            (_, Some(visit)) => match visit.animal {
                Some(id) => animals::get(conn, id)?,
                None => None,
            },
            _ => None,
        };
        let candidates = match &visit {
            Some(visit) if alert.kind.asks_whose() => candidates.of(conn, visit)?,
            _ => Vec::new(),
        };
        items.push(Item {
            alert,
            visit,
            animal,
            candidates,
        });
    }
    Ok(Inbox {
        items,
        conflicts: animals::conflicts(conn)?,
    })
}

/// Who a visit's milk may have been from, most likely first.
///
/// # Errors
/// When the database fails.
pub fn candidates(conn: &Connection, visit: &VisitRow) -> Result<Vec<Candidate>, StoreError> {
    Candidates::default().of(conn, visit)
}

/// What is needed to rank candidates, read once per session and page.
#[derive(Default)]
struct Candidates {
    herd: Option<Vec<Animal>>,
    sessions: HashMap<farm_model::SessionKey, (HashSet<AnimalId>, HashMap<AnimalId, Usual>)>,
}

impl Candidates {
    fn of(&mut self, conn: &Connection, visit: &VisitRow) -> Result<Vec<Candidate>, StoreError> {
        if self.herd.is_none() {
            let mut herd = animals::list(conn)?;
            herd.retain(|a| a.status == AnimalStatus::Lactating);
            self.herd = Some(herd);
        }
        let (milked, usual) = match self.sessions.entry(visit.session) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let milked = milkings::in_session(conn, visit.session)?;
                let milked = milked.into_iter().map(|(animal, _)| animal).collect();
                let usual = milkings::usual(conn, visit.session.date, Some(visit.session.number))?;
                place.insert((milked, usual))
            }
        };
        let read = match &visit.tag {
            Some(tag) => animals::by_tag(conn, tag)?.map(|a| a.id),
            None => None,
        };
        let mut ranked: Vec<(i64, &Animal)> = self
            .herd
            .iter()
            .flatten()
            .map(|animal| {
                let mut unlikely = unlikeliness(visit, usual.get(&animal.id));
                if milked.contains(&animal.id) {
                    unlikely += 10_000;
                }
                if read == Some(animal.id) {
                    unlikely -= 100_000;
                }
                (unlikely, animal)
            })
            .collect();
        // The herd is long and the list short: only what is shown is put in order.
        if ranked.len() > CANDIDATES {
            ranked.select_nth_unstable_by(CANDIDATES - 1, compare);
            ranked.truncate(CANDIDATES);
        }
        ranked.sort_by(compare);
        let shown = ranked.into_iter().map(|(_, animal)| Candidate {
            animal: animal.id,
            usual_ml: usual.get(&animal.id).map(|u| u.yield_ml),
            tag_read: read == Some(animal.id),
        });
        Ok(shown.collect())
    }
}

/// The likelier first; of those as likely, the lower number.
fn compare(a: &(i64, &Animal), b: &(i64, &Animal)) -> Ordering {
    let key = |(unlikely, animal): &(i64, &Animal)| (*unlikely, animal.number.len());
    key(a)
        .cmp(&key(b))
        .then_with(|| a.1.number.cmp(&b.1.number))
        .then(a.1.id.cmp(&b.1.id))
}

/// How far the visit's yield lies from what is usual, in hundredths of her own scatter; at most 5,000.
fn unlikeliness(visit: &VisitRow, usual: Option<&Usual>) -> i64 {
    let Some(usual) = usual else { return 1_000 };
    let scatter = usual.spread_ml.max(usual.yield_ml / 20).max(1);
    ((visit.yield_ml - usual.yield_ml).abs() * 100 / scatter).min(5_000)
}
