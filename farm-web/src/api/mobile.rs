//! `POST /api/v1/mobile/sync/push`: what a phone wrote down while it was away.
//!
//! Each record has a result of its own: stored, known already, refused with the reason, or to be pushed again later because the
//! machine could not store it just now. Invariant: what is named in `synced` is on disk.

use axum::{Json, body::Bytes, extract::State};
use farm::{
    StoreError, animals,
    events::{EventBody, NewEvent, Pregnancy, When},
    milkings::{RecordMilk, Repeat},
    plan,
    pushed::{self, Kept, PushError, Pushed, What},
    settings,
};
use farm_model::{Clock as _, Destination, Quantity, UnixMillis};
use futures_util::{StreamExt as _, stream};
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use ui::Lang;
use utoipa::ToSchema;

use super::{
    batch::by_name,
    milkings::{SessionRef, milli, session},
    when::Moment,
};
use crate::{
    app::Web,
    auth::Caller,
    error::{Error, Reason},
    lang::Wished,
    words,
};

/// Most records in one request.
const MOST: usize = 500;
/// Longest name of a record, in bytes.
const LONGEST_NAME: usize = 100;
/// A phone that says it is further back has a wrong clock, rather than records that old.
const OLDEST_MS: i64 = 60 * 86_400_000;
/// Records that may wait for the writer at once.
const IN_FLIGHT: usize = 64;

/// What a phone pushes, in the order in which it was written down.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Push {
    /// At most 500.
    #[schema(value_type = Vec<RecordItem>)]
    records: Vec<Value>,
}

/// A record of a phone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RecordItem {
    /// The phone's own name of the record, such as a UUID: pushed twice, it is stored once.
    local_id: String,
    /// What `data` holds.
    entity: Entity,
    /// What is to be done with it.
    #[expect(dead_code, reason = "there is one action; another is refused by name")]
    action: Action,
    /// A milking: `animal` (number or tag), `litres`, and perhaps `session`, `fat`, `snf`, `destination`, `repeat`. An event:
    /// `animal`, `kind`, and what belongs to the kind.
    #[schema(value_type = Object)]
    data: Value,
    /// When it was written down, by the phone's clock: RFC 3339 or milliseconds since 1970.
    #[schema(value_type = String)]
    created_at: Moment,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entity {
    /// Milk that a person weighed.
    Milking,
    /// Something that happened to an animal.
    Event,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Write it down.
    Create,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MilkData {
    animal: String,
    litres: f64,
    session: Option<SessionRef>,
    fat: Option<f64>,
    snf: Option<f64>,
    destination: Option<Destination>,
    #[serde(default)]
    repeat: bool,
}

/// What can be told of an animal; as [`EventBody`], without what follows from other commands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
enum EventData {
    Treatment {
        medicine: String,
        #[serde(default)]
        dose: String,
        #[serde(default)]
        reason: String,
        milk_hold_h: u32,
        meat_hold_h: u32,
    },
    Calving {
        lactation: u8,
        #[serde(default)]
        live: u8,
        #[serde(default)]
        born: u8,
    },
    DryOff {},
    Heat {},
    Insemination {
        #[serde(default)]
        sire: String,
    },
    PregnancyCheck {
        result: Pregnancy,
    },
    Health {
        symptom: String,
        #[serde(default)]
        emergency: bool,
    },
    Note {
        text: String,
    },
    Weight {
        grams: i64,
    },
}

impl From<EventData> for EventBody {
    fn from(data: EventData) -> Self {
        match data {
            EventData::Treatment {
                medicine,
                dose,
                reason,
                milk_hold_h,
                meat_hold_h,
            } => Self::Treatment {
                medicine,
                dose,
                reason,
                milk_hold_h,
                meat_hold_h,
            },
            EventData::Calving {
                lactation,
                live,
                born,
            } => Self::Calving {
                lactation,
                live,
                born,
            },
            EventData::DryOff {} => Self::DryOff,
            EventData::Heat {} => Self::Heat,
            EventData::Insemination { sire } => Self::Insemination { sire },
            EventData::PregnancyCheck { result } => Self::PregnancyCheck { result },
            EventData::Health { symptom, emergency } => Self::Health { symptom, emergency },
            EventData::Note { text } => Self::Note { text },
            EventData::Weight { grams } => Self::Weight { grams },
        }
    }
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// It is stored; the phone may forget it.
    Stored,
    /// It was stored before; the phone may forget it.
    Known,
    /// It will never be taken as it is; a person must look at it.
    Rejected,
    /// Nothing is wrong with it, the machine could not store it just now: push it again.
    Later,
}

/// One record's result.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordResult {
    /// The phone's own name of it; absent if none could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    local_id: Option<String>,
    /// What became of it.
    outcome: Fate,
    /// The identity of the milking or event, if it was stored now.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Why not, as a closed reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Why not, for the person at the phone, in the language that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    /// What exactly, in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// What became of the records.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Synced {
    /// Names of those that are on disk: the phone may forget them.
    synced: Vec<String>,
    /// One entry for each record, in the order of the request.
    records: Vec<RecordResult>,
}

