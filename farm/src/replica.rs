//! This file as one of a farm's several: what came from other places is taken, and what follows from it is brought in step.
//!
//! [`Farm`] is a [`sync::Store`]: one turn is one command, on disk when it resolves. Facts come late and in any order, and records merge
//! under visits that were written long ago; so each turn works out what may have changed, and only that is derived anew.
//! Invariant: whatever way facts and records came, the projections are those that [`rebuild`] makes.

use std::collections::{BTreeMap, BTreeSet};

use farm_model::{AlertId, AnimalId, DeviceId, PlaceId, StaffId};
use rusqlite::{Connection, OptionalExtension};
use sync::{
    Outcome, Replicated, Value, exchange,
    facts::{self, Run},
    held::Aside,
    records::Row,
    site,
    store::{Delivery, Fault, Turn, Turned, Verdict},
    wire::Part,
};

use crate::{
    alerts::{self, AlertKind},
    animals, audit, auth, events,
    findings::{self, Touched},
    milkings, samples, settings, sql,
    store::{Actor, Change, Farm, Log, StoreError, Tx},
};

impl sync::Store for Farm {
    async fn turn(&self, turn: Turn) -> Result<Turned, Fault> {
        let schema = self.replicated();
        let delivery = turn.take.as_ref();
        let brings_samples = delivery.is_some_and(|delivery| {
            let mut parts = delivery.parts.iter();
            parts.any(|part| matches!(part, Part::Facts(run) if run.log == Log::Sample.table()))
        });
        let turned = self
            .write(Actor::System, move |tx| take_turn(tx, &schema, &turn))
            .await?;
        // They are on disk. What follows from them may be much, and lets others write between.
        if brings_samples {
            sum_samples(self).await;
        }
        Ok(turned)
    }

    fn committed(&self) -> u64 {
        self.replicated_commits()
    }

    async fn news(&self, seen: u64) {
        self.wait_for_replicated(seen).await;
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// Takes in the samples that came. They are kept already, so what goes wrong here is no fault of the turn.
async fn sum_samples(farm: &Farm) {
    loop {
        match farm.write(Actor::System, samples::follow).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!(%error, "samples of other places are not summed up: it is tried again with the next ones");
                return;
            }
        }
    }
}

/// Does a turn, and brings what follows from the farm's facts in step with what it took.
fn take_turn(tx: &mut Tx<'_>, schema: &Replicated, turn: &Turn) -> Result<Turned, Fault> {
    let mut before = Before::default();
    if let Some(delivery) = &turn.take {
        before = Before::read(tx.conn(), delivery)?;
    }
    let mut turned = exchange::turn(tx.conn(), schema, turn)?;
    if let Some(delivery) = &turn.take {
        Following { tx, schema }.follow(&before, delivery, &mut turned.verdicts)?;
    }
    Ok(turned)
}

/// What must be known of the time before a merge.
#[derive(Default)]
struct Before {
    /// Of animals that may be merged by it: whose their milk was.
    whose: BTreeMap<AnimalId, AnimalId>,
    timezone: String,
}

impl Before {
    fn read(conn: &Connection, delivery: &Delivery) -> Result<Self, StoreError> {
        let mut whose = BTreeMap::new();
        let parts: Vec<&Part> = delivery.parts.iter().collect();
        for row in rows(&parts).filter(|row| row.table == "animal") {
            if let Some(id) = key(row)
                && has(row, "merged_into")
            {
                let id = AnimalId::from_bytes(id);
                whose.insert(id, animals::canonical(conn, id)?);
            }
        }
        Ok(Self {
            whose,
            timezone: settings::load(conn)?.timezone,
        })
    }
}

fn rows<'a>(parts: &[&'a Part]) -> impl Iterator<Item = &'a Row> {
    parts.iter().copied().flat_map(|part| {
        let versions = match part {
            Part::Records(span) => span.versions.as_slice(),
            Part::Facts(_) => &[],
        };
        versions.iter().flat_map(|version| &version.rows)
    })
}

fn key(row: &Row) -> Option<[u8; 16]> {
    match row.key.as_slice() {
        [Value::Blob(id)] => id.as_slice().try_into().ok(),
        _ => None,
    }
}

fn has(row: &Row, column: &str) -> bool {
    row.turned || row.cells.iter().any(|cell| cell.column == column)
}

