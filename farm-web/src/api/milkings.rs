//! Milking visits: read by cursor, imported once however often they are sent.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Query, State},
};
use farm::{
    Tx, animals,
    milkings::{self, MilkError, Told, VisitCursor, VisitFilter, VisitSort},
    plan,
    text::fold,
};
use farm_model::{
    AnimalId, Clock as _, Destination, Identity, Milli, Quantity, SessionKey, Stall, Stamp, Tag,
    Visit, VisitId, time::ClockQuality,
};
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    batch::{Batch, BatchResult, Outcome, each},
    observations::Moment,
};
use crate::{app::Web, auth::Caller, error::Error};

/// Most records in one answer.
const MOST: usize = 1000;
/// Longest that a visit may have lasted.
const LONGEST_MS: i64 = 86_400_000;

/// A session: the local date it began on and its number that day.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionRef {
    /// Local date.
    #[schema(value_type = String)]
    date: Date,
    /// From 1.
    number: u8,
}

/// Which records.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// First day.
    #[param(value_type = Option<String>)]
    from: Option<Date>,
    /// Last day.
    #[param(value_type = Option<String>)]
    to: Option<Date>,
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
    stall: Option<u16>,
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
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<MilkingJson>>, Error> {
    let after: Option<VisitCursor> = wanted
        .cursor
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|_| Error::invalid("cursor: not one that was given"))?;
    let limit = wanted.limit.unwrap_or(200).clamp(1, MOST);
    let filter = VisitFilter {
        from: wanted.from,
        to: wanted.to,
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
                    date: v.session.date,
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

/// Stores visits of the past, each once.
#[utoipa::path(post, path = "/api/v1/milkings", tag = "milkings", request_body = MilkingsBody,
    responses((status = OK, body = BatchResult)))]
pub(crate) async fn save(
    State(web): State<Web>,
    caller: Caller,
    batch: Batch<MilkingItem>,
) -> Result<BatchResult, Error> {
    let herd = web
        .farm
        .read(|conn| Ok::<_, farm::StoreError>((animals::list(conn)?, animals::worn_tags(conn)?)))
        .await?;
    let numbers: HashMap<String, AnimalId> =
        herd.0.iter().map(|a| (fold(&a.number), a.id)).collect();
    let tags: HashMap<Tag, AnimalId> = herd.1.into_iter().collect();
    let known = (numbers, tags);
    let now = web.farm.clock().now();
    let batch = Batch(
        batch
            .0
            .into_iter()
            .map(|item| item.and_then(|item| visit(&known, now, &item)))
            .collect(),
    );
    Ok(each(&web.farm, &caller.actor(), batch, store).await)
}

fn visit(
    (numbers, tags): &(HashMap<String, AnimalId>, HashMap<Tag, AnimalId>),
    now: Stamp,
    item: &MilkingItem,
) -> Result<Visit, String> {
    let tag = item.animal.parse::<Tag>().ok();
    let animal = tag
        .as_ref()
        .and_then(|tag| tags.get(tag))
        .or_else(|| numbers.get(&fold(&item.animal)))
        .copied()
        .ok_or_else(|| format!("animal: none is called “{}”", item.animal))?;
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
    let milli = |quantity: Quantity, value: Option<f64>| match value {
        None => Ok(None),
        Some(v) => Milli::from_f64(v)
            .filter(|v| quantity.allows(*v))
            .map(Some)
            .ok_or_else(|| format!("{}: more or less than can be true", quantity.key())),
    };
    let flow = |field: &str, value: Option<i64>| match value {
        Some(ml) if !Quantity::MilkFlow.allows(Milli(ml)) => {
            Err(format!("{field}: more or less than can be true"))
        }
        value => Ok(value),
    };
    let SessionRef { date, number } = item.session;
    if !(1..=plan::MOST_SESSIONS as u8).contains(&number) {
        return Err(format!("session: a day has up to {}", plan::MOST_SESSIONS));
    }
    // A session may run past midnight, and days begin at different hours around the world.
    let day = start.timestamp().to_zoned(TimeZone::UTC).date();
    if day
        .since(date)
        .map_or(i32::MAX, |span| span.get_days().abs())
        > 1
    {
        return Err("session: of another day than start".into());
    }
    let stamp = |wall| Stamp {
        wall,
        clock: ClockQuality::Synced,
        boot: 0,
        mono: 0,
    };
    Ok(Visit {
        id: VisitId::derive("api", &format!("{animal}/{date}/{number}/{}", start.0)),
        start: stamp(start),
        end: stamp(end),
        session: SessionKey { date, number },
        stall: item.stall.map(Stall),
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

fn store(tx: &mut Tx<'_>, visit: &Visit) -> Result<(Outcome, String), MilkError> {
    Ok(match milkings::record(tx, visit.clone())? {
        Told::Recorded(id) => (Outcome::Created, id.to_string()),
        Told::Known(id) => (Outcome::Unchanged, id.to_string()),
    })
}
