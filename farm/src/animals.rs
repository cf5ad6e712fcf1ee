//! The herd: the register, the tags, and what is said of each animal.
//!
//! A tag belongs to one animal of the farm at a time. That is a rule of these commands and not of the table, because two
//! sites may each give it away while apart; [`conflicts`] finds what a merge then shows.

mod commands;
mod conflicts;
mod list;
mod page;

use farm_model::{AnimalId, AnimalStatus, Sex, Tag, UnixMillis};
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};

pub use self::{
    commands::{AnimalError, AnimalForm, edit, merge, register, set_status, tag, untag},
    conflicts::{Conflict, Said, conflicts, keep_tag},
    list::{
        Brief, Composition, HerdFilter, HerdRow, HerdSort, SortOrder, briefs, composition, groups,
        herd, last_milked,
    },
    page::{AnimalPage, DayYield, animal_page, daily_yields},
};
use crate::{
    sql,
    store::{Change, StoreError, Tx},
    text::fold,
};

/// An animal as it is in the register.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Animal {
    /// Identity.
    pub id: AnimalId,
    /// Number that people use: on the ear or the collar.
    pub number: String,
    /// Name.
    pub name: String,
    /// Name in English letters, for who reads the screens in English.
    pub name_en: String,
    /// Sex.
    pub sex: Sex,
    /// Breed, as people write it.
    pub breed: String,
    /// Day of birth.
    pub birth_date: Option<Date>,
    /// Group or pen.
    pub group: String,
    /// Where in its life it is.
    pub status: AnimalStatus,
    /// Mother, if she is in the register.
    pub dam: Option<AnimalId>,
    /// Father, as people write him.
    pub sire: String,
    /// Anything else.
    pub note: String,
    /// The animal that this duplicate was merged into.
    pub merged_into: Option<AnimalId>,
}

/// A tag of an animal, now or once.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct AnimalTag {
    /// The tag.
    pub tag: Tag,
    /// Since when.
    pub from: UnixMillis,
    /// Until when, if it was taken off or replaced.
    pub until: Option<UnixMillis>,
}

pub(crate) const COLUMNS: &str = "a.id, a.number, a.name, a.sex, a.breed, a.birth_date, a.herd_group, a.status, a.dam, \
     a.sire, a.note, a.merged_into, a.name_en";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Animal> {
    Ok(Animal {
        id: sql::id(row, 0)?,
        number: sql::text(row, 1)?,
        name: sql::text(row, 2)?,
        sex: Sex::from_key(&sql::text(row, 3)?).unwrap_or(Sex::Female),
        breed: sql::text(row, 4)?,
        birth_date: sql::date_opt(row, 5)?,
        group: sql::text(row, 6)?,
        status: AnimalStatus::from_key(&sql::text(row, 7)?).unwrap_or(AnimalStatus::Heifer),
        dam: sql::id_opt(row, 8)?,
        sire: sql::text(row, 9)?,
        note: sql::text(row, 10)?,
        merged_into: sql::id_opt(row, 11)?,
        name_en: sql::text(row, 12)?,
    })
}

/// One animal; a merged duplicate leads to the one that stayed.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &Connection, id: AnimalId) -> Result<Option<Animal>, StoreError> {
    get_exact(conn, canonical(conn, id)?)
}

/// The animal that a merged duplicate has become; itself for any other.
///
/// A merge never points back, but the merges of two places together may: then the oldest of those animals is meant, wherever one begins.
pub(crate) fn canonical(conn: &Connection, id: AnimalId) -> Result<AnimalId, StoreError> {
    let chain = chain(conn, id)?;
    Ok(chain.cycle().copied().min().unwrap_or(*chain.end()))
}

/// The longest chain of merges that is followed.
const LONGEST_CHAIN: usize = 64;

/// An animal, what it was merged into, and so on; the last one's merge may lead back to one of them.
struct Chain {
    animals: Vec<AnimalId>,
    back_to: Option<usize>,
}

impl Chain {
    fn end(&self) -> &AnimalId {
        self.animals.last().expect("it begins with an animal")
    }

    fn cycle(&self) -> impl Iterator<Item = &AnimalId> {
        let from = self.back_to.unwrap_or(self.animals.len());
        self.animals[from..].iter()
    }
}

fn chain(conn: &Connection, id: AnimalId) -> Result<Chain, StoreError> {
    let mut chain = Chain {
        animals: vec![id],
        back_to: None,
    };
    while chain.animals.len() < LONGEST_CHAIN {
        let into: Option<Option<AnimalId>> = conn
            .prepare_cached("SELECT merged_into FROM animal WHERE id = ?1")?
            .query_row([chain.end().as_bytes()], |row| sql::id_opt(row, 0))
            .optional()?;
        let Some(into) = into.flatten() else {
            break;
        };
        chain.back_to = chain.animals.iter().position(|animal| *animal == into);
        if chain.back_to.is_some() {
            break;
        }
        chain.animals.push(into);
    }
    Ok(chain)
}

