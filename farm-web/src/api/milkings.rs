//! Milking visits: read by cursor, imported once however often they are sent.

use std::collections::{BTreeSet, HashMap};

use axum::{Json, extract::State};
use farm::{
    StoreError, Tx, animals,
    milkings::{self, MilkError, Told, VisitCursor, VisitFilter, VisitSort},
    places, plan,
    text::fold,
};
use farm_model::{
    AnimalId, Clock as _, Destination, Identity, Milli, Quantity, SessionKey, Stall, Stamp, Tag,
    UnixMillis, Visit, VisitId, time::ClockQuality,
};
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    batch::{Batch, BatchResult, Outcome, each},
    query::Asked,
    when::{Day, Moment},
};
use crate::{app::Web, auth::Caller, error::Error};

/// Most records in one answer.
const MOST: usize = 1000;
/// Longest that a visit may have lasted.
const LONGEST_MS: i64 = 86_400_000;
/// What a sender's clock dates further back is more likely a wrong clock than a late message.
const LATE_MS: i64 = 86_400_000;
/// Stalls of a parlour that is not entered yet.
const MOST_STALLS: u16 = 999;

/// A session: the local date it began on and its number that day.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionRef {
    /// Local date.
    #[schema(value_type = String)]
    date: Day,
    /// From 1.
    number: u8,
}

/// Which records.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// First day.
    #[param(value_type = Option<String>)]
    from: Option<Day>,
    /// Last day.
    #[param(value_type = Option<String>)]
    to: Option<Day>,
    /// One animal's.
    #[param(value_type = Option<String>)]
    animal: Option<AnimalId>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Records in the page, at most 1,000; 200 when absent.
    limit: Option<usize>,
}

/// A milking visit as it stands now.
#[derive(Serialize, ToSchema)]
pub(crate) struct MilkingJson {
    id: String,
    /// Number of the animal, if it is known.
    animal: Option<String>,
    animal_id: Option<String>,
    tag: Option<String>,
    session: SessionRef,
    stall: Option<u16>,
    /// Milliseconds since 1970.
    start: i64,
    /// Milliseconds since 1970.
    end: i64,
    yield_ml: i64,
    avg_flow_ml_min: Option<i64>,
    peak_flow_ml_min: Option<i64>,
    /// mS/cm.
    conductivity: Option<f64>,
    /// Percent.
    fat: Option<f64>,
    /// Percent.
    snf: Option<f64>,
    /// `tank`, `withheld` or `discarded`.
    #[schema(value_type = String)]
    destination: Destination,
    /// What a person should know.
    findings: Vec<&'static str>,
}

/// A visit to store. Sent again it is known by animal, session and start.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MilkingItem {
    /// Tag or number.
    animal: String,
    session: SessionRef,
    /// RFC 3339 or milliseconds since 1970.
    #[schema(value_type = String)]
    start: Moment,
    /// RFC 3339 or milliseconds since 1970.
    #[schema(value_type = String)]
    end: Moment,
    yield_ml: i64,
    /// One of the parlour's stalls.
    stall: Option<i64>,
    avg_flow_ml_min: Option<i64>,
    peak_flow_ml_min: Option<i64>,
    /// mS/cm.
    conductivity: Option<f64>,
    /// Percent.
    fat: Option<f64>,
    /// Percent.
    snf: Option<f64>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
pub(crate) struct MilkingsBody {
    items: Vec<MilkingItem>,
}

