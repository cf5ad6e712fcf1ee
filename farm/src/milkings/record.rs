//! Writing visits down: as the milking engine saw them, as a device told them, or as a person typed them.

use std::ops::RangeInclusive;

use farm_model::{
    AnimalId, Body, ClockQuality, Destination, Identity, Milli, Observation, SessionKey, Sex,
    Stamp, UnixMillis, Visit, VisitId, milking::Finding,
};
use rusqlite::{OptionalExtension, params};

use super::{
    MOST_ML, MilkError,
    facts::{append_recorded, known},
    project::project_new,
};
use crate::{
    alerts::{self, AlertKind, Subject},
    animals,
    holds::{self, Given},
    plan, settings, sql,
    store::{StoreError, Tx, bounds},
    yields,
};

/// What became of a visit that was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// It was written down.
    Recorded(VisitId),
    /// It was known already, and nothing was done.
    Known(VisitId),
}

impl Told {
    /// The visit.
    pub fn visit(self) -> VisitId {
        match self {
            Self::Recorded(id) | Self::Known(id) => id,
        }
    }
}

/// Writes a finished visit down, once, whatever is told twice; checks holds, and raises what a person must know. A visit that a
/// meter measured gets its identity here: what the meter calls it only tells whether it is known.
///
/// Whether its times were measured or are somebody's word, the quality of its clock says: see [`Given::of`].
///
/// # Errors
/// When its yield is less than nothing, or the database fails. More than a cow gives is written down as it was told, counts
/// nothing, and waits for a person.
pub fn record(tx: &mut Tx<'_>, visit: Visit) -> Result<Told, MilkError> {
    if let Some(id) = known(tx, visit.id)? {
        return Ok(Told::Known(id));
    }
    let mut visit = visit;
    if visit.yield_ml < 0 {
        return Err(MilkError::Yield);
    }
    let is_too_much = visit.yield_ml > MOST_ML;
    if is_too_much {
        find(&mut visit, Finding::TooMuch);
    }
    believable(&mut visit);
    settle_identity(tx, &mut visit)?;
    if let Some(animal) = visit.identity.animal() {
        if visit.yield_ml > 0 && other_visit(tx, animal, visit.session, visit.id)?.is_some() {
            find(&mut visit, Finding::MilkedTwice);
        }
        let given = Given::of(&visit.start, &visit.end, &tx.now());
        if holds::milk_was_held(tx.conn(), animal, given)? {
            if visit.destination == Destination::Tank {
                visit.destination = Destination::Withheld;
            }
            find(&mut visit, Finding::Withdrawal);
        }
    }
    let clock = visit.start.clock.max(visit.end.clock);
    let is_word = clock == ClockQuality::Told && tx.now().clock.is_trusted();
    if !clock.is_trusted() && !is_word {
        find(&mut visit, Finding::ClockUnknown);
    }
    let fact = append_recorded(tx, &mut visit)?;
    project_new(tx, &visit, fact)?;
    raise(tx, &visit)?;
    if let Some(animal) = visit.identity.animal()
        && !is_too_much
    {
        yields::watch(tx, animal, &visit)?;
    }
    Ok(Told::Recorded(visit.id))
}

/// Leaves figures out that cannot be: other places would not take the visit with them.
fn believable(visit: &mut Visit) {
    visit.yield_ml = visit.yield_ml.min(*bounds::YIELD_ML.end());
    for flow in [&mut visit.avg_flow_ml_min, &mut visit.peak_flow_ml_min] {
        *flow = flow.filter(|flow| bounds::FLOW.contains(flow));
    }
    let within = |figure: &Milli, range: &RangeInclusive<i64>| range.contains(&figure.0);
    visit.conductivity = visit
        .conductivity
        .filter(|figure| within(figure, &bounds::CONDUCTIVITY));
    for share in [&mut visit.fat, &mut visit.snf] {
        *share = share.filter(|figure| within(figure, &bounds::SHARE));
    }
}

/// Whether a second milking of an animal in one session is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// Refuse it.
    Refuse,
    /// The person has confirmed it; it is written down as a finding.
    Confirmed,
}

/// Milk that a person writes down.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordMilk {
    /// The form's own identity: sent twice, it is written down once.
    pub key: String,
    /// Whose milk.
    pub animal: AnimalId,
    /// In which session.
    pub session: SessionKey,
    /// Millilitres.
    pub yield_ml: i64,
    /// Fat.
    pub fat: Option<Milli>,
    /// Solids not fat.
    pub snf: Option<Milli>,
    /// Where the person put it; a hold is stricter.
    pub destination: Destination,
    /// Whether a second milking in the session is meant.
    pub repeat: Repeat,
}