/// Lets the oldest of animals that two places have merged into each other stay.
pub(crate) fn end_cycle(tx: &mut Tx<'_>, id: AnimalId) -> Result<(), StoreError> {
    let chain = chain(tx.conn(), id)?;
    let Some(stays) = chain.cycle().copied().min() else {
        return Ok(());
    };
    tx.conn().execute(
        "UPDATE animal SET merged_into = NULL WHERE id = ?1",
        [stays.as_bytes()],
    )?;
    tx.tell(Change::Animal { animal: stays });
    Ok(())
}

pub(crate) fn get_exact(conn: &Connection, id: AnimalId) -> Result<Option<Animal>, StoreError> {
    Ok(conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM animal a WHERE a.id = ?1"))?
        .query_row([id.as_bytes()], read)
        .optional()?)
}

/// Every animal that was not merged away, by number.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &Connection) -> Result<Vec<Animal>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM animal a WHERE a.merged_into IS NULL ORDER BY length(a.number), a.number, a.id"
    ))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Who wears `tag`; or who wore it last, if nobody does: an old tag still names its animal after a re-tag.
///
/// # Errors
/// When the database fails.
pub fn by_tag(conn: &Connection, tag: &Tag) -> Result<Option<Animal>, StoreError> {
    let id: Option<[u8; 16]> = conn
        .prepare_cached(
            "SELECT animal FROM animal_tag WHERE tag = ?1 AND animal IS NOT NULL
             ORDER BY until_at IS NULL DESC, until_at DESC, from_at DESC, id LIMIT 1",
        )?
        .query_row([tag.to_string()], |row| row.get(0))
        .optional()?;
    match id {
        Some(id) => get(conn, AnimalId::from_bytes(id)),
        None => Ok(None),
    }
}

/// The animal that a person or device calls `text`: a tag, or a number (Bengali digits too).
///
/// # Errors
/// When the database fails.
pub fn by_text(conn: &Connection, text: &str) -> Result<Option<Animal>, StoreError> {
    let text = fold(text);
    if let Ok(tag) = text.parse::<Tag>()
        && let Some(animal) = by_tag(conn, &tag)?
    {
        return Ok(Some(animal));
    }
    let present = list(conn)?;
    Ok(present
        .into_iter()
        .filter(|a| !a.number.is_empty() && fold(&a.number) == text)
        .max_by_key(|a| a.status.is_present()))
}

/// Every tag of an animal, those worn now first.
///
/// # Errors
/// When the database fails.
pub fn tags(conn: &Connection, animal: AnimalId) -> Result<Vec<AnimalTag>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT tag, from_at, until_at FROM animal_tag WHERE animal = ?1
         ORDER BY until_at IS NULL DESC, until_at DESC, from_at DESC, id",
    )?;
    let rows = statement.query_map([animal.as_bytes()], |row| {
        Ok(sql::tag_opt(row, 0)?.map(|tag| (tag, row.get::<_, Option<i64>>(1), row.get(2))))
    })?;
    let mut tags = Vec::new();
    for row in rows {
        if let Some((tag, from, until)) = row? {
            tags.push(AnimalTag {
                tag,
                from: UnixMillis(from?.unwrap_or(0)),
                until: Option::<i64>::map(until?, UnixMillis),
            });
        }
    }
    Ok(tags)
}

/// Every tag that names an animal, as [`by_tag`] says, for a copy in memory: those worn now, and those worn before that
/// nobody else wears.
///
/// # Errors
/// When the database fails.
pub fn known_tags(conn: &Connection) -> Result<Vec<(Tag, AnimalId)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT t.tag, coalesce(a.merged_into, t.animal) FROM animal_tag t LEFT JOIN animal a ON a.id = t.animal
         WHERE t.animal IS NOT NULL
         ORDER BY t.tag, t.until_at IS NULL DESC, t.until_at DESC, t.from_at DESC, t.id",
    )?;
    let rows = statement.query_map(
        [],
        |row| Ok(sql::tag_opt(row, 0)?.zip(sql::id_opt(row, 1)?)),
    )?;
    let mut known: Vec<(Tag, AnimalId)> = sql::known(rows)?;
    known.dedup_by(|later, first| later.0 == first.0);
    Ok(known)
}

/// The tags worn now, with their animals.
///
/// # Errors
/// When the database fails.
pub fn worn_tags(conn: &Connection) -> Result<Vec<(Tag, AnimalId)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT tag, animal FROM animal_tag WHERE until_at IS NULL AND animal IS NOT NULL ORDER BY tag, id",
    )?;
    let rows = statement.query_map(
        [],
        |row| Ok(sql::tag_opt(row, 0)?.zip(sql::id_opt(row, 1)?)),
    )?;
    Ok(sql::known(rows)?)
}
