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
    facts::Run,
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
        while brings_samples && self.write(Actor::System, samples::follow).await? {}
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

/// Does a turn, and brings what follows from the farm's facts in step with what it took.
fn take_turn(tx: &mut Tx<'_>, schema: &Replicated, turn: &Turn) -> Result<Turned, Fault> {
    let mut before = Before::default();
    if let Some(delivery) = &turn.take {
        before = Before::read(tx.conn(), delivery)?;
    }
    let turned = exchange::turn(tx.conn(), schema, turn)?;
    if let Some(delivery) = &turn.take {
        follow(tx, &before, delivery, &turned.verdicts)?;
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
        for row in rows(&delivery.parts).filter(|row| row.table == "animal") {
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

fn rows(parts: &[Part]) -> impl Iterator<Item = &Row> {
    parts.iter().flat_map(|part| {
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
fn follow(
    tx: &mut Tx<'_>,
    before: &Before,
    delivery: &Delivery,
    verdicts: &[Verdict],
) -> Result<(), StoreError> {
    let is_taken = |verdict: &Verdict| matches!(verdict.outcome, Ok(Outcome::Taken { .. }));
    let taken: Vec<Part> = delivery
        .parts
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| is_taken(verdict))
        .map(|(part, _)| part.clone())
        .collect();
    if taken.is_empty() {
        return Ok(());
    }
    tx.took_from_others();
    let (mut animals, mut touched) = (BTreeSet::new(), Touched::default());
    for part in &taken {
        if let Part::Facts(run) = part {
            follow_facts(tx, run, &mut animals, &mut touched)?;
        }
    }
    follow_merges(tx, before, &taken, &mut animals)?;
    if settings::load(tx.conn())?.timezone == before.timezone {
        for animal in &animals {
            events::follow(tx, *animal)?;
        }
    } else {
        events::rebuild(tx)?;
    }
    follow_records(tx, &taken, &mut touched)?;
    touched.animals.append(&mut animals);
    findings::look(tx, &touched)
}

fn follow_facts(
    tx: &mut Tx<'_>,
    run: &Run,
    animals: &mut BTreeSet<AnimalId>,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let Some(ordinal) = site::ordinal(tx.conn(), run.site)? else {
        return Ok(());
    };
    let (from, to) = (run.from.upto, run.to());
    if run.log == Log::Milking.table() {
        touched
            .animals
            .extend(milkings::follow(tx, ordinal, from, to)?);
    } else if run.log == Log::Event.table() {
        animals.extend(events::of_whom(tx.conn(), ordinal, from, to)?);
    } else if run.log == Log::Audit.table() {
        touched
            .staff
            .extend(audit::of_whom(tx.conn(), ordinal, from, to)?);
    }
    Ok(())
}

/// Visits and events of animals that may have been merged, or may be two again.
fn follow_merges(
    tx: &mut Tx<'_>,
    before: &Before,
    taken: &[Part],
    animals: &mut BTreeSet<AnimalId>,
) -> Result<(), StoreError> {
    for row in rows(taken).filter(|row| row.table == "animal" && has(row, "merged_into")) {
        let Some(id) = key(row).map(AnimalId::from_bytes) else {
            continue;
        };
        animals::end_cycle(tx, id)?;
        let was = before.whose.get(&id).copied().unwrap_or(id);
        for animal in BTreeSet::from([id, was]) {
            milkings::follow_animal(tx, animal)?;
        }
        animals.extend([id, was, animals::canonical(tx.conn(), id)?]);
    }
    Ok(())
}

/// Tells each record that came, and ends the sessions of staff that may not go on.
fn follow_records(
    tx: &mut Tx<'_>,
    taken: &[Part],
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let mut told = BTreeSet::new();
    for row in rows(taken) {
        let Some(id) = key(row) else { continue };
        if row.table == "staff" && (has(row, "pin") || has(row, "active")) {
            let who = StaffId::from_bytes(id);
            auth::end_stale_sessions(tx, who, has(row, "pin"))?;
            touched.staff.insert(who);
        }
        if row.table == "alert" {
            alerts::close_twins(tx, AlertId::from_bytes(id))?;
        }
        if told.insert((row.table.as_str(), id))
            && let Some(change) = change(tx.conn(), &row.table, id)?
        {
            tx.tell(change);
        }
    }
    Ok(())
}

fn change(conn: &Connection, table: &str, id: [u8; 16]) -> Result<Option<Change>, StoreError> {
    Ok(Some(match table {
        "animal" => Change::Animal {
            animal: AnimalId::from_bytes(id),
        },
        "animal_tag" => {
            let animal: Option<Option<[u8; 16]>> = conn
                .prepare_cached("SELECT animal FROM animal_tag WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            let Some(animal) = animal.flatten().map(AnimalId::from_bytes) else {
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