/// Writes down milk that a person weighed.
///
/// # Errors
/// When the animal is unknown or gives no milk, the figure cannot be, the session has not begun, or she has milk in the
/// session and [`Repeat::Confirmed`] was not said.
pub fn record_by_hand(tx: &mut Tx<'_>, cmd: &RecordMilk) -> Result<Told, MilkError> {
    let now = tx.now().wall;
    record_written(tx, cmd, now)
}

/// Writes down milk that a person weighed and noted down at `written`, by a clock that may be wrong: like any time that is told, it steps over no
/// hold.
///
/// # Errors
/// As of [`record_by_hand`].
pub fn record_written(
    tx: &mut Tx<'_>,
    cmd: &RecordMilk,
    written: UnixMillis,
) -> Result<Told, MilkError> {
    let id = VisitId::derive("hand", &cmd.key);
    if let Some(id) = known(tx, id)? {
        return Ok(Told::Known(id));
    }
    let animal = animals::get(tx.conn(), cmd.animal)?.ok_or(MilkError::UnknownAnimal)?;
    if !animal.status.is_present() || animal.sex == Sex::Male {
        return Err(MilkError::NotMilked);
    }
    if !(1..=MOST_ML).contains(&cmd.yield_ml) {
        return Err(MilkError::Yield);
    }
    let now = tx.now();
    let tz = settings::load(tx.conn())?.tz();
    let current = plan::load(tx.conn())?.session_at(now.wall, &tz);
    if now.clock.is_trusted() && cmd.session > current {
        return Err(MilkError::Future);
    }
    if let Some(other) = other_visit(tx, animal.id, cmd.session, id)?
        && cmd.repeat == Repeat::Refuse
    {
        return Err(MilkError::AlreadyMilked(other));
    }
    let at = match moment_in(tx, cmd.session, current)? {
        at if cmd.session == current && now.wall.since(written) > PROMPT_MS => word(Stamp {
            wall: written,
            ..at
        }),
        at => at,
    };
    record(
        tx,
        Visit {
            recorded_by: tx.actor().staff(),
            fat: cmd.fat,
            snf: cmd.snf,
            destination: cmd.destination,
            ..bare(
                id,
                at,
                cmd.session,
                Identity::Animal {
                    animal: animal.id,
                    tag: None,
                },
                cmd.yield_ml,
            )
        },
    )
}

/// Writes down a milking that a device told as a whole ([`Body::Milked`]: topic `farm/milk/{animal}/{session}`).
///
/// A tag or number of no registered animal is kept and put before a person. Returns `None` for any other observation.
///
/// # Errors
/// When the figure cannot be or no session is called so: then it belongs into quarantine.
pub fn record_told(tx: &mut Tx<'_>, told: &Observation) -> Result<Option<Told>, MilkError> {
    let Body::Milked {
        animal,
        session,
        yield_ml,
        fat,
        snf,
    } = &told.body
    else {
        return Ok(None);
    };
    if *yield_ml < 1 {
        return Err(MilkError::Yield);
    }
    let tz = settings::load(tx.conn())?.tz();
    let plan = plan::load(tx.conn())?;
    let current = plan.session_at(told.at.wall, &tz);
    let number = plan
        .called(session)
        .ok_or_else(|| MilkError::UnknownSession(session.clone()))?;
    // A session of a higher number than the present one, told today, was yesterday's.
    let date = if number > current.number {
        current.date.yesterday().unwrap_or(current.date)
    } else {
        current.date
    };
    let session = SessionKey { date, number };
    let key = told
        .key
        .clone()
        .unwrap_or_else(|| format!("{animal}/{}/{}/{yield_ml}", session.date, session.number));
    let id = VisitId::derive(&told.device.to_string(), &key);
    let tag = animal.parse().ok();
    let identity = match animals::by_text(tx.conn(), animal)? {
        Some(known) => Identity::Animal {
            animal: known.id,
            tag,
        },
        None => tag.map_or(Identity::None, |tag| Identity::UnknownTag { tag }),
    };
    let now = tx.now();
    let at = if now.wall.since(told.at.wall) > PROMPT_MS {
        word(told.at)
    } else {
        told.at
    };
    let visit = Visit {
        fat: *fat,
        snf: *snf,
        meter: Some(told.device),
        ..bare(id, at, session, identity, *yield_ml)
    };
    record(tx, visit).map(Some)
}

/// What is told no later than this happened when it was told.
const PROMPT_MS: i64 = 120_000;

/// A time that is somebody's word, whoever keeps the clock it was heard by.
fn word(at: Stamp) -> Stamp {
    Stamp {
        clock: at.clock.min(ClockQuality::Told),
        ..at
    }
}