/// Derives anew what may have changed, and tells it.
///
/// Invariant: nothing that other places told can undo the taking. What following trips over is undone by itself and noted with its reason:
/// a fact is set aside again, a record stays as it merged.
struct Following<'a, 'tx> {
    tx: &'a mut Tx<'tx>,
    schema: &'a Replicated,
}

impl Following<'_, '_> {
    fn follow(
        &mut self,
        before: &Before,
        delivery: &Delivery,
        verdicts: &mut [Verdict],
    ) -> Result<(), StoreError> {
        let (mut animals, mut touched) = (BTreeSet::new(), Touched::default());
        let mut taken = Vec::new();
        for (part, verdict) in delivery.parts.iter().zip(verdicts) {
            let Ok(Outcome::Taken(tally)) = &mut verdict.outcome else {
                continue;
            };
            if let Part::Facts(run) = part {
                let (found, aside) = self.facts(run)?;
                tally.stored = tally.stored.saturating_sub(aside.len());
                tally.aside.extend(aside);
                animals.extend(found.happened);
                touched.animals.extend(found.touched.animals);
                touched.staff.extend(found.touched.staff);
            }
            taken.push(part);
        }
        if taken.is_empty() {
            return Ok(());
        }
        self.tx.took_from_others();
        for row in rows(&taken).filter(|row| row.table == "animal" && has(row, "merged_into")) {
            let merged = self.try_to("a merge of animals", |tx| follow_merge(tx, before, row))?;
            animals.extend(merged.unwrap_or_default());
        }
        if settings::load(self.tx.conn())?.timezone == before.timezone {
            for animal in &animals {
                self.try_to("an animal's events", |tx| events::follow(tx, *animal))?;
            }
        } else {
            events::rebuild(self.tx)?;
        }
        touched.staff.extend(self.records(&taken)?);
        touched.animals.append(&mut animals);
        self.look(&touched)
    }

    /// Does what follows from one thing; it is left undone where that cannot be.
    fn try_to<T>(
        &mut self,
        what: &str,
        follow: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let done = self.tx.apart(|tx| follow(tx))?;
        Ok(done
            .inspect_err(|reason| {
                tracing::error!(reason, "what follows from {what} is not brought in step");
            })
            .ok())
    }

    /// What follows from a run: from all of it at once or, where that trips, from each fact by itself.
    fn facts(&mut self, run: &Run) -> Result<(Found, Vec<Aside>), StoreError> {
        let Some(ordinal) = site::ordinal(self.tx.conn(), run.site)? else {
            return Ok(Default::default());
        };
        let (from, to) = (run.from.upto, run.to());
        if let Ok(found) = self
            .tx
            .apart(|tx| follow_facts(tx, &run.log, ordinal, from, to))?
        {
            return Ok((found, Vec::new()));
        }
        let (mut all, mut aside) = (Found::default(), Vec::new());
        for number in from + 1..=to {
            let followed = self
                .tx
                .apart(|tx| follow_facts(tx, &run.log, ordinal, number - 1, number))?;
            match followed {
                Ok(found) => all.add(found),
                Err(reason) => {
                    tracing::error!(log = run.log, site = %run.site, number, reason, "a fact is set aside");
                    self.set_aside(&run.log, ordinal, number, &reason)?;
                    aside.push(Aside { number, reason });
                }
            }
        }
        Ok((all, aside))
    }

