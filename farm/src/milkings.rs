//! Milking visits: facts that are recorded, assigned, corrected and voided by later facts, and what they add up to.
//!
//! The table `milking` holds what was said and when, at this site and at others; `visit`, `animal_day` and `herd_day` hold what is true now.
//! Invariants: a visit is stored once, whatever is told twice; a day's sums are those of its visits that stand; milk of a
//! held animal is not in the tank's account, whoever recorded it.

mod commands;
mod engine;
mod facts;
mod list;
mod project;
mod record;
mod stored;

use farm_model::{
    AnimalId, ClockQuality, Destination, DeviceId, Milli, SessionKey, StaffId, Stall, Tag,
    UnixMillis, VisitId, milking::Finding,
};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

pub use self::{
    commands::{Correction, What, Word, assign, correct, history, stays_out, undo, void},
    engine::{Usual, in_session, usual},
    list::{
        Page, Record, Unidentified, VisitCursor, VisitFilter, VisitSort, Voided, each, list,
        of_animal, sessions,
    },
    project::rebuild,
    record::{RecordMilk, Repeat, Told, record, record_by_hand, record_told, record_written},
};
pub(crate) use self::{
    facts::Handles,
    project::{follow, follow_animal},
};
use crate::{
    sql,
    store::{StoreError, store_error},
};

/// Most milk that one visit can give, in millilitres.
pub const MOST_ML: i64 = 80_000;

/// Why milk was not written down or changed.
#[derive(Debug, thiserror::Error)]
pub enum MilkError {
    /// No such animal.
    #[error("this animal is not in the register: scan the tag again, or choose her from the herd")]
    UnknownAnimal,
    /// Sold, dead or male.
    #[error("this animal gives no milk here: check the number, or her status in the herd")]
    NotMilked,
    /// She has milk in this session already.
    #[error(
        "she was milked in this session already: correct that record, or confirm a second milking"
    )]
    AlreadyMilked(VisitId),
    /// A yield that no visit gives.
    #[error("a milking gives between 0 and 80 litres: check the figure")]
    Yield,
    /// A session that has not begun.
    #[error("this session has not begun: choose an earlier one")]
    Future,
    /// No session of the plan is called so.
    #[error("no session is called {0}: use its number or its name")]
    UnknownSession(String),
    /// No such visit.
    #[error("this milking is not known: reload the list")]
    UnknownVisit,
    /// It was voided.
    #[error("this milking was voided: undo that first")]
    Voided,
    /// There is nothing to take back.
    #[error("nothing was changed about this milking, so there is nothing to undo")]
    NothingToUndo,
    /// Nothing would change.
    #[error("nothing is different: change a figure, or go back")]
    NoChange,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(MilkError);

/// A visit as it stands now.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct VisitRow {
    /// Identity.
    pub id: VisitId,
    /// Number of the row in this file, for cursors.
    pub n: i64,
    /// Who was milked, if that is known.
    pub animal: Option<AnimalId>,
    /// When it began.
    pub start: UnixMillis,
    /// When it ended.
    pub end: UnixMillis,
    /// How well the clock was known.
    pub clock: ClockQuality,
    /// Session.
    pub session: SessionKey,
    /// Stall.
    pub stall: Option<Stall>,
    /// Millilitres.
    pub yield_ml: i64,
    /// Mean flow, mL/min.
    pub avg_flow_ml_min: Option<i64>,
    /// Highest flow, mL/min.
    pub peak_flow_ml_min: Option<i64>,
    /// Conductivity.
    pub conductivity: Option<Milli>,
    /// Fat.
    pub fat: Option<Milli>,
    /// Solids not fat.
    pub snf: Option<Milli>,
    /// Where the milk went.
    pub destination: Destination,
    /// What was found about it.
    pub findings: Vec<Finding>,
    /// The tag that was read.
    pub tag: Option<Tag>,
    /// Who measured it.
    pub meter: Option<DeviceId>,
    /// Who typed it in.
    pub recorded_by: Option<StaffId>,
    /// Whether it was voided.
    pub voided: bool,
}

pub(crate) const COLUMNS: &str = "v.id, v.n, v.animal, v.start, v.ended, v.clock, v.day, v.session, v.stall, v.yield_ml, \
     v.avg_flow, v.peak_flow, v.conductivity, v.fat, v.snf, v.destination, v.findings, v.tag, v.meter, v.staff, v.voided";

/// How many columns [`COLUMNS`] has: what a query adds follows.
pub(crate) const WIDTH: usize = 21;

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<VisitRow> {
    let milli = |i| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(i)?.map(Milli));
    Ok(VisitRow {
        id: sql::id(row, 0)?,
        n: row.get(1)?,
        animal: sql::id_opt(row, 2)?,
        start: UnixMillis(row.get(3)?),
        end: UnixMillis(row.get(4)?),
        clock: ClockQuality::from_code(row.get(5)?),
        session: SessionKey {
            date: sql::date_of(row.get(6)?),
            number: row.get(7)?,
        },
        stall: row.get::<_, Option<u16>>(8)?.map(Stall),
        yield_ml: row.get(9)?,
        avg_flow_ml_min: row.get(10)?,
        peak_flow_ml_min: row.get(11)?,
        conductivity: milli(12)?,
        fat: milli(13)?,
        snf: milli(14)?,
        destination: Destination::from_code(row.get(15)?),
        findings: findings_of(row.get(16)?),
        tag: sql::tag_opt(row, 17)?,
        meter: sql::id_opt(row, 18)?,
        recorded_by: sql::id_opt(row, 19)?,
        voided: row.get(20)?,
    })
}

/// One visit as it stands now, voided or not.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &Connection, id: VisitId) -> Result<Option<VisitRow>, StoreError> {
    Ok(conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM visit v WHERE v.id = ?1"))?
        .query_row([id.as_bytes()], read)
        .optional()?)
}

/// Findings as the bits of a number; a bit's meaning is its finding's place in [`Finding::ALL`], which only grows.
pub(crate) fn bits_of(findings: &[Finding]) -> i64 {
    findings
        .iter()
        .fold(0, |bits, finding| bits | bit(*finding))
}

pub(crate) fn bit(finding: Finding) -> i64 {
    let place = Finding::ALL.iter().position(|f| *f == finding);
    place.map_or(0, |place| 1 << place)
}

pub(crate) fn findings_of(bits: i64) -> Vec<Finding> {
    Finding::ALL
        .iter()
        .copied()
        .filter(|f| bits & bit(*f) != 0)
        .collect()
}
