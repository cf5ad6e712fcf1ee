//! What a merge shows that no single place would have let happen: put before a person, with both sides, who did what and when.
//!
//! Looked for after each merge, among what it touched. Invariant: what was found has an identity made of what it is about, so that two
//! places that find the same make one alert of it; settled at one of them, it is settled at all, and is not found again.
//! One tag or number on two animals needs no alert: [`animals::conflicts`] shows it, with both sides, as long as it is so.

use std::collections::BTreeSet;

use farm_model::{AlertId, AnimalId, StaffId, UnixMillis, VisitId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    alerts::{self, AlertKind, Subject},
    animals,
    events::{self, AnimalEvent, EventBody},
    sql, staff,
    store::{FactId, StoreError, Tx},
};

/// Namespace of the identities of findings.
const FINDINGS: Uuid = Uuid::from_u128(0x6b68_616d_6172_4649_4e44_494e_4700_0001);
/// Two calvings of a cow lie at least this far apart: she carries for some 280 days.
const BETWEEN_CALVINGS_MS: i64 = 200 * 86_400_000;

/// One side of a finding: who did what, and when it was written down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Side {
    /// When.
    pub at: UnixMillis,
    /// Who, as facts name them.
    pub actor: String,
    /// What: `calving`, `treatment`, `milking`, or an action of the audit.
    pub what: String,
}

/// The sides that an alert shows, none if it is no finding.
pub fn sides(alert: &alerts::Alert) -> Vec<Side> {
    let told = alert.detail.get("sides").cloned();
    told.and_then(|told| serde_json::from_value(told).ok())
        .unwrap_or_default()
}

/// What a merge has touched.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub(crate) animals: BTreeSet<AnimalId>,
    pub(crate) staff: BTreeSet<StaffId>,
}

/// Looks at what a merge has touched, and raises what is found there.
pub(crate) fn look(tx: &mut Tx<'_>, touched: &Touched) -> Result<(), StoreError> {
    let mut animals = BTreeSet::new();
    for animal in &touched.animals {
        animals.insert(animals::canonical(tx.conn(), *animal)?);
    }
    for animal in animals {
        let happened = events::of_animal(tx.conn(), animal)?;
        calvings(tx, animal, &happened)?;
        tanked(tx, animal, &happened)?;
    }
    for who in &touched.staff {
        dismissed(tx, *who)?;
    }
    Ok(())
}

/// Two places each wrote down a calving, and she cannot have calved twice.
fn calvings(tx: &mut Tx<'_>, animal: AnimalId, happened: &[AnimalEvent]) -> Result<(), StoreError> {
    let calvings: Vec<&AnimalEvent> = happened
        .iter()
        .filter(|e| !e.voided && matches!(e.body, EventBody::Calving { .. }))
        .collect();
    let mut standing = Vec::new();
    for (later, earlier) in calvings.iter().zip(calvings.iter().skip(1)) {
        let apart = later.happened.since(earlier.happened);
        if later.id.site == earlier.id.site || apart >= BETWEEN_CALVINGS_MS {
            continue;
        }
        let both = [written(earlier, "calving"), written(later, "calving")];
        let key = [name(tx.conn(), earlier.id)?, name(tx.conn(), later.id)?];
        let subject = Subject::Animal(animal);
        standing.push(raise(tx, AlertKind::CalvedTwice, subject, key, &both)?);
    }
    alerts::clear_others(
        tx,
        AlertKind::CalvedTwice,
        Subject::Animal(animal),
        &standing,
    )
}

