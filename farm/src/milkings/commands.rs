//! Later words about a visit: whose it was, what it gave, that it never was, and taking such a word back.

use farm_model::{
    AnimalId, ClockQuality, Destination, Stamp, UnixMillis, VisitId, milking::Finding,
};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::{
    MOST_ML, MilkError, VisitRow,
    facts::{Fact, append, facts_of},
    get,
    project::project,
    record::other_visit,
};
use crate::{
    alerts::{self, AlertKind, Subject},
    animals,
    holds::{self, Given},
    store::{FactId, StoreError, Tx},
    text::Note,
};

/// Decisions that knowing the animal settles.
const IDENTITY: &[AlertKind] = &[
    AlertKind::Unidentified,
    AlertKind::UnknownTag,
    AlertKind::TwoIdentities,
    AlertKind::SwappedTag,
];
/// Decisions that a corrected or voided visit settles.
const ALL: &[AlertKind] = &[
    AlertKind::Unidentified,
    AlertKind::UnknownTag,
    AlertKind::TwoIdentities,
    AlertKind::SwappedTag,
    AlertKind::MilkedTwice,
    AlertKind::TooMuch,
    AlertKind::Tanked,
];

/// What a visit gave in truth.
#[derive(Clone, PartialEq, Debug)]
pub struct Correction {
    /// Millilitres.
    pub yield_ml: i64,
    /// Where it went; a hold is stricter.
    pub destination: Destination,
    /// Why.
    pub reason: Option<Note>,
}

/// Says whose milk a visit was.
///
/// # Errors
/// When visit or animal are unknown, or the visit was voided.
pub fn assign(tx: &mut Tx<'_>, id: VisitId, animal: AnimalId) -> Result<FactId, MilkError> {
    let visit = standing(tx, id)?;
    let animal = animals::get(tx.conn(), animal)?.ok_or(MilkError::UnknownAnimal)?;
    let fact = append(tx, id, &assigned(tx, &visit, animal.id)?)?;
    project(tx, id)?;
    alerts::settle_visit(tx, id, IDENTITY, "assigned")?;
    if other_visit(tx, animal.id, visit.session, id)?.is_some() {
        let detail = serde_json::json!({ "animal": animal.id, "yield_ml": visit.yield_ml });
        alerts::raise(tx, AlertKind::MilkedTwice, Subject::Visit(id), &detail)?;
    } else {
        alerts::settle_visit(tx, id, &[AlertKind::MilkedTwice], "assigned")?;
    }
    tx.audit("milking.assign", &id.to_string(), None)?;
    Ok(fact)
}

/// Says what a visit gave in truth.
///
/// # Errors
/// When the visit is unknown or voided, the figure cannot be, or nothing would change.
pub fn correct(tx: &mut Tx<'_>, id: VisitId, correction: &Correction) -> Result<FactId, MilkError> {
    let visit = standing(tx, id)?;
    if !(0..=MOST_ML).contains(&correction.yield_ml) {
        return Err(MilkError::Yield);
    }
    let mut destination = correction.destination;
    if destination == Destination::Tank && stays_out(tx.conn(), &visit)? {
        destination = Destination::Withheld;
    }
    let is_open = alerts::find_open(tx.conn(), AlertKind::TooMuch, Subject::Visit(id))?.is_some();
    if visit.yield_ml == correction.yield_ml && visit.destination == destination && !is_open {
        return Err(MilkError::NoChange);
    }
    let fact = Fact::Corrected {
        yield_ml: correction.yield_ml,
        destination,
        reason: correction.reason.as_ref().map(ToString::to_string),
    };
    let fact = append(tx, id, &fact)?;
    project(tx, id)?;
    let settled = [AlertKind::TooMuch, AlertKind::Tanked];
    alerts::settle_visit(tx, id, &settled, "corrected")?;
    tx.audit("milking.correct", &id.to_string(), None)?;
    Ok(fact)
}

/// Says that a visit never was.
///
/// # Errors
/// When it is unknown or voided already.
pub fn void(tx: &mut Tx<'_>, id: VisitId, reason: Option<&Note>) -> Result<FactId, MilkError> {
    standing(tx, id)?;
    let reason = reason.map(ToString::to_string);
    let fact = append(tx, id, &Fact::Voided { reason })?;
    project(tx, id)?;
    alerts::settle_visit(tx, id, ALL, "voided")?;
    tx.audit("milking.void", &id.to_string(), None)?;
    Ok(fact)
}

/// Takes back the last word about a visit that still stands: its assignment, correction or voiding.
///
/// # Errors
/// When there is none.
pub fn undo(tx: &mut Tx<'_>, id: VisitId) -> Result<FactId, MilkError> {
    get(tx.conn(), id)?.ok_or(MilkError::UnknownVisit)?;
    let last = history(tx.conn(), id)?
        .into_iter()
        .rev()
        .find(|w| !w.undone && matches!(w.what, What::Assigned | What::Corrected | What::Voided))
        .ok_or(MilkError::NothingToUndo)?;
    let fact = append(tx, id, &Fact::Undone { of: last.id })?;
    project(tx, id)?;
    let visit = get(tx.conn(), id)?.ok_or(MilkError::UnknownVisit)?;
    reopen(tx, &visit)?;
    tx.audit("milking.undo", &id.to_string(), None)?;
    Ok(fact)
}

/// What a word about a visit says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It happened.
    Recorded,
    /// Whose it was.
    Assigned,
    /// What it gave.
    Corrected,
    /// It never was.
    Voided,
    /// An earlier word was a mistake.
    Undone,
}

