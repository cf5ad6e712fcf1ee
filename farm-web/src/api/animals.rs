//! The herd.

use std::collections::HashMap;

use axum::{Json, extract::State};
use farm::{
    Tx,
    animals::{self, Animal, AnimalError, AnimalForm, HerdFilter, HerdSort, SortOrder},
    settings,
    text::{Name, Note},
};
use farm_model::{AnimalId, AnimalStatus, Clock as _, Sex, Tag};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Items,
    batch::{Batch, BatchResult, Outcome, each},
    when::Day,
};
use crate::{app::Web, auth::Caller, error::Error};

/// An animal that is present.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnimalJson {
    /// Identity.
    id: String,
    /// Number on the ear or collar.
    number: String,
    name: String,
    /// The name in English letters.
    name_en: String,
    breed: String,
    /// `female` or `male`.
    sex: &'static str,
    #[schema(value_type = Option<String>)]
    birth_date: Option<Date>,
    /// `calf`, `heifer`, `lactating`, `dry`, `bull`, `sold` or `dead`.
    status: &'static str,
    group: String,
    /// A tag that it wears.
    tag: Option<String>,
    /// Day of the last calving.
    #[schema(value_type = Option<String>)]
    calved_on: Option<Date>,
    /// Number of the lactation.
    parity: Option<u8>,
    days_in_milk: Option<i64>,
    /// Millilitres today.
    today_ml: Option<i64>,
    /// Mean millilitres a day of the last seven days.
    week_ml: Option<i64>,
    /// Whether the milk must be kept out of the tank.
    milk_withheld: bool,
}

/// An animal to store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnimalItem {
    /// Number on the ear or collar; the key by which an animal is known again.
    number: String,
    name: Option<String>,
    /// The name in English letters.
    name_en: Option<String>,
    breed: Option<String>,
    /// `female` or `male`.
    #[schema(value_type = String)]
    sex: Sex,
    #[schema(value_type = Option<String>)]
    birth_date: Option<Day>,
    /// `calf`, `heifer`, `lactating`, `dry`, `bull`, `sold` or `dead`.
    #[schema(value_type = String)]
    status: AnimalStatus,
    group: Option<String>,
    /// Day of the last calving; used when the animal is new.
    #[schema(value_type = Option<String>)]
    calved_on: Option<Day>,
    /// Number of the lactation that began then.
    parity: Option<u8>,
    /// Tags that it wears: fifteen digits, `epc:` and hexadecimal, `em:` and a number.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    tags: Vec<Tag>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
pub(crate) struct AnimalsBody {
    items: Vec<AnimalItem>,
}

/// Animals that are present, by number.
#[utoipa::path(get, path = "/api/v1/animals", tag = "animals", responses((status = OK, body = Items<AnimalJson>)))]
pub(crate) async fn list(State(web): State<Web>) -> Result<Json<Items<AnimalJson>>, Error> {
    let now = web.farm.clock().now();
    let herd = web
        .farm
        .read(move |conn| {
            let tz = settings::load(conn)?.tz();
            let today = now.wall.timestamp().to_zoned(tz).date();
            let sort = (HerdSort::Number, SortOrder::Up);
            animals::herd(conn, &HerdFilter::default(), sort, today, &now)
        })
        .await?;
    let items = herd
        .into_iter()
        .map(|row| AnimalJson {
            id: row.animal.id.to_string(),
            number: row.animal.number,
            name: row.animal.name,
            name_en: row.animal.name_en,
            breed: row.animal.breed,
            sex: row.animal.sex.key(),
            birth_date: row.animal.birth_date,
            status: row.animal.status.key(),
            group: row.animal.group,
            tag: row.tag,
            calved_on: row.state.calved,
            parity: row.state.lactation,
            days_in_milk: row.days_in_milk,
            today_ml: row.today_ml,
            week_ml: row.week_ml,
            milk_withheld: row.milk_held,
        })
        .collect();
    Ok(Json(Items { items }))
}

