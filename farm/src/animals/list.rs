//! The herd as a list: filtered, searched, sorted, with what matters about each animal beside her name.

use std::collections::HashMap;

use farm_model::{AnimalId, AnimalStatus, Stamp, UnixMillis};
use jiff::civil::Date;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{Animal, COLUMNS, read};
use crate::{
    events::LactationState,
    holds::{self, Product},
    sql,
    store::StoreError,
    text::fold,
};

/// How many columns [`COLUMNS`] has.
const WIDTH: usize = 13;

/// Which animals.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HerdFilter {
    /// Only of this status; without it, only those that are present.
    pub status: Option<AnimalStatus>,
    /// Only of this group.
    pub group: Option<String>,
    /// Whose number, name or tag has this in it.
    pub text: String,
}

/// By what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HerdSort {
    /// Number.
    #[default]
    Number,
    /// Name.
    Name,
    /// Yield of today.
    Today,
    /// Mean daily yield of the last seven days.
    Week,
    /// Days in milk.
    DaysInMilk,
    /// Expected calving.
    Due,
}

/// In which direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    /// Smallest first.
    #[default]
    Up,
    /// Largest first.
    Down,
}

/// An animal in the list.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HerdRow {
    /// The animal.
    pub animal: Animal,
    /// A tag that she wears.
    pub tag: Option<String>,
    /// Where she is in her lactation.
    pub state: LactationState,
    /// Days in milk.
    pub days_in_milk: Option<i64>,
    /// Millilitres today.
    pub today_ml: Option<i64>,
    /// Mean millilitres of the days before today, of the last seven, that have milk.
    pub week_ml: Option<i64>,
    /// Whether her milk must be kept out of the tank.
    pub milk_held: bool,
    /// Whether her meat must not be sold.
    pub meat_held: bool,
}

/// The herd on `today`.
///
/// # Errors
/// When the database fails.
pub fn herd(
    conn: &Connection,
    filter: &HerdFilter,
    sort: (HerdSort, SortOrder),
    today: Date,
    now: &Stamp,
) -> Result<Vec<HerdRow>, StoreError> {
    let day = sql::day_number(today);
    let held = holds::standing(conn, now)?;
    let tags = worn(conn)?;
    let wanted = fold(&filter.text);
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, s.calved_day, s.lactation, s.dried_day, s.heat_day, s.served_day, s.pregnant, s.due_day,
            (SELECT yield_ml FROM animal_day d WHERE d.animal = a.id AND d.day = ?1),
            (SELECT sum(yield_ml) / count(*) FROM animal_day d WHERE d.animal = a.id AND d.day >= ?1 - 7 AND d.day < ?1)
         FROM animal a LEFT JOIN animal_state s ON s.animal = a.id
         WHERE a.merged_into IS NULL AND (?2 IS NULL OR a.status = ?2) AND (?3 IS NULL OR a.herd_group = ?3)
            AND (?2 IS NOT NULL OR a.status NOT IN ('sold', 'dead'))"
    ))?;
    let status = filter.status.map(AnimalStatus::key);
    let mut rows = statement.query(params![day, status, filter.group])?;
    let mut herd = Vec::new();
    while let Some(row) = rows.next()? {
        let animal = read(row)?;
        let tag = tags.get(&animal.id);
        if !wanted.is_empty() && !has(&animal, tag, &wanted) {
            continue;
        }
        let date = |i: usize| {
            Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(WIDTH + i)?.map(sql::date_of))
        };
        let state = LactationState {
            calved: date(0)?,
            lactation: row.get(WIDTH + 1)?,
            dried: date(2)?,
            heat: date(3)?,
            served: date(4)?,
            pregnant: row.get(WIDTH + 5)?,
            due: date(6)?,
        };
        let holds = held.get(&animal.id).map_or(&[][..], Vec::as_slice);
        let is_held = |product| holds.iter().any(|h| h.product == product);
        herd.push(HerdRow {
            milk_held: is_held(Product::Milk),
            meat_held: is_held(Product::Meat),
            tag: tag.cloned(),
            days_in_milk: state.days_in_milk(today),
            state,
            today_ml: row.get(WIDTH + 7)?,
            week_ml: row.get(WIDTH + 8)?,
            animal,
        });
    }
    arrange(&mut herd, sort);
    Ok(herd)
}