/// Visits that stand, newest first. Pages stay stable while new visits come in.
#[utoipa::path(get, path = "/api/v1/milkings", tag = "milkings", params(Wanted), responses((status = OK, body = Page<MilkingJson>)))]
pub(crate) async fn list(
    State(web): State<Web>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<MilkingJson>>, Error> {
    let after: Option<VisitCursor> = wanted
        .cursor
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|_| Error::invalid("cursor: not one that was given"))?;
    let limit = wanted.limit.unwrap_or(200).clamp(1, MOST);
    let filter = VisitFilter {
        from: wanted.from.map(|day| day.0),
        to: wanted.to.map(|day| day.0),
        animal: wanted.animal,
        ..VisitFilter::default()
    };
    let page = web
        .farm
        .read(move |conn| milkings::list(conn, &filter, VisitSort::Newest, after, limit))
        .await?;
    let items = page
        .records
        .into_iter()
        .map(|record| {
            let v = record.visit;
            MilkingJson {
                id: v.id.to_string(),
                animal: v.animal.map(|_| record.animal_number),
                animal_id: v.animal.map(|a| a.to_string()),
                tag: v.tag.map(|t| t.to_string()),
                session: SessionRef {
                    date: Day(v.session.date),
                    number: v.session.number,
                },
                stall: v.stall.map(|s| s.0),
                start: v.start.0,
                end: v.end.0,
                yield_ml: v.yield_ml,
                avg_flow_ml_min: v.avg_flow_ml_min,
                peak_flow_ml_min: v.peak_flow_ml_min,
                conductivity: v.conductivity.map(Milli::to_f64),
                fat: v.fat.map(Milli::to_f64),
                snf: v.snf.map(Milli::to_f64),
                destination: v.destination,
                findings: v.findings.iter().map(|f| f.key()).collect(),
            }
        })
        .collect();
    Ok(Json(Page {
        items,
        next: page.next.map(|c| c.to_string()),
    }))
}

/// How the times of visits are known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Times {
    /// By the sender's clock.
    #[default]
    Told,
    /// From a record that somebody vouches for.
    Certain,
}

/// What is said of all visits of a request.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    /// `told` (when absent): the times are of the sender's clock, so a cow's milk is kept out of the tank if she was on hold at
    /// any time from then to now, and what is more than a day old is refused. `certain`: somebody vouches for the times, as
    /// of a history; a hold then counts at the time of the visit alone.
    #[param(value_type = Option<String>)]
    #[serde(default)]
    times: Times,
}

/// Stores visits of the past, each once.
#[utoipa::path(post, path = "/api/v1/milkings", tag = "milkings", params(Said), request_body = MilkingsBody,
    responses((status = OK, body = BatchResult)))]
pub(crate) async fn save(
    State(web): State<Web>,
    caller: Caller,
    Asked(said): Asked<Said>,
    batch: Batch<MilkingItem>,
) -> Result<BatchResult, Error> {
    let site = web.farm.read(Site::load).await?;
    let now = web.farm.clock().now();
    let batch = Batch(
        batch
            .0
            .into_iter()
            .map(|item| item.and_then(|item| visit(&site, now, said.times, &item)))
            .collect(),
    );
    Ok(each(&web.farm, &caller.actor(), batch, store).await)
}

/// What items name: animals and stalls.
struct Site {
    numbers: HashMap<String, AnimalId>,
    tags: HashMap<Tag, AnimalId>,
    stalls: BTreeSet<Stall>,
}

impl Site {
    fn load(conn: &Connection) -> Result<Self, StoreError> {
        let herd = animals::list(conn)?;
        Ok(Self {
            numbers: herd.iter().map(|a| (fold(&a.number), a.id)).collect(),
            tags: animals::worn_tags(conn)?.into_iter().collect(),
            stalls: places::list(conn)?
                .iter()
                .filter_map(|place| place.stall())
                .collect(),
        })
    }

    fn animal(&self, called: &str) -> Result<(AnimalId, Option<Tag>), String> {
        let tag = called.parse::<Tag>().ok();
        let animal = tag
            .as_ref()
            .and_then(|tag| self.tags.get(tag))
            .or_else(|| self.numbers.get(&fold(called)))
            .copied()
            .ok_or_else(|| format!("animal: none is called “{called}”"))?;
        Ok((animal, tag))
    }

    /// One of the parlour's stalls; any number from 1 while none is entered.
    fn stall(&self, number: i64) -> Result<Stall, String> {
        let stall = u16::try_from(number).ok().map(Stall);
        stall
            .filter(|stall| match self.stalls.is_empty() {
                true => (1..=MOST_STALLS).contains(&stall.0),
                false => self.stalls.contains(stall),
            })
            .ok_or_else(|| match (self.stalls.first(), self.stalls.last()) {
                (Some(first), Some(last)) => {
                    format!("stall: the parlour has no {number}, its stalls are {first} to {last}")
                }
                _ => format!("stall: {number} is none, write a number from 1 to {MOST_STALLS}"),
            })
    }
}