/// A visit of which only this is known.
fn bare(id: VisitId, at: Stamp, session: SessionKey, identity: Identity, yield_ml: i64) -> Visit {
    Visit {
        id,
        start: at,
        end: at,
        session,
        stall: None,
        identity,
        yield_ml,
        avg_flow_ml_min: None,
        peak_flow_ml_min: None,
        conductivity: None,
        fat: None,
        snf: None,
        destination: Destination::Tank,
        findings: Vec::new(),
        meter: None,
        recorded_by: None,
    }
}

/// Now, if the session is the present one; else its planned beginning, which is the person's word.
fn moment_in(tx: &Tx<'_>, session: SessionKey, current: SessionKey) -> Result<Stamp, MilkError> {
    let now = tx.now();
    if session == current {
        return Ok(now);
    }
    let tz = settings::load(tx.conn())?.tz();
    let starts = plan::load(tx.conn())?
        .sessions
        .iter()
        .find(|s| s.number == session.number)
        .map(|s| s.starts)
        .ok_or_else(|| MilkError::UnknownSession(session.number.to_string()))?;
    let at = session.date.to_datetime(starts).to_zoned(tz);
    let wall = at.map_or(now.wall, |z| UnixMillis(z.timestamp().as_millisecond()));
    Ok(word(Stamp { wall, ..now }))
}

/// A merged duplicate is the animal that stayed; an animal that is not registered is no identity.
fn settle_identity(tx: &Tx<'_>, visit: &mut Visit) -> Result<(), StoreError> {
    if let Identity::Animal { animal, tag } = &visit.identity {
        visit.identity = match animals::get(tx.conn(), *animal)? {
            Some(known) => Identity::Animal {
                animal: known.id,
                tag: tag.clone(),
            },
            None => tag
                .clone()
                .map_or(Identity::None, |tag| Identity::UnknownTag { tag }),
        };
    }
    if let Identity::UnknownTag { tag } = &visit.identity
        && let Some(known) = animals::by_tag(tx.conn(), tag)?
    {
        // Her tag before a re-tag, or one that was registered while she was milked.
        visit.identity = Identity::Animal {
            animal: known.id,
            tag: Some(tag.clone()),
        };
        visit.findings.retain(|f| *f != Finding::UnknownTag);
    }
    match &visit.identity {
        Identity::Animal { .. } => {}
        Identity::UnknownTag { .. } => find(visit, Finding::UnknownTag),
        Identity::Ambiguous { tags } if tags.len() > 1 => find(visit, Finding::TwoIdentities),
        // One tag, read too late to be believed.
        Identity::Ambiguous { .. } => find(visit, Finding::Unidentified),
        Identity::None => {
            if visit.yield_ml > 0 {
                find(visit, Finding::Unidentified);
            }
        }
    }
    Ok(())
}

fn find(visit: &mut Visit, finding: Finding) {
    if !visit.findings.contains(&finding) {
        visit.findings.push(finding);
    }
}

/// Another visit with milk of the animal that stands in the session.
pub(super) fn other_visit(
    tx: &Tx<'_>,
    animal: AnimalId,
    session: SessionKey,
    except: VisitId,
) -> Result<Option<VisitId>, StoreError> {
    Ok(tx
        .conn()
        .prepare_cached(
            "SELECT id FROM visit WHERE day = ?1 AND session = ?2 AND animal = ?3 AND voided = 0 AND yield_ml > 0
             AND id <> ?4 ORDER BY start LIMIT 1",
        )?
        .query_row(
            params![
                sql::day_number(session.date),
                session.number,
                animal.as_bytes(),
                except.as_bytes()
            ],
            |row| sql::id(row, 0),
        )
        .optional()?)
}

/// Puts what was found before a person.
fn raise(tx: &mut Tx<'_>, visit: &Visit) -> Result<(), StoreError> {
    for finding in &visit.findings {
        if *finding == Finding::ClockUnknown {
            alerts::raise(
                tx,
                AlertKind::ClockUnknown,
                Subject::Farm,
                &serde_json::json!({}),
            )?;
            continue;
        }
        let Some(kind) = AlertKind::of_finding(*finding) else {
            continue;
        };
        let subject = match (kind, visit.identity.animal()) {
            // One alarm for the cow, however often she is milked while held.
            (AlertKind::Withdrawal, Some(animal)) => Subject::Animal(animal),
            _ => Subject::Visit(visit.id),
        };
        let detail = serde_json::json!({
            "stall": visit.stall,
            "yield_ml": visit.yield_ml,
            "animal": visit.identity.animal(),
            "destination": visit.destination,
        });
        alerts::raise(tx, kind, subject, &detail)?;
    }
    Ok(())
}