/// A word about a visit.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Word {
    /// Identity.
    pub id: FactId,
    /// When it was said.
    pub at: UnixMillis,
    /// By whom.
    pub actor: String,
    /// What it says.
    pub what: What,
    /// The yield it says, if it says one.
    pub yield_ml: Option<i64>,
    /// The animal it names, if it names one.
    pub animal: Option<AnimalId>,
    /// Why.
    pub reason: Option<String>,
    /// Whether a later word takes it back.
    pub undone: bool,
}

/// Everything that was ever said of a visit, in the order in which it counts.
///
/// # Errors
/// When the database fails.
pub fn history(conn: &Connection, id: VisitId) -> Result<Vec<Word>, StoreError> {
    let facts = facts_of(conn, id)?;
    let undone: Vec<FactId> = facts
        .iter()
        .filter_map(|k| match k.fact {
            Fact::Undone { of } => Some(of),
            _ => None,
        })
        .collect();
    Ok(facts
        .into_iter()
        .map(|kept| {
            let (what, yield_ml, animal, reason) = match kept.fact {
                Fact::Recorded { visit } => (
                    What::Recorded,
                    Some(visit.yield_ml),
                    visit.identity.animal(),
                    None,
                ),
                Fact::Assigned { animal, .. } => (What::Assigned, None, Some(animal), None),
                Fact::Corrected {
                    yield_ml, reason, ..
                } => (What::Corrected, Some(yield_ml), None, reason),
                Fact::Voided { reason } => (What::Voided, None, None, reason),
                Fact::Undone { .. } => (What::Undone, None, None, None),
            };
            Word {
                id: kept.id,
                at: UnixMillis(kept.at),
                actor: kept.actor,
                what,
                yield_ml,
                animal,
                reason,
                undone: undone.contains(&kept.id),
            }
        })
        .collect())
}

fn standing(tx: &Tx<'_>, id: VisitId) -> Result<VisitRow, MilkError> {
    let visit = get(tx.conn(), id)?.ok_or(MilkError::UnknownVisit)?;
    if visit.voided {
        return Err(MilkError::Voided);
    }
    Ok(visit)
}

fn assigned(tx: &Tx<'_>, visit: &VisitRow, animal: AnimalId) -> Result<Fact, StoreError> {
    // A person's decision to discard stays; what the holds decided is decided anew.
    let destination = match visit.destination {
        Destination::Discarded => Destination::Discarded,
        // To confirm what was believed moves no milk.
        destination if visit.animal == Some(animal) => destination,
        _ if holds::milk_was_held(tx.conn(), animal, given(tx.conn(), visit)?)? => {
            Destination::Withheld
        }
        _ => Destination::Tank,
    };
    Ok(Fact::Assigned {
        animal,
        destination,
    })
}

/// Whether a visit's milk stays out of the tank, whatever a person says: its cow was on hold when it was given. Milk that is
/// kept out only because its time was somebody's word may be released, because a person now vouches for that time.
///
/// # Errors
/// When the database fails.
pub fn stays_out(conn: &Connection, visit: &VisitRow) -> Result<bool, StoreError> {
    let Some(animal) = visit.animal else {
        return Ok(false);
    };
    let given = match given(conn, visit)? {
        Given::Between(..) => Given::Between(visit.start, visit.end),
        Given::Unknown => Given::Unknown,
    };
    holds::milk_was_held(conn, animal, given)
}

/// When a visit's milk was given, as far as that was known when it was written down.
fn given(conn: &Connection, visit: &VisitRow) -> Result<Given, StoreError> {
    let stamp = |wall, clock| Stamp {
        wall,
        clock,
        ..Stamp::default()
    };
    let heard = conn
        .prepare_cached(
            "SELECT m.at, m.clock FROM milking_of o JOIN milking m ON m.site = o.site AND m.seq = o.seq
             WHERE o.visit = ?1 AND m.kind = 0 ORDER BY m.at",
        )?
        .query_row([visit.id.as_bytes()], |row| {
            let clock = ClockQuality::from_code(row.get(1)?);
            Ok(stamp(UnixMillis(row.get(0)?), clock))
        })
        .optional()?
        .unwrap_or_default();
    let (start, end) = (
        stamp(visit.start, visit.clock),
        stamp(visit.end, visit.clock),
    );
    Ok(Given::of(&start, &end, &heard))
}

/// What was open about a visit before the word that is taken back is open again.
fn reopen(tx: &mut Tx<'_>, visit: &VisitRow) -> Result<(), StoreError> {
    if visit.voided {
        return Ok(());
    }
    let words = history(tx.conn(), visit.id)?;
    let said = |what| words.iter().any(|w| w.what == what && !w.undone);
    let (assigned, corrected) = (said(What::Assigned), said(What::Corrected));
    for finding in &visit.findings {
        let open = match finding {
            Finding::MilkedTwice => match visit.animal {
                Some(animal) => other_visit(tx, animal, visit.session, visit.id)?.is_some(),
                None => false,
            },
            Finding::TooMuch => !corrected,
            finding => finding.needs_decision() && !assigned,
        };
        if open && let Some(kind) = AlertKind::of_finding(*finding) {
            let told = words.first().and_then(|w| w.yield_ml);
            let yield_ml = told
                .filter(|_| *finding == Finding::TooMuch)
                .unwrap_or(visit.yield_ml);
            let detail = serde_json::json!({ "stall": visit.stall, "yield_ml": yield_ml });
            alerts::raise(tx, kind, Subject::Visit(visit.id), &detail)?;
        }
    }
    Ok(())
}