fn visit(site: &Site, now: Stamp, times: Times, item: &MilkingItem) -> Result<Visit, String> {
    let (animal, tag) = site.animal(&item.animal)?;
    let (start, end) = span(now, times, item)?;
    let session = session(start, item.session)?;
    let stamp = |wall| Stamp {
        wall,
        clock: match times {
            Times::Told => ClockQuality::Told,
            Times::Certain => ClockQuality::Synced,
        },
        ..Stamp::default()
    };
    let key = format!("{animal}/{}/{}/{}", session.date, session.number, start.0);
    Ok(Visit {
        id: VisitId::derive("api", &key),
        start: stamp(start),
        end: stamp(end),
        session,
        stall: item.stall.map(|n| site.stall(n)).transpose()?,
        identity: Identity::Animal { animal, tag },
        yield_ml: item.yield_ml,
        avg_flow_ml_min: flow("avg_flow_ml_min", item.avg_flow_ml_min)?,
        peak_flow_ml_min: flow("peak_flow_ml_min", item.peak_flow_ml_min)?,
        conductivity: milli(Quantity::Conductivity, item.conductivity)?,
        fat: milli(Quantity::Fat, item.fat)?,
        snf: milli(Quantity::Snf, item.snf)?,
        destination: Destination::Tank,
        findings: Vec::new(),
        meter: None,
        recorded_by: None,
    })
}

/// Beginning and end, if they can be true.
fn span(now: Stamp, times: Times, item: &MilkingItem) -> Result<(UnixMillis, UnixMillis), String> {
    let start = item.start.of_this_century();
    let start = start.map_err(|e| format!("start: {e}"))?;
    let end = item.end.of_this_century();
    let end = end.map_err(|e| format!("end: {e}"))?;
    if end < start {
        return Err("end: before start".into());
    }
    if end.since(start) > LONGEST_MS {
        return Err("end: more than a day after start".into());
    }
    if now.told(end).wall != end {
        return Err("end: in the future".into());
    }
    if times == Times::Told && now.clock.is_trusted() && now.wall.since(end) > LATE_MS {
        return Err(
            "end: more than a day ago; look at the sender's clock, or send what you know to be right with ?times=certain"
                .into(),
        );
    }
    Ok((start, end))
}

pub(super) fn session(start: UnixMillis, told: SessionRef) -> Result<SessionKey, String> {
    let SessionRef {
        date: Day(date),
        number,
    } = told;
    if !(1..=plan::MOST_SESSIONS as u8).contains(&number) {
        return Err(format!("session: a day has up to {}", plan::MOST_SESSIONS));
    }
    // A session may run past midnight, and days begin at different hours around the world.
    let day = start.timestamp().to_zoned(TimeZone::UTC).date();
    let apart = day.since(date).map(|span| span.get_days().abs());
    if apart.unwrap_or(i32::MAX) > 1 {
        return Err("session: of another day than its time".into());
    }
    Ok(SessionKey { date, number })
}

pub(super) fn milli(quantity: Quantity, value: Option<f64>) -> Result<Option<Milli>, String> {
    let Some(value) = value else { return Ok(None) };
    Milli::from_f64(value)
        .filter(|milli| quantity.allows(*milli))
        .map(Some)
        .ok_or_else(|| format!("{}: more or less than can be true", quantity.key()))
}

fn flow(field: &str, value: Option<i64>) -> Result<Option<i64>, String> {
    match value {
        Some(ml) if !Quantity::MilkFlow.allows(Milli(ml)) => {
            Err(format!("{field}: more or less than can be true"))
        }
        value => Ok(value),
    }
}

fn store(tx: &mut Tx<'_>, visit: &Visit) -> Result<(Outcome, String), MilkError> {
    Ok(match milkings::record(tx, visit.clone())? {
        Told::Recorded(id) => (Outcome::Created, id.to_string()),
        Told::Known(id) => (Outcome::Unchanged, id.to_string()),
    })
}
