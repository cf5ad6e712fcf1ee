//! What is true now of visits and days, kept in step with the facts; and rebuilt from them.

use std::collections::HashSet;

use farm_model::{AnimalId, Destination, Identity, Visit, VisitId};
use rusqlite::{Connection, params};

use super::{
    MOST_ML, VisitRow, bits_of,
    facts::{self, Fact, Kept, facts_of},
    get,
};
use crate::{
    animals::canonical,
    sql,
    store::{Change, FactId, StoreError, Tx},
};

/// Brings the projections of a visit in step with its facts.
pub(super) fn project(tx: &mut Tx<'_>, id: VisitId) -> Result<(), StoreError> {
    let before = get(tx.conn(), id)?;
    let facts = facts_of(tx.conn(), id)?;
    let Some(visit) = stand(&facts) else {
        return Ok(());
    };
    if let Some(before) = &before {
        count(tx.conn(), before, Sign::Minus)?;
    }
    write(tx.conn(), &visit, facts[0].id, before.as_ref().map(|b| b.n))?;
    if let Some(after) = get(tx.conn(), id)? {
        count(tx.conn(), &after, Sign::Plus)?;
        tx.tell(Change::Milking {
            visit: id,
            animal: after.animal,
            yield_ml: if after.voided { 0 } else { after.yield_ml },
        });
    }
    Ok(())
}

/// Writes a visit that is new, without looking for what it replaces.
pub(super) fn project_new(tx: &mut Tx<'_>, visit: &Visit, fact: FactId) -> Result<(), StoreError> {
    let standing = Standing::first(visit);
    let visit = &standing.visit;
    write(tx.conn(), &standing, fact, None)?;
    count_figures(
        tx.conn(),
        &Figures {
            animal: visit.identity.animal(),
            day: sql::day_number(visit.session.date),
            session: visit.session.number,
            yield_ml: visit.yield_ml,
            destination: visit.destination,
        },
        Sign::Plus,
    )?;
    tx.tell(Change::Milking {
        visit: visit.id,
        animal: visit.identity.animal(),
        yield_ml: visit.yield_ml,
    });
    Ok(())
}

/// A visit after all its facts.
struct Standing {
    visit: Visit,
    voided: bool,
}

impl Standing {
    /// As it was told.
    fn first(told: &Visit) -> Self {
        let mut visit = told.clone();
        visit.yield_ml = believed(told.yield_ml);
        Self {
            visit,
            voided: false,
        }
    }
}

/// More milk than a cow gives is no milk until a person says how much it was; the fact keeps the figure. So a day's sums fit, whatever
/// other places tell.
fn believed(yield_ml: i64) -> i64 {
    if (0..=MOST_ML).contains(&yield_ml) {
        yield_ml
    } else {
        0
    }
}

fn stand(facts: &[Kept]) -> Option<Standing> {
    let Some(Kept {
        fact: Fact::Recorded { visit },
        ..
    }) = facts.first()
    else {
        return None;
    };
    let undone: Vec<FactId> = facts
        .iter()
        .filter_map(|k| match k.fact {
            Fact::Undone { of } => Some(of),
            _ => None,
        })
        .collect();
    let mut standing = Standing::first(visit);
    for kept in facts.iter().filter(|k| !undone.contains(&k.id)) {
        match &kept.fact {
            Fact::Assigned {
                animal,
                destination,
            } => {
                standing.visit.identity = Identity::Animal {
                    animal: *animal,
                    tag: tag_of(visit),
                };
                standing.visit.destination = *destination;
            }
            Fact::Corrected {
                yield_ml,
                destination,
                ..
            } => {
                standing.visit.yield_ml = believed(*yield_ml);
                standing.visit.destination = *destination;
            }
            Fact::Voided { .. } => standing.voided = true,
            Fact::Recorded { .. } | Fact::Undone { .. } => {}
        }
    }
    Some(standing)
}

fn tag_of(visit: &Visit) -> Option<farm_model::Tag> {
    match &visit.identity {
        Identity::Animal { tag, .. } => tag.clone(),
        Identity::UnknownTag { tag } => Some(tag.clone()),
        Identity::Ambiguous { tags } => tags.first().cloned(),
        Identity::None => None,
    }
}

fn write(
    conn: &Connection,
    standing: &Standing,
    fact: FactId,
    n: Option<i64>,
) -> Result<(), StoreError> {
    let v = &standing.visit;
    let animal = match v.identity.animal() {
        Some(id) => Some(canonical(conn, id)?),
        None => None,
    };
    conn.prepare_cached(
        "INSERT OR REPLACE INTO visit (n, id, site, seq, animal, start, ended, day, session, stall, yield_ml, avg_flow, peak_flow,
            conductivity, fat, snf, destination, findings, tag, clock, meter, staff, voided)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
    )?
    .execute(params![
        n,
        v.id.as_bytes(),
        fact.site,
        fact.seq,
        animal.as_ref().map(AnimalId::as_bytes),
        v.start.wall.0,
        v.end.wall.0,
        sql::day_number(v.session.date),
        v.session.number,
        v.stall.map(|s| s.0),
        v.yield_ml,
        v.avg_flow_ml_min,
        v.peak_flow_ml_min,
        v.conductivity.map(|m| m.0),
        v.fat.map(|m| m.0),
        v.snf.map(|m| m.0),
        v.destination as u8,
        bits_of(&v.findings),
        tag_of(v).map(|t| t.to_string()),
        v.start.clock.min(v.end.clock) as u8,
        v.meter.as_ref().map(farm_model::DeviceId::as_bytes),
        v.recorded_by.as_ref().map(farm_model::StaffId::as_bytes),
        standing.voided
    ])?;
    Ok(())
}