/// Stores what a phone wrote down while it was away, in its order; each record once by its `localId`, each with its own result.
#[utoipa::path(post, path = "/api/v1/mobile/sync/push", tag = "mobile", request_body = Push,
    responses((status = OK, body = Synced)))]
pub(crate) async fn push(
    State(web): State<Web>,
    caller: Caller,
    Wished(lang): Wished,
    body: Bytes,
) -> Result<Json<Synced>, Error> {
    let Push { records } = serde_json::from_slice(&body)
        .map_err(|e| Error::from(Reason::Malformed).detail(e.to_string()))?;
    if records.len() > MOST {
        let detail = format!("records: at most {MOST} at once; push the others after these");
        return Err(Error::from(Reason::TooLarge).detail(detail));
    }
    let now = web.farm.clock().now().wall;
    let actor = caller.actor();
    // Read in one go; written in the order of the request, in groups that the writer makes.
    let read = web
        .farm
        .read(move |conn| {
            let tz = settings::load(conn)?.tz();
            let read = records.into_iter().map(|record| {
                let name = name_of(&record);
                Ok((name, read(conn, &tz, now, record)?))
            });
            read.collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    let results = stream::iter(read)
        .map(|(name, read)| {
            let written = read.map(|pushed| {
                web.farm
                    .write(actor.clone(), move |tx| pushed::keep(tx, &pushed))
            });
            async move {
                let done = match written {
                    Ok(written) => written.await.map_err(Error::from),
                    Err(why) => Err(Error::invalid(why)),
                };
                result(lang, name, done)
            }
        })
        .buffered(IN_FLIGHT)
        .collect::<Vec<_>>()
        .await;
    let stored = results
        .iter()
        .filter(|r| matches!(r.outcome, Fate::Stored | Fate::Known));
    let synced = stored.filter_map(|r| r.local_id.clone()).collect();
    Ok(Json(Synced {
        synced,
        records: results,
    }))
}

fn name_of(record: &Value) -> Option<String> {
    let name = record.get("localId")?.as_str()?;
    (name.len() <= LONGEST_NAME).then(|| name.to_owned())
}

/// A record as the farm takes it, or what is wrong with it.
fn read(
    conn: &Connection,
    tz: &TimeZone,
    now: UnixMillis,
    record: Value,
) -> Result<Result<Pushed, String>, StoreError> {
    let content = record.to_string();
    let item: RecordItem = match typed(record) {
        Ok(item) => item,
        Err(why) => return Ok(Err(why)),
    };
    if item.local_id.is_empty() || item.local_id.len() > LONGEST_NAME {
        return Ok(Err(format!(
            "localId: between 1 and {LONGEST_NAME} bytes, such as a UUID"
        )));
    }
    let at = match written_at(item.created_at, now) {
        Ok(at) => at,
        Err(why) => return Ok(Err(format!("createdAt: {why}"))),
    };
    let what = match item.entity {
        Entity::Milking => milk(conn, tz, at, item.data)?,
        Entity::Event => event(conn, at, item.data)?,
    };
    Ok(what.map(|what| Pushed {
        name: item.local_id,
        content,
        what,
    }))
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|e| by_name(&e))
}

/// When it was written down. A phone's clock that is ahead is taken for now: that ends no withdrawal hold early.
fn written_at(created: Moment, now: UnixMillis) -> Result<UnixMillis, String> {
    let at = created.of_this_century()?;
    if now.since(at) > OLDEST_MS {
        return Err("more than 60 days ago: look at the phone's clock".to_owned());
    }
    Ok(at.min(now))
}

fn milk(
    conn: &Connection,
    tz: &TimeZone,
    at: UnixMillis,
    data: Value,
) -> Result<Result<What, String>, StoreError> {
    let data: MilkData = match typed(data) {
        Ok(data) => data,
        Err(why) => return Ok(Err(format!("data: {why}"))),
    };
    let animal = animals::by_text(conn, &data.animal)?;
    let current = plan::load(conn)?.session_at(at, tz);
    Ok((|| {
        let session = match data.session {
            Some(told) => session(at, told).map_err(|why| format!("data.{why}"))?,
            None => current,
        };
        let animal = animal.ok_or_else(|| unknown(&data.animal))?;
        let milk = RecordMilk {
            key: String::new(),
            animal: animal.id,
            session,
            yield_ml: millilitres(data.litres)?,
            fat: milli(Quantity::Fat, data.fat)?,
            snf: milli(Quantity::Snf, data.snf)?,
            destination: data.destination.unwrap_or(Destination::Tank),
            repeat: if data.repeat {
                Repeat::Confirmed
            } else {
                Repeat::Refuse
            },
        };
        Ok(What::Milk { milk, written: at })
    })())
}

fn event(
    conn: &Connection,
    at: UnixMillis,
    mut data: Value,
) -> Result<Result<What, String>, StoreError> {
    let animal = data.as_object_mut().and_then(|map| map.remove("animal"));
    let Some(Value::String(text)) = animal else {
        return Ok(Err("data.animal: the number or tag, as text".to_owned()));
    };
    let found = animals::by_text(conn, &text)?;
    Ok(found.ok_or_else(|| unknown(&text)).and_then(|animal| {
        let data: EventData = typed(data).map_err(|why| format!("data: {why}"))?;
        Ok(What::Event(NewEvent {
            animal: animal.id,
            when: When::At(at),
            body: data.into(),
        }))
    }))
}

fn unknown(animal: &str) -> String {
    format!("data.animal: {animal:?} is no number or tag of the herd; register it, or correct it")
}

fn millilitres(litres: f64) -> Result<i64, String> {
    if (0.0..=1_000.0).contains(&litres) {
        Ok((litres * 1_000.0).round() as i64)
    } else {
        Err("data.litres: a figure such as 8.5".to_owned())
    }
}

fn result(lang: Lang, local_id: Option<String>, done: Result<Kept, Error>) -> RecordResult {
    let empty = RecordResult {
        local_id,
        outcome: Fate::Known,
        id: None,
        reason: None,
        title: None,
        detail: None,
    };
    match done {
        Ok(Kept::Known) => empty,
        Ok(Kept::New(id)) => RecordResult {
            outcome: Fate::Stored,
            id: Some(id),
            ..empty
        },
        Err(error) => {
            error.log("POST", "/api/v1/mobile/sync/push");
            let is_ours = error.reason.status().is_server_error();
            RecordResult {
                outcome: if is_ours { Fate::Later } else { Fate::Rejected },
                reason: Some(error.reason.key()),
                title: Some(words::to_program(lang, error.reason)),
                detail: error.detail.map(String::from),
                ..empty
            }
        }
    }
}

impl From<PushError> for Error {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Milk(error) => error.into(),
            PushError::Event(error) => error.into(),
            PushError::Store(error) => error.into(),
            taken @ PushError::NameTaken => Self::from(Reason::Conflict).detail(taken.to_string()),
        }
    }
}