/// Stores animals; one whose number is known is changed. A tag on another animal rejects the item.
#[utoipa::path(post, path = "/api/v1/animals", tag = "animals", request_body = AnimalsBody,
    responses((status = OK, body = BatchResult)))]
pub(crate) async fn save(
    State(web): State<Web>,
    caller: Caller,
    batch: Batch<AnimalItem>,
) -> Result<BatchResult, Error> {
    let known: HashMap<String, Animal> = web
        .farm
        .read(animals::list)
        .await?
        .into_iter()
        .map(|a| (a.number.clone(), a))
        .collect();
    let batch = Batch(
        batch
            .0
            .into_iter()
            .map(|item| {
                item.and_then(|item| {
                    let form = form_of(&item)?;
                    let old = known.get(form.number.as_str()).cloned();
                    Ok(Prepared { item, form, old })
                })
            })
            .collect(),
    );
    Ok(each(&web.farm, &caller.actor(), batch, store).await)
}

/// An item that was read, and the animal that has its number.
struct Prepared {
    item: AnimalItem,
    form: AnimalForm,
    old: Option<Animal>,
}

fn form_of(item: &AnimalItem) -> Result<AnimalForm, String> {
    let name = |field: &str, text: &Option<String>| {
        Name::optional(text.as_deref().unwrap_or("")).map_err(|e| format!("{field}: {e}"))
    };
    let number = Name::new(&item.number).map_err(|e| format!("number: {e}"))?;
    if item.calved_on.is_none() && item.parity.is_some() {
        return Err("parity: give calved_on too".into());
    }
    Ok(AnimalForm {
        name: name("name", &item.name)?,
        sex: item.sex,
        breed: name("breed", &item.breed)?,
        birth_date: item.birth_date.map(|day| day.0),
        group: name("group", &item.group)?,
        name_en: name("name_en", &item.name_en)?,
        ..AnimalForm::new(number, item.status)
    })
}

fn store(tx: &mut Tx<'_>, prepared: &Prepared) -> Result<(Outcome, String), AnimalError> {
    let Prepared { item, form, old } = prepared;
    let (id, mut outcome) = match old {
        None => {
            let calved = item.calved_on.map(|day| (day.0, item.parity.unwrap_or(1)));
            let id = animals::register(tx, form, item.tags.first(), calved)?;
            (id, Outcome::Created)
        }
        Some(old) if is_same(old, form) => (old.id, Outcome::Unchanged),
        Some(old) => {
            let form = AnimalForm {
                dam: old.dam,
                sire: Name::optional(&old.sire).ok().flatten(),
                note: Note::optional(&old.note).ok().flatten(),
                ..form.clone()
            };
            animals::edit(tx, old.id, &form)?;
            (old.id, Outcome::Updated)
        }
    };
    if wear(tx, id, &item.tags)? && outcome == Outcome::Unchanged {
        outcome = Outcome::Updated;
    }
    Ok((outcome, id.to_string()))
}

/// Puts the tags on that it does not wear yet; returns whether there was one.
fn wear(tx: &mut Tx<'_>, id: AnimalId, tags: &[Tag]) -> Result<bool, AnimalError> {
    let worn = animals::tags(tx.conn(), id)?;
    let mut new = false;
    for tag in tags {
        if !worn.iter().any(|w| w.tag == *tag && w.until.is_none()) {
            animals::tag(tx, id, tag)?;
            new = true;
        }
    }
    Ok(new)
}

fn is_same(old: &Animal, form: &AnimalForm) -> bool {
    let text = |name: &Option<Name>| name.as_ref().map_or(String::new(), ToString::to_string);
    old.name == text(&form.name)
        && old.sex == form.sex
        && old.breed == text(&form.breed)
        && old.birth_date == form.birth_date
        && old.group == text(&form.group)
        && old.status == form.status
        && old.name_en == text(&form.name_en)
}