#[derive(Clone, Copy)]
enum Sign {
    Plus,
    Minus,
}

/// What a visit adds to its day.
struct Figures {
    animal: Option<AnimalId>,
    day: i64,
    session: u8,
    yield_ml: i64,
    destination: Destination,
}

fn count(conn: &Connection, visit: &VisitRow, sign: Sign) -> Result<(), StoreError> {
    if visit.voided {
        return Ok(());
    }
    let figures = Figures {
        animal: visit.animal,
        day: sql::day_number(visit.session.date),
        session: visit.session.number,
        yield_ml: visit.yield_ml,
        destination: visit.destination,
    };
    count_figures(conn, &figures, sign)
}

/// Adds to a column what still fits there: a figure of another world that an older program let in holds up no honest one.
macro_rules! plus {
    ($column:literal, $more:literal) => {
        concat!(
            $column,
            " = iif(typeof(",
            $column,
            " + ",
            $more,
            ") = 'integer', ",
            $column,
            " + ",
            $more,
            ", ",
            $column,
            ")"
        )
    };
}

fn count_figures(conn: &Connection, f: &Figures, sign: Sign) -> Result<(), StoreError> {
    let (n, ml) = match sign {
        Sign::Plus => (1, f.yield_ml),
        Sign::Minus => (-1, f.yield_ml.saturating_neg()),
    };
    let mut cows = 0;
    // A cow that stood there and gave nothing was not milked.
    if let Some(animal) = f.animal.filter(|_| f.yield_ml > 0) {
        let visits: i64 = conn
            .prepare_cached(concat!(
                "INSERT INTO animal_day (animal, day, n, yield_ml) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (animal, day) DO UPDATE SET n = n + ?3, ",
                plus!("yield_ml", "?4"),
                " RETURNING n"
            ))?
            .query_row(params![animal.as_bytes(), f.day, n, ml], |row| row.get(0))?;
        // The first milk of the day brings a cow, the last one's leaving takes her away.
        cows = match (sign, visits) {
            (Sign::Plus, 1) => 1,
            (Sign::Minus, 0) => -1,
            _ => 0,
        };
        if visits == 0 {
            conn.prepare_cached("DELETE FROM animal_day WHERE animal = ?1 AND day = ?2")?
                .execute(params![animal.as_bytes(), f.day])?;
        }
    }
    let into = |destination| if f.destination == destination { ml } else { 0 };
    for (session, cows) in [(0, cows), (f.session, 0)] {
        let visits: i64 = conn
            .prepare_cached(
                concat!(
                    "INSERT INTO herd_day (day, session, n, cows, yield_ml, tank_ml, withheld_ml, discarded_ml)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (day, session) DO UPDATE SET n = n + ?3, cows = cows + ?4, ",
                    plus!("yield_ml", "?5"),
                    ", ",
                    plus!("tank_ml", "?6"),
                    ", ",
                    plus!("withheld_ml", "?7"),
                    ", ",
                    plus!("discarded_ml", "?8"),
                    " RETURNING n"
                ),
            )?
            .query_row(
                params![
                    f.day,
                    session,
                    n,
                    cows,
                    ml,
                    into(Destination::Tank),
                    into(Destination::Withheld),
                    into(Destination::Discarded)
                ],
                |row| row.get(0),
            )?;
        if visits == 0 {
            conn.prepare_cached("DELETE FROM herd_day WHERE day = ?1 AND session = ?2")?
                .execute(params![f.day, session])?;
        }
    }
    Ok(())
}

/// Brings the visits of an animal in step that was merged, or is one of its own again.
pub(crate) fn follow_animal(tx: &mut Tx<'_>, animal: AnimalId) -> Result<(), StoreError> {
    let mut statement = tx
        .conn()
        .prepare_cached("SELECT id FROM visit WHERE animal = ?1")?;
    let rows = statement.query_map([animal.as_bytes()], |row| sql::id(row, 0))?;
    let visits: Vec<VisitId> = rows.collect::<Result<_, _>>()?;
    for id in visits {
        project(tx, id)?;
    }
    Ok(())
}

/// Brings the visits in step that a stretch of another site's log speaks of. Returns whose they are.
pub(crate) fn follow(
    tx: &mut Tx<'_>,
    site: i64,
    from: i64,
    to: i64,
) -> Result<HashSet<AnimalId>, StoreError> {
    let (mut seen, mut animals) = (HashSet::new(), HashSet::new());
    for id in facts::note(tx.conn(), site, from, to)? {
        if seen.insert(id) {
            project(tx, id)?;
            animals.extend(get(tx.conn(), id)?.and_then(|visit| visit.animal));
        }
    }
    Ok(animals)
}

/// Builds visits and days anew from the facts alone. Slow: for repair, and to show that it makes no difference.
///
/// # Errors
/// When the database fails.
pub fn rebuild(tx: &mut Tx<'_>) -> Result<usize, StoreError> {
    tx.conn().execute_batch(
        "DELETE FROM visit; DELETE FROM animal_day; DELETE FROM herd_day; DELETE FROM milking_of; DELETE FROM milking_who;
         DELETE FROM milking_place;",
    )?;
    let mut seen = HashSet::new();
    let sites: Vec<i64> = tx
        .conn()
        .prepare("SELECT ordinal FROM sync_site ORDER BY ordinal")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut visits = Vec::new();
    for site in sites {
        visits.extend(facts::note(tx.conn(), site, 0, i64::MAX)?);
    }
    visits.retain(|id| seen.insert(*id));
    for id in &visits {
        if let Err(reason) = tx.apart(|tx| project(tx, *id))? {
            tracing::error!(visit = %id, reason, "what follows from a milking is not brought in step");
        }
    }
    Ok(visits.len())
}