/// One place milked her into the tank, another had treated her.
fn tanked(tx: &mut Tx<'_>, animal: AnimalId, happened: &[AnimalEvent]) -> Result<(), StoreError> {
    let mut statement = tx.conn().prepare_cached(
        "SELECT v.id, h.site, h.seq, m.at, m.actor FROM hold h
         JOIN visit v ON v.animal = h.animal AND v.ended > h.from_at AND v.start < h.until_at
         JOIN milking m ON m.site = v.site AND m.seq = v.seq
         WHERE h.animal = ?1 AND h.product = 'milk' AND h.clock >= ?2 AND h.site <> v.site
            AND v.destination = 0 AND v.voided = 0 AND v.yield_ml > 0",
    )?;
    let rows = statement.query_map(
        params![animal.as_bytes(), farm_model::ClockQuality::Synced as u8],
        |row| {
            let (visit, cause): (VisitId, _) = (sql::id(row, 0)?, fact(row, 1)?);
            Ok((visit, cause, side(row, 3, "milking")?))
        },
    )?;
    let found: Vec<(VisitId, FactId, Side)> = rows.collect::<Result<_, _>>()?;
    for (visit, cause, milking) in found {
        let Some(treatment) = happened.iter().find(|e| e.id == cause) else {
            continue;
        };
        let both = [written(treatment, "treatment"), milking];
        let key = [visit.to_string(), String::new()];
        raise(tx, AlertKind::Tanked, Subject::Visit(visit), key, &both)?;
    }
    Ok(())
}

/// One place dismissed somebody who went on working at another.
fn dismissed(tx: &mut Tx<'_>, who: StaffId) -> Result<(), StoreError> {
    if staff::get(tx.conn(), who)?.is_none_or(|s| s.active) {
        return Ok(());
    }
    let found: Option<(FactId, Side)> = tx
        .conn()
        .prepare_cached(
            "SELECT site, seq, at, actor FROM audit WHERE action = 'staff.deactivate' AND subject = ?1
             ORDER BY at DESC, site, seq LIMIT 1",
        )?
        .query_row([who.to_string()], |row| {
            Ok((fact(row, 0)?, side(row, 2, "staff.deactivate")?))
        })
        .optional()?;
    let Some((id, dismissal)) = found else {
        return Ok(());
    };
    let work: Option<Side> = tx
        .conn()
        .prepare_cached(
            "SELECT at, actor, action FROM audit WHERE actor = ?1 AND at > ?2 AND site <> ?3 ORDER BY at, seq LIMIT 1",
        )?
        .query_row(params![format!("staff:{who}"), dismissal.at.0, id.site], |row| {
            side(row, 0, &row.get::<_, String>(2)?)
        })
        .optional()?;
    if let Some(work) = work {
        let key = [name(tx.conn(), id)?, String::new()];
        let subject = Subject::Staff(who);
        raise(tx, AlertKind::Dismissed, subject, key, &[dismissal, work])?;
    }
    Ok(())
}

fn raise(
    tx: &mut Tx<'_>,
    kind: AlertKind,
    subject: Subject,
    mut key: [String; 2],
    sides: &[Side; 2],
) -> Result<AlertId, StoreError> {
    key.sort_unstable();
    let of = format!("{}\n{}\n{}", kind.key(), key[0], key[1]);
    let id = AlertId(Uuid::new_v5(&FINDINGS, of.as_bytes()));
    let at = sides[0].at.max(sides[1].at);
    let detail = serde_json::json!({ "sides": sides });
    alerts::raise_once(tx, id, kind, subject, at, &detail)?;
    Ok(id)
}

/// What a fact is called everywhere.
fn name(conn: &Connection, fact: FactId) -> Result<String, StoreError> {
    let site: String = conn
        .prepare_cached("SELECT hex(id) FROM sync_site WHERE ordinal = ?1")?
        .query_row([fact.site], |row| row.get(0))?;
    Ok(format!("{site}-{}", fact.seq))
}

fn written(event: &AnimalEvent, what: &str) -> Side {
    Side {
        at: event.recorded.wall,
        actor: event.actor.clone(),
        what: what.to_owned(),
    }
}

fn fact(row: &Row<'_>, column: usize) -> rusqlite::Result<FactId> {
    Ok(FactId {
        site: row.get(column)?,
        seq: row.get(column + 1)?,
    })
}

fn side(row: &Row<'_>, column: usize, what: &str) -> rusqlite::Result<Side> {
    Ok(Side {
        at: UnixMillis(row.get(column)?),
        actor: sql::text(row, column + 1)?,
        what: what.to_owned(),
    })
}