    fn set_aside(
        &self,
        log: &str,
        ordinal: i64,
        number: i64,
        reason: &str,
    ) -> Result<(), StoreError> {
        match facts::set_aside(self.tx.conn(), self.schema, log, ordinal, number, reason) {
            // There is no more room for it: then it stands where it is, and nothing follows from it.
            Ok(()) | Err(sync::Error::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells each record that came, and ends the sessions of staff that may not go on; whose records those are.
    fn records(&mut self, taken: &[&Part]) -> Result<BTreeSet<StaffId>, StoreError> {
        let (mut told, mut staff) = (BTreeSet::new(), BTreeSet::new());
        for row in rows(taken) {
            let Some(id) = key(row) else { continue };
            let is_new = told.insert((row.table.as_str(), id));
            let followed = self.try_to("a record", |tx| follow_record(tx, row, id, is_new))?;
            staff.extend(followed.flatten());
        }
        Ok(staff)
    }

    /// Looks for what the merge shows.
    fn look(&mut self, touched: &Touched) -> Result<(), StoreError> {
        let animals = touched.animals.iter().map(|animal| Touched {
            animals: BTreeSet::from([*animal]),
            ..Touched::default()
        });
        let staff = touched.staff.iter().map(|who| Touched {
            staff: BTreeSet::from([*who]),
            ..Touched::default()
        });
        for one in animals.chain(staff) {
            self.try_to("a merge", |tx| findings::look(tx, &one))?;
        }
        Ok(())
    }
}

/// Of whom facts speak.
#[derive(Default)]
struct Found {
    /// Animals to which something happened.
    happened: BTreeSet<AnimalId>,
    touched: Touched,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.happened.extend(other.happened);
        self.touched.animals.extend(other.touched.animals);
        self.touched.staff.extend(other.touched.staff);
    }
}

fn follow_facts(
    tx: &mut Tx<'_>,
    log: &str,
    ordinal: i64,
    from: i64,
    to: i64,
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    if log == Log::Milking.table() {
        let animals = milkings::follow(tx, ordinal, from, to)?;
        found.touched.animals.extend(animals);
    } else if log == Log::Event.table() {
        let animals = events::of_whom(tx.conn(), ordinal, from, to)?;
        found.happened.extend(animals);
    } else if log == Log::Audit.table() {
        let staff = audit::of_whom(tx.conn(), ordinal, from, to)?;
        found.touched.staff.extend(staff);
    }
    Ok(found)
}

/// Visits of animals that may have been merged, or may be two again; whose events must be looked at too.
fn follow_merge(
    tx: &mut Tx<'_>,
    before: &Before,
    row: &Row,
) -> Result<BTreeSet<AnimalId>, StoreError> {
    let Some(id) = key(row).map(AnimalId::from_bytes) else {
        return Ok(BTreeSet::new());
    };
    animals::end_cycle(tx, id)?;
    let was = before.whose.get(&id).copied().unwrap_or(id);
    for animal in BTreeSet::from([id, was]) {
        milkings::follow_animal(tx, animal)?;
    }
    Ok(BTreeSet::from([
        id,
        was,
        animals::canonical(tx.conn(), id)?,
    ]))
}

fn follow_record(
    tx: &mut Tx<'_>,
    row: &Row,
    id: [u8; 16],
    is_new: bool,
) -> Result<Option<StaffId>, StoreError> {
    let mut staff = None;
    if row.table == "staff" && (has(row, "pin") || has(row, "active")) {
        let who = StaffId::from_bytes(id);
        auth::end_stale_sessions(tx, who, has(row, "pin"))?;
        staff = Some(who);
    }
    if row.table == "alert" {
        alerts::close_twins(tx, AlertId::from_bytes(id))?;
    }
    if is_new && let Some(change) = change(tx.conn(), &row.table, id)? {
        tx.tell(change);
    }
    Ok(staff)
}

fn change(conn: &Connection, table: &str, id: [u8; 16]) -> Result<Option<Change>, StoreError> {
    Ok(Some(match table {
        "animal" => Change::Animal {
            animal: AnimalId::from_bytes(id),
        },
        "animal_tag" => {
            let animal: Option<Option<AnimalId>> = conn
                .prepare_cached("SELECT animal FROM animal_tag WHERE id = ?1")?
                .query_row([id], |row| sql::id_opt(row, 0))
                .optional()?;
            let Some(animal) = animal.flatten() else {
                return Ok(None);
            };
            Change::Animal { animal }
        }
        "place" => Change::Place {
            place: PlaceId::from_bytes(id),
        },
        "device" => Change::Device {
            device: DeviceId::from_bytes(id),
        },
        "staff" => Change::Staff {
            staff: StaffId::from_bytes(id),
        },
        "session_plan" | "setting" => Change::Setting,
        "alert" => {
            let found: Option<(String, bool)> = conn
                .prepare_cached("SELECT kind, closed_at IS NULL FROM alert WHERE id = ?1")?
                .query_row([id], |row| Ok((sql::text(row, 0)?, row.get(1)?)))
                .optional()?;
            let Some((Some(kind), open)) =
                found.map(|(kind, open)| (AlertKind::from_key(&kind), open))
            else {
                return Ok(None);
            };
            Change::Alert {
                alert: AlertId::from_bytes(id),
                kind: kind.key(),
                open,
            }
        }
        _ => return Ok(None),
    }))
}

/// Builds everything that follows from facts anew. Slow: for repair, after a migration that found room for what had waited for it, and to
/// show that it makes no difference.
///
/// # Errors
/// When the database fails.
pub fn rebuild(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    milkings::rebuild(tx)?;
    events::rebuild(tx)?;
    samples::forget(tx)?;
    samples::reckon(tx)
}