/// How many animals of each status are present, and of each group, for the chart of the herd.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Composition {
    /// By status, in the order of [`AnimalStatus::ALL`], without those that nobody has.
    pub by_status: Vec<(AnimalStatus, i64)>,
    /// By group, largest first.
    pub by_group: Vec<(String, i64)>,
}

/// Counts the register.
///
/// # Errors
/// When the database fails.
pub fn composition(conn: &Connection) -> Result<Composition, StoreError> {
    let mut by_status: HashMap<AnimalStatus, i64> = HashMap::new();
    let mut by_group: HashMap<String, i64> = HashMap::new();
    for animal in super::list(conn)? {
        if animal.status.is_present() {
            *by_status.entry(animal.status).or_default() += 1;
            *by_group.entry(animal.group).or_default() += 1;
        }
    }
    let mut groups: Vec<_> = by_group.into_iter().collect();
    groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(Composition {
        by_status: AnimalStatus::ALL
            .iter()
            .filter_map(|s| Some((*s, *by_status.get(s)?)))
            .collect(),
        by_group: groups,
    })
}

/// The groups that animals are in, by name.
///
/// # Errors
/// When the database fails.
pub fn groups(conn: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT herd_group FROM animal WHERE herd_group <> '' AND merged_into IS NULL ORDER BY 1",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Number and name, as a stall or a list shows them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Brief {
    /// Number.
    pub number: String,
    /// Name.
    pub name: String,
}

/// Number and name of these animals.
///
/// # Errors
/// When the database fails.
pub fn briefs(
    conn: &Connection,
    ids: impl IntoIterator<Item = AnimalId>,
) -> Result<HashMap<AnimalId, Brief>, StoreError> {
    let mut briefs = HashMap::new();
    for id in ids {
        if let Some(animal) = super::get(conn, id)? {
            let brief = Brief {
                number: animal.number,
                name: animal.name,
            };
            briefs.insert(id, brief);
        }
    }
    Ok(briefs)
}

fn worn(conn: &Connection) -> Result<HashMap<AnimalId, String>, StoreError> {
    let tags = super::worn_tags(conn)?;
    Ok(tags
        .into_iter()
        .map(|(tag, animal)| (animal, tag.to_string()))
        .collect())
}

fn has(animal: &Animal, tag: Option<&String>, wanted: &str) -> bool {
    fold(&animal.number).contains(wanted)
        || fold(&animal.name).contains(wanted)
        || fold(&animal.name_en).contains(wanted)
        || tag.is_some_and(|t| t.to_lowercase().contains(wanted))
}

fn arrange(herd: &mut [HerdRow], (sort, order): (HerdSort, SortOrder)) {
    let number = |r: &HerdRow| (r.animal.number.chars().count(), r.animal.number.clone());
    herd.sort_by_cached_key(number);
    // What an animal does not have comes last in either direction.
    let figure = |r: &HerdRow| -> Option<i64> {
        match sort {
            HerdSort::Number | HerdSort::Name => None,
            HerdSort::Today => r.today_ml,
            HerdSort::Week => r.week_ml,
            HerdSort::DaysInMilk => r.days_in_milk,
            HerdSort::Due => r.state.due.map(sql::day_number),
        }
    };
    match (sort, order) {
        (HerdSort::Number, SortOrder::Up) => {}
        (HerdSort::Number, SortOrder::Down) => herd.reverse(),
        (HerdSort::Name, SortOrder::Up) => herd.sort_by_cached_key(|r| fold(&r.animal.name)),
        (HerdSort::Name, SortOrder::Down) => {
            herd.sort_by_cached_key(|r| std::cmp::Reverse(fold(&r.animal.name)));
        }
        (_, SortOrder::Up) => herd.sort_by_key(|r| figure(r).unwrap_or(i64::MAX)),
        (_, SortOrder::Down) => {
            herd.sort_by_key(|r| std::cmp::Reverse(figure(r).unwrap_or(i64::MIN)));
        }
    }
}

/// When an animal was last milked.
///
/// # Errors
/// When the database fails.
pub fn last_milked(conn: &Connection, animal: AnimalId) -> Result<Option<UnixMillis>, StoreError> {
    let at: Option<i64> = conn
        .prepare_cached("SELECT max(start) FROM visit WHERE animal = ?1 AND voided = 0")?
        .query_row([animal.as_bytes()], |row| row.get(0))?;
    Ok(at.map(UnixMillis))
}
